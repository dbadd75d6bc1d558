//! A loaded component: compiled once, instantiated again and again, from any thread.

use crate::context::{Context, Settings};
use crate::failure::{Failed, Failure, Status, freed, guarded};
use crate::handles::{Handle, get, keep};
use crate::instance::Instance;
use crate::packages;
use crate::port::Encoded;
use crate::strings::{Out, bytes, c_string, text};
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::sync::{Arc, Once, OnceLock};
use wherry_engine::error::{Error, Kind};
use wherry_engine::instance::Template;
use wherry_engine::launch;
use wherry_engine::limits::Limits;
use wherry_engine::options::CacheOptions;
use wherry_engine::policy::Policy;
use wherry_engine::program::{LoadOptions, Program, Source, load};
use wherry_engine::templates::{Choice, Templates};
use wherry_tools::model::Model;

/// The file may be compiled code, which runs outside the sandbox.
const PRECOMPILED: u32 = 1;

/// A component and the code that was made for it.
pub struct Component {
    templates: Templates<Encoded>,
    cache: CacheOptions,
    interface: OnceLock<CString>,
    inspection: OnceLock<CString>,
    digest: CString,
}

impl Component {
    /// Loads and links.
    pub fn load(source: Source, name: Option<String>, settings: &Settings, flags: u32) -> Failed<Self> {
        if flags & !PRECOMPILED != 0 {
            return Err(Failure::usage(format!(
                "{flags:#x} has bits that are no flag of loading"
            )));
        }
        silent();
        let precompiled = flags & PRECOMPILED != 0;
        let template = template(source, name, Choice::usual(), &settings.cache, precompiled)?;
        Ok(Self {
            digest: c_string(template.linked.program.digest.as_str()),
            templates: Templates::new(template),
            cache: settings.cache.clone(),
            interface: OnceLock::new(),
            inspection: OnceLock::new(),
        })
    }

    fn program(&self) -> &Program {
        &self.templates.usual.linked.program
    }

    /// The code for a guest with this policy and these limits: determinism, fuel and another stack need an engine of their own.
    pub fn template(&self, policy: &Policy, limits: &Limits) -> Failed<Arc<Template<Encoded>>> {
        let choice = Choice::of(policy, limits, Instance::alive());
        self.templates.get(
            choice,
            |program| Ok(program.bytes()?),
            |source, choice| {
                let name = self.program().name.clone();
                template(source, Some(name), choice, &self.cache, false)
            },
        )
    }

    /// The interface, as JSON.
    fn interface(&self) -> Failed<&CString> {
        if let Some(known) = self.interface.get() {
            return Ok(known);
        }
        let model = wherry_tools::wit::model(&self.program().bytes()?).map_err(unreadable)?;
        let text = serde_json::to_string::<Model>(&model).map_err(unreadable)?;
        Ok(self.interface.get_or_init(|| c_string(text)))
    }

    /// All that the file tells of itself, as JSON.
    fn inspection(&self) -> Failed<&CString> {
        if let Some(known) = self.inspection.get() {
            return Ok(known);
        }
        let inspection = wherry_tools::inspect::inspect(&self.program().bytes()?).map_err(unreadable)?;
        let text = serde_json::to_string(&inspection).map_err(unreadable)?;
        Ok(self.inspection.get_or_init(|| c_string(text)))
    }
}

/// Has panics told by errors alone: standard error is the caller's. The library has a standard library of its own, so nobody
/// else's panics are silenced.
fn silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::internal(&format!("a component that runs cannot be described: {error}"))
}

fn template(
    source: Source,
    name: Option<String>,
    choice: Choice,
    cache: &CacheOptions,
    precompiled: bool,
) -> Failed<Template<Encoded>> {
    let options = LoadOptions {
        mode: choice.mode,
        stack: choice.stack,
        pooled: choice.pooled,
        name,
        precompiled,
        // Without a cache everything works, only slower.
        cache: cache.open().unwrap_or(None),
        ..LoadOptions::default().within(&Limits::embedded())
    };
    // The encoding has places in its types, and no names.
    Ok(Template::new(load(source, &options)?, Box::new(HashMap::new))?)
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_load_file(
    context: Handle,
    path: *const c_char,
    flags: u32,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "component")?;
        let source = Source::Path(text(path, "path")?.into());
        let component = Component::load(source, None, &Context::of(context)?, flags)?;
        out.write(keep(Arc::new(component))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_load_bytes(
    context: Handle,
    data: *const u8,
    length: usize,
    name: *const c_char,
    flags: u32,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "component")?;
        let bytes = bytes(data, length, "bytes of the component")?.to_vec();
        let name = text(name, "name")?.to_owned();
        let source = Source::Bytes {
            bytes,
            name: name.clone(),
        };
        let component = Component::load(source, Some(name), &Context::of(context)?, flags)?;
        out.write(keep(Arc::new(component))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_load_package(
    context: Handle,
    reference: *const c_char,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "component")?;
        let reference = text(reference, "name of the package")?;
        let settings = Context::of(context)?;
        let usual = || launch::store_folder(&|name| std::env::var_os(name));
        let store = settings.store.clone().unwrap_or_else(usual);
        let (path, digest) = packages::component(&store, reference)?;
        let component = Component::load(Source::Path(path), Some(reference.to_owned()), &settings, 0)?;
        if digest.strip_prefix("sha256:") != component.digest.to_str().ok() {
            let error = Error::new(
                Kind::Invalid,
                format!("the bytes of `{reference}` are not those of its digest"),
            );
            return Err(error
                .with_hint("`wherry verify-store` says what is damaged")
                .into());
        }
        out.write(keep(Arc::new(component))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_interface(
    component: Handle,
    out: *mut *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "interface")?;
        out.write(get::<Component>(component)?.interface()?.as_ptr());
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_inspect(
    component: Handle,
    out: *mut *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "inspection")?;
        out.write(get::<Component>(component)?.inspection()?.as_ptr());
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_digest(
    component: Handle,
    out: *mut *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "digest")?;
        out.write(get::<Component>(component)?.digest.as_ptr());
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_component_free(component: Handle) -> Status {
    freed::<Component>(component)
}
