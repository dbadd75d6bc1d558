//! What the engine keeps for one running guest: its WASI state, its counters, and who may stop it.
//!
//! [`Guest`] is the data of every store. What a guest was refused is noted in its [`Meter`] and [`Monitor`], so that a
//! failure that follows can say why.

use crate::ambient::Ambient;
use crate::coredump::Coredump;
use crate::error::{Error, Kind, Result};
use crate::limits::{Limit, Limits};
use crate::meter::{Meter, Shares};
use crate::monitor::Monitor;
use crate::network::requests::Requests;
use crate::network::{Connections, Network};
use crate::outgoing::{Outgoing, Pool};
use crate::policy::Policy;
use crate::profile::Sampler;
use crate::stdio::{Stdio, Thread};
use crate::stores::Stores;
use crate::wasi::files::{Files, Preopens};
use crate::watch::Watch;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{ResourceTable, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The state of one guest.
pub struct Guest {
    /// WASI of all three generations; they share files, streams and clocks.
    pub wasi: WasiP1Ctx,
    /// What the guest has used up.
    pub meter: Meter,
    /// Fuel that it was given.
    pub fuel: Option<u64>,
    /// Bytes of stack that it was given.
    pub stack: usize,
    /// What it reached outside, and what it was refused.
    pub monitor: Arc<Monitor>,
    /// Which clock and which randomness it has.
    pub ambient: Ambient,
    /// What it keeps and is told.
    pub(crate) stores: Stores,
    /// Who may stop it, and when it has to end.
    pub watch: Watch,
    /// The host functions of the embedding program, by the type that the linker was made for.
    pub host: Option<Arc<dyn Any + Send + Sync>>,
    /// It called one of them since its sandbox was entered last.
    pub(crate) called_out: bool,
    /// Who looks at its stack while it runs, for a profile.
    pub sampler: Option<Sampler>,
    /// Where a picture of it goes when it traps.
    pub coredump: Option<Coredump>,
    /// The network as its policy grants it.
    pub(crate) network: Arc<Network>,
    /// Which of its sockets count as connections.
    pub(crate) connections: Connections,
    /// What it may do with files, and what they are called.
    pub(crate) files: Files,
    http: WasiHttpCtx,
    requests: Requests,
}

impl Guest {
    /// A guest that was granted `policy` and may use `limits`.
    ///
    /// # Errors
    /// [`Kind::Grant`] when a folder cannot be opened.
    pub fn new(policy: &Policy, limits: &Limits, arguments: &[String], stdio: Stdio) -> Result<Self> {
        let monitor = Arc::new(Monitor::default());
        Self::build(Thread::Shared, policy, limits, arguments, stdio, monitor)
    }

    /// The same for a thread that is left behind when the kernel holds a file: see [`crate::apart`]. So it may hold its thread
    /// up.
    ///
    /// # Errors
    /// As [`Guest::new`].
    pub fn apart(policy: &Policy, limits: &Limits, arguments: &[String], stdio: Stdio) -> Result<Self> {
        let monitor = Arc::new(Monitor::default());
        Self::build(Thread::Apart, policy, limits, arguments, stdio, monitor)
    }

    /// The same in a process that ends with it, under a monitor that may record more and ask: it may hold its thread up, so
    /// that reading a file takes no detour over another thread. No time limit ends it while the kernel holds it.
    ///
    /// # Errors
    /// As [`Guest::new`].
    pub fn alone(
        policy: &Policy,
        limits: &Limits,
        arguments: &[String],
        stdio: Stdio,
        monitor: Arc<Monitor>,
    ) -> Result<Self> {
        Self::build(Thread::Own, policy, limits, arguments, stdio, monitor)
    }

    fn build(
        thread: Thread,
        policy: &Policy,
        limits: &Limits,
        arguments: &[String],
        mut stdio: Stdio,
        monitor: Arc<Monitor>,
    ) -> Result<Self> {
        // What the host does is done by the time the call returns then, so that it is done in the order of the calls.
        let waits = thread != Thread::Shared || policy.deterministic;
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(waits);
        let mut ordered = Cow::Borrowed(policy);
        if policy.deterministic {
            stdio.witness.get_or_insert_default();
            let ordered = ordered.to_mut();
            ordered.env.sort();
            ordered.dirs.sort_by(|one, other| one.guest.cmp(&other.guest));
        }
        builder.args(arguments).envs(&ordered.env);
        if let Some(folder) = &policy.workdir {
            builder.initial_cwd(folder).env("PWD", folder);
        }
        // WASI 0.1 has no current folder; its C library looks relative paths up in a folder that is called `.`.
        let preopens = Preopens::open(&ordered, &mut builder, waits)?;
        let shares = Shares::of(limits);
        let ambient = Ambient::of(policy, shares.random, &mut builder);
        let clock = ambient.clock.clone();
        let network = Network::of(policy, limits, &monitor, &mut builder);
        let witness = stdio.witness.clone();
        builder.max_random_size(shares.random);
        let room = stdio.attach(&mut builder, limits, thread, &monitor);
        let mut wasi = builder.build_p1();
        let own = preopens.made_up();
        let mut files = Files::new(preopens, &mut wasi, limits, waits)
            .map_err(|error| Error::new(Kind::Grant, format!("a folder cannot be looked at: {error}")))?;
        files.patient = thread != Thread::Shared;
        // A folder that nobody granted costs the guest none of its handles.
        wasi.ctx().table.set_max_capacity(limits.handles as usize + own);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(shares.fields);
        Ok(Self {
            wasi,
            meter: Meter::new(limits, policy.deterministic),
            fuel: limits.fuel,
            stack: limits.stack,
            monitor,
            ambient,
            stores: Stores::new(policy, limits)?,
            watch: Watch {
                room,
                witness,
                clock,
                ..Watch::default()
            },
            host: None,
            called_out: false,
            sampler: None,
            coredump: None,
            requests: Requests::new(Arc::clone(&network), shares.body),
            network,
            connections: Connections::default(),
            files,
            http,
        })
    }
}

impl Guest {
    /// Counts anew what is limited for each request, when it answers another one; false when that should not be: it used up
    /// too much, or left too many handles open.
    pub fn renew(&mut self) -> bool {
        self.network.renew();
        self.files.renew();
        let spoke = self.watch.room.as_ref().is_none_or(|room| room.renew());
        let table = self.wasi.ctx().table;
        let open = table.iter_mut().count();
        // What is left open takes handles from those that follow.
        let tidy = open <= table.max_capacity() / 2;
        self.meter.renew() && spoke && tidy
    }

    /// Has somebody hear of the requests that it sends, or nobody.
    pub fn hear(&mut self, heard: Option<Arc<dyn Outgoing>>) {
        self.requests.heard = heard;
    }

    /// Has it share connections with the other guests of its application, which were granted the same.
    pub fn share(&mut self, pool: &Arc<Pool>) {
        self.requests.pool = Arc::clone(pool);
    }

    /// Notes that the guest was refused memory. It was only told that it has no more, and may end for that reason.
    pub(crate) fn note_refused_memory(&mut self) {
        if self.meter.newly_refused() {
            self.monitor
                .struck(Limit::Memory, "grow", self.meter.limit() as u64);
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table: &mut ResourceTable = self.wasi.ctx().table;
        WasiHttpCtxView {
            hooks: &mut self.requests,
            table,
            ctx: &mut self.http,
        }
    }
}
