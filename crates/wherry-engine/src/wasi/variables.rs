//! Environment variables and arguments, in all three generations: what is there was granted; that it was read is noted, of
//! variables by name.

use crate::ambient::modules::wasi;
use crate::guest::Guest;
use crate::monitor::{Access, Subject};
use wasmtime::component::Linker as ComponentLinker;
use wasmtime::{Caller, Linker, StoreContextMut};
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::p2::bindings::cli::environment::Host as _;

type Variables = Vec<(String, String)>;

/// Puts the wrapper in front of both names of WASI 0.1.
///
/// # Errors
/// Those of the linker.
pub fn add_to_modules(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    macro_rules! add {
        ($name:literal, $($raw:ident)::+) => {
            linker.func_wrap($name, "environ_get", |mut caller: Caller<'_, Guest>, list: i32, text: i32| {
                note(&mut caller)?;
                let (wasi, mut memory) = wasi(&mut caller)?;
                $($raw)::+::environ_get(wasi, &mut memory, list, text)
            })?;
            linker.func_wrap($name, "args_get", |mut caller: Caller<'_, Guest>, list: i32, text: i32| {
                note_arguments(caller.data());
                let (wasi, mut memory) = wasi(&mut caller)?;
                $($raw)::+::args_get(wasi, &mut memory, list, text)
            })?;
        };
    }
    add!(
        "wasi_snapshot_preview1",
        wasmtime_wasi::p1::wasi_snapshot_preview1
    );
    add!("wasi_unstable", wasmtime_wasi::p0::wasi_unstable);
    Ok(())
}

/// Puts the wrapper in front of WASI 0.2, and of 0.3 where `concurrency` is on.
///
/// # Errors
/// Those of the linker.
pub fn add_to_components(linker: &mut ComponentLinker<Guest>, concurrency: bool) -> wasmtime::Result<()> {
    let generations = ["wasi:cli/environment@0.2.12", "wasi:cli/environment@0.3.0"];
    for interface in &generations[..=usize::from(concurrency)] {
        let mut environment = linker.instance(interface)?;
        environment.func_wrap(
            "get-environment",
            |mut store: StoreContextMut<'_, Guest>, (): ()| -> wasmtime::Result<(Variables,)> {
                Ok((noted(store.data_mut())?,))
            },
        )?;
        environment.func_wrap(
            "get-arguments",
            |mut store: StoreContextMut<'_, Guest>, (): ()| -> wasmtime::Result<(Vec<String>,)> {
                note_arguments(store.data());
                Ok((store.data_mut().cli().get_arguments()?,))
            },
        )?;
    }
    Ok(())
}

fn note_arguments(guest: &Guest) {
    guest.monitor.granted(|| Access {
        subject: Subject::Arguments,
        operation: "read",
        target: "arguments".to_owned(),
    });
}

fn note(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    if caller.data().monitor.records() {
        noted(caller.data_mut())?;
    }
    Ok(())
}

fn noted(guest: &mut Guest) -> wasmtime::Result<Variables> {
    let variables = guest.cli().get_environment()?;
    for (name, _) in &variables {
        guest.monitor.granted(|| Access {
            subject: Subject::Env,
            operation: "read",
            target: name.clone(),
        });
    }
    Ok(variables)
}
