//! Bodies: the streams in them, and how they end.

use super::{
    Awaited, Fields, FutureTrailers, IncomingBody, InputStream, Lean, Once, OutgoingBody, OutputStream,
    Pollable, Slot, plain, resource, unknown,
};
use std::task::{Context, Waker};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// Trailers as they are asked for: not yet, once, and whether they arrived whole.
pub type Trailers = Option<std::result::Result<std::result::Result<Option<Resource<Fields>>, ErrorCode>, ()>>;

/// Whether a body is as long as was said.
pub type Finished = std::result::Result<(), ErrorCode>;

/// Links the resources of bodies.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<IncomingBody>(types, "incoming-body")?;
    resource::<FutureTrailers>(types, "future-trailers")?;
    resource::<OutgoingBody>(types, "outgoing-body")?;
    types.func_wrap("[method]incoming-body.stream", plain(stream))?;
    types.func_wrap("[static]incoming-body.finish", plain(finish_incoming))?;
    types.func_wrap("[method]future-trailers.subscribe", plain(subscribe))?;
    types.func_wrap("[method]future-trailers.get", plain(trailers))?;
    types.func_wrap("[method]outgoing-body.write", plain(write))?;
    types.func_wrap("[static]outgoing-body.finish", plain(finish))
}

pub fn stream(lean: &mut Lean, (handle,): (Resource<IncomingBody>,)) -> Result<Once<InputStream>> {
    let Slot::IncomingBody { streamed } = lean.slot(&handle)? else {
        return Err(unknown());
    };
    if std::mem::replace(streamed, true) {
        return Ok(Err(()));
    }
    Ok(Ok(lean.push(Slot::InputStream)?))
}

pub fn finish_incoming(
    lean: &mut Lean,
    (handle,): (Resource<IncomingBody>,),
) -> Result<Resource<FutureTrailers>> {
    lean.take(&handle)?;
    lean.push(Slot::Trailers { taken: false })
}

pub fn subscribe(lean: &mut Lean, (_handle,): (Resource<FutureTrailers>,)) -> Result<Resource<Pollable>> {
    lean.push(Slot::Pollable(Awaited::Trailers))
}

/// The trailers, when the body is over.
pub fn trailers(lean: &mut Lean, (handle,): (Resource<FutureTrailers>,)) -> Result<Trailers> {
    let mut context = Context::from_waker(Waker::noop());
    if lean.input.poll_ended(&mut context).is_pending() {
        return Ok(None);
    }
    let Slot::Trailers { taken } = lean.slot(&handle)? else {
        return Err(unknown());
    };
    if std::mem::replace(taken, true) {
        return Ok(Some(Err(())));
    }
    if lean.input.failed {
        return Ok(Some(Ok(Err(ErrorCode::HttpProtocolError))));
    }
    let fields = lean.input.trailers.take();
    let fields = fields.map(|fields| lean.push(Slot::Fields(fields))).transpose()?;
    Ok(Some(Ok(Ok(fields))))
}

pub fn write(lean: &mut Lean, (handle,): (Resource<OutgoingBody>,)) -> Result<Once<OutputStream>> {
    let Slot::OutgoingBody { written } = lean.slot(&handle)? else {
        return Err(unknown());
    };
    if std::mem::replace(written, true) {
        return Ok(Err(()));
    }
    Ok(Ok(lean.push(Slot::OutputStream)?))
}

pub fn finish(
    lean: &mut Lean,
    (handle, trailers): (Resource<OutgoingBody>, Option<Resource<Fields>>),
) -> Result<Finished> {
    lean.take(&handle)?;
    let trailers = trailers.map(|fields| lean.take_fields(&fields)).transpose()?;
    let exchange = lean.exchange()?;
    let mut state = exchange.state();
    if state.finish(trailers.map(Into::into)) {
        return Ok(Ok(()));
    }
    Ok(Err(ErrorCode::HttpResponseBodySize(Some(state.written()))))
}
