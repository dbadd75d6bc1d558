//! From a file or bytes to code that can be instantiated.
//!
//! [`load`] is the one way in: it recognises what it is given, checks it against the static bounds, chooses
//! an engine, and takes compiled code from the cache or compiles. Start reading there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::bounds::{self, Bounds};
use crate::cache::Cache;
use crate::compile::{CompilerChild, Progress};
use crate::error::{Error, Kind, Result};
use crate::mode::{self, EngineKey, Mode, hex};
use crate::recognise::{Form, recognise};

/// Where a program comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// Bytes in memory, and a name for messages.
    Bytes {
        /// A component or core module, in binary or text form, or compiled code.
        bytes: Vec<u8>,
        /// What to call it.
        name: String,
    },
}

/// Compiled code, ready to be instantiated; cheap to clone.
#[derive(Clone)]
pub enum Code {
    /// A core module.
    Module(Module),
    /// A component.
    Component(Component),
}

/// How to load. The lifetime is that of the callbacks.
#[derive(Clone)]
pub struct LoadOptions<'a> {
    /// The engine mode.
    pub mode: Mode,
    /// Bytes of stack for guests.
    pub stack: usize,
    /// `None` for this machine, or [`mode::PULLEY`].
    pub target: Option<String>,
    /// Whether a trap takes a picture of the guest.
    pub coredump: bool,
    /// What may be compiled.
    pub bounds: Bounds,
    /// Where compiled code is kept; `None` compiles each time.
    pub cache: Option<Cache>,
    /// Whether the user passed compiled code on purpose: it runs as it is, outside any sandbox.
    pub precompiled: bool,
    /// Who compiles what is large; `None` compiles in this process.
    pub child: Option<CompilerChild>,
    /// Bytes of memory that the child may use.
    pub child_memory: Option<u64>,
    /// When compiling has to be over.
    pub deadline: Option<Instant>,
    /// Called about ten times a second when compiling takes over a second.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Asked about fifty times a second while compiling: whether the user pressed Ctrl-C.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Told what works, but slower than it should.
    pub warn: &'a dyn Fn(String),
}

impl Default for LoadOptions<'_> {
    /// This machine, no cache, no child, no callbacks.
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            stack: mode::DEFAULT_STACK,
            target: None,
            coredump: false,
            bounds: Bounds::default(),
            cache: None,
            precompiled: false,
            child: None,
            child_memory: None,
            deadline: None,
            progress: None,
            interrupted: &|| false,
            warn: &|_| {},
        }
    }
}

impl LoadOptions<'_> {
    /// The key of the engine for a program that does, or does not, need `concurrency`.
    #[must_use]
    pub fn key(&self, concurrency: bool) -> EngineKey {
        EngineKey {
            mode: self.mode,
            concurrency,
            stack: self.stack,
            target: self.target.clone(),
            coredump: self.coredump,
        }
    }
}

/// A program, loaded: immutable, cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Program {
    /// What is instantiated.
    pub code: Code,
    /// SHA-256 over the original bytes, in hexadecimal.
    pub digest: String,
    /// What to call it in messages: the file's name, or what the caller said.
    pub name: String,
    /// What the engine was made from.
    pub key: EngineKey,
    /// The engine; stores for this program are made from it.
    pub engine: Engine,
    origin: Origin,
}

/// Where the original bytes are.
#[derive(Clone)]
enum Origin {
    Memory(Arc<[u8]>),
}

impl Program {
    /// The binary that was compiled, without text format.
    ///
    /// # Errors
    /// [`Kind::Io`] and [`Kind::NotFound`] when it has to be read again and cannot be; [`Kind::Precompiled`]
    /// for a program that came as compiled code.
    pub fn bytes(&self) -> Result<Arc<[u8]>> {
        match &self.origin {
            Origin::Memory(bytes) => Ok(Arc::clone(bytes)),
        }
    }
}

/// Loads a program.
///
/// # Errors
/// Every kind of the loader: see [`Kind::NotFound`] to [`Kind::Precompiled`]; [`Kind::Interrupted`] and
/// [`Kind::Time`] when compiling was ended.
pub fn load(source: Source, options: &LoadOptions<'_>) -> Result<Program> {
    let (bytes, name) = match source {
        Source::Bytes { bytes, name } => (bytes, name),
        Source::Path(path) => {
            (std::fs::read(&path).map_err(|error| Error::io(path.display(), &error))?, path.display().to_string())
        }
    };
    let digest = hex(&Sha256::digest(&bytes));
    let bytes = match recognise(&bytes, &name)? {
        Form::Text => wat::parse_bytes(&bytes)
            .map_err(|error| Error::new(Kind::Invalid, format!("`{name}`: {error}")))?
            .into_owned(),
        _ => bytes,
    };
    let shape = bounds::check(&bytes, &options.bounds)?;
    let key = options.key(shape.concurrency);
    let engine = mode::engine(&key)?;
    let invalid = |error: wasmtime::Error| Error::new(Kind::Invalid, format!("`{name}`: {error:#}"));
    let code = match shape.form {
        Form::Component => Code::Component(Component::from_binary(&engine, &bytes).map_err(invalid)?),
        _ => Code::Module(Module::from_binary(&engine, &bytes).map_err(invalid)?),
    };
    Ok(Program { code, digest, name, key, engine, origin: Origin::Memory(bytes.into()) })
}
