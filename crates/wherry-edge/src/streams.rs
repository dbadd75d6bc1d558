//! Streams of HTTP/2, each on a task of its own that ends when its client takes in nothing of an answer for too long.
//!
//! A connection of HTTP/1.1 cannot be written to then. One of HTTP/2 can, as its window is that of the stream: the answer is
//! just not asked for more. So it is noted when a piece was handed over, and looked at whether the next is asked for.

use hyper::rt::Executor;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};

thread_local! {
    /// Whom the stream waits for that this thread is at.
    static WAITING: Cell<Waiting> = const { Cell::new(Waiting::Unwatched) };
}

/// Whom a stream waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Nobody looks: this is no stream of HTTP/2.
    Unwatched,
    /// For its guest.
    Guest,
    /// For its client, since then.
    Client(Instant),
}

/// Notes that the next piece of an answer is asked for.
pub fn asked() {
    WAITING.with(|waiting| {
        if waiting.get() != Waiting::Unwatched {
            waiting.set(Waiting::Guest);
        }
    });
}

/// Notes that a piece of an answer was handed over.
pub fn handed() {
    WAITING.with(|waiting| {
        if waiting.get() != Waiting::Unwatched {
            waiting.set(Waiting::Client(Instant::now()));
        }
    });
}

/// Runs the streams of a connection.
#[derive(Debug, Clone)]
pub struct Streams {
    patience: Duration,
}

impl Streams {
    /// Streams whose clients may take in nothing for so long.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, future: F) {
        tokio::spawn(Stream {
            future: Box::pin(future),
            patience: self.patience,
            waiting: Waiting::Guest,
            sleep: None,
        });
    }
}

/// A stream until it is over, or its client stopped reading.
struct Stream<F> {
    future: Pin<Box<F>>,
    patience: Duration,
    waiting: Waiting,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let outer = WAITING.replace(this.waiting);
        let polled = this.future.as_mut().poll(context);
        this.waiting = WAITING.replace(outer);
        if polled.is_ready() {
            return Poll::Ready(());
        }
        let Waiting::Client(since) = this.waiting else {
            return Poll::Pending;
        };
        let deadline = (since + this.patience).into();
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context)
    }
}
