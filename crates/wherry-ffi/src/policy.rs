//! What a guest may reach and use up, by the names that the flags of the command line have.

use crate::failure::{Failed, Failure, Status, freed, guarded};
use crate::handles::{Handle, get, keep};
use crate::strings::{Out, optional_text, text};
use std::ffi::c_char;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wherry_engine::environment::Environment;
use wherry_engine::flags;
use wherry_engine::limits::Limits;
use wherry_engine::options::Invocation;
use wherry_engine::policy::text as policy_text;

/// Grants and limits, as they add up.
pub struct Policy {
    said: Mutex<Invocation>,
}

/// Nothing granted, and the limits of a program with other work.
pub fn nothing() -> Invocation {
    Invocation {
        limits: Limits::embedded(),
        ..Invocation::default()
    }
}

impl Policy {
    fn said(&self) -> MutexGuard<'_, Invocation> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds for a guest; NULL grants nothing.
    pub fn of(handle: Handle) -> Failed<Invocation> {
        if handle.is_null() {
            return Ok(nothing());
        }
        Ok(get::<Policy>(handle)?.said().clone())
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_policy_new(out: *mut Handle, error: *mut Handle) -> Status {
    guarded(error, || {
        let out = Out::new(out, "policy")?;
        let policy = Policy {
            said: Mutex::new(nothing()),
        };
        out.write(keep(Arc::new(policy))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_policy_set(
    policy: Handle,
    name: *const c_char,
    value: *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let policy = get::<Policy>(policy)?;
        let (name, value) = (text(name, "name")?, text(value, "value")?);
        let flag = flags::by_name(name).filter(|flag| policy_text::sayable(flag));
        let flag = flag.ok_or_else(|| {
            Failure::usage(format!("there is no grant and no limit `{name}`"))
                .with_hint("the names are those of the flags under Grants and Limits in `wherry run --help`, without dashes")
        })?;
        let mut said = policy.said();
        // What is refused leaves the policy as it was.
        let mut changed = said.clone();
        (flag.set)(&mut changed, value, &Environment::of_process()?)?;
        *said = changed;
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_policy_read(
    policy: Handle,
    source: *const c_char,
    folder: *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let policy = get::<Policy>(policy)?;
        let source = text(source, "text of the policy")?;
        let mut environment = Environment::of_process()?;
        if let Some(folder) = optional_text(folder, "folder")? {
            let folder = environment.folder().join(PathBuf::from(folder));
            environment = environment.within(&folder);
        }
        let mut said = policy.said();
        let mut changed = said.clone();
        policy_text::parse(&mut changed, source, "the policy", &environment)?;
        *said = changed;
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_policy_free(policy: Handle) -> Status {
    freed::<Policy>(policy)
}
