//! Types of WIT as AssemblyScript writes them, and the classes and enums that are made for those with names.

use std::fmt::Write as _;

use wit_bindgen_core::wit_parser::{
    Docs, Enum, Flags, Handle, Record, Resolve, Type, TypeDefKind, TypeId, Variant,
};
use wit_bindgen_core::{dealias, uwrite, uwriteln};

use super::file::{File, TYPES};
use super::names::{Names, camel, member};
use super::plan::{Plan, is_reference};

/// What types are written by: everything of the world, and the file they are written in.
pub(super) struct Writer<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) plan: &'a Plan,
    pub(super) file: &'a mut File,
}

impl Writer<'_> {
    /// How a type is written.
    pub(super) fn ty(&mut self, ty: &Type) -> String {
        let name = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 | Type::Char => "u32",
            Type::U64 => "u64",
            Type::S8 => "i8",
            Type::S16 => "i16",
            Type::S32 => "i32",
            Type::S64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::String => "string",
            Type::ErrorContext => unreachable!("refused before"),
            Type::Id(id) => return self.defined(*id),
        };
        name.to_owned()
    }

    fn defined(&mut self, id: TypeId) -> String {
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => self.class(*resource),
            TypeDefKind::List(element) if self.is_byte(element) => "Uint8Array".to_owned(),
            TypeDefKind::List(element) => format!("Array<{}>", self.ty(element)),
            TypeDefKind::Map(key, value) => format!("Map<{}, {}>", self.ty(key), self.ty(value)),
            TypeDefKind::Option(payload) => format!("{} | null", self.present(payload)),
            TypeDefKind::Result(result) => {
                let (ok, err) = (
                    self.outcome(result.ok.as_ref()),
                    self.outcome(result.err.as_ref()),
                );
                format!("{}<{ok}, {err}>", self.file.import(TYPES, "Result"))
            }
            TypeDefKind::Tuple(tuple) => self.tuple(&tuple.types),
            _ => self.class(id),
        }
    }

    /// The class of a tuple.
    pub(super) fn tuple(&mut self, types: &[Type]) -> String {
        let class = self.file.import(TYPES, &format!("Tuple{}", types.len()));
        let types: Vec<_> = types.iter().map(|ty| self.ty(ty)).collect();
        if types.is_empty() {
            class
        } else {
            format!("{class}<{}>", types.join(", "))
        }
    }

    /// The class or enum of a type with a name.
    pub(super) fn class(&mut self, id: TypeId) -> String {
        let named = self.plan.named(self.resolve, id);
        self.file.import(&named.path, &named.name)
    }

    /// The type of what is there in an option.
    pub(super) fn present(&mut self, payload: &Type) -> String {
        let ty = self.ty(payload);
        if is_reference(self.resolve, payload) {
            ty
        } else {
            format!("{}<{ty}>", self.file.import(TYPES, "Some"))
        }
    }

    /// The type of one side of a result.
    pub(super) fn outcome(&mut self, ty: Option<&Type>) -> String {
        match ty {
            Some(ty) => self.ty(ty),
            None => self.file.import(TYPES, "Unit"),
        }
    }

    pub(super) fn is_byte(&self, ty: &Type) -> bool {
        match ty {
            Type::U8 => true,
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.is_byte(ty),
                _ => false,
            },
            _ => false,
        }
    }

    /// Writes what stands for a type with a name in the file of its interface.
    pub(super) fn define(&mut self, id: TypeId) {
        let ty = &self.resolve.types[id];
        match &ty.kind {
            TypeDefKind::Resource => {}
            TypeDefKind::Record(record) => self.record(id, record, &ty.docs),
            TypeDefKind::Variant(variant) => self.variant(id, variant, &ty.docs),
            TypeDefKind::Enum(enumeration) => self.enumeration(id, enumeration, &ty.docs),
            TypeDefKind::Flags(flags) => self.flags(id, flags, &ty.docs),
            TypeDefKind::Type(Type::Id(of)) if self.is_class(*of) => {
                let class = self.class(*of);
                let name = &self.plan.alias(id).name;
                // A resource that is exported has its name in the user's source alone.
                if !name.contains('.') && !class.contains('.') {
                    let item = if class == *name {
                        class
                    } else {
                        format!("{class} as {name}")
                    };
                    uwriteln!(self.file.body, "export {{ {item} }};\n");
                }
            }
            kind => {
                let written = match kind {
                    TypeDefKind::Type(of) => self.ty(of),
                    _ => self.defined(id),
                };
                document(&mut self.file.body, &ty.docs);
                uwriteln!(
                    self.file.body,
                    "export type {} = {written};\n",
                    self.plan.alias(id).name
                );
            }
        }
    }

    /// Whether a name stands for a class or an enum, which have values too.
    fn is_class(&self, id: TypeId) -> bool {
        matches!(
            self.resolve.types[dealias(self.resolve, id)].kind,
            TypeDefKind::Record(_)
                | TypeDefKind::Variant(_)
                | TypeDefKind::Enum(_)
                | TypeDefKind::Flags(_)
                | TypeDefKind::Resource
        )
    }

    fn record(&mut self, id: TypeId, record: &Record, docs: &Docs) {
        let fields = fields(record);
        let types: Vec<_> = record.fields.iter().map(|field| self.ty(&field.ty)).collect();
        let body = &mut self.file.body;
        document(body, docs);
        let name = &self.plan.named(self.resolve, id).name;
        let declared: Vec<_> = fields
            .iter()
            .zip(types)
            .map(|(name, ty)| format!("public {name}: {ty}"))
            .collect();
        if record.fields.iter().all(|field| field.docs.is_empty()) {
            uwriteln!(
                body,
                "export class {name} {{\nconstructor({}) {{}}\n}}\n",
                declared.join(", ")
            );
            return;
        }
        uwriteln!(body, "export class {name} {{\nconstructor(");
        for (field, declared) in record.fields.iter().zip(declared) {
            document(body, &field.docs);
            uwriteln!(body, "{declared},");
        }
        uwriteln!(body, ") {{}}\n}}\n");
    }

    fn variant(&mut self, id: TypeId, variant: &Variant, docs: &Docs) {
        let named = self.plan.named(self.resolve, id).clone();
        let types: Vec<_> = variant
            .cases
            .iter()
            .map(|case| case.ty.as_ref().map(|ty| self.ty(ty)))
            .collect();
        let cases = cases(variant.cases.iter().map(|case| case.name.as_str()));
        let body = &mut self.file.body;
        uwriteln!(body, "export enum {} {{\n{},\n}}\n", named.tag, cases.join(",\n"));
        document(body, docs);
        let (name, tag) = (&named.name, &named.tag);
        uwriteln!(
            body,
            "export abstract class {name} {{\nconstructor(readonly tag: {tag}) {{}}\n}}\n"
        );
        for (((case, class), ty), member) in variant.cases.iter().zip(&named.cases).zip(types).zip(cases) {
            document(body, &case.docs);
            let parameter = ty.map(|ty| format!("public value: {ty}")).unwrap_or_default();
            uwriteln!(
                body,
                "export class {class} extends {name} {{\nconstructor({parameter}) {{\nsuper({tag}.{member});\n}}\n}}\n"
            );
        }
    }

    fn enumeration(&mut self, id: TypeId, enumeration: &Enum, docs: &Docs) {
        let members = cases(enumeration.cases.iter().map(|case| case.name.as_str()));
        let all = enumeration.cases.iter().map(|case| &case.docs).zip(members);
        self.members(id, docs, all.map(|(docs, member)| (docs, format!("{member},"))));
    }

    fn flags(&mut self, id: TypeId, flags: &Flags, docs: &Docs) {
        let members = cases(flags.flags.iter().map(|flag| flag.name.as_str()));
        let all = flags.flags.iter().map(|flag| &flag.docs).zip(members).enumerate();
        self.members(
            id,
            docs,
            all.map(|(bit, (docs, member))| (docs, format!("{member} = 1 << {bit},"))),
        );
    }

    fn members<'d>(&mut self, id: TypeId, docs: &Docs, members: impl Iterator<Item = (&'d Docs, String)>) {
        let body = &mut self.file.body;
        document(body, docs);
        uwriteln!(body, "export enum {} {{", self.plan.named(self.resolve, id).name);
        for (docs, member) in members {
            document(body, docs);
            uwriteln!(body, "{member}");
        }
        uwriteln!(body, "}}\n");
    }
}

/// The fields of a record, as its class has them.
pub(super) fn fields(record: &Record) -> Vec<String> {
    let mut names = Names::default();
    record
        .fields
        .iter()
        .map(|field| names.claim(&camel(&field.name)))
        .collect()
}

fn cases<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut taken = Names::default();
    names.map(|name| taken.claim(&member(name))).collect()
}

/// Writes the words of an interface where editors show them.
pub(super) fn document(body: &mut String, docs: &Docs) {
    let Some(text) = &docs.contents else {
        return;
    };
    uwriteln!(body, "/**");
    for line in text.replace("*/", "*\u{2215}").lines() {
        // As source is indented by the braces at its ends.
        let line = line.trim_end_matches(['{', '}']).trim_end();
        uwrite!(body, "* {line}\n");
    }
    uwriteln!(body, "*/");
}
