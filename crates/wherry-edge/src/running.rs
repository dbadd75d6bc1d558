//! A guest while it answers: driven by the task of its connection, watched by its deadline.
//!
//! [`Running`] is polled for the head first, and then, as the body of the answer, for each piece. So a guest runs only as fast
//! as its client reads, and ends when the client goes. What is left to do after its answer goes to a task of its own.

use crate::admission::Places;
use crate::application::Application;
use crate::exchange::{Asked, End, Exchange, State};
use crate::turns::Turn;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};
use wherry_engine::error::{Error, Kind};
use wherry_engine::ticker::Ticking;
use wherry_engine::trap::{Allowed, explain};

/// How long a guest may compute on between the head of its answer and what it does next, before the head goes out.
const HELD: Duration = Duration::from_millis(100);

thread_local! {
    /// Whether the guest that was polled last on this thread gave way as its slice was over, and waits for nothing.
    static SLICED: Cell<bool> = const { Cell::new(false) };
}

/// Notes that the slice of a guest is over.
pub fn note_slice() {
    SLICED.set(true);
}

/// Begins one.
pub fn begin_slice() {
    SLICED.set(false);
}

/// Whether it was over before the guest had to wait.
pub fn in_slice() -> bool {
    SLICED.get()
}

/// A guest that was called.
pub type Call = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

/// Why there is no answer, or no whole one.
#[derive(Debug)]
pub enum Failure {
    /// The guest ended in a trap, or the host could not go on.
    Trap(Error),
    /// It was not done in time.
    Time,
    /// The request turned out to be none: malformed, too large or too slow, as the status says.
    Request(StatusCode),
    /// No more guests fit into memory.
    Busy,
    /// The guest gave no answer, or one that cannot be sent.
    NoAnswer,
    /// Its answer is larger than it may be.
    TooMuch,
}

impl Failure {
    /// What there is to say about it.
    pub fn words(&self) -> String {
        match self {
            Self::Trap(error) => error.message().to_owned(),
            Self::NoAnswer => "the guest gave no answer, or one that cannot be sent".to_owned(),
            Self::TooMuch => "the body of the answer is larger than `max-response`".to_owned(),
            Self::Time => "the guest ran longer than its time limit".to_owned(),
            Self::Request(status) => format!("the body of the request is refused: {status}"),
            Self::Busy => "no more guests fit into memory".to_owned(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Trap(error) => error.hint(),
            Self::Time => Some("raise it with `--timeout`, or answer sooner"),
            Self::TooMuch => Some("raise it with `--max-response`"),
            Self::NoAnswer => {
                Some("set the answer before the handler returns, with a length that is that of its body")
            }
            Self::Request(_) | Self::Busy => None,
        }
    }
}

/// A guest that answers.
pub struct Running {
    call: Option<Call>,
    exchange: Arc<Exchange>,
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// When its client was last given a piece that it had to wait for.
    handed: Option<Instant>,
    /// Since when it waits for more of the request, and until when its client has time to send that.
    awaiting: Option<(Instant, Instant)>,
    turn: Turn,
    _places: Places,
    _ticking: Ticking,
}

impl Running {
    /// A guest of this application.
    pub fn new(call: Call, exchange: Arc<Exchange>, application: &Application, places: Places) -> Self {
        let limits = application.limits();
        Self {
            call: Some(call),
            exchange,
            deadline: limits.timeout.map(|time| Instant::now() + time),
            sleep: None,
            handed: None,
            awaiting: None,
            turn: Turn::new(application.line, limits),
            _places: places,
            _ticking: Ticking::start(),
        }
    }

    /// The answer as it stands.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether the guest came to its end.
    pub fn is_over(&self) -> bool {
        self.call.is_none()
    }

    /// Runs the guest until it has to wait; says whether it is over, or why it failed.
    fn poll_guest(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(call) = &mut self.call else {
            return Poll::Ready(Ok(()));
        };
        if let Some((since, until)) = self.awaiting.take()
            && let Some(deadline) = &mut self.deadline
        {
            // Nor is what it takes to send.
            *deadline += Instant::now().min(until).saturating_duration_since(since);
        }
        let polled = self.turn.poll(context, |context| call.as_mut().poll(context));
        if self.deadline.is_some() && polled.is_pending() && !in_slice() {
            let until = self.exchange.state().awaited();
            self.awaiting = until.map(|until| (Instant::now(), until));
        }
        let failure = if let Some(status) = self.exchange.fault() {
            Failure::Request(status)
        } else {
            match polled {
                Poll::Ready(Ok(())) => {
                    self.call = None;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => failed(error, &self.exchange),
                Poll::Pending if !self.late(context) => return Poll::Pending,
                // Where it waits for its turn meanwhile, nobody looked whether its client was too slow.
                Poll::Pending => match self.exchange.state().awaited() {
                    Some(until) if Instant::now() >= until => Failure::Request(StatusCode::REQUEST_TIMEOUT),
                    _ => Failure::Time,
                },
            }
        };
        // What the guest holds is given back before anybody hears of it.
        self.call = None;
        Poll::Ready(Err(failure))
    }

    /// Whether the guest had its time; else its task is woken then.
    fn late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(mut deadline) = self.deadline else {
            return false;
        };
        if let Some((since, until)) = self.awaiting {
            deadline += until.saturating_duration_since(since);
        }
        if Instant::now() >= deadline {
            return true;
        }
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        if sleep.deadline() != deadline.into() {
            sleep.as_mut().reset(deadline.into());
        }
        sleep.as_mut().poll(context).is_ready()
    }

    /// Runs the guest until there is a head, or there will be none.
    pub async fn head(&mut self) -> Result<(StatusCode, HeaderMap), Failure> {
        let mut held: Option<Instant> = None;
        poll_fn(|context| {
            let polled = self.poll_guest(context);
            let waits = polled.is_pending();
            let mut state = self.exchange.state();
            match polled {
                // An answer that is whole is one, whatever its guest does afterwards; one to half a request is not.
                Poll::Ready(Err(failure))
                    if matches!(failure, Failure::Request(_)) || !matches!(state.end(), End::Finished(_)) =>
                {
                    return Poll::Ready(Err(failure));
                }
                Poll::Ready(Err(failure)) => self.exchange.seen().tell(&failure),
                // A body that its guest leaves open ends with it, as the reference host has it.
                Poll::Ready(Ok(())) => {
                    state.finish(None);
                }
                Poll::Pending => {}
            }
            match state.take_head() {
                Asked::Head(..) if *state.end() == End::Broken => Poll::Ready(Err(unsent(&mut state))),
                // Whether there is a length does not hang on when a slice ends: a guest that computes is waited for.
                Asked::Head(status, fields)
                    if waits && in_slice() && held.get_or_insert_with(Instant::now).elapsed() < HELD =>
                {
                    state.put_back(status, fields);
                    Poll::Pending
                }
                Asked::Head(status, fields) => Poll::Ready(Ok((status, fields))),
                Asked::Missing if waits => Poll::Pending,
                Asked::Missing | Asked::Refused => Poll::Ready(Err(unsent(&mut state))),
            }
        })
        .await
    }

    /// Runs the guest until there is a piece of the body, or its end.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        if let Some(handed) = self.handed.take()
            && let Some(deadline) = &mut self.deadline
        {
            // What the client takes to read is not the guest's time.
            *deadline += handed.elapsed();
        }
        let polled = self.poll_guest(context);
        let mut state = self.exchange.state();
        match &polled {
            Poll::Ready(Ok(())) => {
                state.finish(None);
            }
            Poll::Ready(Err(failure)) => {
                if matches!(failure, Failure::Request(_)) {
                    state.spoil();
                }
                state.break_off();
                self.exchange.seen().tell(failure);
            }
            Poll::Pending => {}
        }
        if state.has_waiting() && *state.end() != End::Broken {
            if state.room() == Some(0) {
                self.handed = Some(Instant::now());
            }
            return Poll::Ready(Piece::Bytes(state.take()));
        }
        match state.end() {
            End::Open => Poll::Pending,
            End::Finished(trailers) => Poll::Ready(Piece::End(trailers.clone())),
            End::Broken => {
                if state.take_too_much() {
                    self.exchange.seen().tell(&Failure::TooMuch);
                }
                Poll::Ready(Piece::Broken)
            }
        }
    }

    /// Lets the guest do what is left after its answer, in its time, on a task of its own.
    pub fn go_on(mut self) {
        if self.is_over() {
            return;
        }
        self.exchange.state().stop_reading();
        tokio::spawn(async move {
            if let Err(failure) = poll_fn(|context| self.poll_guest(context)).await {
                self.exchange.seen().tell(&failure);
            }
        });
    }
}

/// What comes of a body.
pub enum Piece {
    /// Some of it.
    Bytes(Bytes),
    /// All of it was there, with these trailers.
    End(Option<HeaderMap>),
    /// It breaks off.
    Broken,
}

/// Why there is no answer of a guest that did not fail.
fn unsent(state: &mut State) -> Failure {
    if state.take_too_much() {
        Failure::TooMuch
    } else {
        Failure::NoAnswer
    }
}

fn failed(error: wasmtime::Error, exchange: &Exchange) -> Failure {
    let limits = exchange.seen().route().application.limits();
    let error = explain(error, &Allowed::by(limits, exchange.was_refused_memory()));
    if error.kind() == Kind::Busy {
        Failure::Busy
    } else {
        Failure::Trap(error)
    }
}
