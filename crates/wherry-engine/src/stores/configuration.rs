//! `wasi:config`: values by name, of which secrets are known to the guest alone.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use crate::guest::Guest;
use crate::monitor::{Access, Grant, Monitor, Subject};
use crate::policy::{Policy, Secret};

/// The interface.
pub(super) const STORE: &str = "wasi:config/store@0.2.0-rc.1";

/// The most bytes in a name that is noted.
const MOST_NAME: usize = 1 << 10;

/// Values by name.
pub(super) struct Configuration {
    values: Vec<(String, String)>,
    secrets: Vec<(String, Secret)>,
}

/// The error of the interface, which memory never gives.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;

impl Configuration {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            values: policy.config.clone(),
            secrets: policy.secrets.clone(),
        }
    }

    /// Every name with its value, and whether it is a secret.
    fn all(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let values = self
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str(), false));
        let secrets = self
            .secrets
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.reveal(), true));
        values.chain(secrets)
    }
}

/// Defines the interface.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut store = linker.instance(STORE)?;
    store.func_wrap(
        "get",
        |store: StoreContextMut<'_, Guest>, (name,): (String,)| -> Answer<Option<String>> {
            let guest = store.data();
            let found = guest
                .stores
                .configuration
                .all()
                .find(|(known, ..)| *known == name);
            let Some((_, value, secret)) = found else {
                missing(&guest.monitor, &name);
                return Ok((Ok(None),));
            };
            note(&guest.monitor, &name, secret);
            Ok((Ok(Some(value.to_owned())),))
        },
    )?;
    store.func_wrap(
        "get-all",
        |store: StoreContextMut<'_, Guest>, (): ()| -> Answer<Vec<(String, String)>> {
            let guest = store.data();
            let all = guest.stores.configuration.all().map(|(name, value, secret)| {
                note(&guest.monitor, name, secret);
                (name.to_owned(), value.to_owned())
            });
            Ok((Ok(all.collect()),))
        },
    )
}

fn access(name: &str, secret: bool) -> Access {
    Access {
        subject: if secret { Subject::Secret } else { Subject::Config },
        operation: "read",
        target: name.to_owned(),
    }
}

fn note(monitor: &Monitor, name: &str, secret: bool) {
    monitor.granted(|| access(name, secret));
}

/// The guest gets no value, which is no error of the interface; but it may be why it fails.
fn missing(monitor: &Monitor, name: &str) {
    // A guest can make up any number of names; what it may keep here with them is bounded.
    if name.is_empty() || name.len() > MOST_NAME {
        return;
    }
    let lift = (!name.contains('=')).then(|| Grant {
        flag: "config",
        value: format!("{name}=VALUE"),
    });
    monitor.refused(access(name, false), "there is no value of that name", lift);
}
