//! Instances that answer several requests, one after the other or at once, where the author of their application chose that.
//!
//! Each is driven by a task of its own, and not by that of a connection, as it serves several. Requests take a [`Seat`] in one:
//! whose client goes away, or whose time is over, leaves a guest that still works for it, and that instance gets no others.

use super::Component;
use super::answering::{Answering, Progress};
use super::instance::{Fate, Task, task};
use crate::arriving::{Arriving, Lent, lend};
use crate::calls::{Calls, Live};
use crate::exchange::Exchange;
use crate::observe::identity::RequestId;
use crate::observe::record::{Peak, Seen};
use crate::pool::PATIENCE;
use crate::settings::Reuse;
use crate::statistics::Account;
use crate::turns::{Line, Turn};
use http::Request;
use http::request::Parts;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use wherry_engine::error::{Error, Kind};
use wherry_engine::limits::Limits;
use wherry_engine::outgoing::Outgoing;
use wherry_engine::ticker::Ticking;

/// The instances of one component.
pub struct Shared {
    component: Arc<Component>,
    limits: Limits,
    reuse: Reuse,
    line: Line,
    instances: Mutex<Vec<Arc<Runner>>>,
}

/// An instance, for those who give it tasks.
struct Runner {
    /// What becomes of the requests that its guest sends.
    calls: Arc<Live>,
    fate: Arc<Fate>,
    state: Mutex<State>,
    /// Nobody waits for it any more, though it may still work.
    abandoned: Notify,
    over: watch::Sender<bool>,
}

struct State {
    /// Where its tasks go; gone when there will be no others.
    given: Option<mpsc::UnboundedSender<Task>>,
    begun: u32,
    live: u32,
    /// Since when it has no task.
    since: Instant,
    /// A request was broken off in it.
    broken: bool,
    failure: Option<wasmtime::Error>,
}

/// A seat, what takes over the answer there, and what is told when the instance is done with the request.
type Seated = (Seat, Answering, oneshot::Receiver<()>);

/// A place among the tasks of an instance.
struct Seat {
    runner: Arc<Runner>,
    calls: Arc<Calls>,
    done: bool,
}

impl Shared {
    /// Instances of this component, used again like that.
    pub fn new(component: Arc<Component>, limits: Limits, reuse: Reuse, line: Line) -> Self {
        Self {
            component,
            limits,
            reuse,
            line,
            instances: Mutex::default(),
        }
    }

    /// Answers one request, in an instance that has room for it or in a new one.
    pub async fn answer(
        &self,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let (lent, _loan) = lend(arriving);
        let request = Request::from_parts(parts, lent);
        let (mut seat, mut answering, quiet) = self.seat(request, exchange.seen());
        poll_fn(|context| {
            loop {
                match answering.poll(&exchange, context) {
                    Progress::Some => {}
                    Progress::None => return Poll::Pending,
                    Progress::Over => return Poll::Ready(()),
                }
            }
        })
        .await;
        if quiet.await.is_err() {
            return Err(seat.failure().await);
        }
        seat.done = true;
        Ok(())
    }

    /// A place for a request, which begins there.
    fn seat(&self, mut request: Request<Lent>, seen: &Seen) -> Seated {
        let calls = seen.calls();
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.retain(|runner| runner.state().given.is_some());
        for runner in &*instances {
            match runner.seat(request, self.reuse, &calls) {
                Ok(seated) => return seated,
                Err(back) => request = *back,
            }
        }
        loop {
            let runner = self.start(seen.account());
            instances.push(Arc::clone(&runner));
            match runner.seat(request, self.reuse, &calls) {
                Ok(seated) => return seated,
                Err(back) => request = *back,
            }
        }
    }

    /// A new instance, on a task of its own.
    fn start(&self, account: &Arc<Account>) -> Arc<Runner> {
        let (given, given_to) = mpsc::unbounded_channel();
        let runner = Arc::new(Runner {
            calls: Arc::default(),
            fate: Arc::default(),
            state: Mutex::new(State {
                given: Some(given),
                begun: 0,
                live: 0,
                since: Instant::now(),
                broken: false,
                failure: None,
            }),
            abandoned: Notify::new(),
            over: watch::Sender::new(false),
        });
        let (component, limits) = (Arc::clone(&self.component), self.limits.clone());
        let (own, several, line) = (Arc::clone(&runner), self.reuse.at_once > 1, self.line);
        let account = Arc::clone(account);
        tokio::spawn(async move {
            let _ticking = Ticking::start();
            let mut turn = Turn::new(line, &limits);
            let running = async {
                let fate = Arc::clone(&own.fate);
                // Which of its requests prints something is not known: it has a name of its own.
                let voices = account.guests.voices(account.speaker(RequestId::new(), None));
                let mut store = component.sandboxes.store(&limits, &voices)?;
                store
                    .data_mut()
                    .hear(Some(Arc::clone(&own.calls) as Arc<dyn Outgoing>));
                let _peak = Peak::new(store.data().meter.watched(), Arc::clone(&account));
                let instance = component.instance(store, given_to, fate, several).await?;
                instance.run().await
            };
            let mut running = Box::pin(running);
            let ended = tokio::select! {
                biased;
                () = own.abandoned() => Ok(()),
                ended = poll_fn(|context| turn.poll(context, |context| running.as_mut().poll(context))) => ended,
            };
            // Before anybody hears of its end.
            drop(running);
            own.state().end(ended);
            own.over.send_replace(true);
        });
        runner
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What runs comes to its end.
        for runner in self
            .instances
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            runner.state().given = None;
        }
    }
}

impl State {
    fn end(&mut self, ended: wasmtime::Result<()>) {
        self.given = None;
        self.failure = ended.err();
    }
}

impl Runner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one more request, or gives it back.
    fn seat(
        self: &Arc<Self>,
        request: Request<Lent>,
        reuse: Reuse,
        calls: &Arc<Calls>,
    ) -> Result<Seated, Box<Request<Lent>>> {
        let mut state = self.state();
        if self.fate.is_spent() {
            state.given = None;
        }
        let State {
            given, begun, live, ..
        } = &mut *state;
        let Some(tasks) = given.as_ref().filter(|_| *live < reuse.at_once) else {
            return Err(Box::new(request));
        };
        let (task, answering, quiet) = task(request, Arc::clone(&self.fate));
        self.calls.begin(calls);
        // Where it is gone just now, who waits for the answer hears of that.
        let _ = tasks.send(task);
        *live += 1;
        *begun += 1;
        if *begun >= reuse.most {
            *given = None;
        }
        drop(state);
        let seat = Seat {
            runner: Arc::clone(self),
            calls: Arc::clone(calls),
            done: false,
        };
        Ok((seat, answering, quiet))
    }

    /// Waits until nobody needs it any more, whatever its guest does.
    async fn abandoned(&self) {
        loop {
            let told = tokio::time::timeout(PATIENCE / 2, self.abandoned.notified()).await;
            let mut state = self.state();
            let idle = state.live == 0 && state.since.elapsed() >= PATIENCE / 2;
            if idle || (told.is_ok() && state.live == 0 && state.broken) {
                state.given = None;
                return;
            }
        }
    }
}

impl Seat {
    /// Why there will be no answer.
    async fn failure(&self) -> wasmtime::Error {
        let mut over = self.runner.over.subscribe();
        // Whoever says so is there as long as this is.
        let _ = over.wait_for(|over| *over).await;
        self.runner.state().failure.take().unwrap_or_else(|| {
            let message = "another request ended the instance that answered this one";
            Error::new(Kind::Trap, message)
                .with_hint("it is used for several at once, as its `concurrency` says")
                .into()
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.runner.calls.end(&self.calls);
        let mut state = self.runner.state();
        state.live -= 1;
        state.since = Instant::now();
        if !self.done {
            state.broken = true;
            state.given = None;
        }
        let left = state.broken && state.live == 0;
        drop(state);
        if left {
            self.runner.abandoned.notify_one();
        }
    }
}
