//! The compiler itself, and what it says when it gives up.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::CodeBuilder;

use crate::error::{Error, Kind, Result};
use crate::mode::{self, EngineKey};
use crate::recognise::Form;

/// Compiles in this thread and the pool that it belongs to.
pub(super) fn image(bytes: &[u8], form: Form, key: &EngineKey) -> Result<Vec<u8>> {
    let engine = mode::engine(key)?;
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = CodeBuilder::new(&engine);
        builder.wasm_binary(bytes, None)?;
        match form {
            Form::Component => builder.compile_component_serialized(),
            _ => builder.compile_module_serialized(),
        }
    }));
    match compiled {
        Ok(compiled) => compiled.map_err(|error| refused(&error)),
        Err(panic) => Err(Error::new(
            Kind::Internal,
            format!("a fault in the compiler: {}", panic_message(&*panic)),
        )),
    }
}

/// The compiler's refusal of what passed validation.
fn refused(error: &wasmtime::Error) -> Error {
    let message = format!("{error:#}");
    let kind = if message.contains("Unsupported feature") {
        Kind::Unsupported
    } else {
        Kind::Compile
    };
    Error::new(kind, format!("the compiler gave up: {message}"))
        .with_hint("the code is valid but over what the compiler can do; smaller functions may help")
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
