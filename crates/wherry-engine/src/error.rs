//! The one error type of the engine.
//!
//! An [`Error`] says what failed, on what and why, and what to do about it. Its [`Kind`] is what callers
//! match on: `wherry-py` turns each kind into one class of `wherry/errors.py`, and every kind has a test
//! there that provokes it. Start reading at [`Kind`].

use std::any::Any;
use std::fmt;

/// What sort of failure an [`Error`] is. One Python class stands for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The file, folder or variable that was named does not exist.
    NotFound,
    /// The host refused to read or write: permissions, a full disk, a folder where a file was expected.
    Io,
    /// The bytes are not WebAssembly at all.
    NotWebAssembly,
    /// WebAssembly made for a host that Wherry is not: emscripten, wasm-bindgen, WASIX, Extism.
    Foreign,
    /// WebAssembly that does not pass validation, or is cut short.
    Invalid,
    /// Valid WebAssembly that needs a proposal which is switched off here (shared-memory threads).
    Unsupported,
    /// Larger than the static bounds that are checked before compiling starts.
    TooLarge,
    /// The compiler gave up.
    Compile,
    /// Compiled code that was made by another version, mode, processor or source.
    Precompiled,
    /// Imports that nothing here provides.
    Link,
    /// No export of that name, or none that can be called.
    NoExport,
    /// A value that does not fit its WIT type; Python sees a `TypeError`.
    Value,
    /// The instance runs a call already.
    Busy,
    /// The instance, resource or handle was closed, or died in a trap.
    Closed,
    /// The instance was made before this process forked.
    Forked,
    /// The guest trapped.
    Trap,
    /// The guest used up its stack.
    Stack,
    /// The guest ran longer than its wall time.
    Time,
    /// The guest used up its fuel.
    Fuel,
    /// The guest wrote more output than it may.
    Output,
    /// The guest trapped after it was refused memory.
    Memory,
    /// The guest ended itself with an exit code other than zero.
    Exit,
    /// The user pressed Ctrl-C, or a task was cancelled.
    Interrupted,
    /// A flag, setting or argument that makes no sense.
    Usage,
    /// A capability that was asked for cannot be granted, such as a folder that does not exist.
    Grant,
    /// Interfaces of a project that are wrong, or that a language has no form for.
    Interface,
    /// Host code that a guest called failed; [`Error::take_payload`] holds the host's own exception.
    Host,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// Every kind, for the test that each has a row.
    pub const ALL: &'static [Kind] = &[
        Kind::NotFound,
        Kind::Io,
        Kind::NotWebAssembly,
        Kind::Foreign,
        Kind::Invalid,
        Kind::Unsupported,
        Kind::TooLarge,
        Kind::Compile,
        Kind::Precompiled,
        Kind::Link,
        Kind::NoExport,
        Kind::Value,
        Kind::Busy,
        Kind::Closed,
        Kind::Forked,
        Kind::Trap,
        Kind::Stack,
        Kind::Time,
        Kind::Fuel,
        Kind::Output,
        Kind::Memory,
        Kind::Exit,
        Kind::Interrupted,
        Kind::Usage,
        Kind::Grant,
        Kind::Interface,
        Kind::Host,
        Kind::Internal,
    ];

    /// Whether the guest ran and failed, be it by itself or at a limit.
    #[must_use]
    pub fn is_guest_s(self) -> bool {
        use Kind::{Exit, Fuel, Memory, Output, Stack, Time, Trap};
        matches!(self, Trap | Exit | Stack | Time | Fuel | Output | Memory)
    }
}

/// One frame of the guest's stack at a trap, innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function's name from the name section, demangled; `None` for a stripped guest.
    pub function: Option<String>,
    /// The index of the function in its module.
    pub index: u32,
    /// The name of the module, where it has one.
    pub module: Option<String>,
    /// Source file and line, where the guest carries DWARF.
    pub location: Option<(String, u32)>,
}

/// An exception of the host language, or an error of the engine, carried through.
pub type Payload = Box<dyn Any + Send + Sync>;

/// A failure: what, on what, why, and what to do.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    path: String,
    hint: Option<String>,
    frames: Vec<Frame>,
    exit_code: Option<u8>,
    payload: Option<Payload>,
}

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a message that has no full stop and no hint in it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            path: String::new(),
            hint: None,
            frames: Vec::new(),
            exit_code: None,
            payload: None,
        }))
    }

    /// A failed operation of the host on `subject`, such as a path.
    pub fn io(subject: impl fmt::Display, error: &std::io::Error) -> Self {
        let kind = if error.kind() == std::io::ErrorKind::NotFound {
            Kind::NotFound
        } else {
            Kind::Io
        };
        Self::new(kind, format!("`{subject}`: {}", describe_io(error)))
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with these hints after its own, each on a line.
    #[must_use]
    pub fn with_more_hints(self, more: &[String]) -> Self {
        if more.is_empty() {
            return self;
        }
        let lines: Vec<&str> = self
            .hint()
            .into_iter()
            .chain(more.iter().map(String::as_str))
            .collect();
        let hint = lines.join("\n");
        self.with_hint(hint)
    }

    /// The same error with the guest's stack, innermost frame first.
    #[must_use]
    pub fn with_frames(mut self, frames: Vec<Frame>) -> Self {
        self.0.frames = frames;
        self
    }

    /// The same error with the code that the guest passed to `exit`.
    #[must_use]
    pub fn with_exit_code(mut self, code: u8) -> Self {
        self.0.exit_code = Some(code);
        self
    }

    /// The same error with the exception of the host language that caused it.
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.0.payload = Some(payload);
        self
    }

    /// The same error about a value one level further out: `step` is put in front of the path to it.
    #[must_use]
    pub fn in_path(mut self, step: &str) -> Self {
        self.0.path.insert_str(0, step);
        self
    }

    /// The path from an argument to the part of it that does not fit, such as `.points[3].x`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The same error under another message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What failed, on what and why, without the hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do about it; several things on a line each.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The guest's stack, innermost frame first; empty where there is none.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.0.frames
    }

    /// The code that the guest passed to `exit`, for [`Kind::Exit`].
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        self.0.exit_code
    }

    /// Takes the exception of the host language out, for [`Kind::Host`].
    pub fn take_payload(&mut self) -> Option<Payload> {
        self.0.payload.take()
    }
}

/// The host's words for an I/O error, without Rust's `(os error 2)`.
fn describe_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
