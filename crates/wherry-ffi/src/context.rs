//! What loading needs to know of the machine: where compiled code is kept, and where packages are.

use crate::failure::{Failed, Failure, Status, freed, guarded};
use crate::handles::{Handle, get, keep};
use crate::strings::{Out, text};
use std::ffi::c_char;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wherry_engine::options::CacheOptions;

/// Settings of a caller. There are no others: two contexts know nothing of each other.
#[derive(Default)]
pub struct Context {
    settings: Mutex<Settings>,
}

/// What can be set.
#[derive(Default, Clone)]
pub struct Settings {
    pub cache: CacheOptions,
    /// The folder of the store; `None` is the user's own.
    pub store: Option<PathBuf>,
}

impl Context {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings as they are now; those that hold without a context for NULL.
    pub fn of(handle: Handle) -> Failed<Settings> {
        if handle.is_null() {
            return Ok(Settings::default());
        }
        Ok(get::<Context>(handle)?.settings().clone())
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_context_new(out: *mut Handle, error: *mut Handle) -> Status {
    guarded(error, || {
        let out = Out::new(out, "context")?;
        out.write(keep(Arc::new(Context::default()))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_context_set(
    context: Handle,
    key: *const c_char,
    value: *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let context = get::<Context>(context)?;
        let (key, value) = (text(key, "key")?, text(value, "value")?);
        let mut settings = context.settings();
        match (key, value) {
            (_, "") => return Err(Failure::usage(format!("the value of `{key}` is empty"))),
            ("cache", "off") => settings.cache.off = true,
            ("cache", folder) => {
                settings.cache.off = false;
                settings.cache.dir = Some(folder.into());
            }
            ("store", folder) => settings.store = Some(folder.into()),
            _ => {
                let unknown = Failure::usage(format!("a context has no setting `{key}`"));
                return Err(unknown.with_hint("the settings are `cache` and `store`"));
            }
        }
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_context_free(context: Handle) -> Status {
    freed::<Context>(context)
}
