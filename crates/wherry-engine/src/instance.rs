//! A program for one host language: its functions called with that language's values.
//!
//! A [`Template`] is made once per program; an [`Instance`] is one sandbox of it with its host functions. Start reading at
//! [`Instance::call`].

use crate::error::Result;
use crate::exports::{Export, Import};
use crate::guest::Guest;
use crate::limits::Limits;
use crate::program::Program;
use crate::sandbox::{Callee, Linked, Sandbox};
use crate::values::bridge::{MAX_FLAT, Signature, enter};
use crate::values::{Context, Outcome, Params, Port, TypeNames, Types};
use crate::{core_values, hosting};
use std::sync::Arc;
use wasmtime::component::{ResourceAny, ResourceType, TypedFunc};

/// A program that is linked for one host language.
pub struct Template<P: Port> {
    /// The linked program.
    pub linked: Linked,
    /// The shapes of its types.
    pub types: Arc<Types<P>>,
}

/// The host functions of one instance, in the order of [`Template::imports`].
pub struct Host<P: Port> {
    /// The functions.
    pub functions: Vec<P::Owned>,
    /// What its values refer to.
    pub context: Arc<Context<P>>,
}

impl<P: Port> Template<P> {
    /// Links a program. `names` tells what its types are called, once that is asked.
    ///
    /// # Errors
    /// As [`Linked::new`].
    pub fn new(program: Program, names: TypeNames) -> Result<Self> {
        let linked = Linked::new(program, hosting::define::<P>)?;
        let resources = u32::try_from(linked.surface.resources.len()).unwrap_or(u32::MAX);
        Ok(Self { linked, types: Arc::new(Types::new(names, resources)) })
    }

    /// What has to be provided for each instance.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.linked.surface.imports
    }

    /// Makes one fresh sandbox.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub fn instantiate(&self, mut guest: Guest, limits: &Limits, host: Host<P>) -> Result<Instance<P>> {
        let context = Arc::clone(&host.context);
        guest.host = Some(Arc::new(host));
        let mut sandbox = Sandbox::new(&self.linked, guest, limits)?;
        enter(&context, &Signature::default(), || sandbox.start(&self.linked))?;
        Ok(Instance { sandbox, context })
    }
}

/// One fresh sandbox with its host functions.
pub struct Instance<P: Port> {
    /// The sandbox.
    pub sandbox: Sandbox,
    context: Arc<Context<P>>,
}

/// A function of one instance, with its shapes.
pub struct Function<P: Port> {
    callee: Callee,
    signature: Signature<P>,
}

impl<P: Port> Instance<P> {
    /// Finds an export.
    ///
    /// # Errors
    /// As [`Sandbox::callee`].
    pub fn function(&mut self, export: &Export) -> Result<Function<P>> {
        Ok(Function { callee: self.sandbox.callee(export)?, signature: Signature::default() })
    }

    /// Calls a function with a sequence of arguments and waits for its result.
    ///
    /// # Errors
    /// [`crate::Kind::Value`] when an argument does not fit, after which the instance can still be used; else as
    /// [`Sandbox::run`].
    pub fn call(&mut self, function: &Function<P>, arguments: P::Owned) -> Result<Outcome<P, 1>> {
        let sandbox = &mut self.sandbox;
        enter(&self.context, &function.signature, || match function.callee {
            Callee::Component(callee) => {
                // SAFETY: both types follow the run-time type of the function, whatever it is.
                let typed: TypedFunc<Params<P, MAX_FLAT>, Outcome<P, 1>> = unsafe { TypedFunc::new_unchecked(callee) };
                sandbox.run(
                    Params(arguments),
                    |store, arguments| typed.call(store, arguments),
                    async |store, arguments| typed.call_async(store, arguments).await,
                )
            }
            Callee::Module(callee) => core_values::call(sandbox, callee, &arguments),
        })
    }

    /// The resource types that the program implements, each with its interface and name.
    pub fn resources(&mut self, linked: &Linked) -> Vec<(ResourceType, Option<String>, String)> {
        let Some((instance, store)) = self.sandbox.component() else { return Vec::new() };
        let own = linked.surface.own_resources.iter();
        own.filter_map(|(interface, name, place)| {
            Some((instance.get_resource(&mut *store, place)?, interface.clone(), name.clone()))
        })
        .collect()
    }

    /// Ends a resource that the guest implements, and runs its destructor.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        if self.sandbox.usable().is_err() {
            return Ok(());
        }
        enter(&self.context, &Signature::default(), || {
            self.sandbox.run(
                resource,
                |store, resource| resource.resource_drop(store),
                async |store, resource| resource.resource_drop_async(store).await,
            )
        })
    }

    /// What values of this instance refer to.
    #[must_use]
    pub fn context(&self) -> &Arc<Context<P>> {
        &self.context
    }
}
