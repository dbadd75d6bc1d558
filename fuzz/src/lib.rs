//! What the fuzz targets share: loading and calling as `wherry-py` does, with values that need no Python.
//!
//! Start reading at [`load`] and [`call_all`].

pub mod liar;
pub mod value;

use arbitrary::{Result, Unstructured};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use value::Value;
use wherry_engine::error::{Error, Kind};
use wherry_engine::exports::Export;
use wherry_engine::guest::Guest;
use wherry_engine::hosting::Host;
use wherry_engine::instance::{Instance, Template};
use wherry_engine::limits::Limits;
use wherry_engine::mode::Mode;
use wherry_engine::policy::Policy;
use wherry_engine::program::{self, LoadOptions, Program, Source};
use wherry_engine::stdio::Stdio;
use wherry_engine::values::Context;

/// Long enough for anything that ends, and short enough for the fuzzer.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Bytes of memory that a guest may use.
const MEMORY: u64 = 16 << 20;

/// Loads a program as a process with other work would.
///
/// # Errors
/// Whatever the engine says.
pub fn load(bytes: Vec<u8>) -> wherry_engine::Result<Program> {
    let options = LoadOptions {
        mode: Mode::Interruptible,
        ..LoadOptions::default()
    };
    program::load(
        Source::Bytes {
            bytes,
            name: "input".to_owned(),
        },
        &options,
    )
}

/// The value, or nothing for an error that a guest may cause.
///
/// # Panics
/// For an error that says that the fault is ours.
pub fn expect_typed<T>(result: wherry_engine::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == Kind::Internal => panic!("{error:?}"),
        Err(_) => None,
    }
}

/// Calls each export of a program in a fresh instance, with any values as arguments.
///
/// # Errors
/// When the input is too short to make arguments from.
pub fn call_all(program: Program, bytes: &mut Unstructured<'_>) -> Result<()> {
    let Some(template) = expect_typed(Template::<Value>::new(program, Box::new(HashMap::new))) else {
        return Ok(());
    };
    for export in &template.linked.surface.exports {
        let arguments = (0..export.params.len())
            .map(|_| bytes.arbitrary())
            .collect::<Result<_>>()?;
        if let Some(mut instance) = expect_typed(instantiate(&template)) {
            expect_typed(call(&mut instance, export, arguments));
        }
    }
    Ok(())
}

fn instantiate(template: &Template<Value>) -> wherry_engine::Result<Instance<Value>> {
    let limits = Limits {
        memory: MEMORY,
        timeout: Some(TIMEOUT),
        ..Limits::embedded()
    };
    let guest = Guest::new(&Policy::default(), &limits, &[], Stdio::default())?;
    let host = Host {
        functions: vec![Value::Nothing; template.imports().len()],
        context: Arc::new(Context::new(Arc::clone(&template.types), ())),
    };
    template.instantiate(guest, &limits, host)
}

fn call(instance: &mut Instance<Value>, export: &Export, arguments: Vec<Value>) -> Result<(), Error> {
    let function = instance.function(export)?;
    instance.call(&function, Value::List(arguments))?;
    Ok(())
}
