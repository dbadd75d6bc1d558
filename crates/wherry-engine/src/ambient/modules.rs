//! Clocks and randomness for core modules: WASI 0.1, and the `wasi_unstable` before it.
//!
//! Reading a clock stays with wasmtime-wasi. What is done here: refusing, random bytes that follow from a seed, and waiting
//! by a clock of the guest's own, for which [`poll_oneoff`] is the place to start.

use super::Guest;
use crate::clock::VirtualClock;
use std::sync::Arc;
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;
use wiggle::GuestMemory;

// The numbers of `errno` are the same under both names.
const SUCCESS: i32 = 0;
const ACCES: i32 = 2;
const INVAL: i32 = 28;

/// How a subscription of `poll_oneoff` lies in memory.
#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    /// Where the clock's number is; what follows it is the same under both names.
    clock: usize,
}

const PREVIEW1: Layout = Layout { size: 48, clock: 16 };
// Its clocks begin with an identifier.
const UNSTABLE: Layout = Layout { size: 56, clock: 24 };

/// Where a descriptor's number is in a subscription, and the tag that says what it is for.
const DESCRIPTOR: usize = 16;
const TAG: usize = 8;
const TAG_CLOCK: u8 = 0;

/// The size of an event, and where in it the tag is.
const EVENT: usize = 32;
const EVENT_TAG: usize = 10;

/// Puts the wrappers in front of both names of WASI 0.1.
///
/// # Errors
/// Those of the linker.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    macro_rules! add {
        ($name:literal, $layout:expr, $($raw:ident)::+) => {{
            use $($raw)::+ as raw;
            linker.func_wrap($name, "clock_time_get",
                |mut caller: Caller<'_, Guest>, id: i32, precision: i64, at: i32| {
                    if !caller.data().may_read_clock("read", clock_name(id)) {
                        return Ok(ACCES);
                    }
                    let (wasi, mut memory) = wasi(&mut caller)?;
                    raw::clock_time_get(wasi, &mut memory, id, precision, at)
                })?;
            linker.func_wrap($name, "clock_res_get", |mut caller: Caller<'_, Guest>, id: i32, at: i32| {
                if !caller.data().may_read_clock("read", clock_name(id)) {
                    return Ok(ACCES);
                }
                let (wasi, mut memory) = wasi(&mut caller)?;
                raw::clock_res_get(wasi, &mut memory, id, at)
            })?;
            linker.func_wrap($name, "random_get", |mut caller: Caller<'_, Guest>, at: i32, length: i32| {
                if !caller.data().may_draw("random numbers") {
                    return Ok(ACCES);
                }
                if caller.data().ambient.random.is_some() {
                    return random_get(&mut caller, at, length);
                }
                let (wasi, mut memory) = wasi(&mut caller)?;
                raw::random_get(wasi, &mut memory, at, length)
            })?;
            linker.func_wrap_async($name, "poll_oneoff",
                |mut caller: Caller<'_, Guest>, (from, to, count, at): (i32, i32, i32, i32)| {
                    Box::new(async move {
                        let poll = Poll { layout: $layout, from: address(from), to: address(to), at: address(at) };
                        let subscriptions = poll.read(&mut caller, count)?;
                        let clocks = subscriptions.iter().any(|found| matches!(found, Subscription::Clock { .. }));
                        if clocks && !caller.data().may_read_clock("wait by", "monotonic clock") {
                            return Ok(ACCES);
                        }
                        match caller.data().ambient.clock.clone() {
                            Some(clock) if clocks => poll_oneoff(&mut caller, &poll, &subscriptions, &clock).await,
                            _ => {
                                let (wasi, mut memory) = wasi(&mut caller)?;
                                raw::poll_oneoff(wasi, &mut memory, from, to, count, at).await
                            }
                        }
                    })
                })?;
        }};
    }
    add!(
        "wasi_snapshot_preview1",
        PREVIEW1,
        wasmtime_wasi::p1::wasi_snapshot_preview1
    );
    add!("wasi_unstable", UNSTABLE, wasmtime_wasi::p0::wasi_unstable);
    Ok(())
}

fn clock_name(id: i32) -> &'static str {
    match id {
        0 => "wall clock",
        1 => "monotonic clock",
        _ => "processor clock",
    }
}

/// An address in the guest's memory.
fn address(pointer: i32) -> usize {
    usize::try_from(pointer.cast_unsigned()).unwrap_or(usize::MAX)
}

fn memory(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => wasmtime::bail!("missing required memory export"),
    }
}

/// What the functions of wasmtime-wasi are called with.
pub(crate) fn wasi<'a>(
    caller: &'a mut Caller<'_, Guest>,
) -> wasmtime::Result<(&'a mut WasiP1Ctx, GuestMemory<'a>)> {
    use p1::WasiSnapshotPreview1 as _;
    let memory = memory(caller)?;
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (bytes, guest) = memory.data_and_store_mut(caller);
    guest.wasi.set_hostcall_fuel(fuel);
    Ok((&mut guest.wasi, GuestMemory::Unshared(bytes)))
}

/// Random bytes that follow from the seed.
fn random_get(caller: &mut Caller<'_, Guest>, at: i32, length: i32) -> wasmtime::Result<i32> {
    let length = u64::from(length.cast_unsigned());
    let most = caller.data().ambient.most;
    if length > most {
        wasmtime::bail!("requested len {length} exceeds limit {most}");
    }
    let memory = memory(caller)?;
    let (bytes, guest) = memory.data_and_store_mut(caller);
    let bytes = part(bytes, address(at), usize::try_from(length)?)?;
    if let Some(seeded) = &mut guest.ambient.random {
        seeded.fill(bytes);
    }
    Ok(SUCCESS)
}

/// A part of the guest's memory; outside of it the guest traps, as WASI 0.1 has it.
fn part(memory: &mut [u8], at: usize, length: usize) -> wasmtime::Result<&mut [u8]> {
    let end = at.checked_add(length);
    end.and_then(|end| memory.get_mut(at..end))
        .ok_or_else(|| wasmtime::format_err!("pointer out of bounds"))
}

/// What a guest waits for.
#[derive(Clone, Copy)]
enum Subscription {
    Clock {
        wall: bool,
        known: bool,
        timeout: u64,
        absolute: bool,
    },
    /// A file or stream, with the bytes that say so.
    Descriptor([u8; PREVIEW1.size]),
}

/// One call of `poll_oneoff`: where its arguments are.
struct Poll {
    layout: Layout,
    from: usize,
    to: usize,
    at: usize,
}

impl Poll {
    fn read(&self, caller: &mut Caller<'_, Guest>, count: i32) -> wasmtime::Result<Vec<Subscription>> {
        let memory = memory(caller)?;
        let size = address(count).checked_mul(self.layout.size);
        let bytes = part(memory.data_mut(caller), self.from, size.unwrap_or(usize::MAX))?;
        let subscriptions = bytes.chunks_exact(self.layout.size);
        Ok(subscriptions
            .map(|bytes| self.layout.subscription(bytes))
            .collect())
    }
}

impl Layout {
    fn subscription(self, bytes: &[u8]) -> Subscription {
        if bytes[TAG] == TAG_CLOCK {
            let id = word(bytes, self.clock);
            return Subscription::Clock {
                wall: id == 0,
                known: id <= 1,
                timeout: number(bytes, self.clock + 8),
                absolute: bytes[self.clock + 24] & 1 == 1,
            };
        }
        let mut descriptor = [0; PREVIEW1.size];
        descriptor[TAG] = bytes[TAG];
        descriptor[DESCRIPTOR..DESCRIPTOR + 4].copy_from_slice(&bytes[DESCRIPTOR..DESCRIPTOR + 4]);
        Subscription::Descriptor(descriptor)
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Waits by the guest's own clock: what is ready counts first, and where nothing is the clock moves on to the first timer.
async fn poll_oneoff(
    caller: &mut Caller<'_, Guest>,
    poll: &Poll,
    subscriptions: &[Subscription],
    clock: &Arc<VirtualClock>,
) -> wasmtime::Result<i32> {
    let mut now = clock.read();
    let mut times = Vec::with_capacity(subscriptions.len());
    for subscription in subscriptions {
        times.push(match *subscription {
            Subscription::Clock { known: false, .. } => return Ok(INVAL),
            Subscription::Clock {
                absolute: false,
                timeout,
                ..
            } => Some(now.saturating_add(timeout)),
            Subscription::Clock {
                wall: true, timeout, ..
            } => Some(timeout.saturating_sub(clock.start())),
            Subscription::Clock { timeout, .. } => Some(timeout),
            Subscription::Descriptor(_) => None,
        });
    }
    let mut events = vec![None; subscriptions.len()];
    let error = ready(caller, poll, subscriptions, &mut events).await?;
    if error != SUCCESS {
        return Ok(error);
    }
    if events.iter().all(Option::is_none) {
        let first = times.iter().flatten().min().copied().unwrap_or_default();
        clock.reach(first);
        now = now.max(first);
    }
    for (event, time) in events.iter_mut().zip(times) {
        if time.is_some_and(|time| time <= now) {
            *event = Some([0; EVENT]);
        }
    }
    poll.write(caller, &events)
}

impl Poll {
    /// Writes the events that came, each with what its subscription is known by, and their count.
    fn write(&self, caller: &mut Caller<'_, Guest>, events: &[Option<[u8; EVENT]>]) -> wasmtime::Result<i32> {
        let memory = memory(caller)?;
        let memory = memory.data_mut(caller);
        let mut came: Vec<[u8; EVENT]> = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let Some(mut event) = *event else { continue };
            let known_by = part(memory, self.from + index * self.layout.size, 8)?;
            event[..8].copy_from_slice(known_by);
            came.push(event);
        }
        part(memory, self.to, came.len() * EVENT)?.copy_from_slice(came.as_flattened());
        let count = u32::try_from(came.len())?;
        part(memory, self.at, 4)?.copy_from_slice(&count.to_le_bytes());
        Ok(SUCCESS)
    }
}

/// Which files and streams are ready now, each event at the place of its subscription.
///
/// wasmtime-wasi is asked, about them and a timer that is over: it then answers without waiting. The question is put where
/// the guest put its own, which is put back afterwards.
async fn ready(
    caller: &mut Caller<'_, Guest>,
    poll: &Poll,
    subscriptions: &[Subscription],
    events: &mut [Option<[u8; EVENT]>],
) -> wasmtime::Result<i32> {
    let mut question = Vec::with_capacity(subscriptions.len());
    for (index, subscription) in subscriptions.iter().enumerate() {
        if let Subscription::Descriptor(mut bytes) = *subscription {
            bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
            question.push(bytes);
        }
    }
    if question.is_empty() {
        return Ok(SUCCESS);
    }
    let mut over = [0; PREVIEW1.size];
    over[PREVIEW1.clock] = 1;
    question.push(over);

    let memory = memory(caller)?;
    let size = subscriptions.len() * poll.layout.size;
    let place = part(memory.data_mut(&mut *caller), poll.from, size)?;
    let original = place.to_vec();
    place[..question.len() * PREVIEW1.size].copy_from_slice(question.as_flattened());
    let (wasi, mut bytes) = wasi(caller)?;
    let pointer = |address: usize| u32::try_from(address).unwrap_or(u32::MAX).cast_signed();
    let (from, to, at) = (pointer(poll.from), pointer(poll.to), pointer(poll.at));
    let answer = p1::poll_oneoff(wasi, &mut bytes, from, to, pointer(question.len()), at).await;
    part(memory.data_mut(&mut *caller), poll.from, size)?.copy_from_slice(&original);
    let answer = answer?;
    if answer != SUCCESS {
        return Ok(answer);
    }

    let data = memory.data_mut(&mut *caller);
    let count = usize::try_from(word(part(data, poll.at, 4)?, 0))?;
    let came = part(data, poll.to, count.saturating_mul(EVENT))?;
    for event in came
        .chunks_exact(EVENT)
        .filter(|event| event[EVENT_TAG] != TAG_CLOCK)
    {
        let index = usize::try_from(number(event, 0))?;
        let mut copy = [0; EVENT];
        copy.copy_from_slice(event);
        if let Some(place) = events.get_mut(index) {
            *place = Some(copy);
        }
    }
    Ok(SUCCESS)
}
