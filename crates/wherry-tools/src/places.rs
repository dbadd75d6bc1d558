//! Which places a file fits, and for the others why not.
//!
//! | place | what fits |
//! |---|---|
//! | command | exports `wasi:cli/run` (a component) or `_start` (a module), and imports WASI only |
//! | library | exports functions other than `wasi:cli/run` and the handlers of `wasi:http`, or of a module `_start` and what its tool-chain adds |
//! | http | exports `wasi:http/incoming-handler` (WASI 0.2) or `wasi:http/handler` (0.3), and imports WASI only |
//! | browser | fits one of the three above, imports no host functions and opens no sockets |
//! | step | fits as command or library, imports WASI only and reaches no network, so that the same input gives the same output |
//! | contract | a component that fits as library, imports nothing but `wherry:ledger`, and exports no function that is asynchronous |
//!
//! Imports of an interface that only defines types do not count anywhere. A library may import host functions:
//! the program that loads it provides them. Start reading at [`places`].

use serde::Serialize;

use crate::surface::{Id, PREVIEW1, Surface, UNSTABLE, is_wasi, offered, start};

/// Whether a file fits a place, and why or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `command`, `library`, `http`, `browser`, `step` or `contract`.
    pub name: &'static str,
    /// Whether it fits.
    pub fits: bool,
    /// The reason, in a few words that follow "fits because" or "does not fit because".
    pub why: String,
}

/// The packages of WASI that every place provides, sockets and outgoing requests where they are granted.
const PROVIDED: &[&str] = &[
    "cli",
    "clocks",
    "config",
    "filesystem",
    "http",
    "io",
    "keyvalue",
    "random",
    "sockets",
];
/// How many names a reason lists before it only counts.
const LISTED: usize = 3;

type Verdict = Result<String, String>;

/// All six places, in the order of the table.
pub(crate) fn places(surface: &Surface) -> Vec<Place> {
    let command = command(surface);
    let library = library(surface);
    let http = http(surface);
    let browser = browser(surface, &[&command, &library, &http]);
    let step = step(surface, &[&command, &library]);
    let contract = contract(surface, &library);
    let verdicts = [
        ("command", command),
        ("library", library),
        ("http", http),
        ("browser", browser),
        ("step", step),
        ("contract", contract),
    ];
    verdicts
        .into_iter()
        .map(|(name, verdict)| match verdict {
            Ok(why) => Place {
                name,
                fits: true,
                why,
            },
            Err(why) => Place {
                name,
                fits: false,
                why,
            },
        })
        .collect()
}

fn command(surface: &Surface) -> Verdict {
    let why = match surface {
        Surface::Component(names) => match names.exports.iter().find(|name| is_wasi(name, "cli", "run")) {
            Some(name) => format!("it exports `{name}`"),
            None => return Err("it does not export `wasi:cli/run`".to_owned()),
        },
        Surface::Module(core) => match start(core) {
            Some("") => "it exports its start function under the empty name".to_owned(),
            Some(name) => format!("it exports `{name}`"),
            None => return Err("it does not export `_start`".to_owned()),
        },
        Surface::Package => return Err(nothing_runs()),
    };
    only_wasi(surface).map(|()| why)
}

fn library(surface: &Surface) -> Verdict {
    match surface {
        Surface::Component(names) => {
            let own: Vec<&str> = names
                .exports
                .iter()
                .map(String::as_str)
                .filter(|name| !is_entry(name))
                .collect();
            match own.as_slice() {
                [] if names.exports.is_empty() => Err("it exports nothing".to_owned()),
                [] => Err("all it exports is the entry of a program".to_owned()),
                own => Ok(format!("it exports {}", list(own))),
            }
        }
        Surface::Module(core) => match offered(core).as_slice() {
            [] => Err("it exports no functions".to_owned()),
            own => Ok(format!("it exports {}, with numbers only", list(own))),
        },
        Surface::Package => Err(nothing_runs()),
    }
}

fn http(surface: &Surface) -> Verdict {
    let Surface::Component(names) = surface else {
        return Err(match surface {
            Surface::Package => nothing_runs(),
            _ => "a core module cannot export `wasi:http`".to_owned(),
        });
    };
    match names.exports.iter().find(|name| is_handler(name)) {
        Some(name) => only_wasi(surface).map(|()| format!("it exports `{name}`")),
        None => Err(
            "it exports neither `wasi:http/incoming-handler` (0.2) nor `wasi:http/handler` (0.3)".to_owned(),
        ),
    }
}

fn browser(surface: &Surface, ways: &[&Verdict]) -> Verdict {
    some_way(ways, "command, library or http")?;
    only_wasi(surface)?;
    match network(surface, Network::Sockets).as_slice() {
        [] => Ok("all it imports exists in a page, with files in memory".to_owned()),
        imports => Err(format!(
            "a page cannot open sockets, and it imports {}",
            list(imports)
        )),
    }
}

fn step(surface: &Surface, ways: &[&Verdict]) -> Verdict {
    some_way(ways, "command or library")?;
    only_wasi(surface)?;
    match network(surface, Network::Any).as_slice() {
        [] => Ok("what it computes depends on its input alone, as it reaches no network".to_owned()),
        imports => Err(format!(
            "a step reaches no network, and it imports {}",
            list(imports)
        )),
    }
}

fn contract(surface: &Surface, library: &Verdict) -> Verdict {
    let Surface::Component(names) = surface else {
        return Err(match surface {
            Surface::Package => nothing_runs(),
            _ => "a contract is a component, with typed functions".to_owned(),
        });
    };
    library.clone()?;
    let foreign: Vec<&str> = names
        .imports
        .iter()
        .map(String::as_str)
        .filter(|name| !is_ledger(name))
        .collect();
    if !foreign.is_empty() {
        return Err(format!(
            "a contract imports nothing but `wherry:ledger`, and it imports {}",
            list(&foreign)
        ));
    }
    if names.exports_async {
        return Err("a contract ends its calls at once, and it exports asynchronous functions".to_owned());
    }
    Ok("it imports nothing that could make two runs differ".to_owned())
}

/// Refuses what fits none of the `ways` in which this place would run it.
fn some_way(ways: &[&Verdict], names: &str) -> Result<(), String> {
    if ways.iter().any(|way| way.is_ok()) {
        Ok(())
    } else {
        Err(format!("it does not fit as {names}"))
    }
}

/// Refuses imports that are not WASI, which nothing but a program that loads the file can provide.
fn only_wasi(surface: &Surface) -> Result<(), String> {
    let hosts: Vec<String> = match surface {
        Surface::Component(names) => names
            .imports
            .iter()
            .filter(|name| !is_provided(name))
            .cloned()
            .collect(),
        Surface::Module(core) => core
            .imports
            .iter()
            .filter(|import| import.module != PREVIEW1 && import.module != UNSTABLE)
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect(),
        Surface::Package => Vec::new(),
    };
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    if hosts.is_empty() {
        Ok(())
    } else {
        Err(format!("it needs host functions: {}", list(&hosts)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Sockets,
    Any,
}

/// The imports that reach the network.
fn network(surface: &Surface, which: Network) -> Vec<&str> {
    let reaches = |name: &str| {
        Id::parse(name).is_some_and(|id| {
            let http = matches!(id.interface, "outgoing-handler" | "client" | "handler");
            id.namespace == "wasi"
                && (id.package == "sockets" || (which == Network::Any && id.package == "http" && http))
        })
    };
    match surface {
        Surface::Component(names) => names
            .imports
            .iter()
            .map(String::as_str)
            .filter(|name| reaches(name))
            .collect(),
        // WASI 0.1 cannot open a connection, only use one that it is handed, and none is.
        Surface::Module(_) | Surface::Package => Vec::new(),
    }
}

fn is_provided(name: &str) -> bool {
    Id::parse(name).is_some_and(|id| id.namespace == "wasi" && PROVIDED.contains(&id.package))
}

fn is_ledger(name: &str) -> bool {
    Id::parse(name).is_some_and(|id| id.namespace == "wherry" && id.package == "ledger")
}

fn is_handler(name: &str) -> bool {
    is_wasi(name, "http", "incoming-handler") || is_wasi(name, "http", "handler")
}

fn is_entry(name: &str) -> bool {
    is_wasi(name, "cli", "run") || is_handler(name)
}

fn nothing_runs() -> String {
    "a WIT package has no code".to_owned()
}

/// `` `a`, `b`, `c` and 4 more``.
fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
