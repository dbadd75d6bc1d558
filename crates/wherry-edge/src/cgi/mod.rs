//! Commands as handlers of requests: RFC 3875.
//!
//! A command is told of its request in `variables`, reads the body from its standard input and writes the answer to its
//! standard output (`streams`), which begins with a `head`. Each request has a process of its own there, and a sandbox of its
//! own here. Start at [`Cgi::answer`].

mod head;
mod streams;
mod variables;

use crate::application::in_slices;
use crate::arriving::Arriving;
use crate::exchange::Exchange;
use crate::observe::record::{Peak, Seen};
use crate::observe::spans::{Spanning, Trace};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use streams::{Stdin, Stdout};
pub use variables::Between;
use variables::environment;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, TypedFunc};
use wasmtime_wasi::I32Exit;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Place;
use wherry_engine::guest::Guest;
use wherry_engine::limits::Limits;
use wherry_engine::outgoing::Pool;
use wherry_engine::policy::Policy;
use wherry_engine::program::Program;
use wherry_engine::run::command;
use wherry_engine::sandbox::Linked;
use wherry_engine::stdio::{Input, Output, Stdio};

/// A command that answers requests.
pub struct Cgi {
    linked: Linked,
    entry: Entry,
    policy: Policy,
    arguments: Vec<String>,
    /// Connections for the requests that guests send.
    connections: Arc<Pool>,
}

/// How a command is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What it is given, its own name first; that of its program where there is nothing.
    pub arguments: Vec<String>,
    /// The function of a core module that it starts with, where that is not the usual one.
    pub entry: Option<String>,
}

/// Where it starts.
enum Entry {
    Component(ComponentExportIndex),
    Module(String),
}

impl Cgi {
    /// Links a command, and makes sure that guests can be made with this policy.
    ///
    /// # Errors
    /// [`Kind::NoExport`] for what is no command, [`Kind::Link`] when it imports what nothing provides, [`Kind::Grant`] when a
    /// folder cannot be opened.
    pub fn new(program: Program, policy: Policy, limits: &Limits, start: Start) -> Result<Self> {
        let arguments = if start.arguments.is_empty() {
            vec![program.name.clone()]
        } else {
            start.arguments
        };
        let linked = Linked::new(program, |_, _| Ok(()))?;
        let export = command(&linked, start.entry.as_deref())?;
        let entry = match export.place {
            Place::Component(index) => Entry::Component(index),
            Place::Module => Entry::Module(export.name.clone()),
        };
        let cgi = Self {
            linked,
            entry,
            policy,
            arguments,
            connections: Arc::default(),
        };
        Guest::new(&cgi.policy, limits, &cgi.arguments, Stdio::default())?;
        Ok(cgi)
    }

    /// Answers one request with a guest of its own.
    ///
    /// # Errors
    /// What ended the command, and why what it wrote is no answer.
    pub async fn answer(
        &self,
        limits: &Limits,
        parts: Parts,
        between: &Between,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let seen = exchange.seen();
        let parts = seen.informed(parts);
        let Some(variables) = environment(&self.policy.env, &parts, between) else {
            exchange
                .state()
                .set_head(StatusCode::BAD_REQUEST, HeaderMap::new());
            return Ok(());
        };
        drop(parts);
        let stdout = Stdout::new(Arc::clone(&exchange));
        let policy = Policy {
            env: variables,
            ..self.policy.clone()
        };
        let voices = seen.account().guests.voices(seen.speaker());
        let stdio = Stdio {
            input: Input::Stream(Box::new(Stdin::new(arriving))),
            output: Output::Stream(Box::new(stdout.clone())),
            error: Output::Sink(voices.err()),
            witness: None,
        };
        let mut guest = Guest::new(&policy, limits, &self.arguments, stdio)?;
        guest.share(&self.connections);
        seen.listen(&mut guest);
        let _peak = Peak::new(guest.meter.watched(), Arc::clone(seen.account()));
        let mut store = self.linked.yielding_store(guest, limits)?;
        in_slices(&mut store);
        let ended = {
            let mut run = pin!(self.run(&mut store, seen));
            poll_fn(|context| {
                stdout.look();
                run.as_mut().poll(context)
            })
            .await
        };
        exchange.note_memory(&store.data().meter);
        answered(ended, &stdout)
    }

    /// Runs the command; gives its exit code where it returns one.
    async fn run(&self, store: &mut Store<Guest>, seen: &Seen) -> wasmtime::Result<i32> {
        let making = seen.trace().map(Trace::instance);
        match &self.entry {
            Entry::Component(index) => {
                let pre = self.linked.component().ok_or_else(unlike)?;
                let instance = pre.instantiate_async(&mut *store).await?;
                let run: TypedFunc<(), (std::result::Result<(), ()>,)> =
                    instance.get_typed_func(&mut *store, index)?;
                drop(making);
                let running = seen.trace().map(Trace::guest);
                let result = run.call_async(&mut *store, ()).await;
                Spanning::over(running, &result);
                Ok(result?.0.is_err().into())
            }
            Entry::Module(name) => {
                let pre = self.linked.module().ok_or_else(unlike)?;
                let instance = pre.instantiate_async(&mut *store).await?;
                let start = instance.get_typed_func::<(), ()>(&mut *store, name)?;
                drop(making);
                let running = seen.trace().map(Trace::guest);
                let result = start.call_async(&mut *store, ()).await;
                Spanning::over(running, &result);
                result.map(|()| 0)
            }
        }
    }
}

/// What became of a command that ended so.
fn answered(ended: wasmtime::Result<i32>, stdout: &Stdout) -> wasmtime::Result<()> {
    let code = match ended {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => exit.0,
            // What is no answer ends its command, which says less of it.
            None => return Err(stdout.malformed().map_or(error, Into::into)),
        },
    };
    if let Some(wrong) = stdout.malformed() {
        return Err(wrong.into());
    }
    if code != 0 {
        let message = format!("the command ended with exit code {code}");
        return Err(Error::new(Kind::Exit, message).into());
    }
    stdout.unfinished().map_or(Ok(()), |wrong| Err(wrong.into()))
}

fn unlike() -> wasmtime::Error {
    Error::new(
        Kind::Internal,
        "the entry point is that of another kind of program",
    )
    .into()
}
