//! Clocks and randomness for components: WASI 0.2 and 0.3.

use super::{Seeded, withheld};
use crate::clock::{VirtualClock, Wait};
use crate::guest::Guest;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{clocks as clocks2, random as random2};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::{clocks as clocks3, random as random3};
use wasmtime_wasi::random::WasiRandomCtx;
use wasmtime_wasi::{WasiView as _, async_trait};

/// The guest, as the bindings ask for it.
pub struct Ambience;

impl HasData for Ambience {
    type Data<'a> = &'a mut Guest;
}

/// Puts the wrappers in front of WASI 0.2, and of 0.3 where `concurrency` is on.
///
/// # Errors
/// Those of the linker.
pub fn add_to_linker(linker: &mut Linker<Guest>, concurrency: bool) -> wasmtime::Result<()> {
    clocks2::wall_clock::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    clocks2::monotonic_clock::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    random2::random::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    random2::insecure::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    random2::insecure_seed::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    if concurrency {
        clocks3::system_clock::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
        clocks3::monotonic_clock::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
        random3::random::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
        random3::insecure::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
        random3::insecure_seed::add_to_linker::<_, Ambience>(linker, |guest| guest)?;
    }
    Ok(())
}

impl Guest {
    /// The clocks, if the guest may use them.
    fn clocks_for(
        &mut self,
        operation: &'static str,
        target: &str,
    ) -> wasmtime::Result<WasiClocksCtxView<'_>> {
        if self.may_read_clock(operation, target) {
            Ok(self.clocks())
        } else {
            Err(withheld("the time"))
        }
    }

    /// Draws from the guest's own randomness, or from the host's.
    fn draw<T>(
        &mut self,
        target: &str,
        own: impl FnOnce(&mut Seeded) -> wasmtime::Result<T>,
        host: impl FnOnce(&mut WasiRandomCtx) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        if !self.may_draw(target) {
            return Err(withheld("randomness"));
        }
        match &mut self.ambient.random {
            Some(seeded) => own(seeded),
            None => host(self.wasi.ctx().ctx.random()),
        }
    }
}

const WALL: &str = "wall clock";
const MONOTONIC: &str = "monotonic clock";

impl clocks2::wall_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<clocks2::wall_clock::Datetime> {
        clocks2::wall_clock::Host::now(&mut self.clocks_for("read", WALL)?)
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks2::wall_clock::Datetime> {
        clocks2::wall_clock::Host::resolution(&mut self.clocks_for("read", WALL)?)
    }
}

impl clocks2::monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        clocks2::monotonic_clock::Host::now(&mut self.clocks_for("read", MONOTONIC)?)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        clocks2::monotonic_clock::Host::resolution(&mut self.clocks_for("read", MONOTONIC)?)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let clock = self.ambient.clock.clone();
        let mut clocks = self.clocks_for("wait by", MONOTONIC)?;
        match clock {
            Some(clock) => timer(&mut clocks, clock, when),
            None => clocks2::monotonic_clock::Host::subscribe_instant(&mut clocks, when),
        }
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let clock = self.ambient.clock.clone();
        let mut clocks = self.clocks_for("wait by", MONOTONIC)?;
        match clock {
            Some(clock) => {
                let when = clock.read().saturating_add(duration);
                timer(&mut clocks, clock, when)
            }
            None => clocks2::monotonic_clock::Host::subscribe_duration(&mut clocks, duration),
        }
    }
}

/// A pollable that is ready when the guest's own clock shows `time`.
fn timer(
    clocks: &mut WasiClocksCtxView<'_>,
    clock: Arc<VirtualClock>,
    time: u64,
) -> wasmtime::Result<Resource<DynPollable>> {
    let timer = clocks.table.push(Timer { clock, time })?;
    subscribe(clocks.table, timer)
}

struct Timer {
    clock: Arc<VirtualClock>,
    time: u64,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        // A guest that only ever asks whether the time has come would see none pass otherwise.
        let _ = self.clock.read();
        self.clock.until(self.time).await;
    }
}

impl clocks3::system_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<clocks3::system_clock::Instant> {
        clocks3::system_clock::Host::now(&mut self.clocks_for("read", WALL)?)
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        clocks3::system_clock::Host::get_resolution(&mut self.clocks_for("read", WALL)?)
    }
}

impl clocks3::monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        clocks3::monotonic_clock::Host::now(&mut self.clocks_for("read", MONOTONIC)?)
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        clocks3::monotonic_clock::Host::get_resolution(&mut self.clocks_for("read", MONOTONIC)?)
    }
}

/// The end of a wait on the guest's own clock, or `None` where it has the host's.
fn wait<U>(
    accessor: &Accessor<U, Ambience>,
    end: impl FnOnce(&VirtualClock) -> u64,
) -> wasmtime::Result<Option<Wait>> {
    accessor.with(|mut view| {
        let guest = view.get();
        guest.clocks_for("wait by", MONOTONIC)?;
        let clock = guest.ambient.clock.as_ref();
        Ok(clock.map(|clock| clock.until(end(clock))))
    })
}

impl<U: 'static> clocks3::monotonic_clock::HostWithStore<U> for Ambience {
    async fn wait_until(accessor: &Accessor<U, Self>, when: u64) -> wasmtime::Result<()> {
        if let Some(wait) = wait(accessor, |_| when)? {
            wait.await;
            return Ok(());
        }
        let now = accessor.with(|mut view| clocks2::monotonic_clock::Host::now(&mut view.get().clocks()))?;
        sleep(when.saturating_sub(now)).await
    }

    async fn wait_for(accessor: &Accessor<U, Self>, duration: u64) -> wasmtime::Result<()> {
        match wait(accessor, |clock| clock.read().saturating_add(duration))? {
            Some(wait) => {
                wait.await;
                Ok(())
            }
            None => sleep(duration).await,
        }
    }
}

/// Waits by the host's clock.
async fn sleep(nanoseconds: u64) -> wasmtime::Result<()> {
    if nanoseconds > 0 {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }
    Ok(())
}

/// Random bytes, where more than the most is an error as in WASI 0.2.
fn all_bytes(seeded: &mut Seeded, length: u64, most: u64) -> wasmtime::Result<Vec<u8>> {
    if length > most {
        wasmtime::bail!("requested len {length} exceeds limit {most}");
    }
    Ok(some_bytes(seeded, length, most))
}

/// Random bytes, no more than the most.
fn some_bytes(seeded: &mut Seeded, length: u64, most: u64) -> Vec<u8> {
    let length = usize::try_from(length.min(most)).unwrap_or_default();
    let mut bytes = vec![0; length];
    seeded.fill(&mut bytes);
    bytes
}

const RANDOM: &str = "random numbers";
const INSECURE: &str = "insecure random numbers";

impl random2::random::Host for Guest {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let most = self.ambient.most;
        self.draw(
            RANDOM,
            |own| all_bytes(own, length, most),
            |host| random2::random::Host::get_random_bytes(host, length),
        )
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let host = |host: &mut WasiRandomCtx| random2::random::Host::get_random_u64(host);
        self.draw(RANDOM, |own| Ok(own.number()), host)
    }
}

impl random2::insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let most = self.ambient.most;
        self.draw(
            INSECURE,
            |own| all_bytes(own, length, most),
            |host| random2::insecure::Host::get_insecure_random_bytes(host, length),
        )
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        let host = |host: &mut WasiRandomCtx| random2::insecure::Host::get_insecure_random_u64(host);
        self.draw(INSECURE, |own| Ok(own.number()), host)
    }
}

impl random2::insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let host = |host: &mut WasiRandomCtx| random2::insecure_seed::Host::insecure_seed(host);
        self.draw(INSECURE, |own| Ok((own.number(), own.number())), host)
    }
}

impl random3::random::Host for Guest {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let most = self.ambient.most;
        self.draw(
            RANDOM,
            |own| Ok(some_bytes(own, length, most)),
            |host| random3::random::Host::get_random_bytes(host, length),
        )
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        random2::random::Host::get_random_u64(self)
    }
}

impl random3::insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let most = self.ambient.most;
        self.draw(
            INSECURE,
            |own| Ok(some_bytes(own, length, most)),
            |host| random3::insecure::Host::get_insecure_random_bytes(host, length),
        )
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        random2::insecure::Host::get_insecure_random_u64(self)
    }
}

impl random3::insecure_seed::Host for Guest {
    fn get_insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        random2::insecure_seed::Host::insecure_seed(self)
    }
}
