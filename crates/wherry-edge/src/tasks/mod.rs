//! Handlers of WASI 0.3: a request is a task of its instance, and its body and that of the answer are streams.
//!
//! An [`instance`] runs tasks as they are given to it, and [`answering`] takes over what they answer. Both are driven by the task
//! of the connection, unless instances are [`shared`]. Start at [`Tasks::answer`].

mod answering;
mod instance;
mod shared;

use crate::arriving::Arriving;
use crate::exchange::Exchange;
use crate::observe::spans::{Spanning, Trace};
use crate::running::in_slice;
use crate::sandboxes::Sandboxes;
use crate::settings::Reuse;
use crate::turns::Line;
use answering::Progress;
use http::Request;
use http::request::Parts;
use instance::{Fate, Instance, Task, task};
use shared::Shared;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc;
use wasmtime::Store;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wherry_engine::error::Result;
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;

/// A component that is linked with all of WASI, of both generations.
pub struct Tasks {
    component: Arc<Component>,
    /// Where one instance answers several requests.
    shared: Option<Shared>,
}

/// What instances are made from.
struct Component {
    sandboxes: Sandboxes,
    service: ServicePre<Guest>,
}

impl Component {
    /// A new instance, which runs what it is given, one task or several at once.
    async fn instance(
        &self,
        mut store: Store<Guest>,
        given: mpsc::UnboundedReceiver<Task>,
        fate: Arc<Fate>,
        several: bool,
    ) -> wasmtime::Result<Instance> {
        let service = self.service.instantiate_async(&mut store).await?;
        Ok(Instance::new(store, service, given, fate, several))
    }
}

impl Tasks {
    /// Links a program, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// As [`Sandboxes::new`] and [`Sandboxes::exporting`].
    pub fn new(program: Program, policy: Policy, limits: &Limits, reuse: Reuse, line: Line) -> Result<Self> {
        let sandboxes = Sandboxes::new(program, policy, limits)?;
        let service = sandboxes.exporting(ServicePre::new)?;
        let component = Arc::new(Component { sandboxes, service });
        let shared =
            (reuse.most > 1).then(|| Shared::new(Arc::clone(&component), limits.clone(), reuse, line));
        Ok(Self { component, shared })
    }

    /// Answers one request, with a guest of its own unless instances are shared.
    ///
    /// # Errors
    /// What ended the guest.
    pub async fn answer(
        &self,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let seen = exchange.seen();
        let parts = seen.informed(parts);
        if let Some(shared) = &self.shared {
            let spanning = seen.trace().map(Trace::guest);
            let result = shared.answer(parts, arriving, Arc::clone(&exchange)).await;
            Spanning::over(spanning, &result);
            return result;
        }
        let (given, given_to) = mpsc::unbounded_channel();
        let fate = Arc::<Fate>::default();
        let (task, mut answering, _quiet) = task(Request::from_parts(parts, arriving), Arc::clone(&fate));
        let making = seen.trace().map(Trace::instance);
        let (store, _voices, _peak) = self.component.sandboxes.of(seen, limits)?;
        let instance = self.component.instance(store, given_to, fate, false).await?;
        drop(making);
        // One, and there will be no others.
        let _ = given.send(task);
        drop(given);
        let spanning = seen.trace().map(Trace::guest);
        let mut running = pin!(instance.run());
        // The guest and the body that it writes take turns; what is written before the guest waits goes out together.
        let result = poll_fn(|context| {
            loop {
                if let Poll::Ready(ended) = running.as_mut().poll(context) {
                    answering.last(&exchange, context);
                    return Poll::Ready(ended);
                }
                if answering.poll(&exchange, context) != Progress::Some || in_slice() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        Spanning::over(spanning, &result);
        result
    }
}
