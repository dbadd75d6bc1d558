//! Which interfaces Wherry provides to components, and what can be said of those that it does not.
//!
//! WASI 0.2 and 0.3 in the versions of one engine, and what [`stores`](crate::stores) adds. A test holds the tables against
//! the linker.

use crate::stores;

/// The interfaces of WASI 0.2.
const PREVIEW2: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["types", "preopens"]),
    ("http", &["types", "outgoing-handler"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["random", "insecure", "insecure-seed"]),
    (
        "sockets",
        &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// The interfaces of WASI 0.3.
const PREVIEW3: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "environment",
            "exit",
            "types",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("clocks", &["types", "monotonic-clock", "system-clock"]),
    ("filesystem", &["types", "preopens"]),
    ("http", &["types", "client"]),
    ("random", &["random", "insecure", "insecure-seed"]),
    ("sockets", &["types", "ip-name-lookup"]),
];

/// What an interface that is imported is to Wherry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is provided.
    Provided,
    /// It is provided, in another version.
    OtherVersion,
    /// It is of WASI, and not here.
    Unknown,
    /// It is somebody's own: the embedding program may provide it.
    Own,
}

/// The versions that are provided, by the beginning of those that programs may ask for.
const VERSIONS: &[(&str, &str)] = &[("0.2.", "0.2.12"), ("0.3.", "0.3.0")];

/// What an interface that is provided is called where it is defined: the same, in the version that is here.
#[must_use]
pub fn definition(name: &str) -> String {
    let found = name.split_once('@').and_then(|(interface, version)| {
        let (_, here) = VERSIONS.iter().find(|(start, _)| version.starts_with(start))?;
        (!stores::INTERFACES.contains(&name)).then(|| format!("{interface}@{here}"))
    });
    found.unwrap_or_else(|| name.to_owned())
}

/// What an imported interface, such as `wasi:cli/stdin@0.2.0`, is to Wherry.
#[must_use]
pub fn standing(name: &str) -> Standing {
    let Some(rest) = name.strip_prefix("wasi:") else {
        return Standing::Own;
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    let listed = |table: &[(&str, &[&str])]| {
        interface.split_once('/').is_some_and(|(package, interface)| {
            table
                .iter()
                .any(|(known, interfaces)| *known == package && interfaces.contains(&interface))
        })
    };
    let generation = |prefix: &str, table| {
        let patch = version.strip_prefix(prefix).unwrap_or_default();
        !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()) && listed(table)
    };
    if stores::INTERFACES.contains(&name) || generation("0.2.", PREVIEW2) || generation("0.3.", PREVIEW3) {
        return Standing::Provided;
    }
    let unversioned = |name: &str| name.split('@').next() == Some(&format!("wasi:{interface}"));
    if listed(PREVIEW2) || listed(PREVIEW3) || stores::INTERFACES.iter().any(|known| unversioned(known)) {
        return Standing::OtherVersion;
    }
    Standing::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_linked_and_nothing_else_is() {
        let config = {
            let mut config = wasmtime::Config::new();
            config.wasm_component_model_async(true);
            config
        };
        let engine = wasmtime::Engine::new(&config).unwrap();
        let mut linker = crate::wasi::component_linker(&engine, true).unwrap();
        linker.allow_shadowing(false);
        // A name that is taken cannot be given to a function.
        let mut taken = |name: &str| linker.root().func_wrap(name, |_, (): ()| Ok(())).is_err();
        for (table, version) in [(PREVIEW2, "0.2.0"), (PREVIEW3, "0.3.0")] {
            for (package, interfaces) in table {
                for interface in *interfaces {
                    let name = definition(&format!("wasi:{package}/{interface}@{version}"));
                    assert_eq!(standing(&name), Standing::Provided, "{name}");
                    // Types alone need no definition.
                    let types = name == "wasi:cli/types@0.3.0";
                    assert_eq!(taken(&name), !types, "{name}");
                }
            }
        }
        for name in stores::INTERFACES {
            assert_eq!(definition(name), *name);
            assert!(taken(name), "{name}");
        }
        for name in [
            "wasi:clocks/timezone@0.2.0",
            "wasi:http/handler@0.3.0",
            "wasi:nn/graph@0.2.0-rc",
        ] {
            assert!(!taken(name), "{name}");
            assert_ne!(standing(name), Standing::Provided, "{name}");
        }
    }

    #[test]
    fn what_is_not_provided_is_told_apart() {
        for (name, expected) in [
            ("wasi:cli/stdin@0.2.0", Standing::Provided),
            ("wasi:cli/stdin@0.2.99", Standing::Provided),
            ("wasi:cli/stdin@0.3.0-rc-2025-09-16", Standing::OtherVersion),
            ("wasi:cli/stdin@0.20.0", Standing::OtherVersion),
            ("wasi:cli/stdin", Standing::OtherVersion),
            ("wasi:keyvalue/store@0.2.0-draft", Standing::Provided),
            ("wasi:keyvalue/store@0.2.0-draft2", Standing::OtherVersion),
            ("wasi:keyvalue/watcher@0.2.0-draft", Standing::Unknown),
            ("wasi:nn/graph@0.2.0-rc-2024-10-28", Standing::Unknown),
            ("acme:tools/log", Standing::Own),
            ("log", Standing::Own),
        ] {
            assert_eq!(standing(name), expected, "{name}");
        }
    }
}
