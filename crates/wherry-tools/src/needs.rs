//! What a file needs from outside, in plain words.
//!
//! One table says it for the interfaces of WASI 0.2 and 0.3, one for the functions of WASI 0.1. What is in
//! neither is a host function, which whoever runs the file must provide. Start reading at [`needs`].

use serde::Serialize;

use crate::surface::{Id, PREVIEW1, Surface, UNSTABLE};

/// Something outside the sandbox that a file uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// A stable name: `files`, `network`, `lookup`, `http`, `clock`, `random`, `environment`, `stdin`,
    /// `output`, `terminal`, `exit`, `config`, `keyvalue`, `host`.
    pub id: &'static str,
    /// In plain words, such as `reads and writes files`.
    pub words: &'static str,
    /// The flag that grants it; `None` where it needs no grant or none exists.
    pub flag: Option<&'static str>,
    /// The imports that say so, in the order of the file.
    pub imports: Vec<String>,
}

struct Row {
    id: &'static str,
    words: &'static str,
    flag: Option<&'static str>,
}

/// Every need, in the order in which they are listed: what has to be granted first.
const ROWS: &[Row] = &[
    Row {
        id: "files",
        words: "reads and writes files",
        flag: Some("--dir HOST[::GUEST]"),
    },
    Row {
        id: "network",
        words: "opens network connections",
        flag: Some("--allow-net HOST:PORT"),
    },
    Row {
        id: "lookup",
        words: "looks up names of hosts",
        flag: Some("--allow-dns"),
    },
    Row {
        id: "http",
        words: "sends HTTP requests",
        flag: Some("--allow-http URL"),
    },
    Row {
        id: "environment",
        words: "reads environment variables and arguments",
        flag: Some("--env NAME[=VALUE]"),
    },
    Row {
        id: "config",
        words: "reads configuration",
        flag: Some("--config NAME=VALUE"),
    },
    Row {
        id: "keyvalue",
        words: "keeps keys and values, in memory unless `--kv PATH` names a file",
        flag: None,
    },
    Row {
        id: "stdin",
        words: "reads standard input",
        flag: None,
    },
    Row {
        id: "output",
        words: "writes to standard output and standard error",
        flag: None,
    },
    Row {
        id: "terminal",
        words: "asks whether it talks to a terminal",
        flag: None,
    },
    Row {
        id: "clock",
        words: "reads the clock",
        flag: None,
    },
    Row {
        id: "random",
        words: "uses random numbers",
        flag: None,
    },
    Row {
        id: "exit",
        words: "ends itself with an exit code",
        flag: None,
    },
    Row {
        id: "host",
        words: "calls host functions that you must provide",
        flag: None,
    },
];

/// What a file needs, in the order of the table; empty for one that needs nothing.
pub(crate) fn needs(surface: &Surface) -> Vec<Need> {
    let found: Vec<(&str, String)> = match surface {
        Surface::Component(names) => {
            let imports = names.imports.iter();
            imports
                .filter_map(|name| Some((of_interface(name)?, name.clone())))
                .collect()
        }
        Surface::Module(core) => {
            let imports = core.imports.iter();
            imports
                .filter_map(|import| {
                    Some((
                        of_import(&import.module, &import.name)?,
                        format!("{}.{}", import.module, import.name),
                    ))
                })
                .collect()
        }
        Surface::Package => Vec::new(),
    };
    ROWS.iter()
        .filter_map(|row| {
            let imports: Vec<String> = found
                .iter()
                .filter(|(id, _)| *id == row.id)
                .map(|(_, name)| name.clone())
                .collect();
            (!imports.is_empty()).then_some(Need {
                id: row.id,
                words: row.words,
                flag: row.flag,
                imports,
            })
        })
        .collect()
}

/// The need that an import of a component stands for; `None` where it is only a means to others.
fn of_interface(name: &str) -> Option<&'static str> {
    let Some(id) = Id::parse(name).filter(|id| id.namespace == "wasi") else {
        return Some("host");
    };
    Some(match (id.package, id.interface) {
        ("filesystem", _) => "files",
        ("sockets", "ip-name-lookup") => "lookup",
        ("sockets", _) => "network",
        // `outgoing-handler` in 0.2, `client` in 0.3; a component that imports `handler` is handed one.
        ("http", "outgoing-handler" | "client" | "handler") => "http",
        ("clocks", _) => "clock",
        ("random", _) => "random",
        ("cli", "environment") => "environment",
        ("cli", "stdin") => "stdin",
        ("cli", "stdout" | "stderr") => "output",
        ("cli", "exit") => "exit",
        ("cli", _) if id.interface.starts_with("terminal-") => "terminal",
        ("config", _) => "config",
        ("keyvalue", _) => "keyvalue",
        // Types of requests, streams and polling: nothing that reaches outside by itself.
        ("http" | "io" | "cli", _) => return None,
        _ => "host",
    })
}

/// The need that an import of a core module stands for.
fn of_import(module: &str, name: &str) -> Option<&'static str> {
    if module != PREVIEW1 && module != UNSTABLE {
        return Some("host");
    }
    Some(match name {
        "fd_read" => "stdin",
        "fd_write" => "output",
        "random_get" => "random",
        "proc_exit" => "exit",
        _ if name.starts_with("clock_") => "clock",
        _ if name.starts_with("args_") || name.starts_with("environ_") => "environment",
        // Every program that prints closes, seeks and asks about its descriptors; only these reach a folder.
        _ if name.starts_with("path_") => "files",
        "fd_readdir" | "fd_pread" | "fd_pwrite" | "fd_allocate" => "files",
        // `sock_*` included: WASI 0.1 cannot open a connection, only use one that it is handed, and none is.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{ROWS, of_import, of_interface};

    #[test]
    fn every_need_that_is_found_has_its_words() {
        let interfaces = [
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.3.0",
            "wasi:sockets/ip-name-lookup@0.2.0",
            "wasi:http/client@0.3.0",
            "wasi:clocks/wall-clock@0.2.0",
            "wasi:random/random@0.2.0",
            "wasi:cli/environment@0.2.0",
            "wasi:cli/stdin@0.2.0",
            "wasi:cli/stderr@0.2.0",
            "wasi:cli/terminal-input@0.2.0",
            "wasi:cli/exit@0.2.0",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:keyvalue/store@0.2.0-draft",
            "acme:tools/log",
        ];
        for name in interfaces {
            let id = of_interface(name).expect(name);
            assert!(ROWS.iter().any(|row| row.id == id), "{name}");
        }
        assert_eq!(of_interface("wasi:io/streams@0.2.0"), None);
        assert_eq!(of_import("env", "fd_read"), Some("host"));
        assert_eq!(of_import("wasi_unstable", "path_open"), Some("files"));
        assert_eq!(of_import("wasi_snapshot_preview1", "sched_yield"), None);
    }
}
