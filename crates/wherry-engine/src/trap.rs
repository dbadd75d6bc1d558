//! From what the engine says of a failed call to an [`Error`] that says what happened to the guest.
//!
//! One function decides, in this order: an error of ours that passed through, an exit, a limit that struck, a trap.

use crate::error::{Error, Frame, Kind, Payload};
use crate::guest::Guest;
use crate::limits::{Limit, Limits, in_bytes};
use wasmtime::component::__internal::wasmtime_environ::demangle_function_name;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// What a guest was allowed, as far as that may have ended it.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    memory: u64,
    /// Whether it was refused memory over that.
    refused: bool,
    stack: usize,
    fuel: Option<u64>,
    handles: u64,
}

impl Allowed {
    /// What a guest with these limits is; `refused` says whether it wanted more memory.
    #[must_use]
    pub fn by(limits: &Limits, refused: bool) -> Self {
        Self {
            memory: limits.memory,
            refused,
            stack: limits.stack,
            fuel: limits.fuel,
            handles: limits.handles.into(),
        }
    }
}

/// Says what ended a call.
#[must_use]
pub fn classify(error: wasmtime::Error, guest: &Guest) -> Error {
    let allowed = Allowed {
        memory: guest.meter.limit() as u64,
        refused: guest.meter.refused(),
        stack: guest.stack,
        fuel: guest.fuel,
        handles: guest.files.handles(),
    };
    explain(error, &allowed)
}

/// The same where there is nothing left of the guest but what it was allowed.
#[must_use]
pub fn explain(error: wasmtime::Error, allowed: &Allowed) -> Error {
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .map(frames)
        .unwrap_or_default();
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return exited(exit.0);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Error::new(
            Kind::Busy,
            "too many guests with too many memories are alive at once",
        )
        .with_hint("close instances that are not used any more");
    }
    match error.downcast::<Error>() {
        Ok(mut ours) if ours.kind() == Kind::Trap => {
            match ours.take_payload().map(Payload::downcast) {
                // The engine failed while a value was written or read: what it said counts.
                Some(Ok(inner)) => explain(*inner, allowed),
                _ => ours.with_frames(frames),
            }
        }
        Ok(ours) => ours.with_frames(frames),
        Err(error) => trapped(&error, allowed).with_frames(frames),
    }
}

/// The guest ended itself.
fn exited(code: i32) -> Error {
    // What a shell sees of an exit code is its low byte.
    let code = code.to_le_bytes()[0];
    Error::new(Kind::Exit, format!("the guest exited with code {code}")).with_exit_code(code)
}

fn trapped(error: &wasmtime::Error, allowed: &Allowed) -> Error {
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => used_up(Kind::Stack, Limit::Stack, allowed.stack as u64),
        Some(Trap::OutOfFuel) => used_up(Kind::Fuel, Limit::Fuel, allowed.fuel.unwrap_or_default()),
        None if error.root_cause().is::<ResourceTableError>() => out_of_table(allowed),
        None if told(error, NO_HANDLE) => out_of_handles(allowed),
        trap if allowed.refused => out_of_memory(trap, allowed),
        Some(trap) => Error::new(Kind::Trap, format!("the guest trapped: {}", name(*trap))),
        None => Error::new(Kind::Trap, format!("the guest failed: {}", error.root_cause())),
    }
}

/// The guest has had all that a limit of this value gives.
fn used_up(kind: Kind, limit: Limit, value: u64) -> Error {
    Error::new(
        kind,
        format!("the guest used up its limit of {}", limit.reached(value)),
    )
    .with_hint(limit.hint(value))
}

/// What the engine says when a component has too many handles, for which it has no error type.
const NO_HANDLE: &str = "handle limit exceeded";

fn told(error: &wasmtime::Error, words: &str) -> bool {
    error.root_cause().to_string().contains(words)
}

/// A function that has no error of its own for it wanted one more handle.
fn out_of_table(allowed: &Allowed) -> Error {
    let message = format!(
        "the guest has as many open handles as the limit of {} allows",
        allowed.handles
    );
    Error::new(Kind::Memory, message).with_hint(Limit::Handles.hint(allowed.handles))
}

/// The host keeps no more for this guest: files, sockets, streams, tasks, resources.
fn out_of_handles(allowed: &Allowed) -> Error {
    let message = format!(
        "the guest has more handles than its memory limit of {} allows",
        in_bytes(allowed.memory)
    );
    Error::new(Kind::Memory, message).with_hint(Limit::Memory.hint(allowed.memory))
}

/// A trap after memory was refused: that is most likely why.
fn out_of_memory(trap: Option<&Trap>, allowed: &Allowed) -> Error {
    let what = trap.map_or_else(
        || "failed".to_owned(),
        |trap| format!("trapped ({})", name(*trap)),
    );
    Error::new(
        Kind::Memory,
        format!(
            "the guest {what} after it was refused memory over the limit of {}",
            in_bytes(allowed.memory)
        ),
    )
    .with_hint(Limit::Memory.hint(allowed.memory))
}

/// The engine's words for a trap, without their prefix.
fn name(trap: Trap) -> String {
    let words = trap.to_string();
    words.strip_prefix("wasm trap: ").unwrap_or(&words).to_owned()
}

fn frames(backtrace: &WasmBacktrace) -> Vec<Frame> {
    backtrace
        .frames()
        .iter()
        .map(|frame| {
            let symbol = frame.symbols().first();
            Frame {
                function: symbol
                    .and_then(|symbol| symbol.name())
                    .or_else(|| frame.func_name())
                    .map(demangled),
                index: frame.func_index(),
                module: frame.module().name().map(str::to_owned),
                location: symbol.and_then(|symbol| Some((symbol.file()?.to_owned(), symbol.line()?))),
            }
        })
        .collect()
}

/// A name as people wrote it, where the tool-chain mangled it.
fn demangled(name: &str) -> String {
    let mut text = String::new();
    match demangle_function_name(&mut text, name) {
        Ok(()) => text,
        Err(_) => name.to_owned(),
    }
}
