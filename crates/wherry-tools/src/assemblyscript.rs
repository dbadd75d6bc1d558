//! Bindings for guests in AssemblyScript: classes and functions for the world, and the canonical ABI under them.
//!
//! - `wit.ts` has the types that the language has not, `abi.ts` what the rest stands on.
//! - `imports/` has a file for each interface that is imported, with its types and functions.
//! - `exports/` has one for each that is exported, with its types; its functions are in the user's source, as a
//!   namespace. `user.ts` stands for that source, and whoever compiles it has to write that.
//! - `world.ts` has what is imported into the world itself. `entry.ts` is what is compiled: all that others call.
//!
//! [`Generator`] goes through a world, [`plan`] says beforehand what everything is called, [`types`] writes types, and
//! [`glue`] makes a function of the instructions of `wit-bindgen-core`, which knows the canonical ABI. The names of exports
//! are no identifiers: [`names`] has identifiers for them, which [`mod@crate::componentize`] takes back.

mod exported;
mod file;
mod glue;
mod imported;
mod memory;
mod names;
mod plan;
mod types;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use wit_bindgen_core::wit_parser::{Function, InterfaceId, Resolve, TypeDefKind, TypeId, WorldId, WorldKey};
use wit_bindgen_core::{Files, WorldGenerator, uwriteln};

use file::File;
use names::Names;
pub(crate) use names::stood_for;
use plan::{Plan, WORLD};
use types::Writer;

use crate::supported;

const ABI: &str = include_str!("assemblyscript/abi.ts");
const TYPES: &str = include_str!("assemblyscript/wit.ts");
const TRAP: &str = include_str!("assemblyscript/trap.ts");
const TRAP_TOLD: &str = include_str!("assemblyscript/trap_told.ts");

/// What goes through a world, and the files it has made so far.
pub(crate) struct Generator {
    plan: Plan,
    world: File,
    entry: File,
    files: Vec<File>,
    trap: String,
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            plan: Plan::default(),
            world: File::new(WORLD, Names::default()),
            entry: File::new("entry", Names::default()),
            files: Vec::new(),
            trap: TRAP.to_owned(),
        }
    }
}

impl Generator {
    /// Writes the types of an interface, and what `more` does after them, into its file.
    fn file(&mut self, resolve: &Resolve, id: InterfaceId, more: impl FnOnce(&mut Writer<'_>)) {
        let place = self.plan.interface(id);
        let mut file = File::new(&place.path, place.names.clone());
        let mut writer = Writer {
            resolve,
            plan: &self.plan,
            file: &mut file,
        };
        for ty in resolve.interfaces[id].types.values() {
            writer.define(*ty);
        }
        more(&mut writer);
        self.files.push(file);
    }

    fn world<'a>(&'a mut self, resolve: &'a Resolve) -> Writer<'a> {
        Writer {
            resolve,
            plan: &self.plan,
            file: &mut self.world,
        }
    }

    fn entry<'a>(&'a mut self, resolve: &'a Resolve) -> Writer<'a> {
        Writer {
            resolve,
            plan: &self.plan,
            file: &mut self.entry,
        }
    }
}

impl WorldGenerator for Generator {
    fn preprocess(&mut self, resolve: &Resolve, world: WorldId) -> Result<()> {
        supported::check(resolve, world, true)?;
        self.plan = Plan::of(resolve, world);
        self.world = File::new(WORLD, self.plan.world_names.clone());
        Ok(())
    }

    fn import_interface(
        &mut self,
        resolve: &Resolve,
        name: &WorldKey,
        id: InterfaceId,
        _: &mut Files,
    ) -> Result<()> {
        self.file(resolve, id, |writer| {
            let interface = &resolve.interfaces[id];
            for ty in interface.types.values().filter(|ty| is_resource(resolve, **ty)) {
                writer.imported_resource(Some(name), Some(id), *ty, interface.functions.values());
            }
            writer.imported_functions(Some(name), Some(id), interface.functions.values());
        });
        if resolve.name_world_key(name).starts_with("wasi:cli/stderr@0.2.") {
            let path = &self.plan.interface(id).path;
            self.trap = TRAP_TOLD.replace("./imports/STDERR", &format!("./{path}"));
        }
        Ok(())
    }

    fn import_types(&mut self, resolve: &Resolve, world: WorldId, types: &[(&str, TypeId)], _: &mut Files) {
        let imports = &resolve.worlds[world].imports;
        let functions = imports.values().filter_map(|item| match item {
            wit_bindgen_core::wit_parser::WorldItem::Function(function) => Some(function),
            _ => None,
        });
        let mut writer = self.world(resolve);
        for (_, ty) in types {
            writer.define(*ty);
            if is_resource(resolve, *ty) {
                writer.imported_resource(None, None, *ty, functions.clone());
            }
        }
    }

    fn import_funcs(
        &mut self,
        resolve: &Resolve,
        _: WorldId,
        functions: &[(&str, &Function)],
        _: &mut Files,
    ) {
        self.world(resolve)
            .imported_functions(None, None, functions.iter().map(|(_, function)| *function));
    }

    fn export_funcs(
        &mut self,
        resolve: &Resolve,
        _: WorldId,
        functions: &[(&str, &Function)],
        _: &mut Files,
    ) -> Result<()> {
        for (_, function) in functions {
            self.entry(resolve).exported(None, None, function);
        }
        Ok(())
    }

    fn export_interface(
        &mut self,
        resolve: &Resolve,
        name: &WorldKey,
        id: InterfaceId,
        _: &mut Files,
    ) -> Result<()> {
        self.file(resolve, id, |_| {});
        let interface = &resolve.interfaces[id];
        let mut writer = self.entry(resolve);
        for ty in interface.types.values().filter(|ty| is_resource(resolve, **ty)) {
            writer.exported_resource(name, *ty);
        }
        for function in interface.functions.values() {
            writer.exported(Some(name), Some(id), function);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Resolve, _: WorldId, files: &mut Files) -> Result<()> {
        uwriteln!(
            self.entry.body,
            "import \"./trap\";\nexport {{ cabi_realloc }} from \"./abi\";"
        );
        let written = self.files.iter().chain([&self.world, &self.entry]);
        let mut tuples = BTreeSet::new();
        for file in written.filter(|file| !file.body.is_empty()) {
            tuples.extend(file.tuples());
            files.push(&format!("{}.ts", file.path), file.text().as_bytes());
        }
        let tuples: String = tuples.into_iter().map(tuple).collect();
        files.push("wit.ts", format!("{TYPES}{tuples}").as_bytes());
        files.push("abi.ts", ABI.as_bytes());
        files.push("trap.ts", self.trap.as_bytes());
        Ok(())
    }
}

/// Whether a type is a resource, and no other name of one.
fn is_resource(resolve: &Resolve, id: TypeId) -> bool {
    matches!(resolve.types[id].kind, TypeDefKind::Resource)
}

/// The class of tuples of one size.
fn tuple(size: usize) -> String {
    let list = |one: fn(usize) -> String| (0..size).map(one).collect::<Vec<_>>().join(", ");
    let parameters = if size == 0 {
        String::new()
    } else {
        format!("<{}>", list(|nth| format!("T{nth}")))
    };
    let mut class = format!("\nexport class Tuple{size}{parameters} {{\n  constructor(");
    let _ = write!(class, "{}", list(|nth| format!("public item{nth}: T{nth}")));
    class + ") {}\n}\n"
}
