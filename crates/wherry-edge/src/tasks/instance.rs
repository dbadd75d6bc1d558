//! An instance that runs tasks until it is given no more of them, and what each answers.

use super::answering::{Answered, Answering};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use wasmtime::Store;
use wasmtime::component::{Accessor, AccessorTask};
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView as _, p3};
use wherry_engine::guest::Guest;

/// A request that waits for its instance.
pub struct Task {
    request: Request<WasiBody>,
    answered: oneshot::Sender<Result<Answered, ErrorCode>>,
    /// Ends when nobody wants more of the answer.
    over: oneshot::Receiver<()>,
}

/// A component that answers requests, in a sandbox.
pub struct Instance {
    store: Store<Guest>,
    service: Arc<Service>,
    given: mpsc::UnboundedReceiver<Task>,
    fate: Arc<Fate>,
}

/// What those who wait for an instance have to know of it.
#[derive(Default)]
pub struct Fate {
    /// It is gone before its tasks were over: a body that ends now is not whole.
    lost: AtomicBool,
}

impl Fate {
    /// Whether it is gone before its tasks were over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

/// A task for a request, and what takes over its answer.
pub fn task<B>(request: Request<B>, fate: Arc<Fate>) -> (Task, Answering)
where
    B: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let (answered, answer) = oneshot::channel();
    let (open, over) = oneshot::channel();
    let task = Task {
        request: request.map(http_body_util::BodyExt::boxed_unsync),
        answered,
        over,
    };
    (task, Answering::new(answer, open, fate))
}

impl Instance {
    /// One that runs what it is given.
    pub fn new(store: Store<Guest>, service: Service, given: mpsc::UnboundedReceiver<Task>) -> Self {
        Self {
            store,
            service: Arc::new(service),
            given,
            fate: Arc::default(),
        }
    }

    /// What becomes of it.
    pub fn fate(&self) -> Arc<Fate> {
        Arc::clone(&self.fate)
    }

    /// Runs tasks until it is given no more, and all of them and what they began are over.
    ///
    /// # Errors
    /// What ended the guest, and with it all of its tasks.
    pub async fn run(mut self) -> wasmtime::Result<()> {
        let Self {
            store,
            service,
            given,
            fate,
        } = &mut self;
        // Set before the store is dropped, which ends the bodies of its tasks.
        let losing = Losing(fate);
        store
            .run_concurrent(async |accessor| {
                let live = Arc::new(AtomicUsize::new(0));
                poll_fn(|context| poll_given(accessor, service, given, &live, context)).await
            })
            .await??;
        std::mem::forget(losing);
        Ok(())
    }
}

/// Says that an instance is lost, unless it came to its own end.
struct Losing<'a>(&'a Fate);

impl Drop for Losing<'_> {
    fn drop(&mut self) {
        self.0.lost.store(true, Ordering::Release);
    }
}

/// Begins the tasks that are there; ready when there will be no others, and nothing is left of those that were.
fn poll_given(
    accessor: &Accessor<Guest>,
    service: &Arc<Service>,
    given: &mut mpsc::UnboundedReceiver<Task>,
    live: &Arc<AtomicUsize>,
    context: &mut Context<'_>,
) -> Poll<wasmtime::Result<()>> {
    loop {
        match given.poll_recv(context) {
            Poll::Ready(Some(task)) => {
                live.fetch_add(1, Ordering::Relaxed);
                let (service, live) = (Arc::clone(service), Arc::clone(live));
                if let Err(error) = accessor.spawn(Begun { task, service, live }) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(None) if live.load(Ordering::Relaxed) == 0 => {
                return accessor.poll_no_interesting_tasks(context).map(Ok);
            }
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        }
    }
}

/// A task in its instance.
struct Begun {
    task: Task,
    service: Arc<Service>,
    live: Arc<AtomicUsize>,
}

impl AccessorTask<Guest> for Begun {
    async fn run(self, accessor: &Accessor<Guest>) -> wasmtime::Result<()> {
        let Task {
            request,
            answered,
            over,
        } = self.task;
        // Nobody may be there any more, and the task goes on.
        let _ = answered.send(handle(accessor, &self.service, request).await?);
        let _ = over.await;
        self.live.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Has the guest handle a request.
async fn handle(
    accessor: &Accessor<Guest>,
    service: &Service,
    request: Request<WasiBody>,
) -> wasmtime::Result<Result<Answered, ErrorCode>> {
    let request = accessor.with(|mut store| {
        let (request, _processed) = p3::Request::from_http(store.get().http().hooks, request);
        request
    });
    let mut response = match service.handle(accessor, request).await? {
        Ok(response) => response,
        Err(code) => return Ok(Err(code)),
    };
    let status = response.status;
    // What they say of the length is held to by the exchange, and nowhere else.
    let fields: HeaderMap = std::mem::take(&mut response.headers).into();
    let (sent, told) = oneshot::channel();
    let told = async { told.await.unwrap_or(Ok(())) };
    let response = accessor.with(|store| response.into_http(store, told))?;
    Ok(Ok(Answered {
        status,
        fields,
        body: response.into_body(),
        sent,
    }))
}
