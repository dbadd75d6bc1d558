//! What a task answers, on its way to the connection.

use super::instance::Fate;
use crate::exchange::{End, Exchange};
use crate::pump::{Moved, pump};
use http::{HeaderMap, StatusCode};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, WasiBody};

/// An answer that begins.
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
    /// Its body, which the guest still writes.
    pub body: WasiBody,
    /// Where the guest is told what became of it.
    pub sent: oneshot::Sender<Result<(), Error>>,
}

/// Takes over what a task answers.
pub struct Answering {
    state: State,
    /// The task is over when this is gone.
    open: Option<oneshot::Sender<()>>,
    fate: Arc<Fate>,
}

enum State {
    Waiting(oneshot::Receiver<Result<Answered, ErrorCode>>),
    Body(WasiBody, Option<oneshot::Sender<Result<(), Error>>>),
    Over,
}

/// What came of taking over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something, so that the guest may go on.
    Some,
    /// Nothing yet.
    None,
    /// There is nothing left to take over.
    Over,
}

impl Answering {
    /// Takes over what comes from here, until `open` is dropped.
    pub fn new(
        answer: oneshot::Receiver<Result<Answered, ErrorCode>>,
        open: oneshot::Sender<()>,
        fate: Arc<Fate>,
    ) -> Self {
        Self {
            state: State::Waiting(answer),
            open: Some(open),
            fate,
        }
    }

    /// Takes over what there is.
    pub fn poll(&mut self, exchange: &Exchange, context: &mut Context<'_>) -> Progress {
        match &mut self.state {
            State::Over => return Progress::Over,
            State::Waiting(answer) => match Pin::new(answer).poll(context) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Ok(Ok(answered))) => {
                    exchange.state().set_head(answered.status, answered.fields);
                    self.state = State::Body(answered.body, Some(answered.sent));
                }
                Poll::Ready(Ok(Err(_))) => {
                    exchange.state().refuse();
                    self.finish(exchange);
                }
                // Its instance is gone, and says why.
                Poll::Ready(Err(_)) => self.finish(exchange),
            },
            State::Body(body, _) => {
                match pump(body, exchange, context) {
                    Moved::Nothing => return Progress::None,
                    Moved::Bytes => return Progress::Some,
                    // What ends with its guest is not whole.
                    Moved::End(_) if self.fate.is_lost() => exchange.state().break_off(),
                    Moved::End(trailers) => drop(exchange.state().finish(trailers)),
                    Moved::Broken => exchange.state().break_off(),
                }
                self.finish(exchange);
            }
        }
        Progress::Some
    }

    /// Takes over what is left of a guest that is gone.
    pub fn last(&mut self, exchange: &Exchange, context: &mut Context<'_>) {
        while self.poll(exchange, context) == Progress::Some {}
    }

    /// Tells the guest what became of its answer.
    fn finish(&mut self, exchange: &Exchange) {
        if let State::Body(_, sent) = &mut self.state
            && let Some(sent) = sent.take()
        {
            let state = exchange.state();
            let whole = *state.end() != End::Broken;
            // It may not want to know.
            let _ = sent.send(if whole {
                Ok(())
            } else {
                Err(Error::HttpResponseBodySize(Some(state.written())))
            });
        }
        self.state = State::Over;
        self.open = None;
    }
}
