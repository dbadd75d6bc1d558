//! The request that a guest asks about, and the answer that it puts together.

use super::{
    Fields, IncomingBody, IncomingRequest, IoError, Lean, OutgoingBody, OutgoingResponse, Request, Response,
    ResponseOutparam, Rules, Slot, resource, unknown,
};
use http::StatusCode;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, Scheme};

type Store<'a> = StoreContextMut<'a, Lean>;
type Once<T> = Result<(std::result::Result<Resource<T>, ()>,)>;

/// Links the resources of requests and answers, and what says why a stream failed.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<IncomingRequest>(types, "incoming-request")?;
    resource::<OutgoingResponse>(types, "outgoing-response")?;
    resource::<ResponseOutparam>(types, "response-outparam")?;
    request(types)?;
    response(types)?;
    types.func_wrap("[static]response-outparam.set", set)?;
    types.func_wrap(
        "http-error-code",
        |mut store: Store<'_>, (handle,): (Resource<IoError>,)| -> Result<(Option<ErrorCode>,)> {
            let failed = matches!(store.data_mut().slot(&handle)?, Slot::Failure(_));
            Ok((failed.then_some(ErrorCode::HttpProtocolError),))
        },
    )
}

fn request(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    types.func_wrap(
        "[method]incoming-request.method",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| -> Result<(Method,)> {
            Ok((store.data_mut().request(&handle)?.parts.method.clone().into(),))
        },
    )?;
    types.func_wrap(
        "[method]incoming-request.path-with-query",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| -> Result<(Option<String>,)> {
            let path = store.data_mut().request(&handle)?.parts.uri.path_and_query();
            Ok((path.map(|path| path.as_str().to_owned()),))
        },
    )?;
    types.func_wrap(
        "[method]incoming-request.scheme",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| -> Result<(Option<Scheme>,)> {
            store.data_mut().request(&handle)?;
            Ok((Some(Scheme::Http),))
        },
    )?;
    types.func_wrap(
        "[method]incoming-request.authority",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| -> Result<(Option<String>,)> {
            let authority = store.data_mut().request(&handle)?.parts.uri.authority();
            Ok((authority.map(|authority| authority.as_str().to_owned()),))
        },
    )?;
    types.func_wrap(
        "[method]incoming-request.headers",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| {
            let lean = store.data_mut();
            let fields = lean.request(&handle)?.fields();
            Ok((lean.push::<Fields>(Slot::Fields(fields))?,))
        },
    )?;
    types.func_wrap(
        "[method]incoming-request.consume",
        |mut store: Store<'_>, (handle,): (Resource<IncomingRequest>,)| -> Once<IncomingBody> {
            let lean = store.data_mut();
            if std::mem::replace(&mut lean.request(&handle)?.consumed, true) {
                return Ok((Err(()),));
            }
            Ok((Ok(lean.push(Slot::IncomingBody { streamed: false })?),))
        },
    )
}

fn response(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    types.func_wrap(
        "[constructor]outgoing-response",
        |mut store: Store<'_>, (fields,): (Resource<Fields>,)| {
            let lean = store.data_mut();
            let fields = lean.take_fields(&fields)?;
            let response = Response {
                status: StatusCode::OK,
                fields,
                body: false,
            };
            Ok((lean.push::<OutgoingResponse>(Slot::Response(response))?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.status-code",
        |mut store: Store<'_>, (handle,): (Resource<OutgoingResponse>,)| {
            Ok((store.data_mut().response(&handle)?.status.as_u16(),))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.set-status-code",
        |mut store: Store<'_>,
         (handle, status): (Resource<OutgoingResponse>, u16)|
         -> Result<(std::result::Result<(), ()>,)> {
            let response = store.data_mut().response(&handle)?;
            let status = StatusCode::from_u16(status).map(|status| response.status = status);
            Ok((status.map_err(drop),))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.headers",
        |mut store: Store<'_>, (handle,): (Resource<OutgoingResponse>,)| {
            let lean = store.data_mut();
            let mut fields = lean.response(&handle)?.fields.clone();
            fields.set_immutable();
            Ok((lean.push::<Fields>(Slot::Fields(fields))?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.body",
        |mut store: Store<'_>, (handle,): (Resource<OutgoingResponse>,)| -> Once<OutgoingBody> {
            let lean = store.data_mut();
            if std::mem::replace(&mut lean.response(&handle)?.body, true) {
                return Ok((Err(()),));
            }
            Ok((Ok(lean.push(Slot::OutgoingBody { written: false })?),))
        },
    )
}

/// The guest gives its answer, whose body may go on.
fn set(
    mut store: Store<'_>,
    (outparam, answer): (
        Resource<ResponseOutparam>,
        std::result::Result<Resource<OutgoingResponse>, ErrorCode>,
    ),
) -> Result<()> {
    let lean = store.data_mut();
    lean.take(&outparam)?;
    let Ok(handle) = answer else {
        lean.exchange.state().refuse();
        return Ok(());
    };
    let Slot::Response(response) = lean.take(&handle)? else {
        return Err(unknown());
    };
    let mut state = lean.exchange.state();
    state.set_head(response.status, response.fields.into());
    if !response.body {
        state.finish(None);
    }
    Ok(())
}

impl Request {
    /// Its fields, without those that are between two hops.
    fn fields(&mut self) -> FieldMap {
        let fields = self.fields.get_or_insert_with(|| {
            FieldMap::new_immutable(&mut Rules, std::mem::take(&mut self.parts.headers))
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
