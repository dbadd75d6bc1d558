//! An instance that runs tasks until it is given no more of them, and what each answers.

use super::answering::{Answered, Answering};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, AccessorTask};
use wasmtime::{AsContextMut as _, Store};
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
    /// Told when its instance has done what the request began.
    quiet: oneshot::Sender<()>,
}

/// A component that answers requests, in a sandbox.
pub struct Instance {
    store: Store<Guest>,
    service: Arc<Service>,
    given: mpsc::UnboundedReceiver<Task>,
    fate: Arc<Fate>,
    several: bool,
}

/// What those who wait for an instance have to know of it.
#[derive(Default)]
pub struct Fate {
    /// It is gone before its tasks were over: a body that ends now is not whole.
    lost: AtomicBool,
    /// It should be given no more tasks.
    spent: AtomicBool,
}

impl Fate {
    /// Whether it is gone before its tasks were over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether it should be given no more tasks.
    pub fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed) || self.is_lost()
    }

    /// Notes that it should be given no more tasks.
    pub fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }
}

/// A task for a request, what takes over its answer, and what is told when the instance is done with it.
pub fn task<B>(request: Request<B>, fate: Arc<Fate>) -> (Task, Answering, oneshot::Receiver<()>)
where
    B: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let (answered, answer) = oneshot::channel();
    let (open, over) = oneshot::channel();
    let (quiet, told) = oneshot::channel();
    let task = Task {
        request: request.map(http_body_util::BodyExt::boxed_unsync),
        answered,
        over,
        quiet,
    };
    (task, Answering::new(answer, open, fate), told)
}

impl Instance {
    /// One that runs what it is given, one after the other or `several` at once.
    pub fn new(
        store: Store<Guest>,
        service: Service,
        given: mpsc::UnboundedReceiver<Task>,
        fate: Arc<Fate>,
        several: bool,
    ) -> Self {
        Self {
            store,
            service: Arc::new(service),
            given,
            fate,
            several,
        }
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
            several,
        } = &mut self;
        // Set before the store is dropped, which ends the bodies of its tasks.
        let losing = Losing(fate);
        let run = Run {
            service: Arc::clone(service),
            fate: Arc::clone(fate),
            several: *several,
            live: AtomicUsize::new(0),
            ended: Mutex::default(),
        };
        let run = Arc::new(run);
        store
            .run_concurrent(async |accessor| {
                poll_fn(|context| poll_given(accessor, given, &run, context)).await
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

/// What the tasks of an instance have in common.
struct Run {
    service: Arc<Service>,
    fate: Arc<Fate>,
    several: bool,
    /// How many are not over.
    live: AtomicUsize,
    /// Whom to tell when nothing is left of those that are.
    ended: Mutex<Vec<oneshot::Sender<()>>>,
}

/// Begins the tasks that are there; ready when there will be no others, and nothing is left of those that were.
fn poll_given(
    accessor: &Accessor<Guest>,
    given: &mut mpsc::UnboundedReceiver<Task>,
    run: &Arc<Run>,
    context: &mut Context<'_>,
) -> Poll<wasmtime::Result<()>> {
    let last = loop {
        match given.poll_recv(context) {
            Poll::Pending => break false,
            Poll::Ready(None) => break true,
            Poll::Ready(Some(task)) => {
                let run = Arc::clone(run);
                if let Err(error) = run.refill(accessor).and_then(|()| {
                    run.live.fetch_add(1, Ordering::Relaxed);
                    let run = Arc::clone(&run);
                    accessor.spawn(Begun { task, run }).map(drop)
                }) {
                    return Poll::Ready(Err(error));
                }
            }
        }
    };
    let mut ended = run.ended.lock().unwrap_or_else(PoisonError::into_inner);
    if run.live.load(Ordering::Relaxed) > 0 || (ended.is_empty() && !last) {
        return Poll::Pending;
    }
    ready!(accessor.poll_no_interesting_tasks(context));
    for quiet in ended.drain(..) {
        // Whose client went away does not want to know.
        let _ = quiet.send(());
    }
    if last { Poll::Ready(Ok(())) } else { Poll::Pending }
}

impl Run {
    /// Gives the instance the fuel for one more task.
    fn refill(&self, accessor: &Accessor<Guest>) -> wasmtime::Result<()> {
        let alone = self.live.load(Ordering::Relaxed) == 0;
        accessor.with(|mut store| {
            let mut store = store.as_context_mut();
            let Some(fuel) = store.data().fuel else {
                return Ok(());
            };
            let left = if alone { 0 } else { store.get_fuel()? };
            store.set_fuel(left.saturating_add(fuel))
        })
    }
}

/// A task in its instance.
struct Begun {
    task: Task,
    run: Arc<Run>,
}

impl AccessorTask<Guest> for Begun {
    async fn run(self, accessor: &Accessor<Guest>) -> wasmtime::Result<()> {
        let Self { task, run } = self;
        let Task {
            request,
            answered,
            over,
            quiet,
        } = task;
        // Nobody may be there any more, and the task goes on.
        let _ = answered.send(handle(accessor, &run.service, request).await?);
        let _ = over.await;
        if !accessor.with(|mut store| store.data_mut().renew()) {
            run.fate.spend();
        }
        run.live.fetch_sub(1, Ordering::Relaxed);
        if run.several {
            // What it still does is beside the others.
            let _ = quiet.send(());
        } else {
            run.ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(quiet);
        }
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
