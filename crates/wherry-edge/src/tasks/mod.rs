//! Handlers of WASI 0.3: a request is a task of its instance, and its body and that of the answer are streams.
//!
//! An [`instance`] runs tasks as they are given to it, and [`answering`] takes over what they answer. Both are driven by the task
//! of the connection, when the instance is for one request. Start at [`Tasks::answer`].

mod answering;
mod instance;

use crate::arriving::Arriving;
use crate::exchange::Exchange;
use crate::sandboxes::Sandboxes;
use answering::Progress;
use http::Request;
use http::request::Parts;
use instance::{Instance, task};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wherry_engine::error::Result;
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;

/// A component that is linked with all of WASI, of both generations.
pub struct Tasks {
    sandboxes: Sandboxes,
    service: ServicePre<Guest>,
}

impl Tasks {
    /// Links a program, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// As [`Sandboxes::new`] and [`Sandboxes::exporting`].
    pub fn new(program: Program, policy: Policy, limits: &Limits) -> Result<Self> {
        let sandboxes = Sandboxes::new(program, policy, limits)?;
        let service = sandboxes.exporting(ServicePre::new)?;
        Ok(Self { sandboxes, service })
    }

    /// Answers one request with a guest of its own.
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
        let mut store = self.sandboxes.store(limits)?;
        let service = self.service.instantiate_async(&mut store).await?;
        let (given, given_to) = mpsc::unbounded_channel();
        let instance = Instance::new(store, service, given_to);
        let (task, mut answering) = task(Request::from_parts(parts, arriving), instance.fate());
        // One, and there will be no others.
        let _ = given.send(task);
        drop(given);
        let mut running = pin!(instance.run());
        // The guest and the body that it writes take turns; what is written before the guest waits goes out together.
        poll_fn(|context| {
            loop {
                if let Poll::Ready(ended) = running.as_mut().poll(context) {
                    answering.last(&exchange, context);
                    return Poll::Ready(ended);
                }
                if answering.poll(&exchange, context) != Progress::Some {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
