//! Components that are prepared: loaded in a form without data, with images of what their memories hold at the start.
//!
//! Who prepares is said by [`Preparing`]: the engine knows no tool-chain. The prepared form is kept in the cache under the
//! digest of the component that it was made from, its images behind its code in one file, so that they are there together or
//! not at all. What cannot be prepared is loaded as it is, and the program says why. Start at [`Loading::prepared`].

use super::{Code, LoadOptions, Loading, Origin, Program, digest, image};
use crate::bounds::{self, Shape};
use crate::cache::Known;
use crate::compiled::{self, Header, Kept, Made, Prepared};
use crate::error::{Error, Kind, Result};
use crate::mode::{self, EngineKey};
use crate::recognise::Form;
use crate::restored::{self, Beginning, Image, Images};
use std::fs::File;
use std::sync::Arc;
use wasmtime::component::Component;

/// Where images begin in a file: what maps them wants whole pages.
const ALIGNED: usize = 64 << 10;

/// A component without its data, and what its memories hold instead.
#[derive(Debug, Clone)]
pub struct PreparedForm {
    /// The component, in binary form.
    pub component: Vec<u8>,
    /// What its memories begin with.
    pub images: Vec<Image>,
}

/// Who prepares components.
#[derive(Clone, Copy)]
pub struct Preparing<'a> {
    /// Changes when the same component would become something else.
    pub version: u32,
    /// Prepares one, or says why it cannot be, or why it does not pay.
    pub prepare: &'a dyn Fn(&[u8]) -> std::result::Result<PreparedForm, String>,
}

/// Why no component of this kind is prepared, where that can be told without looking at its code.
fn refused(concurrency: bool) -> Option<&'static str> {
    if concurrency {
        return Some("it runs several things at once (WASI 0.3)");
    }
    restored::unavailable()
}

impl Preparing<'_> {
    /// The prepared form of a program, which looks like `shape`; or why it has none.
    ///
    /// # Errors
    /// The reason, in words that go on after "it is not prepared:".
    pub fn form(&self, binary: &[u8], shape: &Shape) -> std::result::Result<PreparedForm, String> {
        if shape.form != Form::Component {
            return Err("it is a core module".to_owned());
        }
        match refused(shape.concurrency) {
            Some(why) => Err(why.to_owned()),
            None => (self.prepare)(binary),
        }
    }
}

/// Loads a core module, in binary form and without the data of its memories, which begin with `images`.
///
/// # Errors
/// [`Kind::Unsupported`] where this system has no such memories, and as [`super::load`].
pub fn load_restored(
    binary: Vec<u8>,
    name: String,
    images: &[Image],
    options: &LoadOptions<'_>,
) -> Result<Program> {
    if let Some(why) = restored::unavailable() {
        return Err(Error::new(Kind::Unsupported, why));
    }
    let loading = Loading {
        options,
        name,
        file: None,
    };
    let (digest, binary): (_, Arc<[u8]>) = (digest(&binary), binary.into());
    let shape = bounds::check(&binary, &options.bounds)?;
    let key = loading.restored();
    let (code, key) = match loading.cached(&digest, &key)? {
        Some(cached) => cached,
        None => loading.compile(&binary, &shape, &digest, &key)?,
    };
    let Code::Module(module) = &code else {
        return Err(Error::new(Kind::Unsupported, "it is no core module"));
    };
    let memories = module.resources_required().num_memories;
    let images: Vec<_> = images.iter().cloned().map(Beginning::from).collect();
    let ready = Ready {
        images: Some(Images::new(&images, memories, mode::shared(&key)?)?),
        code,
        key,
        plain: None,
    };
    loading.program(ready, digest, Origin::Memory(binary))
}

impl Program {
    /// The memories that its guests have, where it was prepared: these then drive each guest.
    #[must_use]
    pub fn images(&self) -> Option<&Images> {
        self.images.as_ref()
    }

    /// Why it was not prepared, where that was asked for.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }
}

impl Loading<'_, '_> {
    /// The key of the engine for prepared components.
    fn restored(&self) -> EngineKey {
        EngineKey {
            pooled: None,
            restored: true,
            ..self.options.key(false)
        }
    }

    /// A file that was seen before, in its prepared form out of the cache; an error says why there is none and never will be.
    pub(super) fn known_prepared(&self, known: &Known) -> Result<Option<Ready>, Plain> {
        let Some(preparing) = self.options.preparing else {
            return Err(Plain::NotAsked);
        };
        if let Some(why) = known.plain(preparing.version) {
            return Err(Plain::Because(why.to_owned()));
        }
        if let Some(why) = refused(known.concurrency) {
            return Err(Plain::Because(why.to_owned()));
        }
        self.cached_prepared(&known.digest).map_err(Plain::Failed)
    }

    /// A component in its prepared form, out of the cache or made now; or why it is loaded as it is.
    pub(super) fn prepared(
        &self,
        binary: &[u8],
        shape: &Shape,
        digest: &str,
    ) -> std::result::Result<Ready, Plain> {
        let Some(preparing) = self.options.preparing else {
            return Err(Plain::NotAsked);
        };
        if let Some(ready) = self.cached_prepared(digest)? {
            return Ok(ready);
        }
        let form = preparing.form(binary, shape).map_err(Plain::Because)?;
        let made = self.make_prepared(form, shape, digest, preparing.version);
        made.map_err(|error| match error.kind() {
            // Whoever waits has had enough, whatever is compiled.
            Kind::Interrupted | Kind::Time => Plain::Failed(error),
            _ => Plain::Because(error.message().to_owned()),
        })
    }

    fn cached_prepared(&self, digest: &str) -> Result<Option<Ready>> {
        let (Some(cache), Some(preparing)) = (&self.options.cache, self.options.preparing) else {
            return Ok(None);
        };
        let key = self.restored();
        let Some((file, header)) = cache.lookup(digest, key.fingerprint()?, self.options.warn) else {
            return Ok(None);
        };
        bounds::within(&header.measured, &self.options.bounds).map_err(|error| self.explained(error))?;
        let Some(prepared) = header
            .prepared
            .as_ref()
            .filter(|it| it.version == preparing.version)
        else {
            // An earlier version made it; what this one makes takes its place.
            return Ok(None);
        };
        match self.open_prepared(file, &header, prepared, &key) {
            Ok(ready) => Ok(Some(ready)),
            Err(error) => {
                cache.reject(&header, error.message(), self.options.warn);
                Ok(None)
            }
        }
    }

    fn open_prepared(
        &self,
        file: File,
        header: &Header,
        prepared: &Prepared,
        key: &EngineKey,
    ) -> Result<Ready> {
        let images = compiled::images(&file, prepared).map_err(|error| Error::io(&self.name, &error))?;
        // SAFETY: the cache vouches that we wrote this file, and files in it are replaced, never changed.
        let code = unsafe { compiled::map(&mode::engine(key)?, file, &header.form) }?;
        ready(code, key, &images)
    }

    fn make_prepared(&self, form: PreparedForm, shape: &Shape, digest: &str, version: u32) -> Result<Ready> {
        let key = self.restored();
        let binary: Arc<[u8]> = form.component.into();
        let own = bounds::check(&binary, &self.options.bounds)?;
        let (mut code, measured, outgrows) = image(self.options, &binary, &own, &key)?;
        let machine = code.len();
        if let Some(cache) = &self.options.cache {
            let prepared = Prepared {
                version,
                images: append(&mut code, &form.images),
            };
            let made = Made {
                form: Form::Component,
                key: &key,
                source: digest,
                name: &self.name,
                // What was given is held against the bounds, and not what became of it.
                measured: bounds::Bounds {
                    nesting: measured.nesting,
                    ..shape.measured
                },
                outgrows,
                prepared: Some(prepared),
            };
            match cache.insert(&Header::new(&made, &code)?, &code) {
                Ok(()) => {
                    if let Some(ready) = self.cached_prepared(digest)? {
                        return Ok(ready);
                    }
                }
                Err(error) => self.not_kept(cache, &error),
            }
            code.truncate(machine);
        }
        // SAFETY: the image was compiled by wasmtime just now.
        let code = unsafe { compiled::copy(&mode::engine(&key)?, &code, Form::Component) }?;
        let images: Vec<_> = form.images.into_iter().map(Beginning::from).collect();
        ready(code, &key, &images)
    }
}

/// Code that can be instantiated, with the key of its engine.
pub(super) struct Ready {
    pub(super) code: Code,
    pub(super) key: EngineKey,
    /// The memories that its guests have, where it was prepared.
    pub(super) images: Option<Images>,
    /// Why it was not.
    pub(super) plain: Option<String>,
}

/// Why a program is loaded as it is.
pub(super) enum Plain {
    /// Nobody wants it otherwise.
    NotAsked,
    /// It cannot be prepared, or that does not pay.
    Because(String),
    /// It cannot be loaded at all.
    Failed(Error),
}

impl Plain {
    /// The reason, in words.
    pub(super) fn why(self) -> Option<String> {
        match self {
            Self::Because(why) => Some(why),
            Self::NotAsked | Self::Failed(_) => None,
        }
    }
}

impl From<Error> for Plain {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A prepared component with its memories.
fn ready(code: Code, key: &EngineKey, images: &[Beginning]) -> Result<Ready> {
    let memories = match &code {
        Code::Component(component) => memories(component),
        Code::Module(_) => None,
    };
    let memories = memories.ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            "how many memories it has cannot be told beforehand",
        )
    })?;
    Ok(Ready {
        images: Some(Images::new(images, memories, mode::shared(key)?)?),
        code,
        key: key.clone(),
        plain: None,
    })
}

/// How many memories one instantiation makes.
fn memories(component: &Component) -> Option<u32> {
    component
        .resources_required()
        .map(|resources| resources.num_memories)
}

/// Puts images behind machine code; says where they lie.
fn append(code: &mut Vec<u8>, images: &[Image]) -> Vec<Kept> {
    images
        .iter()
        .map(|image| {
            code.resize(code.len().next_multiple_of(ALIGNED), 0);
            let offset = code.len() as u64;
            code.extend_from_slice(&image.bytes);
            Kept {
                memory: image.memory,
                pages: image.pages,
                offset,
                length: image.bytes.len() as u64,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
