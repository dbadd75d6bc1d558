//! WASI for guests: which interfaces a linker offers, for core modules and for components.
//!
//! The three generations stand beside each other. A linker is made once per engine and cloned where an embedding program
//! adds functions of its own. All of it is asynchronous inside, so that a guest that waits can be stopped.

pub(crate) mod files;
mod files2;
mod files3;
mod preview1;
mod variables;

use crate::ambient;
use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use crate::network;
use crate::stores;
use wasmtime::component::Linker as ComponentLinker;
use wasmtime::{Engine, Linker};
use wasmtime_wasi::I32Exit;

/// Both names that core modules know WASI by.
const PREVIEWS: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// A linker for core modules: WASI 0.1 and the `wasi_unstable` before it.
///
/// # Errors
/// [`Kind::Internal`] when the engine refuses a definition.
pub fn module_linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    let add = |linker: &mut Linker<Guest>| {
        wasmtime_wasi::p1::add_to_linker_async(linker, |guest: &mut Guest| &mut guest.wasi)?;
        wasmtime_wasi::p0::add_to_linker_async(linker, |guest: &mut Guest| &mut guest.wasi)?;
        ambient::modules::add_to_linker(linker)?;
        preview1::add_to_linker(linker)?;
        variables::add_to_modules(linker)?;
        for preview in PREVIEWS {
            // The one of wasmtime-wasi takes 126 and above for an error; a program may end with any code.
            linker.func_wrap(preview, "proc_exit", |code: i32| -> wasmtime::Result<()> {
                Err(I32Exit(code).into())
            })?;
        }
        Ok(())
    };
    add(&mut linker).map_err(|error| refused(&error))?;
    Ok(linker)
}

/// A linker for components: WASI 0.2, and 0.3 where the engine has the asynchronous machinery.
///
/// # Errors
/// [`Kind::Internal`] when the engine refuses a definition.
pub fn component_linker(engine: &Engine, concurrency: bool) -> Result<ComponentLinker<Guest>> {
    let mut linker = ComponentLinker::new(engine);
    linker.allow_shadowing(true);
    let add = |linker: &mut ComponentLinker<Guest>| {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        files2::add_to_linker(linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        stores::add_to_linker(linker)?;
        network::add_to_linker(linker)?;
        if concurrency {
            wasmtime_wasi::p3::add_to_linker(linker)?;
            files3::add_to_linker(linker)?;
            wasmtime_wasi_http::p3::add_to_linker(linker)?;
            network::add_03_to_linker(linker)?;
        }
        ambient::components::add_to_linker(linker, concurrency)?;
        variables::add_to_components(linker, concurrency)?;
        Ok(())
    };
    add(&mut linker).map_err(|error| refused(&error))?;
    Ok(linker)
}

fn refused(error: &wasmtime::Error) -> Error {
    Error::new(Kind::Internal, format!("WASI cannot be linked: {error:#}"))
}
