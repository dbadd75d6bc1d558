//! The full host of WASI 0.2: the engine's own linker, with all of WASI as the policy grants it.
//!
//! Its answer goes the way of the lean one: what its body gives is written to the [`Exchange`], so that limits and framing
//! stand in one place.

use crate::arriving::{Arriving, lend};
use crate::exchange::Exchange;
use crate::observe::guests::Voices;
use crate::observe::record::{Peak, Seen};
use crate::observe::spans::{Spanning, Trace};
use crate::pool::{Pool, Used};
use crate::pump::{self, Moved};
use crate::running::in_slice;
use crate::sandboxes::{Sandboxes, again};
use http::request::Parts;
use http::{Request, Response};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wherry_engine::error::Result;
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;

/// A component that is linked with all of WASI.
pub struct Full {
    sandboxes: Sandboxes,
    proxy: ProxyPre<Guest>,
    pool: Arc<Pool<Instance>>,
}

/// A sandbox with the component in it.
struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    voices: Voices,
    /// Notes what it used, when it goes.
    _peak: Peak,
}

/// The body of an answer, once there is one.
type Answered = Arc<Mutex<Option<HyperOutgoingBody>>>;

impl Full {
    /// Links a program, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// As [`Sandboxes::new`] and [`Sandboxes::exporting`].
    pub fn new(program: Program, policy: Policy, limits: &Limits, reuse: u32) -> Result<Self> {
        let sandboxes = Sandboxes::new(program, policy, limits)?;
        let proxy = sandboxes.exporting(ProxyPre::new)?;
        Ok(Self {
            sandboxes,
            proxy,
            pool: Pool::new(reuse),
        })
    }

    /// An instance that answered before, or a new one.
    async fn instance(&self, limits: &Limits, seen: &Seen) -> wasmtime::Result<Used<Instance>> {
        if let Some(mut used) = self.pool.take() {
            let instance = &mut used.instance;
            again(&mut instance.store, limits)?;
            instance.voices.speak_for(seen.speaker());
            seen.listen(instance.store.data_mut());
            return Ok(used);
        }
        let making = seen.trace().map(Trace::instance);
        let (mut store, voices, peak) = self.sandboxes.of(seen, limits)?;
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        drop(making);
        Ok(Used::new(Instance {
            store,
            proxy,
            voices,
            _peak: peak,
        }))
    }

    /// Answers one request, with a guest of its own unless instances are used again.
    pub async fn answer(
        &self,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let seen = exchange.seen();
        let mut used = self.instance(limits, seen).await?;
        let Instance { store, proxy, .. } = &mut used.instance;
        let (lent, loan) = lend(arriving);
        let body = Answered::default();
        let set = {
            let (exchange, body) = (Arc::clone(&exchange), Arc::clone(&body));
            move |answer| take_over(&exchange, &body, answer)
        };
        let scheme = if seen.client().secure {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let parts = seen.informed(parts);
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(scheme, Request::from_parts(parts, lent))?;
        let outparam = http.new_response_outparam_from_callback(set)?;
        let running = seen.trace().map(Trace::guest);
        let handler = proxy.wasi_http_incoming_handler();
        let result = {
            let mut call = pin!(handler.call_handle(&mut *store, request, outparam));
            // The guest and the body that it writes take turns; what is written before the guest waits goes out together.
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(result) = call.as_mut().poll(context) {
                        return Poll::Ready(result);
                    }
                    if pump(&body, &exchange, context) != Moved::Bytes || in_slice() {
                        return Poll::Pending;
                    }
                }
            })
            .await
        };
        Spanning::over(running, &result);
        if result.is_err() {
            exchange.note_memory(&used.instance.store.data().meter);
            // What its guest left open is not whole.
            poll_fn(|context| {
                while pump(&body, &exchange, context) == Moved::Bytes {}
                Poll::Ready(())
            })
            .await;
            return result;
        }
        drop(loan);
        if self.pool.wants(&used) && poll_fn(|context| poll_over(&body, &exchange, context)).await {
            used.instance.voices.rest();
            used.instance.store.data_mut().hear(None);
            if used.instance.store.data_mut().renew() {
                self.pool.put(used);
            }
            return result;
        }
        // The end of a body that the guest left open is the end of its guest.
        drop(used);
        poll_fn(|context| rest(&body, &exchange, context)).await;
        result
    }
}

/// Whether a guest that returned has ended the body of its answer, once the client took what there was of it.
fn poll_over(
    body: &Mutex<Option<HyperOutgoingBody>>,
    exchange: &Exchange,
    context: &mut Context<'_>,
) -> Poll<bool> {
    loop {
        match pump(body, exchange, context) {
            Moved::Bytes => {}
            Moved::Nothing if exchange.state().room() == Some(0) => return Poll::Pending,
            Moved::Nothing => return Poll::Ready(false),
            Moved::End(_) | Moved::Broken => return Poll::Ready(true),
        }
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

/// Moves all that is left, as there is room for it.
fn rest(body: &Mutex<Option<HyperOutgoingBody>>, exchange: &Exchange, context: &mut Context<'_>) -> Poll<()> {
    loop {
        match pump(body, exchange, context) {
            Moved::Bytes => {}
            Moved::Nothing => return Poll::Pending,
            Moved::End(_) | Moved::Broken => return Poll::Ready(()),
        }
    }
}

/// Moves what there is room for; what is over is.
fn pump(body: &Mutex<Option<HyperOutgoingBody>>, exchange: &Exchange, context: &mut Context<'_>) -> Moved {
    let mut slot = body.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(body) = slot.as_mut() else {
        return Moved::End(None);
    };
    let mut moved = pump::pump(body, exchange, context);
    match &mut moved {
        Moved::Nothing | Moved::Bytes => return moved,
        Moved::End(trailers) => drop(exchange.state().finish(trailers.take())),
        Moved::Broken => exchange.state().break_off(),
    }
    *slot = None;
    moved
}
