//! Sandboxes with the engine's own linker and all of WASI as the policy grants it, for components that answer requests.

use crate::application::in_slices;
use crate::observe::guests::Voices;
use crate::observe::record::{Peak, Seen};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::outgoing::Pool;
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
    refuel(store, limits)
}

/// Gives a store the fuel of a request, where that is limited.
///
/// # Errors
/// [`Kind::Internal`] when the engine counts none.
pub fn refuel<T>(store: &mut Store<T>, limits: &Limits) -> Result<()> {
    match limits.fuel {
        Some(fuel) => fill(store, Some(fuel)),
        None => Ok(()),
    }
}

/// What sandboxes of one component are made from.
pub struct Sandboxes {
    linked: Linked,
    policy: Policy,
    arguments: Vec<String>,
    /// Connections for the requests that guests send; with another policy there are other ones.
    connections: Arc<Pool>,
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
            connections: Arc::default(),
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

    /// A sandbox for a request, with nothing in it yet; what its guest prints with; and what notes its memory when it goes.
    ///
    /// # Errors
    /// [`Kind::Grant`] when a folder cannot be opened any more.
    pub fn of(&self, seen: &Seen, limits: &Limits) -> Result<(Store<Guest>, Voices, Peak)> {
        let voices = seen.account().guests.voices(seen.speaker());
        let mut store = self.store(limits, &voices)?;
        seen.listen(store.data_mut());
        let peak = Peak::new(store.data().meter.watched(), Arc::clone(seen.account()));
        Ok((store, voices, peak))
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
        let mut guest = Guest::new(&self.policy, limits, &self.arguments, stdio)?;
        guest.share(&self.connections);
        Ok(guest)
    }
}
