//! A program for one host language: its functions called with that language's values.
//!
//! A [`Template`] is made once per program; an [`Instance`] is one sandbox of it with its host functions. Start reading at
//! [`Instance::call`].

use crate::error::{Error, Kind, Result};
use crate::exports::{Export, Import};
use crate::guest::Guest;
use crate::hosting::Host;
use crate::limits::Limits;
use crate::program::Program;
use crate::sandbox::{Callee, Linked, Sandbox};
use crate::values::bridge::{MAX_FLAT, Piece, PieceResult, PieceType, Pieces, Signature, enter};
use crate::values::{Context, Incoming, Outcome, Params, Port, TypeNames, Types};
use crate::{core_values, hosting};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll, Waker};
use wasmtime::AsContextMut;
use wasmtime::component::{Func, ResourceAny, ResourceType, TypedFunc};

/// A program that is linked for one host language.
pub struct Template<P: Port> {
    /// The linked program.
    pub linked: Linked,
    /// The shapes of its types.
    pub types: Arc<Types<P>>,
}

impl<P: Port> Template<P> {
    /// Links a program. `names` tells what its types are called, once that is asked.
    ///
    /// # Errors
    /// As [`Linked::new`].
    pub fn new(program: Program, names: TypeNames) -> Result<Self> {
        let linked = Linked::new(program, hosting::define::<P>)?;
        let resources = u32::try_from(linked.surface.resources.len()).unwrap_or(u32::MAX);
        Ok(Self {
            linked,
            types: Arc::new(Types::new(names, resources)),
        })
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
    pub fn instantiate(
        &self,
        mut guest: Guest,
        limits: &Limits,
        host: impl Into<Arc<Host<P>>>,
    ) -> Result<Instance<P>> {
        let host: Arc<Host<P>> = host.into();
        let context = Arc::clone(&host.context);
        guest.host = Some(host);
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

/// Has a guest that is driven for a reader rest, so that another thread can call it: it goes on with that call.
#[derive(Default)]
pub struct Pause {
    asked: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Pause {
    fn driver(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for it; a guest that computes rests when it waits next.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(driver) = self.driver().take() {
            driver.wake();
        }
    }

    /// Whether it is asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    fn poll(&self, cx: &task::Context<'_>) -> Poll<()> {
        *self.driver() = Some(cx.waker().clone());
        if self.is_asked() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// A function of one instance, with its shapes.
pub struct Function<P: Port> {
    callee: Callee,
    /// For a function that is `async` in WIT, how many flat values it returns.
    #[expect(clippy::option_option, reason = "`Some(None)` is `async` with more than fit")]
    asynchronous: Option<Option<usize>>,
    signature: Signature<P>,
}

impl<P: Port> Function<P> {
    /// Arguments as small values for [`Instance::call_pieces`], and what it returns; `None` where the function takes or
    /// returns anything else, and before its first call.
    ///
    /// # Errors
    /// [`Kind::Value`] when an argument does not fit.
    pub fn pieces(&self, arguments: &P::Ref<'_>) -> Result<Option<(Pieces, PieceType)>> {
        let (None, Callee::Component(_)) = (self.asynchronous, self.callee) else {
            return Ok(None);
        };
        let Some(result) = self.signature.piece_type() else {
            return Ok(None);
        };
        Ok(self.signature.pieces(arguments)?.map(|pieces| (pieces, result)))
    }
}

impl<P: Port> Instance<P> {
    /// Finds an export.
    ///
    /// # Errors
    /// As [`Sandbox::callee`].
    pub fn function(&mut self, export: &Export) -> Result<Function<P>> {
        Ok(Function {
            callee: self.sandbox.callee(export)?,
            asynchronous: export.asynchronous.then_some(export.flat_results),
            signature: Signature::default(),
        })
    }

    /// Calls a function with a sequence of arguments and waits for its result.
    ///
    /// # Errors
    /// [`Kind::Value`] when an argument does not fit, after which the instance can still be used; else as
    /// [`Sandbox::run`].
    pub fn call(&mut self, function: &Function<P>, arguments: P::Owned) -> Result<Outcome<P, 1>> {
        let (sandbox, context) = (&mut self.sandbox, &self.context);
        enter(context, &function.signature, || {
            let outcome = match (function.callee, function.asynchronous) {
                (Callee::Component(callee), None) => call_as::<P, 1>(sandbox, callee, arguments),
                (Callee::Component(callee), Some(flat)) => call_async(sandbox, callee, arguments, flat),
                (Callee::Module(callee), _) => core_values::call(sandbox, callee, &arguments),
            }?;
            context.listen(sandbox.store().as_context_mut())?;
            Ok(outcome)
        })
    }

    /// Has the guest go on until a stream or future of its own brings something, or comes to its end, or `pause` is asked.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn read(&mut self, incoming: &Incoming<P>, pause: &Pause) -> Result<()> {
        let (sandbox, context) = (&mut self.sandbox, &self.context);
        enter(context, &Signature::default(), || {
            context.listen(sandbox.store().as_context_mut())?;
            let changed = std::future::poll_fn(|cx| {
                if pause.poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                incoming.poll_changed(cx)
            });
            sandbox.run(
                (),
                |_, ()| Ok(()),
                async |store, ()| store.run_concurrent(async |_| changed.await).await,
            )
        })
    }

    /// Calls a function with what [`Function::pieces`] made; its result is a small value too, or nothing.
    ///
    /// # Errors
    /// As [`Instance::call`].
    pub fn call_pieces(&mut self, function: &Function<P>, arguments: Pieces) -> Result<Option<Piece>> {
        let Callee::Component(callee) = function.callee else {
            return Err(Error::new(
                Kind::Internal,
                "functions of core modules take values",
            ));
        };
        let sandbox = &mut self.sandbox;
        enter(&self.context, &function.signature, || {
            match function.signature.piece_type() {
                Some(PieceType::Nothing) => call_with_pieces::<0>(sandbox, callee, arguments),
                _ => call_with_pieces::<1>(sandbox, callee, arguments),
            }
        })
    }

    /// The resource types that the program implements, each with its interface and name.
    pub fn resources(&mut self, linked: &Linked) -> Vec<(ResourceType, Option<String>, String)> {
        let Some((instance, store)) = self.sandbox.component() else {
            return Vec::new();
        };
        let own = linked.surface.own_resources.iter();
        own.filter_map(|(interface, name, place)| {
            Some((
                instance.get_resource(&mut *store, place)?,
                interface.clone(),
                name.clone(),
            ))
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

/// Calls a function of a component whose result is `RESULTS` flat values.
///
/// Functions that are not `async` return one, or the address of more.
fn call_as<P: Port, const RESULTS: usize>(
    sandbox: &mut Sandbox,
    callee: Func,
    arguments: P::Owned,
) -> Result<Outcome<P, 1>> {
    // SAFETY: both types follow the run-time type of the function, whatever it is.
    let typed: TypedFunc<Params<P, MAX_FLAT>, Outcome<P, RESULTS>> =
        unsafe { TypedFunc::new_unchecked(callee) };
    let Outcome { value, failed } = sandbox.run(
        Params(arguments),
        |store, arguments| typed.call(store, arguments),
        async |store, arguments| typed.call_async(store, arguments).await,
    )?;
    Ok(Outcome { value, failed })
}

/// Calls a function that is `async` in WIT. Such a one hands over up to 16 flat values, and the engine wants to know their
/// number at compile time; past that it is the address in memory.
fn call_async<P: Port>(
    sandbox: &mut Sandbox,
    callee: Func,
    arguments: P::Owned,
    flat: Option<usize>,
) -> Result<Outcome<P, 1>> {
    macro_rules! by_count {
        ($($count:literal)*) => {
            match flat {
                $(Some($count) => call_as::<P, $count>(sandbox, callee, arguments),)*
                _ => call_as::<P, { MAX_FLAT + 1 }>(sandbox, callee, arguments),
            }
        };
    }
    by_count!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Calls a function of small values with `RESULTS` results, 0 or 1.
fn call_with_pieces<const RESULTS: usize>(
    sandbox: &mut Sandbox,
    callee: Func,
    arguments: Pieces,
) -> Result<Option<Piece>> {
    // SAFETY: the function takes what `Pieces` holds, and returns as many values as `RESULTS`, as its shapes say.
    let typed: TypedFunc<Pieces, PieceResult<RESULTS>> = unsafe { TypedFunc::new_unchecked(callee) };
    let result = sandbox.run(
        arguments,
        |store, arguments| typed.call(store, arguments),
        async |store, arguments| typed.call_async(store, arguments).await,
    );
    result.map(|PieceResult(piece)| piece)
}
