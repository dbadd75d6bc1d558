//! Bodies: the streams in them, and how they end.

use super::{
    Awaited, Fields, FutureTrailers, IncomingBody, InputStream, Lean, OutgoingBody, OutputStream, Pollable,
    Slot, resource, unknown,
};
use std::task::{Context, Waker};
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

type Store<'a> = StoreContextMut<'a, Lean>;
type Once<T> = Result<(std::result::Result<Resource<T>, ()>,)>;
/// Trailers as they are asked for: not yet, once, and whether they arrived whole.
type Trailers = Option<std::result::Result<std::result::Result<Option<Resource<Fields>>, ErrorCode>, ()>>;

/// Links the resources of bodies.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    incoming(types)?;
    outgoing(types)
}

fn incoming(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<IncomingBody>(types, "incoming-body")?;
    resource::<FutureTrailers>(types, "future-trailers")?;
    types.func_wrap(
        "[method]incoming-body.stream",
        |mut store: Store<'_>, (handle,): (Resource<IncomingBody>,)| -> Once<InputStream> {
            let lean = store.data_mut();
            let Slot::IncomingBody { streamed } = lean.slot(&handle)? else {
                return Err(unknown());
            };
            if std::mem::replace(streamed, true) {
                return Ok((Err(()),));
            }
            Ok((Ok(lean.push(Slot::InputStream)?),))
        },
    )?;
    types.func_wrap(
        "[static]incoming-body.finish",
        |mut store: Store<'_>, (handle,): (Resource<IncomingBody>,)| {
            let lean = store.data_mut();
            lean.take(&handle)?;
            Ok((lean.push::<FutureTrailers>(Slot::Trailers { taken: false })?,))
        },
    )?;
    types.func_wrap(
        "[method]future-trailers.subscribe",
        |mut store: Store<'_>, (_handle,): (Resource<FutureTrailers>,)| {
            Ok((store
                .data_mut()
                .push::<Pollable>(Slot::Pollable(Awaited::Trailers))?,))
        },
    )?;
    types.func_wrap("[method]future-trailers.get", trailers)
}

/// The trailers, when the body is over.
fn trailers(mut store: Store<'_>, (handle,): (Resource<FutureTrailers>,)) -> Result<(Trailers,)> {
    let lean = store.data_mut();
    let mut context = Context::from_waker(Waker::noop());
    if lean.input.poll_ended(&mut context).is_pending() {
        return Ok((None,));
    }
    let Slot::Trailers { taken } = lean.slot(&handle)? else {
        return Err(unknown());
    };
    if std::mem::replace(taken, true) {
        return Ok((Some(Err(())),));
    }
    if lean.input.failed {
        return Ok((Some(Ok(Err(ErrorCode::HttpProtocolError))),));
    }
    let fields = lean.input.trailers.take();
    let fields = fields.map(|fields| lean.push(Slot::Fields(fields))).transpose()?;
    Ok((Some(Ok(Ok(fields))),))
}

fn outgoing(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    types.resource(
        "outgoing-body",
        ResourceType::host::<OutgoingBody>(),
        |mut store: Store<'_>, handle| {
            let lean = store.data_mut();
            // One that is not finished is not whole.
            lean.exchange.state().break_off();
            lean.remove(handle).map(drop)
        },
    )?;
    types.func_wrap(
        "[method]outgoing-body.write",
        |mut store: Store<'_>, (handle,): (Resource<OutgoingBody>,)| -> Once<OutputStream> {
            let lean = store.data_mut();
            let Slot::OutgoingBody { written } = lean.slot(&handle)? else {
                return Err(unknown());
            };
            if std::mem::replace(written, true) {
                return Ok((Err(()),));
            }
            Ok((Ok(lean.push(Slot::OutputStream)?),))
        },
    )?;
    types.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: Store<'_>,
         (handle, trailers): (Resource<OutgoingBody>, Option<Resource<Fields>>)|
         -> Result<(std::result::Result<(), ErrorCode>,)> {
            let lean = store.data_mut();
            lean.take(&handle)?;
            let trailers = trailers.map(|fields| lean.take_fields(&fields)).transpose()?;
            let mut state = lean.exchange.state();
            if state.finish(trailers.map(Into::into)) {
                return Ok((Ok(()),));
            }
            Ok((Err(ErrorCode::HttpResponseBodySize(Some(state.written()))),))
        },
    )
}
