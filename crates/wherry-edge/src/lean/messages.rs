//! The request that a guest asks about, and the answer that it puts together.

use super::{
    Fields, IncomingBody, IncomingRequest, IoError, Lean, Once, OutgoingBody, OutgoingResponse, Request,
    Response, ResponseOutparam, Rules, Slot, plain, resource, unknown,
};
use crate::observe::record::Seen;
use http::StatusCode;
use http::uri::Authority;
use std::sync::Arc;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, Scheme};

/// An answer, or why there is none.
pub type Answer = std::result::Result<Resource<OutgoingResponse>, ErrorCode>;

/// Links the resources of requests and answers, and what says why a stream failed.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<IncomingRequest>(types, "incoming-request")?;
    resource::<OutgoingResponse>(types, "outgoing-response")?;
    resource::<ResponseOutparam>(types, "response-outparam")?;
    types.func_wrap("[method]incoming-request.method", plain(method))?;
    types.func_wrap("[method]incoming-request.path-with-query", plain(path_with_query))?;
    types.func_wrap("[method]incoming-request.scheme", plain(scheme))?;
    types.func_wrap("[method]incoming-request.authority", plain(authority))?;
    types.func_wrap("[method]incoming-request.headers", plain(request_headers))?;
    types.func_wrap("[method]incoming-request.consume", plain(consume))?;
    types.func_wrap("[constructor]outgoing-response", plain(new))?;
    types.func_wrap("[method]outgoing-response.status-code", plain(status_code))?;
    types.func_wrap(
        "[method]outgoing-response.set-status-code",
        plain(set_status_code),
    )?;
    types.func_wrap("[method]outgoing-response.headers", plain(response_headers))?;
    types.func_wrap("[method]outgoing-response.body", plain(body))?;
    types.func_wrap(
        "[static]response-outparam.set",
        |mut store: StoreContextMut<'_, Lean>, answer: (Resource<ResponseOutparam>, Answer)| {
            set(store.data_mut(), answer)
        },
    )?;
    types.func_wrap("http-error-code", plain(http_error_code))
}

pub fn method(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Method> {
    Ok(lean.request(&handle)?.parts.method.clone().into())
}

pub fn path_with_query(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Option<String>> {
    let path = lean.request(&handle)?.parts.uri.path_and_query();
    Ok(path.map(|path| path.as_str().to_owned()))
}

pub fn scheme(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Option<Scheme>> {
    lean.request(&handle)?;
    let secure = lean.exchange()?.seen().client().secure;
    Ok(Some(if secure { Scheme::Https } else { Scheme::Http }))
}

pub fn authority(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Option<String>> {
    let exchange = Arc::clone(lean.exchange()?);
    let authority = lean.request(&handle)?.parts.uri.authority();
    let host = exchange.seen().host(authority.map(Authority::as_str));
    Ok(host.map(str::to_owned))
}

pub fn request_headers(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Resource<Fields>> {
    let exchange = Arc::clone(lean.exchange()?);
    let fields = lean.request(&handle)?.fields(exchange.seen());
    lean.push(Slot::Fields(fields))
}

pub fn consume(lean: &mut Lean, (handle,): (Resource<IncomingRequest>,)) -> Result<Once<IncomingBody>> {
    if std::mem::replace(&mut lean.request(&handle)?.consumed, true) {
        return Ok(Err(()));
    }
    Ok(Ok(lean.push(Slot::IncomingBody { streamed: false })?))
}

pub fn new(lean: &mut Lean, (fields,): (Resource<Fields>,)) -> Result<Resource<OutgoingResponse>> {
    let fields = lean.take_fields(&fields)?;
    lean.push(Slot::Response(Response {
        status: StatusCode::OK,
        fields,
        body: false,
    }))
}

pub fn status_code(lean: &mut Lean, (handle,): (Resource<OutgoingResponse>,)) -> Result<u16> {
    Ok(lean.response(&handle)?.status.as_u16())
}

pub fn set_status_code(
    lean: &mut Lean,
    (handle, status): (Resource<OutgoingResponse>, u16),
) -> Result<std::result::Result<(), ()>> {
    let response = lean.response(&handle)?;
    let status = StatusCode::from_u16(status).map(|status| response.status = status);
    Ok(status.map_err(drop))
}

pub fn response_headers(
    lean: &mut Lean,
    (handle,): (Resource<OutgoingResponse>,),
) -> Result<Resource<Fields>> {
    let mut fields = lean.response(&handle)?.fields.clone();
    fields.set_immutable();
    lean.push(Slot::Fields(fields))
}

pub fn body(lean: &mut Lean, (handle,): (Resource<OutgoingResponse>,)) -> Result<Once<OutgoingBody>> {
    if std::mem::replace(&mut lean.response(&handle)?.body, true) {
        return Ok(Err(()));
    }
    Ok(Ok(lean.push(Slot::OutgoingBody { written: false })?))
}

/// The guest gives its answer, whose body may go on.
pub fn set(lean: &mut Lean, (outparam, answer): (Resource<ResponseOutparam>, Answer)) -> Result<()> {
    lean.take(&outparam)?;
    let Ok(handle) = answer else {
        lean.exchange()?.state().refuse();
        return Ok(());
    };
    let Slot::Response(response) = lean.take(&handle)? else {
        return Err(unknown());
    };
    let exchange = lean.exchange()?;
    let mut state = exchange.state();
    state.set_head(response.status, response.fields.into());
    if !response.body {
        state.finish(None);
    }
    Ok(())
}

pub fn http_error_code(lean: &mut Lean, (handle,): (Resource<IoError>,)) -> Result<Option<ErrorCode>> {
    let failed = matches!(lean.slot(&handle)?, Slot::Failure(_));
    Ok(failed.then_some(ErrorCode::HttpProtocolError))
}

impl Request {
    /// Its fields, without those that are between two hops, and with what is known of the client.
    fn fields(&mut self, seen: &Seen) -> FieldMap {
        let fields = self.fields.get_or_insert_with(|| {
            let mut fields = std::mem::take(&mut self.parts.headers);
            seen.inform(&mut fields, self.parts.uri.authority().map(Authority::as_str));
            FieldMap::new_immutable(&mut Rules, fields)
        });
        fields.clone()
    }
}

impl Lean {
    fn request(&mut self, handle: &Resource<IncomingRequest>) -> Result<&mut Request> {
        match self.slot(handle)? {
            Slot::Request(request) => Ok(request),
            _ => Err(unknown()),
        }
    }

    fn response(&mut self, handle: &Resource<OutgoingResponse>) -> Result<&mut Response> {
        match self.slot(handle)? {
            Slot::Response(response) => Ok(response),
            _ => Err(unknown()),
        }
    }
}
