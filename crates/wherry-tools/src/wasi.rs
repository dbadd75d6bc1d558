//! The interfaces of WASI 0.2 as WIT, read off the adapter, which has them in it, and off the host of `wasi:http`: there
//! is no copy to keep up.

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND;
use wit_component::{WitPrinter, metadata};
use wit_parser::Resolve;

use crate::error::{Error, Result};

/// `wasi:http` as the host has it.
const HTTP: &str = include_str!(env!("WASI_HTTP"));

/// The packages of WASI, and the worlds `wasi:cli/command` of programs and `wasi:http/proxy` of applications.
///
/// # Errors
/// [`Error::Invalid`] if the adapter is not as it was when this was written, which a test would tell.
pub fn interfaces() -> Result<Resolve> {
    decode().map_err(|error| Error::Invalid(format!("{error:#}")))
}

fn decode() -> anyhow::Result<Resolve> {
    let (_, bindgen) = metadata::decode(COMMAND)?;
    let mut resolve = bindgen.resolve;
    resolve.push_str("http.wit", HTTP)?;
    Ok(resolve)
}

/// Each package of WASI as a file of WIT, with its name.
///
/// # Errors
/// As [`interfaces`].
pub fn files() -> Result<Vec<(String, String)>> {
    print().map_err(|error| Error::Invalid(format!("{error:#}")))
}

fn print() -> anyhow::Result<Vec<(String, String)>> {
    let resolve = decode()?;
    let mut files = Vec::new();
    for (id, package) in &resolve.packages {
        if package.name.namespace != "wasi" {
            continue;
        }
        let mut printer = WitPrinter::default();
        printer
            .print(&resolve, id, &[])
            .with_context(|| format!("{} has no WIT", package.name))?;
        files.push((format!("{}.wit", package.name.name), printer.output.to_string()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_programs_import_is_there() {
        let files = super::files().expect("packages");
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "cli.wit",
            "clocks.wit",
            "filesystem.wit",
            "http.wit",
            "io.wit",
            "random.wit",
            "sockets.wit",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        let (_, cli) = files.iter().find(|(name, _)| name == "cli.wit").expect("cli");
        assert!(
            cli.contains("exit-with-code") && cli.contains("world command"),
            "{cli}"
        );
    }
}
