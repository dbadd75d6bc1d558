//! What others call: one function for each export, which calls that of the user.

use std::fmt::Write as _;

use wit_bindgen_core::Direction;
use wit_bindgen_core::abi::{self, AbiVariant};
use wit_bindgen_core::uwriteln;
use wit_bindgen_core::wit_parser::{
    Function, FunctionKind, InterfaceId, ResourceIntrinsic, TypeId, WasmExport, WasmExportKind, WasmImport,
    WorldKey,
};

use super::glue::{Ends, Glue, core};
use super::imported::NAMES;
use super::names::identifier;
use super::plan::{USER, is_fallible};
use super::types::Writer;

impl Writer<'_> {
    /// What is made for an exported resource in the file of the exports: `give`, `take` or `slots`.
    pub(super) fn resource_function(&self, what: &str, id: TypeId) -> String {
        let named = self.plan.named(self.resolve, id);
        format!("${what}${}", named.name.replace('.', "$"))
    }

    /// Writes the function that others call, and what frees its result.
    pub(super) fn exported(
        &mut self,
        key: Option<&WorldKey>,
        interface: Option<InterfaceId>,
        function: &Function,
    ) {
        let signature = self.resolve.wasm_signature(AbiVariant::GuestExport, function);
        let ends = Ends {
            parameters: (0..signature.params.len()).map(|nth| format!("p{nth}")).collect(),
            callee: self.callee(interface, function),
            on_object: matches!(function.kind, FunctionKind::Method(_)),
            constructs: false,
        };
        let declared: Vec<_> = signature
            .params
            .iter()
            .enumerate()
            .map(|(nth, ty)| format!("p{nth}: {}", core(*ty)))
            .collect();
        let result = signature.results.first().map_or("void", |ty| core(*ty));
        let name = identifier(&self.export_name(key, function, WasmExportKind::Normal));
        let body = Glue::export(self, function, ends);
        uwriteln!(
            self.file.body,
            "export function {name}({}): {result} {{\n{body}}}\n",
            declared.join(", ")
        );
        if abi::guest_export_needs_post_return(self.resolve, function) {
            let ends = Ends {
                parameters: vec!["p0".to_owned()],
                callee: String::new(),
                on_object: false,
                constructs: false,
            };
            let name = identifier(&self.export_name(key, function, WasmExportKind::PostReturn));
            let body = Glue::post_return(self, function, ends);
            uwriteln!(
                self.file.body,
                "export function {name}(p0: i32): void {{\n{body}}}\n"
            );
        }
    }

    fn export_name(&self, interface: Option<&WorldKey>, func: &Function, kind: WasmExportKind) -> String {
        self.resolve.wasm_export_name(
            NAMES,
            WasmExport::Func {
                interface,
                func,
                kind,
            },
        )
    }

    /// How the user's function is called, up to its arguments.
    fn callee(&mut self, interface: Option<InterfaceId>, function: &Function) -> String {
        let fallible = is_fallible(self.resolve, function);
        let kind = &function.kind;
        if let FunctionKind::Constructor(resource) = kind
            && !fallible
        {
            return format!("new {}", self.class(*resource));
        }
        let name = self
            .plan
            .function(interface, Direction::Export, function)
            .to_owned();
        match kind {
            FunctionKind::Constructor(resource) | FunctionKind::Static(resource) => {
                format!("{}.{name}", self.class(*resource))
            }
            FunctionKind::Method(_) => name,
            _ => match interface {
                Some(id) => {
                    let namespace = &self.plan.interface(id).namespace;
                    format!("{}.{name}", self.file.import(USER, namespace))
                }
                None => self.file.import(USER, &name),
            },
        }
    }

    /// Writes what keeps the objects of an exported resource for those who hold them.
    pub(super) fn exported_resource(&mut self, key: &WorldKey, id: TypeId) {
        let class = self.class(id);
        let mut declare = |intrinsic, result| {
            let import = WasmImport::ResourceIntrinsic {
                interface: Some(key),
                resource: id,
                intrinsic,
            };
            let (module, name) = self.resolve.wasm_import_name(NAMES, import);
            self.file.declare(&module, &name, &["i32"], result)
        };
        let new = declare(ResourceIntrinsic::ExportedNew, "i32");
        let rep = declare(ResourceIntrinsic::ExportedRep, "i32");
        let close = declare(ResourceIntrinsic::ExportedDrop, "void");
        let [slots, give, take] = ["slots", "give", "take"].map(|what| self.resource_function(what, id));
        let interface = key;
        let dtor = identifier(&self.resolve.wasm_export_name(
            NAMES,
            WasmExport::ResourceDtor {
                interface,
                resource: id,
            },
        ));
        let drop = &self.plan.resource(self.resolve, id).drop;
        uwriteln!(
            self.file.body,
            "const {slots} = new $abi.Slots<{class}>();\n
             function {give}(object: {class}): i32 {{\nreturn {new}({slots}.add(object));\n}}\n
             // What is given back to the user is not dropped, though its handle is.
             function {take}(handle: i32): {class} {{
             const slot = {rep}(handle);
             const object = {slots}.get(slot);
             {slots}.taken = slot;
             {close}(handle);
             return object;
             }}\n
             export function {dtor}(slot: i32): void {{
             const object = {slots}.remove(slot);
             if ({slots}.taken == slot) {{
             {slots}.taken = 0;
             return;
             }}
             // @ts-ignore: the class need not have it
             if (isDefined(object.{drop})) {{
             // @ts-ignore
             object.{drop}();
             }}
             }}\n"
        );
    }
}
