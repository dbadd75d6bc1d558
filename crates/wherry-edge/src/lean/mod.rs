//! The lean host: `wasi:http/types` and `wasi:io` for guests that import nothing else.
//!
//! What cannot wait is a plain function, handles are places in a small slab, and the body goes from the guest's memory into
//! the buffer that is sent. It does what the full host does, whose types, field maps and rules it uses; a guest that imports
//! anything else gets that one. Start at [`linker`] and [`Lean`].

mod bodies;
mod direct;
mod fields;
mod flat;
mod messages;
mod streams;

pub use direct::{Alone, Direct, Imported};

use crate::arriving::Arriving;
use crate::exchange::Exchange;
use bytes::Bytes;
use http::request::Parts;
use http_body::Body as _;
use slab::Slab;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut, format_err};
use wasmtime_wasi_http::{Error, FieldMap, RequestOptions, WasiBody, WasiHttpHooks};
use wherry_engine::limits::Limits;
use wherry_engine::meter::{Meter, Shares};

/// The data of a lean guest's store.
pub struct Lean {
    /// What the guest uses of the host's memory.
    pub meter: Meter,
    /// Its answer; nothing between two requests.
    exchange: Option<Arc<Exchange>>,
    slots: Slab<Slot>,
    most_slots: usize,
    most_fields: usize,
    input: Input,
    /// What there is besides for a guest that is a module by itself.
    direct: direct::State,
}

/// What handles of the guest stand for.
pub enum Slot {
    Fields(FieldMap),
    Request(Box<Request>),
    Outparam,
    Response(Response),
    OutgoingBody {
        written: bool,
    },
    OutputStream,
    IncomingBody {
        streamed: bool,
    },
    InputStream,
    Trailers {
        taken: bool,
    },
    Pollable(Awaited),
    Failure(&'static str),
    /// Of a request that is over, in an instance that answers others.
    Stale,
}

/// A request as the guest asks about it.
pub struct Request {
    parts: Parts,
    fields: Option<FieldMap>,
    consumed: bool,
}

/// An answer that the guest puts together.
pub struct Response {
    status: http::StatusCode,
    fields: FieldMap,
    body: bool,
}

/// What a guest may wait for.
#[derive(Debug, Clone, Copy)]
pub enum Awaited {
    /// Bytes of the request, or its end.
    Input,
    /// The end of the request's body.
    Trailers,
    /// Room for more of the answer.
    Output,
}

/// The body of the request, as far as it came.
struct Input {
    arriving: Option<Arriving>,
    waiting: Bytes,
    trailers: Option<FieldMap>,
    failed: bool,
}

/// The marks of the resource types.
pub struct Fields;
pub struct IncomingRequest;
pub struct ResponseOutparam;
pub struct OutgoingResponse;
pub struct OutgoingBody;
pub struct IncomingBody;
pub struct FutureTrailers;
pub struct InputStream;
pub struct OutputStream;
pub struct Pollable;
pub struct IoError;

/// Which fields may not be said: the default of `wasmtime-wasi-http`.
struct Rules;

/// Something that can be had once.
pub type Once<T> = std::result::Result<Resource<T>, ()>;

/// What handles of a type stand for.
pub trait Kind: 'static {
    fn is(slot: &Slot) -> bool;
}

macro_rules! kinds {
    ($($kind:ident: $slot:pat),* $(,)?) => {
        $(impl Kind for $kind {
            fn is(slot: &Slot) -> bool {
                matches!(slot, $slot)
            }
        })*
    };
}

kinds! {
    Fields: Slot::Fields(_),
    IncomingRequest: Slot::Request(_),
    ResponseOutparam: Slot::Outparam,
    OutgoingResponse: Slot::Response(_),
    OutgoingBody: Slot::OutgoingBody { .. },
    OutputStream: Slot::OutputStream,
    IncomingBody: Slot::IncomingBody { .. },
    InputStream: Slot::InputStream,
    FutureTrailers: Slot::Trailers { .. },
    Pollable: Slot::Pollable(_),
    IoError: Slot::Failure(_),
}

type Sending = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Rules {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Sending,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Sending), Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

impl Lean {
    /// The state for one request; its handles for request and answer are those that the handler is called with.
    pub fn new(
        limits: &Limits,
        shares: &Shares,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> (Self, u32, u32) {
        let mut slots = Slab::with_capacity(8);
        let (request, outparam) = arguments(&mut slots, parts);
        let lean = Self {
            meter: Meter::new(limits, false),
            exchange: Some(exchange),
            slots,
            most_slots: limits.handles as usize,
            most_fields: shares.fields,
            input: Input::new(Some(arriving)),
            direct: direct::State::default(),
        };
        (lean, request, outparam)
    }

    /// The same for another request to the same guest, after [`Lean::rest`].
    pub fn again(&mut self, parts: Parts, arriving: Arriving, exchange: Arc<Exchange>) -> (u32, u32) {
        self.exchange = Some(exchange);
        self.input = Input::new(Some(arriving));
        arguments(&mut self.slots, parts)
    }

    /// Lets go of a request that is over; false when its guest should not answer another one: it used up too much, or left
    /// open what would be that of the next one.
    pub fn rest(&mut self) -> bool {
        self.exchange = None;
        self.input = Input::new(None);
        for (_, slot) in &mut self.slots {
            match slot {
                // These are of no request, and of any.
                Slot::OutgoingBody { .. }
                | Slot::OutputStream
                | Slot::IncomingBody { .. }
                | Slot::InputStream
                | Slot::Trailers { .. }
                | Slot::Pollable(_) => return false,
                Slot::Request(_) | Slot::Outparam | Slot::Response(_) => *slot = Slot::Stale,
                Slot::Fields(_) | Slot::Failure(_) | Slot::Stale => {}
            }
        }
        self.meter.renew() && self.slots.len() <= self.most_slots / 2
    }

    /// Forgets all of a request that is over, and that its guest used more than `used` bytes of memory.
    fn rewind(&mut self, used: usize) {
        self.exchange = None;
        self.input = Input::new(None);
        self.slots.clear();
        self.meter.rewind(used);
    }

    fn exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().ok_or_else(unknown)
    }

    /// How much of the answer may be written now; `None` when nothing will be taken any more.
    fn free(&self) -> Option<usize> {
        self.exchange.as_ref()?.state().room()
    }

    /// A handle for `slot`.
    fn push<T: 'static>(&mut self, slot: Slot) -> Result<Resource<T>> {
        if self.slots.len() >= self.most_slots {
            return Err(format_err!("the guest has as many open handles as it may have"));
        }
        Ok(Resource::new_own(number(self.slots.insert(slot))))
    }

    fn slot<T: 'static>(&mut self, handle: &Resource<T>) -> Result<&mut Slot> {
        self.slots.get_mut(handle.rep() as usize).ok_or_else(unknown)
    }

    fn remove(&mut self, handle: u32) -> Result<Slot> {
        self.slots.try_remove(handle as usize).ok_or_else(unknown)
    }

    /// Drops what a handle stands for.
    fn end(&mut self, handle: u32) -> Result<()> {
        if let Slot::OutgoingBody { .. } = self.remove(handle)? {
            // One that is not finished is not whole.
            self.exchange()?.state().break_off();
        }
        Ok(())
    }

    fn take<T: 'static>(&mut self, handle: &Resource<T>) -> Result<Slot> {
        self.remove(handle.rep())
    }

    /// Takes fields out, for the message that they go to.
    fn take_fields(&mut self, handle: &Resource<Fields>) -> Result<FieldMap> {
        match self.take(handle)? {
            Slot::Fields(fields) => Ok(fields),
            _ => Err(unknown()),
        }
    }
}

/// The handles that a handler is called with, for a request and for its answer.
fn arguments(slots: &mut Slab<Slot>, parts: Parts) -> (u32, u32) {
    let request = slots.insert(Slot::Request(Box::new(Request {
        parts,
        fields: None,
        consumed: false,
    })));
    let outparam = slots.insert(Slot::Outparam);
    (number(request), number(outparam))
}

impl Input {
    fn new(arriving: Option<Arriving>) -> Self {
        Self {
            arriving,
            waiting: Bytes::new(),
            trailers: None,
            failed: false,
        }
    }

    /// Waits until there is something to read, or the end.
    fn poll_filled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.waiting.is_empty()
            && let Some(arriving) = &mut self.arriving
        {
            match ready!(Pin::new(arriving).poll_frame(context)) {
                None => self.arriving = None,
                Some(Err(_)) => (self.arriving, self.failed) = (None, true),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.waiting = bytes,
                    Err(frame) => {
                        self.trailers = frame
                            .into_trailers()
                            .ok()
                            .map(|fields| FieldMap::new_immutable(&mut Rules, fields));
                    }
                },
            }
        }
        Poll::Ready(())
    }

    /// Reads over what the guest did not, to what follows the body.
    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.waiting.clear();
            ready!(self.poll_filled(context));
            if self.waiting.is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

/// Links what a lean guest may import.
///
/// # Errors
/// Those of the linker.
pub fn linker(engine: &Engine) -> Result<Linker<Lean>> {
    let mut linker = Linker::new(engine);
    streams::add_to_linker(&mut linker)?;
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    fields::add_to_linker(&mut types)?;
    messages::add_to_linker(&mut types)?;
    bodies::add_to_linker(&mut types)?;
    Ok(linker)
}

/// Defines a resource type whose handles are places in the slab.
fn resource<T: 'static>(instance: &mut LinkerInstance<'_, Lean>, name: &str) -> Result<()> {
    instance.resource(
        name,
        ResourceType::host::<T>(),
        |mut store: StoreContextMut<'_, Lean>, handle| store.data_mut().end(handle),
    )
}

/// A function that cannot wait, as the linker takes it.
fn plain<P, R>(
    run: impl Fn(&mut Lean, P) -> Result<R> + Send + Sync + 'static,
) -> impl Fn(StoreContextMut<'_, Lean>, P) -> Result<(R,)> + Send + Sync + 'static {
    move |mut store, parameters| Ok((run(store.data_mut(), parameters)?,))
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The engine holds handles to their types, so this is a fault of the host.
fn unknown() -> wasmtime::Error {
    format_err!("a handle stands for something else")
}
