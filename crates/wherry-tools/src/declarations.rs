//! The interfaces of a world as declarations of TypeScript, for its compiler and for editors.
//!
//! Each interface is a module under the name that programs import it by. What a world exports is a type there,
//! which the user's module has to fit: that of the world, and one for each interface.

use heck::{ToLowerCamelCase, ToUpperCamelCase};
use wit_parser::{
    Docs, Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, Variant, WorldItem,
};

use crate::error::{Error, Result};
use crate::javascript::{
    Module, Role, WORDS, as_result, class_name, is_option, modules, parameters, world_module,
};
use crate::source::Source;

const BEGINNING: &str = "// Made from the interfaces by `wherry build`: change those, not this.\n";

/// The declarations of a world.
///
/// # Errors
/// [`Error::Interface`] for what JavaScript has no form for.
pub fn declarations(source: &Source) -> Result<String> {
    let mut writer = Writer {
        source,
        resolve: &source.resolve,
        modules: modules(source),
        text: BEGINNING.to_owned(),
    };
    writer.world()?;
    for module in writer.modules.clone() {
        writer.module(&module)?;
    }
    Ok(writer.text)
}

/// The name of the type that the user's module has to fit, and of the module which declares it.
#[must_use]
pub fn contract(source: &Source) -> (String, String) {
    (world_module(source), source.name().to_upper_camel_case())
}

struct Writer<'a> {
    source: &'a Source,
    resolve: &'a Resolve,
    modules: Vec<Module>,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn docs(&mut self, depth: usize, docs: &Docs, throws: Option<&str>) {
        let mut lines: Vec<String> = Vec::new();
        if let Some(text) = &docs.contents {
            lines.extend(text.trim().lines().map(|line| line.replace("*/", "*\\/")));
        }
        lines.extend(throws.map(|ty| format!("@throws {{{ty}}}")));
        match lines.as_slice() {
            [] => {}
            [one] => self.line(depth, &format!("/** {one} */")),
            many => {
                self.line(depth, "/**");
                for line in many {
                    self.line(depth, format!(" * {line}").trim_end());
                }
                self.line(depth, " */");
            }
        }
    }

    /// The module of the world: its own types and what it exports; what it imports without an interface is global.
    fn world(&mut self) -> Result<()> {
        let resolve = self.resolve;
        let world = &resolve.worlds[self.source.world];
        let (module, contract) = contract(self.source);
        let here = TypeOwner::World(self.source.world);
        for item in world.imports.values() {
            if let WorldItem::Function(function) = item {
                let signature = self.signature(function, TypeOwner::None)?;
                self.text.push('\n');
                self.function_docs(0, function, TypeOwner::None)?;
                let name = function.name.to_lower_camel_case();
                self.line(0, &format!("declare function {name}{signature};"));
            }
        }
        self.text.push('\n');
        self.line(0, &format!("declare module \"{module}\" {{"));
        for item in world.imports.values() {
            if let WorldItem::Type { id, .. } = item {
                self.type_definition(*id, here, true)?;
            }
        }
        self.docs(1, &world.docs, None);
        self.line(1, &format!("export interface {contract} {{"));
        for item in world.exports.values() {
            if let WorldItem::Function(function) = item {
                self.member(2, function, here)?;
            }
        }
        for one in self.modules.clone().iter().filter(|one| one.exported) {
            let ty = format!("import(\"{}\").{}", one.name, self.contract_of(one));
            self.line(2, &format!("{}: {ty};", one.export()));
        }
        self.line(1, "}");
        self.line(0, "}");
        Ok(())
    }

    /// The type of what implements an exported interface; none of its types is called so.
    fn contract_of(&self, module: &Module) -> String {
        let name = module.export().to_upper_camel_case();
        let mut types = self.resolve.interfaces[module.id].types.keys();
        if types.any(|one| one.to_upper_camel_case() == name) {
            return format!("{name}Interface");
        }
        name
    }

    fn module(&mut self, module: &Module) -> Result<()> {
        let resolve = self.resolve;
        let interface = &resolve.interfaces[module.id];
        let here = TypeOwner::Interface(module.id);
        self.text.push('\n');
        self.line(0, &format!("declare module \"{}\" {{", module.name));
        for id in interface.types.values() {
            self.type_definition(*id, here, module.imported)?;
        }
        if module.imported {
            for function in interface.functions.values() {
                if let Role::Function(name) = Role::of(function)? {
                    self.imported(function, &name, here)?;
                }
            }
        }
        if module.exported {
            self.exported(module)?;
        }
        // Without it nothing more than what says so is exported.
        self.line(1, "export {};");
        self.line(0, "}");
        if let Some(versioned) = &module.versioned {
            self.text.push('\n');
            self.line(0, &format!("declare module \"{versioned}\" {{"));
            self.line(1, &format!("export * from \"{}\";", module.name));
            self.line(0, "}");
        }
        Ok(())
    }

    fn imported(&mut self, function: &Function, name: &str, here: TypeOwner) -> Result<()> {
        let signature = self.signature(function, here)?;
        self.function_docs(1, function, here)?;
        if is_reserved(name) {
            self.line(1, &format!("function {name}_{signature};"));
            self.line(1, &format!("export {{ {name}_ as {name} }};"));
        } else {
            self.line(1, &format!("export function {name}{signature};"));
        }
        Ok(())
    }

    /// The type of an object that implements an interface, with the classes of its resources.
    fn exported(&mut self, module: &Module) -> Result<()> {
        let resolve = self.resolve;
        let interface = &resolve.interfaces[module.id];
        let here = TypeOwner::Interface(module.id);
        let contract = self.contract_of(module);
        self.docs(1, &interface.docs, None);
        self.line(1, &format!("export interface {contract} {{"));
        for function in interface.functions.values() {
            if matches!(Role::of(function)?, Role::Function(_)) {
                self.member(2, function, here)?;
            }
        }
        for id in interface.types.values() {
            if matches!(resolve.types[*id].kind, TypeDefKind::Resource) {
                self.class(*id, module.id)?;
            }
        }
        self.line(1, "}");
        Ok(())
    }

    /// The class that implements a resource, as a type: `new` and what is static.
    fn class(&mut self, id: TypeId, interface: InterfaceId) -> Result<()> {
        let resolve = self.resolve;
        let here = TypeOwner::Interface(interface);
        let class = class_name(resolve, id);
        self.line(2, &format!("{class}: {{"));
        for function in resolve.interfaces[interface].functions.values() {
            match Role::of(function)? {
                Role::Constructor(of) if of == id => {
                    let parameters = self.parameters(function, here)?;
                    self.line(3, &format!("new ({parameters}): {class};"));
                }
                Role::Static(of, name) if of == id => {
                    let signature = self.signature(function, here)?;
                    self.function_docs(3, function, here)?;
                    self.line(3, &format!("{}{signature};", name.to_lower_camel_case()));
                }
                _ => {}
            }
        }
        self.line(2, "};");
        Ok(())
    }

    fn member(&mut self, depth: usize, function: &Function, here: TypeOwner) -> Result<()> {
        let signature = self.signature(function, here)?;
        self.function_docs(depth, function, here)?;
        self.line(
            depth,
            &format!("{}{signature};", function.name.to_lower_camel_case()),
        );
        Ok(())
    }

    fn function_docs(&mut self, depth: usize, function: &Function, here: TypeOwner) -> Result<()> {
        let throws = match function.result.and_then(|ty| as_result(self.resolve, ty)) {
            Some((_, Some(err))) => Some(self.written(err, here)?),
            Some((_, None)) => Some("undefined".to_owned()),
            None => None,
        };
        self.docs(depth, &function.docs, throws.as_deref());
        Ok(())
    }

    fn signature(&self, function: &Function, here: TypeOwner) -> Result<String> {
        Role::of(function)?;
        let result = match function.result {
            None => "void".to_owned(),
            Some(ty) => match as_result(self.resolve, ty) {
                Some((None, _)) => "void".to_owned(),
                Some((Some(ok), _)) => self.written(ok, here)?,
                None => self.written(ty, here)?,
            },
        };
        Ok(format!("({}): {result}", self.parameters(function, here)?))
    }

    fn parameters(&self, function: &Function, here: TypeOwner) -> Result<String> {
        let written: Result<Vec<String>> = parameters(function)
            .map(|(name, ty)| {
                let mark = if is_reserved(&name) { "_" } else { "" };
                Ok(format!("{name}{mark}: {}", self.written(*ty, here)?))
            })
            .collect();
        Ok(written?.join(", "))
    }

    fn type_definition(&mut self, id: TypeId, here: TypeOwner, imported: bool) -> Result<()> {
        let resolve = self.resolve;
        let definition = &resolve.types[id];
        let name = class_name(resolve, id);
        self.docs(1, &definition.docs, None);
        match &definition.kind {
            TypeDefKind::Record(record) => {
                self.line(1, &format!("export interface {name} {{"));
                for field in &record.fields {
                    let ty = self.written(field.ty, here)?;
                    self.docs(2, &field.docs, None);
                    self.line(2, &format!("{}: {ty};", field.name.to_lower_camel_case()));
                }
                self.line(1, "}");
            }
            TypeDefKind::Flags(flags) => {
                self.line(1, &format!("export interface {name} {{"));
                for flag in &flags.flags {
                    self.docs(2, &flag.docs, None);
                    self.line(2, &format!("{}?: boolean;", flag.name.to_lower_camel_case()));
                }
                self.line(1, "}");
            }
            TypeDefKind::Resource => self.resource(id, here, imported)?,
            TypeDefKind::Type(Type::Id(other)) if self.is_class(*other) => {
                let ty = self.named(*other, here);
                self.line(1, &format!("export type {name} = {ty};"));
            }
            kind => {
                let ty = self.kind(kind, here)?;
                self.line(1, &format!("export type {name} = {ty};"));
            }
        }
        Ok(())
    }

    fn is_class(&self, id: TypeId) -> bool {
        self.resolve.types[id].name.is_some()
    }

    /// A resource: a class where it is imported, and the type of its objects where the user has the class.
    fn resource(&mut self, id: TypeId, here: TypeOwner, imported: bool) -> Result<()> {
        let resolve = self.resolve;
        let name = class_name(resolve, id);
        let functions: Vec<&Function> = match here {
            TypeOwner::Interface(interface) => resolve.interfaces[interface].functions.values().collect(),
            _ => resolve.worlds[self.source.world]
                .imports
                .values()
                .filter_map(|item| match item {
                    WorldItem::Function(function) => Some(function),
                    _ => None,
                })
                .collect(),
        };
        let kind = if imported { "class" } else { "interface" };
        self.line(1, &format!("export {kind} {name} {{"));
        let mut constructs = false;
        for function in functions {
            let (prefix, member) = match Role::of(function)? {
                Role::Constructor(of) if of == id && imported => {
                    constructs = true;
                    let parameters = self.parameters(function, here)?;
                    self.docs(2, &function.docs, None);
                    self.line(2, &format!("constructor({parameters});"));
                    continue;
                }
                Role::Method(of, member) if of == id => ("", member),
                Role::Static(of, member) if of == id && imported => ("static ", member),
                _ => continue,
            };
            let signature = self.signature(function, here)?;
            self.function_docs(2, function, here)?;
            self.line(
                2,
                &format!("{prefix}{}{signature};", member.to_lower_camel_case()),
            );
        }
        if imported && !constructs {
            self.line(2, "private constructor();");
        }
        self.line(1, "}");
        Ok(())
    }

    /// The name of a type, as seen from another module or from its own.
    fn named(&self, id: TypeId, here: TypeOwner) -> String {
        let name = class_name(self.resolve, id);
        let owner = self.resolve.types[id].owner;
        if owner == here {
            return name;
        }
        let module = match owner {
            TypeOwner::Interface(interface) => self
                .modules
                .iter()
                .find(|module| module.id == interface)
                .map(|module| module.name.clone()),
            TypeOwner::World(_) | TypeOwner::None => Some(world_module(self.source)),
        };
        format!("import(\"{}\").{name}", module.unwrap_or_default())
    }

    fn written(&self, ty: Type, here: TypeOwner) -> Result<String> {
        Ok(match ty {
            Type::Bool => "boolean".to_owned(),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::S8
            | Type::S16
            | Type::S32
            | Type::S64
            | Type::F32
            | Type::F64 => "number".to_owned(),
            Type::Char | Type::String => "string".to_owned(),
            Type::ErrorContext => return Err(formless("error-context")),
            Type::Id(id) if self.is_class(id) => self.named(id, here),
            Type::Id(id) => self.kind(&self.resolve.types[id].kind, here)?,
        })
    }

    fn payload(&self, ty: Option<Type>, here: TypeOwner) -> Result<String> {
        ty.map_or(Ok(String::new()), |ty| {
            Ok(format!("; val: {}", self.written(ty, here)?))
        })
    }

    fn variant(&self, variant: &Variant, here: TypeOwner) -> Result<String> {
        let cases: Result<Vec<String>> = variant
            .cases
            .iter()
            .map(|case| {
                Ok(format!(
                    "{{ tag: \"{}\"{} }}",
                    case.name,
                    self.payload(case.ty, here)?
                ))
            })
            .collect();
        Ok(cases?.join(" | "))
    }

    fn kind(&self, kind: &TypeDefKind, here: TypeOwner) -> Result<String> {
        Ok(match kind {
            TypeDefKind::Type(ty) => self.written(*ty, here)?,
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.named(*id, here),
            TypeDefKind::Tuple(tuple) => {
                let types: Result<Vec<String>> =
                    tuple.types.iter().map(|ty| self.written(*ty, here)).collect();
                format!("[{}]", types?.join(", "))
            }
            TypeDefKind::Variant(variant) => self.variant(variant, here)?,
            TypeDefKind::Enum(names) => {
                let names: Vec<String> = names
                    .cases
                    .iter()
                    .map(|case| format!("\"{}\"", case.name))
                    .collect();
                names.join(" | ")
            }
            TypeDefKind::Option(ty) if is_option(self.resolve, *ty) => {
                format!(
                    "{{ tag: \"some\"; val: {} }} | {{ tag: \"none\" }}",
                    self.written(*ty, here)?
                )
            }
            TypeDefKind::Option(ty) => format!("{} | null", self.written(*ty, here)?),
            TypeDefKind::Result(result) => format!(
                "{{ tag: \"ok\"{} }} | {{ tag: \"err\"{} }}",
                self.payload(result.ok, here)?,
                self.payload(result.err, here)?
            ),
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(ty) | TypeDefKind::FixedLengthList(ty, _) => {
                let element = self.written(*ty, here)?;
                if element.contains(" | ") {
                    format!("({element})[]")
                } else {
                    format!("{element}[]")
                }
            }
            TypeDefKind::Map(key, value) => {
                format!(
                    "Map<{}, {}>",
                    self.written(*key, here)?,
                    self.written(*value, here)?
                )
            }
            TypeDefKind::Future(_) => return Err(formless("future")),
            TypeDefKind::Stream(_) => return Err(formless("stream")),
            TypeDefKind::Record(_) | TypeDefKind::Resource | TypeDefKind::Flags(_) | TypeDefKind::Unknown => {
                return Err(formless(kind.as_str()));
            }
        })
    }
}

/// Whether a word can be no name of a declaration.
fn is_reserved(name: &str) -> bool {
    WORDS.contains(&name) || matches!(name, "arguments" | "eval")
}

fn formless(what: &str) -> Error {
    Error::Interface(format!("`{what}` has no form in JavaScript and TypeScript yet"))
}
