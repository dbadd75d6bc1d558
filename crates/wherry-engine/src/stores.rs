//! What a guest keeps and is told outside its own memory: `wasi:config` and `wasi:keyvalue`.
//!
//! Both are there for each component that imports them. Configuration answers what was granted; a key-value store is in
//! memory unless a file was granted. Start reading at [`add_to_linker`].

mod configuration;
mod database;
mod keyvalue;

use wasmtime::component::Linker;

use self::configuration::Configuration;
use self::keyvalue::{Closer, Keyvalue};
use crate::Result;
use crate::guest::Guest;
use crate::limits::Limits;
use crate::policy::Policy;

/// The interfaces, in the one version of each that there is.
pub(crate) const INTERFACES: [&str; 4] = [
    configuration::STORE,
    keyvalue::STORE,
    keyvalue::ATOMICS,
    keyvalue::BATCH,
];

/// What one guest keeps and is told.
pub(crate) struct Stores {
    configuration: Configuration,
    keyvalue: Keyvalue,
}

impl Stores {
    /// What `policy` grants.
    ///
    /// # Errors
    /// [`Kind::Grant`](crate::Kind::Grant) when the file of the key-value store cannot be used.
    pub(crate) fn new(policy: &Policy, limits: &Limits) -> Result<Self> {
        Ok(Self {
            configuration: Configuration::new(policy),
            keyvalue: Keyvalue::new(&policy.kv, limits)?,
        })
    }

    /// What closes the file that it keeps things in.
    pub(crate) fn closer(&self) -> Closer {
        self.keyvalue.closer()
    }
}

/// Defines the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    configuration::add_to_linker(linker)?;
    keyvalue::add_to_linker(linker)
}
