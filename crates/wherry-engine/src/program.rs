//! From a file or bytes to code that can be instantiated.
//!
//! [`load`] is the one way in: it recognises what it is given, checks it against the static bounds, chooses
//! an engine, and takes compiled code from the cache or compiles. Start reading there.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::bounds::{self, Bounds};
use crate::cache::{Cache, Identity};
use crate::compile::{self, Job};
use crate::compiled::{self, Header, Made};
use crate::error::{Error, Kind, Result};
use crate::mode::{self, EngineKey, hex};
use crate::recognise::{Form, foreign, recognise};
use crate::restored::Images;

mod options;
mod preparing;
#[cfg(test)]
mod tests;

pub use options::LoadOptions;
use preparing::{Plain, Ready};
pub use preparing::{PreparedForm, Preparing, load_restored};

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

/// A program, loaded: immutable, cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Program {
    /// What is instantiated.
    pub code: Code,
    /// SHA-256 over the source, in hexadecimal.
    pub digest: String,
    /// What to call it in messages: the path, or what the caller said.
    pub name: String,
    /// What the engine was made from.
    pub key: EngineKey,
    /// The engine; stores for this program are made from it.
    pub engine: Engine,
    origin: Origin,
    images: Option<Images>,
    plain: Option<String>,
}

/// Where the source is.
#[derive(Debug, Clone)]
enum Origin {
    /// In memory, as a binary.
    Memory(Arc<[u8]>),
    /// In a file, to be read again when it is asked for.
    File(PathBuf),
    /// Nowhere: the program came as compiled code.
    Gone,
}

impl Origin {
    /// A file, wherever the process goes afterwards.
    fn file(path: &Path) -> Self {
        Self::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }
}

/// Compiling that is over sooner is not worth a file, unless the source is a file too.
const WORTH_KEEPING: Duration = Duration::from_millis(10);

impl Program {
    /// The source in binary form: text format is converted. A file is read again.
    ///
    /// # Errors
    /// [`Kind::Io`] and [`Kind::NotFound`] when it cannot be read, or was changed since; [`Kind::Precompiled`]
    /// for a program that came as compiled code.
    pub fn bytes(&self) -> Result<Arc<[u8]>> {
        match &self.origin {
            Origin::Memory(bytes) => Ok(Arc::clone(bytes)),
            Origin::Gone => Err(Error::new(
                Kind::Precompiled,
                format!("`{}` is compiled code, without its source", self.name),
            )),
            Origin::File(path) => {
                let bytes = std::fs::read(path).map_err(|error| Error::io(path.display(), &error))?;
                if digest(&bytes) != self.digest {
                    return Err(Error::new(
                        Kind::Io,
                        format!("`{}` was changed since it was loaded", path.display()),
                    )
                    .with_hint("load it again"));
                }
                Ok(match recognise(&bytes, &self.name)? {
                    Form::Text => compile::binary_of_text(&bytes, &self.name)?.into(),
                    _ => bytes.into(),
                })
            }
        }
    }

    /// Whether it came as compiled code, without its source.
    #[must_use]
    pub fn is_precompiled(&self) -> bool {
        matches!(self.origin, Origin::Gone)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// Loads a program.
///
/// # Errors
/// Every kind of the loader, from [`Kind::NotFound`] to [`Kind::Precompiled`]; [`Kind::Interrupted`] and
/// [`Kind::Time`] when compiling was ended.
pub fn load(source: Source, options: &LoadOptions<'_>) -> Result<Program> {
    match source {
        Source::Path(path) => load_path(&path, options),
        Source::Bytes { bytes, name } => Loading {
            options,
            name,
            file: None,
        }
        .bytes(bytes),
    }
}

/// Loads a file: known ones from the cache without reading them.
fn load_path(path: &Path, options: &LoadOptions<'_>) -> Result<Program> {
    let io = |error: &std::io::Error| Error::io(path.display(), error);
    let found = program_file(path)?;
    let identity = found.is_file().then(|| Identity::of(&found));
    let loading = Loading {
        options,
        name: options.name.clone().unwrap_or_else(|| path.display().to_string()),
        file: identity.map(|identity| (path, identity)),
    };
    if let Some(program) = loading.known()? {
        return Ok(program);
    }
    let mut file = compiled::open_for_mapping(path).map_err(|error| io(&error))?;
    let bytes = read(&mut file, &found, &options.bounds).map_err(|error| io(&error))?;
    if compiled::is_compiled(&bytes) && compiled::is_image(&bytes) {
        drop(bytes);
        return loading.compiled_file(file);
    }
    // What was written to while it was read may be half old, half new; its digest then stands for nothing on disk.
    let unchanged = file
        .metadata()
        .is_ok_and(|after| Some(Identity::of(&after)) == loading.identity().cloned());
    Loading {
        file: loading.file.filter(|_| unchanged),
        ..loading
    }
    .bytes(bytes)
}

/// What the system says of the file at `path`, which is no folder.
fn program_file(path: &Path) -> Result<Metadata> {
    let found = std::fs::metadata(path).map_err(|error| Error::io(path.display(), &error))?;
    if found.is_dir() {
        return Err(Error::new(
            Kind::Io,
            format!("`{}` is a folder, not a program", path.display()),
        )
        .with_hint("give the `.wasm` file inside"));
    }
    Ok(found)
}

/// Reads a file, but no more than shows that it is over the bound: what is read may be a pipe without an end.
fn read(file: &mut File, found: &Metadata, bounds: &Bounds) -> std::io::Result<Vec<u8>> {
    let at_most = bounds.size.saturating_add(1);
    let mut bytes = Vec::new();
    bytes
        .try_reserve(usize::try_from(found.len().min(at_most)).unwrap_or(0))
        .map_err(std::io::Error::other)?;
    file.take(at_most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A source that may be compiled.
struct Prepared {
    digest: String,
    binary: Arc<[u8]>,
    shape: bounds::Shape,
    key: EngineKey,
}

/// One program on its way in.
struct Loading<'a, 'b> {
    options: &'a LoadOptions<'b>,
    name: String,
    /// The file it comes from, and what the system says of it.
    file: Option<(&'a Path, Identity)>,
}

impl Loading<'_, '_> {
    fn identity(&self) -> Option<&Identity> {
        self.file.as_ref().map(|(_, identity)| identity)
    }

    /// The start-up path: a file that was seen before, from the cache.
    fn known(&self) -> Result<Option<Program>> {
        let (Some(cache), Some((path, identity))) = (&self.options.cache, &self.file) else {
            return Ok(None);
        };
        let Some(known) = cache.recall(path, identity) else {
            return Ok(None);
        };
        let plain = match self.known_prepared(&known) {
            Ok(Some(ready)) => return self.program(ready, known.digest, Origin::file(path)).map(Some),
            // It is to be prepared now, which takes its bytes.
            Ok(None) => return Ok(None),
            Err(Plain::NotAsked) => None,
            Err(Plain::Because(why)) => Some(why),
            Err(Plain::Failed(error)) => return Err(error),
        };
        let key = self.options.key(known.concurrency);
        let Some((code, key)) = self.cached(&known.digest, &key)? else {
            return Ok(None);
        };
        let ready = Ready {
            code,
            key,
            images: None,
            plain,
        };
        self.program(ready, known.digest, Origin::file(path)).map(Some)
    }

    /// What was read of a file, or given as bytes.
    fn bytes(&self, bytes: Vec<u8>) -> Result<Program> {
        if compiled::is_compiled(&bytes) && compiled::is_image(&bytes) {
            return self.compiled_bytes(&bytes);
        }
        let Prepared {
            digest,
            binary,
            shape,
            key,
        } = self.prepare(bytes)?;
        let ready = match self.prepared(&binary, &shape, &digest) {
            Ok(ready) => ready,
            Err(Plain::Failed(error)) => return Err(error),
            Err(plain) => {
                let (code, key) = match self.cached(&digest, &key)? {
                    Some(cached) => cached,
                    None => self.compile(&binary, &shape, &digest, &key)?,
                };
                Ready {
                    code,
                    key,
                    images: None,
                    plain: plain.why(),
                }
            }
        };
        if let (Some(cache), Some((path, identity))) = (&self.options.cache, &self.file) {
            let version = self.options.preparing.map(|preparing| preparing.version);
            let plain = version.zip(ready.plain.clone());
            // A path that is not remembered is hashed at the next start: slower, and no more than that.
            let _ = cache.remember(path, identity, &digest, shape.concurrency, plain);
        }
        let origin = match &self.file {
            Some((path, _)) => Origin::file(path),
            None => Origin::Memory(binary),
        };
        self.program(ready, digest, origin)
    }

    /// Recognises a source, and checks all that can be told without validating its code.
    fn prepare(&self, bytes: Vec<u8>) -> Result<Prepared> {
        let bounds = &self.options.bounds;
        let size = Bounds {
            functions: 0,
            body: 0,
            nesting: 0,
            size: bytes.len() as u64,
        };
        bounds::within(&size, bounds).map_err(|error| self.explained(error))?;
        let form = recognise(&bytes, &self.name)?;
        if form == Form::Precompiled {
            return Err(Error::new(
                Kind::Precompiled,
                format!("`{}` is compiled already", self.name),
            ));
        }
        let digest = digest(&bytes);
        let binary: Arc<[u8]> = match form {
            Form::Text => compile::convert(&bytes, &self.name, bounds.size, &self.options.patience())
                .map_err(|error| self.explained(error))?
                .into(),
            _ => bytes.into(),
        };
        let shape = bounds::check(&binary, bounds).map_err(|error| self.explained(error))?;
        foreign(&shape, &self.name)?;
        let key = self.options.key(shape.concurrency);
        Ok(Prepared {
            digest,
            binary,
            shape,
            key,
        })
    }

    /// The same error, saying what was loaded.
    fn explained(&self, error: Error) -> Error {
        if error.message().starts_with('`') {
            return error;
        }
        let explained = Error::new(error.kind(), format!("`{}`: {}", self.name, error.message()));
        match error.hint() {
            Some(hint) => explained.with_hint(hint),
            None => explained,
        }
    }

    fn program(&self, ready: Ready, digest: String, origin: Origin) -> Result<Program> {
        Ok(Program {
            engine: mode::engine(&ready.key)?,
            code: ready.code,
            digest,
            name: self.name.clone(),
            key: ready.key,
            origin,
            images: ready.images,
            plain: ready.plain,
        })
    }

    /// A program that came as compiled code, and stays as it is.
    fn given(&self, (code, key): (Code, EngineKey), digest: String) -> Result<Program> {
        let plain = self.options.preparing.map(|_| "it is compiled code".to_owned());
        let ready = Ready {
            code,
            key,
            images: None,
            plain,
        };
        self.program(ready, digest, Origin::Gone)
    }

    /// The code for a source that is in the cache.
    fn cached(&self, digest: &str, key: &EngineKey) -> Result<Option<(Code, EngineKey)>> {
        let Some(cache) = &self.options.cache else {
            return Ok(None);
        };
        let Some((file, header)) = cache.lookup(digest, key.fingerprint()?, self.options.warn) else {
            return Ok(None);
        };
        bounds::within(&header.measured, &self.options.bounds).map_err(|error| self.explained(error))?;
        let opened = opened(key, header.outgrows, |engine| {
            // SAFETY: the cache vouches that we wrote this file, and files in it are replaced, never changed.
            unsafe { compiled::map(engine, again(&file)?, &header.form) }
        });
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(error) => {
                cache.reject(&header, error.message(), self.options.warn);
                Ok(None)
            }
        }
    }

    /// Validates and compiles, and keeps the result.
    fn compile(
        &self,
        binary: &Arc<[u8]>,
        shape: &bounds::Shape,
        digest: &str,
        key: &EngineKey,
    ) -> Result<(Code, EngineKey)> {
        let begin = Instant::now();
        let (image, measured, outgrows) =
            image(self.options, binary, shape, key).map_err(|error| self.explained(error))?;
        let made = Made {
            form: shape.form,
            key,
            source: digest,
            name: &self.name,
            measured,
            outgrows,
            prepared: None,
        };
        if let Some(cache) = &self.options.cache
            && (self.file.is_some() || begin.elapsed() >= WORTH_KEEPING)
        {
            match cache.insert(&Header::new(&made, &image)?, &image) {
                // The file is mapped at once: what runs from memory would be there twice.
                Ok(()) => {
                    if let Some(opened) = self.cached(digest, key)? {
                        return Ok(opened);
                    }
                }
                Err(error) => self.not_kept(cache, &error),
            }
        }
        opened(key, outgrows, |engine| {
            // SAFETY: the image was compiled by wasmtime just now.
            unsafe { compiled::copy(engine, &image, shape.form) }
        })
    }

    fn not_kept(&self, cache: &Cache, error: &std::io::Error) {
        (self.options.warn)(format!(
            "compiled code of `{}` cannot be kept, so each start compiles: {}",
            self.name,
            Error::io(cache.path().display(), error).message()
        ));
    }

    /// Compiled code is trusted code: it does what it likes in this process.
    fn on_purpose(&self) -> Result<()> {
        if self.options.precompiled {
            return Ok(());
        }
        Err(Error::new(
            Kind::Precompiled,
            format!("`{}` is compiled code, which runs outside the sandbox", self.name),
        )
        .with_hint(
            "if you compiled it yourself, say so with `--precompiled` (in Python: `precompiled=True`)",
        ))
    }

    /// Compiled code in a file, mapped.
    fn compiled_file(&self, mut file: File) -> Result<Program> {
        self.on_purpose()?;
        let header = compiled::read_header(&mut file, &self.name).map_err(|error| self.explained(error))?;
        let key = self.fitting_key(&header)?;
        let opened = opened(&key, header.outgrows, |engine| {
            // SAFETY: the user vouches for this file.
            unsafe { compiled::map(engine, again(&file)?, &header.form) }
        });
        self.given(opened.map_err(|error| self.explained(error))?, header.source)
    }

    /// Compiled code in memory, copied.
    fn compiled_bytes(&self, bytes: &[u8]) -> Result<Program> {
        self.on_purpose()?;
        let (header, image) = compiled::split(bytes).map_err(|error| self.explained(error))?;
        let key = self.fitting_key(&header)?;
        let form = if header.form == Form::Component.name() {
            Form::Component
        } else {
            Form::Module
        };
        let opened = opened(&key, header.outgrows, |engine| {
            // SAFETY: the user vouches for these bytes.
            unsafe { compiled::copy(engine, image, form) }
        });
        self.given(opened.map_err(|error| self.explained(error))?, header.source)
    }

    fn fitting_key(&self, header: &Header) -> Result<EngineKey> {
        let LoadOptions {
            mode,
            stack,
            coredump,
            bounds,
            ..
        } = self.options;
        let key = header
            .key_for(*mode, *stack, *coredump, self.options.pooled)
            .map_err(|error| self.explained(error))?;
        bounds::within(&header.measured, bounds).map_err(|error| self.explained(error))?;
        Ok(key)
    }
}

/// Opens compiled code with the engine of `key`, or without the pool where its guests do not fit; with the key that did.
fn opened(
    key: &EngineKey,
    outgrows: bool,
    open: impl Fn(&Engine) -> Result<Code>,
) -> Result<(Code, EngineKey)> {
    if key.pooled.is_some()
        && !outgrows
        && let Ok(code) = open(&mode::engine(key)?)
    {
        return Ok((code, key.clone()));
    }
    // The engine has no error of its own for guests that the pool has no room for. Whether code is good shows here.
    let alone = EngineKey {
        pooled: None,
        ..key.clone()
    };
    Ok((open(&mode::engine(&alone)?)?, alone))
}

/// The same open file once more.
fn again(file: &File) -> Result<File> {
    file.try_clone()
        .map_err(|error| Error::io("compiled code", &error))
}

/// Validates and compiles a binary; returns the image, what was measured, and whether guests outgrow the pool.
fn image(
    options: &LoadOptions<'_>,
    binary: &Arc<[u8]>,
    shape: &bounds::Shape,
    key: &EngineKey,
) -> Result<(Vec<u8>, Bounds, bool)> {
    let job = Job {
        bytes: Arc::clone(binary),
        form: shape.form,
        key: key.clone(),
        nesting: options.bounds.nesting,
        code: shape.code,
        effort: shape.effort,
        values: shape.values,
    };
    let compiled = compile::compile(&job, &options.patience())?;
    let measured = Bounds {
        nesting: compiled.nesting,
        ..shape.measured
    };
    let outgrows = shape.wide_tables && compiled.grows_tables;
    Ok((compiled.image, measured, outgrows))
}

/// Compiles `source` for `options.target` and returns what goes into a `.cwasm` file.
///
/// # Errors
/// As [`load`]; [`Kind::Precompiled`] for a source that is compiled already.
pub fn precompile(source: Source, options: &LoadOptions<'_>) -> Result<Vec<u8>> {
    let (bytes, name) = match source {
        Source::Bytes { bytes, name } => (bytes, name),
        Source::Path(path) => {
            let found = program_file(&path)?;
            let read = compiled::open_for_mapping(&path)
                .and_then(|mut file| read(&mut file, &found, &options.bounds));
            (
                read.map_err(|error| Error::io(path.display(), &error))?,
                path.display().to_string(),
            )
        }
    };
    let loading = Loading {
        options,
        name,
        file: None,
    };
    let prepared = loading.prepare(bytes)?;
    let (image, measured, outgrows) = image(options, &prepared.binary, &prepared.shape, &prepared.key)
        .map_err(|error| loading.explained(error))?;
    let made = Made {
        form: prepared.shape.form,
        key: &prepared.key,
        source: &prepared.digest,
        name: &loading.name,
        measured,
        outgrows,
        prepared: None,
    };
    let mut file = Vec::with_capacity(image.len() + 4096);
    compiled::write(&mut file, &Header::new(&made, &image)?, &image).map_err(|error| {
        Error::new(
            Kind::Internal,
            format!("a header that cannot be written: {error}"),
        )
    })?;
    Ok(file)
}
