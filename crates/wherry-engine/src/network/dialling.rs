//! The time limit on connections of WASI 0.2, whose guests wait for them by `wasi:io/poll`.
//!
//! What a guest waits with is told apart from what it waits for: a wait in which a connection is late ends, and the guest
//! finds it timed out when it wants to finish it.

use super::quota::Slot;
use crate::guest::Guest;
use std::collections::HashMap;
use std::net::SocketAddr;
use tokio::time::{Instant, sleep_until};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host as _, HostPollable as _};

/// The connections of a guest, by the number of their sockets.
#[derive(Default)]
pub(crate) struct Connections {
    slots: HashMap<u32, Slot>,
    /// When those that do not stand yet are late, and where they lead.
    dialling: HashMap<u32, (Instant, SocketAddr)>,
    /// What the guest waits with for one of those.
    pollables: HashMap<u32, u32>,
}

impl Connections {
    pub(super) fn insert(&mut self, socket: u32, slot: Slot) {
        self.slots.insert(socket, slot);
    }

    /// Forgets a socket, and frees its place.
    pub(super) fn remove(&mut self, socket: u32) {
        self.stands(socket);
        self.slots.remove(&socket);
    }

    pub(super) fn dials(&mut self, socket: u32, until: Instant, to: SocketAddr) {
        self.dialling.insert(socket, (until, to));
    }

    /// Where a connection leads that does not stand yet.
    pub(super) fn leads_to(&self, socket: u32) -> Option<SocketAddr> {
        self.dialling.get(&socket).map(|(_, to)| *to)
    }

    /// A connection stands, or has failed: it is not waited for.
    pub(super) fn stands(&mut self, socket: u32) {
        self.dialling.remove(&socket);
        self.pollables.retain(|_, of| *of != socket);
    }

    pub(super) fn waits(&mut self, pollable: u32, socket: u32) {
        if self.dialling.contains_key(&socket) {
            self.pollables.insert(pollable, socket);
        } else {
            self.pollables.remove(&pollable);
        }
    }

    pub(super) fn late(&self, socket: u32) -> bool {
        self.dialling
            .get(&socket)
            .is_some_and(|(until, _)| *until <= Instant::now())
    }

    /// When what is waited for with this is late.
    fn until(&self, pollable: u32) -> Option<Instant> {
        let (until, _) = self.dialling.get(self.pollables.get(&pollable)?)?;
        Some(*until)
    }
}

/// Puts the wrappers in front of what is linked.
///
/// # Errors
/// Those of the linker.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("wasi:io/poll@0.2.12")?;
    instance.func_wrap_async(
        "poll",
        |mut store: StoreContextMut<'_, Guest>, (pollables,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move { Ok((poll(store.data_mut(), pollables).await?,)) })
        },
    )?;
    instance.func_wrap_async(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, Guest>, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move {
                let guest = store.data_mut();
                let until = guest.connections.until(pollable.rep());
                let ready = guest.ctx().table.block(pollable);
                match until {
                    None => ready.await,
                    Some(until) => tokio::time::timeout_at(until, ready).await.unwrap_or(Ok(())),
                }
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]pollable.ready",
        |mut store: StoreContextMut<'_, Guest>, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move {
                let guest = store.data_mut();
                let late = guest
                    .connections
                    .until(pollable.rep())
                    .is_some_and(|until| until <= Instant::now());
                Ok((late || guest.ctx().table.ready(pollable).await?,))
            })
        },
    )
}

/// Waits until one of these is ready or late.
async fn poll(guest: &mut Guest, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
    if guest.connections.pollables.is_empty() {
        return guest.ctx().table.poll(pollables).await;
    }
    let times: Vec<Option<Instant>> = pollables
        .iter()
        .map(|pollable| guest.connections.until(pollable.rep()))
        .collect();
    let Some(first) = times.iter().flatten().min().copied() else {
        return guest.ctx().table.poll(pollables).await;
    };
    tokio::select! {
        biased;
        ready = guest.ctx().table.poll(pollables) => ready,
        () = sleep_until(first) => {
            let late = (0..).zip(&times).filter(|(_, until)| until.is_some_and(|until| until <= first));
            Ok(late.map(|(index, _)| index).collect())
        }
    }
}
