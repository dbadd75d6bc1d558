//! The full host: the engine's own linker, with all of WASI as the policy grants it.
//!
//! Its answer goes the way of the lean one: what its body gives is written to the [`Exchange`], so that limits and framing
//! stand in one place.

use crate::application::in_slices;
use crate::arriving::Arriving;
use crate::exchange::Exchange;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;
use wherry_engine::sandbox::Linked;
use wherry_engine::stdio::{Input, Output, Standard, Stdio};

/// A component that is linked with all of WASI.
pub struct Full {
    linked: Linked,
    proxy: ProxyPre<Guest>,
    policy: Policy,
    arguments: Vec<String>,
}

/// The body of an answer, once there is one.
type Answered = Arc<Mutex<Option<HyperOutgoingBody>>>;

impl Full {
    /// Links a program, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// [`Kind::Link`] when it imports what nothing provides, [`Kind::Grant`] when a folder cannot be opened.
    pub fn new(program: Program, policy: Policy, limits: &Limits) -> Result<Self> {
        let arguments = vec![program.name.clone()];
        let linked = Linked::new(program, |_, _| Ok(()))?;
        let pre = linked.component().cloned();
        let proxy = pre.and_then(|pre| ProxyPre::new(pre).ok()).ok_or_else(|| {
            let message = format!("`{}` answers no HTTP requests", linked.program.name);
            Error::new(Kind::NoExport, message).with_hint("it exports the interface with other types")
        })?;
        let full = Self {
            linked,
            proxy,
            policy,
            arguments,
        };
        full.guest(limits).map(|_| full)
    }

    /// What the guest writes goes where this process tells of itself; standard output belongs to the server.
    fn guest(&self, limits: &Limits) -> Result<Guest> {
        let stdio = Stdio {
            input: Input::Empty,
            output: Output::Inherit(Standard::Err),
            error: Output::Inherit(Standard::Err),
            witness: None,
        };
        Guest::new(&self.policy, limits, &self.arguments, stdio)
    }

    /// Answers one request with a guest of its own.
    pub async fn answer(
        &self,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let guest = self.guest(limits)?;
        let mut store = self.linked.yielding_store(guest, limits)?;
        in_slices(&mut store);
        let body = Answered::default();
        let set = {
            let (exchange, body) = (Arc::clone(&exchange), Arc::clone(&body));
            move |answer| take_over(&exchange, &body, answer)
        };
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, Request::from_parts(parts, arriving))?;
        let outparam = http.new_response_outparam_from_callback(set)?;
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        let handler = proxy.wasi_http_incoming_handler();
        let result = {
            let mut call = pin!(handler.call_handle(&mut store, request, outparam));
            // The guest and the body that it writes take turns; what is written before the guest waits goes out together.
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(result) = call.as_mut().poll(context) {
                        return Poll::Ready(result);
                    }
                    if pump(&body, &exchange, context) != Moved::Bytes {
                        return Poll::Pending;
                    }
                }
            })
            .await
        };
        if result.is_err() {
            // What its guest left open is not whole.
            poll_fn(|context| {
                while pump(&body, &exchange, context) == Moved::Bytes {}
                Poll::Ready(())
            })
            .await;
            return result;
        }
        // The end of a body that the guest left open is the end of its guest.
        drop(store);
        poll_fn(|context| {
            loop {
                match pump(&body, &exchange, context) {
                    Moved::Bytes => {}
                    Moved::Nothing => return Poll::Pending,
                    Moved::End => return Poll::Ready(()),
                }
            }
        })
        .await;
        result
    }
}

/// Takes over what the guest answers.
fn take_over(
    exchange: &Exchange,
    body: &Mutex<Option<HyperOutgoingBody>>,
    answer: std::result::Result<Response<HyperOutgoingBody>, ErrorCode>,
) {
    let mut state = exchange.state();
    match answer {
        Ok(answer) => {
            let (head, arriving) = answer.into_parts();
            state.set_head(head.status, head.headers);
            *body.lock().unwrap_or_else(PoisonError::into_inner) = Some(arriving);
        }
        Err(_) => state.refuse(),
    }
}

/// What came of moving bytes from the guest's body to the connection.
#[derive(PartialEq)]
enum Moved {
    Nothing,
    Bytes,
    End,
}

/// Moves what there is room for.
fn pump(body: &Mutex<Option<HyperOutgoingBody>>, exchange: &Exchange, context: &mut Context<'_>) -> Moved {
    let mut slot = body.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(body) = slot.as_mut() else {
        return Moved::End;
    };
    if exchange.state().room() == Some(0) {
        return Moved::Nothing;
    }
    let polled = Pin::new(body).poll_frame(context);
    let mut state = exchange.state();
    match polled {
        Poll::Pending => return Moved::Nothing,
        Poll::Ready(None) => {
            state.finish(None);
        }
        Poll::Ready(Some(Err(_))) => state.break_off(),
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(bytes) => {
                let bytes: Bytes = bytes;
                if state.write(&bytes) {
                    return Moved::Bytes;
                }
            }
            Err(frame) => {
                state.finish(frame.into_trailers().ok());
            }
        },
    }
    *slot = None;
    Moved::End
}
