//! Sandboxes with the engine's own linker and all of WASI as the policy grants it, for components that answer requests.

use crate::application::in_slices;
use crate::observe::guests::Voices;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;
use wherry_engine::sandbox::{Linked, fill};
use wherry_engine::stdio::{Input, Output, Stdio};

/// Arms a store for another request to the guest in it.
///
/// # Errors
/// [`Kind::Internal`] when the engine refuses its fuel.
pub fn again<T>(store: &mut Store<T>, limits: &Limits) -> Result<()> {
    store.set_epoch_deadline(1);
    if limits.fuel.is_some() {
        fill(store, limits.fuel)?;
    }
    Ok(())
}

/// What sandboxes of one component are made from.
pub struct Sandboxes {
    linked: Linked,
    policy: Policy,
    arguments: Vec<String>,
}

impl Sandboxes {
    /// Links a program, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// [`Kind::Link`] when it imports what nothing provides, [`Kind::Grant`] when a folder cannot be opened.
    pub fn new(program: Program, policy: Policy, limits: &Limits) -> Result<Self> {
        let arguments = vec![program.name.clone()];
        let sandboxes = Self {
            linked: Linked::new(program, |_, _| Ok(()))?,
            policy,
            arguments,
        };
        sandboxes.guest(limits, Stdio::default()).map(|_| sandboxes)
    }

    /// The component, with the functions that some interface has.
    ///
    /// # Errors
    /// [`Kind::NoExport`] when it exports that with other types.
    pub fn exporting<Pre>(
        &self,
        find: impl FnOnce(InstancePre<Guest>) -> wasmtime::Result<Pre>,
    ) -> Result<Pre> {
        let pre = self.linked.component().cloned();
        pre.and_then(|pre| find(pre).ok()).ok_or_else(|| {
            let message = format!("`{}` answers no HTTP requests", self.linked.program.name);
            Error::new(Kind::NoExport, message).with_hint("it exports the interface with other types")
        })
    }

    /// A sandbox with nothing in it yet, whose guest prints there; standard output belongs to the server.
    ///
    /// # Errors
    /// [`Kind::Grant`] when a folder cannot be opened any more.
    pub fn store(&self, limits: &Limits, voices: &Voices) -> Result<Store<Guest>> {
        let stdio = Stdio {
            input: Input::Empty,
            output: Output::Sink(voices.out()),
            error: Output::Sink(voices.err()),
            witness: None,
        };
        let guest = self.guest(limits, stdio)?;
        let mut store = self.linked.yielding_store(guest, limits)?;
        in_slices(&mut store);
        Ok(store)
    }

    fn guest(&self, limits: &Limits, stdio: Stdio) -> Result<Guest> {
        Guest::new(&self.policy, limits, &self.arguments, stdio)
    }
}
