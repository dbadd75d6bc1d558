//! The names at the border of a file, which is all that its needs and its places are judged by.

use crate::model::{Core, CoreType, Item, World};

/// What a file imports and exports, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Surface {
    Component(Names),
    Module(Core),
    /// A WIT package: nothing in it runs.
    Package,
}

/// The names of a component's interfaces and functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// What must be given; interfaces that only define types are not in it, as nobody has to write them.
    pub(crate) imports: Vec<String>,
    /// What can be called.
    pub(crate) exports: Vec<String>,
    /// Whether an exported function is `async` or passes streams or futures, as far as is known.
    pub(crate) exports_async: bool,
}

impl Names {
    pub(crate) fn of_world(world: &World) -> Self {
        use crate::model::TypeKind;
        // Streams and futures that only an import mentions make this too careful, which does no harm.
        let streams = world
            .types
            .iter()
            .any(|def| matches!(def.kind, TypeKind::Stream { .. } | TypeKind::Future { .. }));
        let exports_async =
            streams || crate::model::functions(&world.exports).any(|(_, function)| function.is_async);
        Self {
            imports: callable(&world.imports),
            exports: callable(&world.exports),
            exports_async,
        }
    }
}

fn callable(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Interface(interface) if interface.functions.is_empty() => None,
            Item::Interface(interface) => Some(interface.name.clone()),
            Item::Function(function) => Some(function.name.clone()),
            Item::Type(_) => None,
            Item::Other(other) => Some(other.name.clone()),
        })
        .collect()
}

/// The parts of the name of an interface, `namespace:package/interface@version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) package: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) version: &'a str,
}

impl<'a> Id<'a> {
    /// The parts of `name`, or `None` for a plain name.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (name, version) = name.split_once('@').unwrap_or((name, ""));
        let (namespace, rest) = name.split_once(':')?;
        let (package, interface) = rest.split_once('/')?;
        Some(Self {
            namespace,
            package,
            interface,
            version,
        })
    }

    /// Whether this is `package/interface` of WASI.
    pub(crate) fn is_wasi(&self, package: &str, interface: &str) -> bool {
        self.namespace == "wasi" && self.package == package && self.interface == interface
    }
}

/// Whether `name` is `package/interface` of WASI in any version.
pub(crate) fn is_wasi(name: &str, package: &str, interface: &str) -> bool {
    Id::parse(name).is_some_and(|id| id.is_wasi(package, interface))
}

/// The name that WASI 0.1 has as a module of imports.
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The name that the generation before 0.1 has.
pub(crate) const UNSTABLE: &str = "wasi_unstable";

/// Which generations of WASI a file stands on, oldest first: `unstable`, `0.1`, `0.2`, `0.3`.
pub(crate) fn generations(surface: &Surface) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut imports = |test: &dyn Fn(&str) -> bool, generation| {
        let any = match surface {
            Surface::Component(names) => names.imports.iter().chain(&names.exports).any(|name| test(name)),
            Surface::Module(core) => core.imports.iter().any(|import| test(&import.module)),
            Surface::Package => false,
        };
        if any {
            found.push(generation);
        }
    };
    let versioned = |name: &str, prefix: &str| {
        Id::parse(name).is_some_and(|id| id.namespace == "wasi" && id.version.starts_with(prefix))
    };
    imports(&|name| name == UNSTABLE, "unstable");
    imports(&|name| name == PREVIEW1, "0.1");
    imports(&|name| versioned(name, "0.2."), "0.2");
    imports(&|name| versioned(name, "0.3."), "0.3");
    found
}

/// The exported functions of a module that a caller would call, without what the tool-chain adds for itself.
pub(crate) fn offered(core: &Core) -> Vec<&str> {
    let functions = core
        .exports
        .iter()
        .filter(|export| matches!(export.ty, CoreType::Function { .. }));
    functions
        .map(|export| export.name.as_str())
        .filter(|name| !is_plumbing(name))
        .collect()
}

/// Start functions, allocators of the canonical ABI, and names that C reserves for the implementation.
fn is_plumbing(name: &str) -> bool {
    matches!(name, "_start" | "_initialize" | "") || name.starts_with("__") || name.starts_with("cabi_")
}

/// Where a module starts: some tool-chains export the start function under the empty name.
pub(crate) fn start(core: &Core) -> Option<&'static str> {
    ["_start", ""].into_iter().find(|name| has_start(core, name))
}

/// Whether a module exports the function `name` without parameters and results.
pub(crate) fn has_start(core: &Core, name: &str) -> bool {
    core.exports.iter().any(|export| {
        export.name == name
            && matches!(&export.ty, CoreType::Function { params, results } if params.is_empty() && results.is_empty())
    })
}
