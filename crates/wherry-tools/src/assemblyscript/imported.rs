//! What the user calls: functions of other components, and their resources as classes.

use std::fmt::Write as _;

use wit_bindgen_core::Direction;
use wit_bindgen_core::abi::AbiVariant;
use wit_bindgen_core::uwriteln;
use wit_bindgen_core::wit_parser::{
    Function, FunctionKind, InterfaceId, LiftLowerAbi, ManglingAndAbi, ResourceIntrinsic, TypeId, WasmImport,
    WorldKey,
};

use super::glue::{Ends, Glue, core};
use super::names::{Names, camel};
use super::plan::is_fallible;
use super::types::{Writer, document};

/// The one way in which names of functions are made, and the canonical ABI without what is asynchronous.
pub(super) const NAMES: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

impl Writer<'_> {
    /// Writes functions that are no methods.
    pub(super) fn imported_functions<'f>(
        &mut self,
        key: Option<&WorldKey>,
        interface: Option<InterfaceId>,
        functions: impl Iterator<Item = &'f Function>,
    ) {
        for function in functions.filter(|function| function.kind.resource().is_none()) {
            let name = self
                .plan
                .function(interface, Direction::Import, function)
                .to_owned();
            self.imported(key, function, &format!("export function {name}"), "");
        }
    }

    /// Writes the class of a resource, with all that `functions` has of it.
    pub(super) fn imported_resource<'f>(
        &mut self,
        key: Option<&WorldKey>,
        interface: Option<InterfaceId>,
        id: TypeId,
        functions: impl Iterator<Item = &'f Function> + Clone,
    ) {
        let class = self.plan.named(self.resolve, id).name.clone();
        let (module, name) = self.resolve.wasm_import_name(
            NAMES,
            WasmImport::ResourceIntrinsic {
                interface: key,
                resource: id,
                intrinsic: ResourceIntrinsic::ImportedDrop,
            },
        );
        let close = self.file.declare(&module, &name, &["i32"], "void");
        let mut members = String::new();
        let mut has_constructor = false;
        for function in functions.filter(|function| function.kind.resource() == Some(id)) {
            let before = std::mem::take(&mut self.file.body);
            has_constructor |= matches!(function.kind, FunctionKind::Constructor(_));
            let fallible = is_fallible(self.resolve, function);
            match function.kind {
                FunctionKind::Constructor(_) if !fallible => {
                    self.imported(key, function, "constructor", "super();\n");
                }
                _ => {
                    let name = self.plan.function(interface, Direction::Import, function);
                    let how = if matches!(function.kind, FunctionKind::Method(_)) {
                        ""
                    } else {
                        "static "
                    };
                    self.imported(key, function, &format!("{how}{name}"), "");
                }
            }
            // Declarations and areas come before the class.
            let written = std::mem::replace(&mut self.file.body, before);
            let member = written.find(MEMBER).unwrap_or_default();
            self.file.body.push_str(&written[..member]);
            members.push_str(&written[member..].replacen(MEMBER, "", 1));
        }
        document(&mut self.file.body, &self.resolve.types[id].docs);
        uwriteln!(self.file.body, "export class {class} extends $abi.Handle {{");
        if !has_constructor {
            uwriteln!(self.file.body, "private constructor() {{\nsuper();\n}}\n");
        }
        self.file.body.push_str(&members);
        let drop = &self.plan.resource(self.resolve, id).drop;
        uwriteln!(
            self.file.body,
            "/** Gives the resource back; it is not dropped by itself. */\n{drop}(): void {{\nthis.$drop();\n}}\n
             protected $close(handle: i32): void {{\n{close}(handle);\n}}\n
             static $lift(handle: i32): {class} {{\nconst lifted = $abi.blank<{class}>();\nlifted.$handle = handle;\nreturn lifted;\n}}\n}}\n"
        );
    }

    /// Writes one function; `head` is what comes before its parameters, `first` what it does first.
    fn imported(&mut self, key: Option<&WorldKey>, function: &Function, head: &str, first: &str) {
        let signature = self.resolve.wasm_signature(AbiVariant::GuestImport, function);
        let (module, name) = self.resolve.wasm_import_name(
            NAMES,
            WasmImport::Func {
                interface: key,
                func: function,
            },
        );
        let types: Vec<_> = signature.params.iter().map(|ty| core(*ty)).collect();
        let result = signature.results.first().map_or("void", |ty| core(*ty));
        let callee = self.file.declare(&module, &name, &types, result);
        let on_object = matches!(function.kind, FunctionKind::Method(_));
        let constructs =
            matches!(function.kind, FunctionKind::Constructor(_)) && !is_fallible(self.resolve, function);
        let mut names = Names::default();
        let mut parameters = Vec::new();
        let mut declared = Vec::new();
        for (nth, parameter) in function.params.iter().enumerate() {
            if on_object && nth == 0 {
                parameters.push("this".to_owned());
                continue;
            }
            let name = names.claim(&camel(&parameter.name));
            declared.push(format!("{name}: {}", self.ty(&parameter.ty)));
            parameters.push(name);
        }
        let result = match (&function.result, constructs) {
            (_, true) => String::new(),
            (Some(ty), false) => format!(": {}", self.ty(ty)),
            (None, false) => ": void".to_owned(),
        };
        let ends = Ends {
            parameters,
            callee,
            on_object: false,
            constructs,
        };
        let body = Glue::import(self, function, ends);
        if function.kind.resource().is_some() {
            self.file.body.push_str(MEMBER);
        }
        document(&mut self.file.body, &function.docs);
        uwriteln!(
            self.file.body,
            "{head}({}){result} {{\n{first}{body}}}\n",
            declared.join(", ")
        );
    }
}

/// Where the member of a class begins, after what has to stand before the class.
const MEMBER: &str = "\u{0}";
