//! `wherry run`: one program in a process of its own, from the file to its exit code.
//!
//! The guest has a thread to itself and runs in mode `plain`, which nothing interrupts: the calling thread waits beside it,
//! counts the wall time and asks whether the user pressed Ctrl-C. When either strikes, [`run`] returns the error while the
//! guest may still compute; the caller ends the process. A guest that waits is ended at the next tick.
//! Start reading at [`run`].

use crate::apart::GRACE;
use crate::cache::Cache;
use crate::compile::{CompilerChild, Progress};
use crate::coredump::Coredump;
use crate::error::{Error, Kind, Result};
use crate::exports::Export;
use crate::guest::Guest;
use crate::hosting::Host;
use crate::imports;
use crate::instance::{Instance, Template};
use crate::invoke::{self, Call};
use crate::limits::Limits;
use crate::mode::Mode;
use crate::options::{CacheOptions, Invocation, Options};
use crate::profile::{self, Sampler};
use crate::program::{Code, LoadOptions, Program, Source, load};
use crate::recording::{Recording, Spent};
use crate::sandbox::Linked;
use crate::stdio::{Output, Stdio};
use crate::values::{Context, Outcome};
use crate::watch::Watch;
use crate::wave::{Value, Wave};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// How often the calling thread looks up while the guest runs.
const TICK: Duration = Duration::from_millis(20);

/// What host functions may use of the thread's stack on top of the guest's share.
const HOST_STACK: usize = 2 << 20;

/// Who is asked and who is told while a program runs, all on the calling thread.
pub struct How<'a> {
    /// Asked about fifty times a second: an error ends the run with it (Ctrl-C).
    pub question: &'a dyn Fn() -> Result<()>,
    /// Who compiles what is large; `None` compiles in this process.
    pub child: Option<CompilerChild>,
    /// Told while compiling takes over a second, and with `None` when that is over.
    pub progress: &'a dyn Fn(Option<Progress>),
    /// Told what works, but slower or with less than was asked for.
    pub warn: &'a dyn Fn(String),
    /// Told what the person asked to be told, as a line.
    pub say: &'a dyn Fn(String),
}

/// A run that came to its own end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The guest's exit code; of `--invoke`, 1 when the function returned the error case of its result.
    pub code: u8,
    /// The result of `--invoke`, to be printed as a line.
    pub printed: Option<String>,
    /// Where the code is not 0: what the guest was refused, and what would allow it.
    pub hints: Vec<String>,
}

/// Runs the program of `invocation` with the standard streams of this process.
///
/// # Errors
/// Those of [`load`]; [`Kind::Link`] and [`Kind::NoExport`] for what cannot be run; whatever ends the guest, its own exit
/// excepted; [`Kind::Time`] and what [`How::question`] answered, with the guest's thread still running; [`Kind::Io`] when the
/// profile cannot be written.
pub fn run(invocation: &Invocation, how: &How<'_>) -> Result<Completed> {
    let recording = Recording::begin(invocation, how)?;
    let question = || {
        recording.check()?;
        (how.question)()
    };
    let how = &How {
        question: &question,
        child: how.child.clone(),
        ..*how
    };
    let template = Template::<Wave>::new(load_program(invocation, how)?, Box::new(HashMap::new))?;
    let linked = &template.linked;
    imports::refuse(&linked.program.name, &linked.surface)?;
    let errand = Errand::of(linked, invocation)?;

    recording.start(&linked.program)?;
    let guest = guest(&linked.program, invocation, &recording)?;
    let sampler = guest.sampler.clone();
    let (result, spent) = beside(template, guest, &invocation.limits, &errand, &recording, how);
    let written = sampler.map_or(Ok(()), |sampler| sampler.finish());
    let completed = errand.completed(result, invocation);
    let completed = recording.end(completed, spent, invocation, how);
    match (completed, written) {
        (Ok(completed), written) => written.map(|()| completed),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(unwritten)) => {
            (how.warn)(unwritten.message().to_owned());
            Err(error)
        }
    }
}

/// Loads the program in the mode that the flags ask for.
fn load_program(invocation: &Invocation, how: &How<'_>) -> Result<Program> {
    let Invocation { limits, options, .. } = invocation;
    let answer = RefCell::new(None);
    let shown = Cell::new(false);
    let progress = |now: Progress| {
        shown.set(true);
        (how.progress)(Some(now));
    };
    let interrupted = || {
        (how.question)()
            .map_err(|error| answer.replace(Some(error)))
            .is_err()
    };
    let load_options = LoadOptions {
        mode: mode(invocation)?,
        stack: limits.stack,
        target: options.target.clone(),
        name: options.name.clone(),
        coredump: options.coredump.is_some(),
        cache: cache(&invocation.cache, how),
        precompiled: options.precompiled,
        child: how.child.clone(),
        progress: Some(&progress),
        interrupted: &interrupted,
        warn: how.warn,
        ..LoadOptions::default().within(limits)
    };
    let loaded = load(Source::Path(invocation.file.clone()), &load_options);
    if shown.get() {
        (how.progress)(None);
    }
    // The loader knows only that it was interrupted, and not by what.
    loaded.map_err(|error| answer.take().unwrap_or(error))
}

fn mode(invocation: &Invocation) -> Result<Mode> {
    if invocation.policy.deterministic {
        let Options { profile, learn, .. } = &invocation.options;
        let refused = |flag: &str, hint: &str| {
            let message = format!("`--{flag}` and `--deterministic` exclude each other");
            Err(Error::new(Kind::Usage, message).with_hint(hint))
        };
        return match (profile, learn) {
            (None, None) => Ok(Mode::Deterministic),
            (Some(_), _) => refused("profile", "profile the same run without `--deterministic`"),
            // What is allowed while it runs may be the network.
            (None, Some(_)) => refused(
                "learn",
                "learn without `--deterministic`, and add it to the run with `--policy`",
            ),
        };
    }
    match (invocation.limits.fuel, &invocation.options.profile) {
        (None, None) => Ok(Mode::Plain),
        (Some(_), None) => Ok(Mode::Metered),
        (None, Some(_)) => Ok(Mode::Interruptible),
        (Some(_), Some(_)) => Err(
            Error::new(Kind::Usage, "`--profile` and `--fuel` exclude each other")
                .with_hint("limit a run that is profiled by `--timeout`"),
        ),
    }
}

/// The cache, or none with a warning: it makes starts faster and nothing else.
fn cache(options: &CacheOptions, how: &How<'_>) -> Option<Cache> {
    options.open().unwrap_or_else(|error| {
        (how.warn)(format!("nothing is cached: {}", error.message()));
        None
    })
}

/// The guest's state: what it is granted, and what is watched while it runs.
fn guest(program: &Program, invocation: &Invocation, recording: &Recording) -> Result<Guest> {
    let Invocation {
        policy,
        limits,
        options,
        ..
    } = invocation;
    let mut stdio = Stdio::inherit();
    if options.rerun.is_some() {
        (stdio.output, stdio.error) = (Output::Discard, Output::Discard);
    }
    stdio.witness = recording.witness();
    let monitor = Arc::clone(&recording.monitor);
    let mut guest = Guest::alone(policy, limits, &invocation.arguments(), stdio, monitor)?;
    guest.sampler = options
        .profile
        .as_deref()
        .map(|path| Sampler::start(program, path))
        .transpose()?;
    guest.coredump = options.coredump.clone().map(|path| Coredump {
        path,
        name: program.name.clone(),
        secrets: policy.secrets.iter().map(|(name, _)| name.clone()).collect(),
    });
    Ok(guest)
}

/// What is called in a run.
enum Errand {
    /// The entry point of a command.
    Command(Export),
    /// A function by name, after the initialiser of a reactor.
    Invoke(Option<Export>, Box<Call>),
}

impl Errand {
    fn of(linked: &Linked, invocation: &Invocation) -> Result<Self> {
        let Some(typed) = &invocation.options.invoke else {
            let entry = invocation.options.entry.as_deref();
            return command(linked, entry).cloned().map(Errand::Command);
        };
        let initialise = match linked.program.code {
            Code::Module(_) => linked
                .surface
                .exports
                .iter()
                .find(|export| export.name == "_initialize"),
            Code::Component(_) => None,
        };
        Ok(Errand::Invoke(
            initialise.cloned(),
            Box::new(invoke::read(linked, typed)?),
        ))
    }

    /// The calls to make, in their order.
    fn calls(&self) -> Vec<(Export, Value)> {
        let none = || Value::Tuple(Vec::new());
        match self {
            Errand::Command(export) => vec![(export.clone(), none())],
            Errand::Invoke(initialise, call) => {
                let initialise = initialise.iter().map(|export| (export.clone(), none()));
                initialise
                    .chain([(call.export.clone(), call.arguments.clone())])
                    .collect()
            }
        }
    }

    /// What the end of the last call means.
    fn completed(&self, result: Result<Outcome<Wave, 1>>, invocation: &Invocation) -> Result<Completed> {
        match (result, self) {
            (Ok(outcome), Errand::Command(_)) => Ok(Completed {
                code: outcome.failed.into(),
                printed: None,
                hints: Vec::new(),
            }),
            (Ok(Outcome { value, failed }), Errand::Invoke(_, call)) => Ok(Completed {
                code: failed.into(),
                printed: call.print(value, failed, invocation.options.format),
                hints: Vec::new(),
            }),
            (Err(error), _) if error.kind() == Kind::Exit => Ok(Completed {
                code: error.exit_code().unwrap_or(1),
                printed: None,
                hints: Vec::new(),
            }),
            (Err(error), Errand::Command(_)) => Err(error),
            (Err(error), Errand::Invoke(_, call)) => Err(call.explain(error)),
        }
    }
}

/// The function that a command starts with, which for a core module `entry` may name.
///
/// # Errors
/// [`Kind::NoExport`] for what is no command, with what can be done with it instead, and where there is no such `entry`.
pub fn command<'linked>(linked: &'linked Linked, entry: Option<&str>) -> Result<&'linked Export> {
    match entry {
        Some(name) => chosen(linked, name),
        None => entry_point(linked).ok_or_else(|| nothing_to_run(linked)),
    }
}

/// The function of a core module that someone said it starts with.
fn chosen<'linked>(linked: &'linked Linked, name: &str) -> Result<&'linked Export> {
    let file = &linked.program.name;
    if matches!(linked.program.code, Code::Component(_)) {
        let what = format!("`{file}` is a component, which says itself where it starts");
        return Err(Error::new(Kind::NoExport, what).with_hint("leave out `--entry`"));
    }
    let exports = &linked.surface.exports;
    exports
        .iter()
        .find(|export| export.name == name && starts(export))
        .ok_or_else(|| {
            let what = format!("`{file}` cannot start with `{name}`: it exports no such function without parameters and results");
            Error::new(Kind::NoExport, what).with_hint(format!("`wherry inspect {file}` shows what it exports"))
        })
}

/// Whether a function can be where a program starts: it takes nothing and gives nothing.
fn starts(export: &Export) -> bool {
    export.params.is_empty() && !export.returns
}

/// Where a command starts: `_start`, or `run` of `wasi:cli/run` in any version.
fn entry_point(linked: &Linked) -> Option<&Export> {
    let exports = &linked.surface.exports;
    let named = |name: &str| exports.iter().find(|export| export.name == name);
    match linked.program.code {
        // Some tool-chains export the start function under the empty name.
        Code::Module(_) => named("_start").or_else(|| named("").filter(|export| starts(export))),
        Code::Component(_) => exports.iter().find(|export| {
            let interface = export.interface.as_deref().unwrap_or_default();
            export.name == "run" && interface.starts_with("wasi:cli/run@")
        }),
    }
}

/// Why a program without an entry point cannot be run, and what can be done with it.
fn nothing_to_run(linked: &Linked) -> Error {
    let file = &linked.program.name;
    let exports = &linked.surface.exports;
    let serves = |export: &&Export| {
        export
            .interface
            .as_deref()
            .is_some_and(|name| name.starts_with("wasi:http/"))
    };
    if let Some(interface) = exports
        .iter()
        .find(serves)
        .and_then(|export| export.interface.as_deref())
    {
        return Error::new(
            Kind::NoExport,
            format!("`{file}` answers HTTP requests (`{interface}`) and has nothing to run"),
        )
        .with_hint(format!("`wherry inspect {file}` says which places it fits"));
    }
    let what = if exports.iter().any(|export| export.name == "_initialize") {
        "a reactor"
    } else {
        "a library"
    };
    let error = Error::new(
        Kind::NoExport,
        format!("`{file}` is {what} and has nothing to run"),
    );
    error.with_hint(
        invoke::advice(linked).unwrap_or_else(|| format!("`wherry inspect {file}` shows what it is")),
    )
}

/// Runs the guest on a thread of its own and waits beside it: how it ended, and what it used up where it came to rest.
fn beside(
    template: Template<Wave>,
    guest: Guest,
    limits: &Limits,
    errand: &Errand,
    recording: &Recording,
    how: &How<'_>,
) -> (Result<Outcome<Wave, 1>>, Spent) {
    let (cancel, peak) = (guest.watch.cancel.clone(), guest.meter.watched());
    let closer = guest.stores.closer();
    let sampled = guest
        .sampler
        .is_some()
        .then(|| template.linked.program.engine.clone());
    let (sender, receiver) = sync_channel(1);
    let (calls, mut own_limits) = (errand.calls(), limits.clone());
    if recording.asks() {
        // Time in which a person thinks is not the guest's; only the calling thread knows of it.
        own_limits.timeout = None;
    }
    let watch = Watch {
        deadline: limits.timeout.map(|time| (Instant::now() + time, time)),
        ..Watch::default()
    };
    let spawned = std::thread::Builder::new()
        .name("wherry-guest".into())
        .stack_size(limits.stack + HOST_STACK)
        .spawn(move || {
            let mut instance = None;
            let result = perform(&template, guest, &own_limits, calls, &mut instance);
            let spent = instance.as_ref().map_or_else(Spent::default, spent);
            // Nobody may be there to receive. The instance goes afterwards, while the process ends.
            let _ = sender.send((result, spent));
        });
    if let Err(error) = spawned {
        let error = Error::new(Kind::Internal, format!("no thread for the guest: {error}"));
        return (Err(error), Spent::default());
    }
    let ended = wait(&receiver, watch, recording, sampled.as_ref(), how).unwrap_or_else(|error| {
        cancel.cancel();
        // A guest that burns fuel hears of it soon, and says how much it was; another one is not waited for.
        let answer = limits.fuel.and_then(|_| receiver.recv_timeout(GRACE).ok());
        let looked = Spent {
            fuel: None,
            memory: Some(peak.load(Ordering::Relaxed) as u64),
        };
        (Err(error), answer.map_or(looked, |(_, spent)| spent))
    });
    // The process ends without the guest's thread.
    closer.close();
    ended
}

/// What a guest has used up.
fn spent(instance: &Instance<Wave>) -> Spent {
    let sandbox = &instance.sandbox;
    Spent {
        fuel: sandbox.burnt(),
        memory: Some(sandbox.guest().meter.peak() as u64),
    }
}

/// Makes the calls, on the guest's thread.
fn perform(
    template: &Template<Wave>,
    guest: Guest,
    limits: &Limits,
    calls: Vec<(Export, Value)>,
    instance: &mut Option<Instance<Wave>>,
) -> Result<Outcome<Wave, 1>> {
    let context = Arc::new(Context::new(Arc::clone(&template.types), ()));
    let instance = instance.insert(template.instantiate(
        guest,
        limits,
        Host {
            functions: Vec::new(),
            context,
        },
    )?);
    let mut outcome = Outcome {
        value: Value::Nothing,
        failed: false,
    };
    for (export, arguments) in calls {
        let function = instance.function(&export)?;
        outcome = instance.call(&function, arguments)?;
    }
    Ok(outcome)
}

/// Waits for the end of the guest, the time limit or the user, whichever comes first.
fn wait<T>(
    receiver: &Receiver<T>,
    watch: Watch,
    recording: &Recording,
    sampled: Option<&Engine>,
    how: &How<'_>,
) -> Result<T> {
    let mut asked = Instant::now();
    let (begin, mut watch) = (watch.deadline, watch);
    loop {
        watch.deadline = begin.map(|(deadline, time)| (deadline + recording.waited(), time));
        let now = Instant::now();
        let tick = if sampled.is_some() {
            profile::INTERVAL
        } else {
            TICK
        };
        let rest = watch.deadline.map_or(tick, |(deadline, _)| {
            deadline.saturating_duration_since(now).min(tick)
        });
        match receiver.recv_timeout(rest) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(
                    Kind::Internal,
                    "a fault of Wherry's own ended the guest's thread",
                ));
            }
        }
        if let Some(engine) = sampled {
            engine.increment_epoch();
        }
        watch.check()?;
        if asked.elapsed() >= TICK {
            (how.question)()?;
            asked = Instant::now();
        }
    }
}
