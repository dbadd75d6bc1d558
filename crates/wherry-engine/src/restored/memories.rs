//! The memories of one component: [`Images`]; and what the engine asks for them, [`Creator`].

use super::drive::{self, Drive, Driven, Lease};
use super::image::Source;
use super::kernel;
use super::shelf::Shelf;
use super::slot::{Reset, Slot};
use super::{Beginning, Counts, Shared, WASM_PAGE};
use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::mode::POOL;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// What the memories of a component hold at the start, and places for them; cheap to clone.
#[derive(Clone)]
pub struct Images(Arc<Memories>);

/// The memories of a component, in the order in which one instantiation makes them.
pub(super) struct Memories {
    pools: Vec<Arc<Pool>>,
    shared: Option<Shared>,
}

/// How much is done at each reset beyond what is needed, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Care {
    /// Everything is compared with what it should be.
    pub(super) verify: bool,
    /// Guests' memories are put back at all.
    pub(super) reset: bool,
}

impl Care {
    /// As the environment says: `WHERRY_VERIFY_RESETS=1` has every reset looked at whole, which takes long.
    fn usual() -> Self {
        Self {
            verify: std::env::var_os("WHERRY_VERIFY_RESETS").is_some_and(|value| value == "1"),
            reset: true,
        }
    }
}

/// Places for one of the memories.
pub(super) struct Pool {
    source: Arc<Source>,
    free: Shelf<Waiting>,
    live: AtomicUsize,
    /// Bytes of written pages in those that wait.
    kept: Arc<AtomicUsize>,
    /// The process that it was made in: a forked child has no part in it.
    generation: u32,
    care: Care,
    made: AtomicU64,
    reset: AtomicU64,
    rewound: AtomicU64,
    asked: AtomicU64,
    given_back: AtomicU64,
    lost: AtomicU64,
    different: AtomicU64,
}

/// The most bytes of written pages that the places of one memory keep while no guest has them.
const KEPT_IN_ALL: usize = 512 << 20;

impl Images {
    /// The memories of a component that has `memories` of them, each from its own image, or zero; `shared` is what
    /// their engine has.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where this system cannot have them, or the images do not belong to the component.
    pub(crate) fn new(images: &[Beginning], memories: u32, shared: Option<Shared>) -> Result<Self> {
        Self::with(images, memories, shared, Care::usual())
    }

    pub(super) fn with(
        images: &[Beginning],
        memories: u32,
        shared: Option<Shared>,
        care: Care,
    ) -> Result<Self> {
        if let Some(why) = kernel::unavailable() {
            return Err(Error::new(Kind::Unsupported, why));
        }
        let strange = || Error::new(Kind::Unsupported, "images that belong to other memories");
        let mut sources: Vec<_> = (0..memories).map(|_| Arc::new(Source::zeros())).collect();
        for image in images {
            let source = sources
                .get_mut(image.memory as usize)
                .filter(|source| source.least() == 0)
                .ok_or_else(strange)?;
            let length = usize::try_from(image.pages)
                .ok()
                .and_then(|pages| pages.checked_mul(WASM_PAGE))
                .filter(|length| *length >= image.contents.length() && *length > 0)
                .ok_or_else(strange)?;
            let made = Source::new(&image.contents, length);
            *source = Arc::new(made.map_err(|error| Error::io("the image of a memory", &error))?);
        }
        let pools = sources
            .into_iter()
            .map(|source| Arc::new(Pool::new(source, care)));
        Ok(Self(Arc::new(Memories {
            pools: pools.collect(),
            shared,
        })))
    }

    /// Drives a future that makes one guest and runs it: the guest's memories are these, and whatever touches them, its store
    /// above all, stays inside the future.
    pub fn drive<F>(&self, future: F) -> Drive<F> {
        self.lease().drive(future)
    }

    /// The same for a guest that may run in several futures, one after another.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.0))
    }

    /// Gives places back that were not used for long; to be called now and then.
    pub fn tidy(&self) {
        for pool in &self.0.pools {
            pool.free.tidy();
        }
        if let Some(shared) = &self.0.shared {
            shared.stacks.tidy();
        }
    }

    /// What was counted, of all memories together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.0.pools.iter().fold(Counts::default(), |sum, pool| Counts {
            made: sum.made + read(&pool.made),
            reset: sum.reset + read(&pool.reset),
            rewound: sum.rewound + read(&pool.rewound),
            asked: sum.asked + read(&pool.asked),
            given_back: sum.given_back + read(&pool.given_back),
            lost: sum.lost + read(&pool.lost),
            different: sum.different + read(&pool.different),
            waiting: sum.waiting + pool.free.len() as u64,
            kept: sum.kept + pool.kept.load(Ordering::Relaxed) as u64,
        })
    }

    #[cfg(test)]
    pub(super) fn age(&self) {
        for pool in &self.0.pools {
            pool.free.age();
        }
    }
}

impl Pool {
    fn new(source: Arc<Source>, care: Care) -> Self {
        Self {
            source,
            free: Shelf::new(),
            live: AtomicUsize::new(0),
            kept: Arc::default(),
            generation: fork::generation(),
            care,
            made: AtomicU64::new(0),
            reset: AtomicU64::new(0),
            rewound: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            different: AtomicU64::new(0),
        }
    }

    /// Whether places may come from here and go back: not in a child of the process that made it, whose locks may be held by
    /// threads that are not there.
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    fn take(&self, capacity: usize, guard: usize) -> Result<Slot> {
        if self.is_ours() {
            if self.live.fetch_add(1, Ordering::Relaxed) >= POOL as usize {
                self.live.fetch_sub(1, Ordering::Relaxed);
                return Err(Error::new(Kind::Busy, "no more guests fit into memory"));
            }
            let waiting = self.free.take().and_then(Waiting::slot);
            if let Some(slot) = waiting.filter(|slot| slot.fits(capacity, guard)) {
                return Ok(slot);
            }
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        Slot::new(&self.source, capacity, guard).map_err(|error| {
            self.left();
            let message = format!("there is no memory for another guest: {error}");
            Error::new(Kind::Busy, message)
        })
    }

    fn left(&self) {
        if self.is_ours() {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes a place back. With `known`, the guest took no fault while it had it.
    fn put(&self, mut slot: Slot, known: bool) {
        self.left();
        if !self.reset(&mut slot, known) {
            return;
        }
        let waiting = Waiting::new(slot, &self.kept);
        if self.kept.load(Ordering::Relaxed) <= KEPT_IN_ALL {
            self.free.put(waiting);
        }
    }

    /// Puts a place back to what it was; false when it must not be used again. With `known` as for [`Pool::put`].
    fn reset(&self, slot: &mut Slot, known: bool) -> bool {
        let Some(method) = kernel::method().ok().filter(|_| self.is_ours()) else {
            return false;
        };
        if !self.care.reset {
            return true;
        }
        let Ok(reset) = slot.reset(method, known) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        self.reset.fetch_add(1, Ordering::Relaxed);
        match reset {
            Reset::Known => {}
            Reset::Asked => {
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            Reset::GivenBack => {
                self.given_back.fetch_add(1, Ordering::Relaxed);
            }
        }
        if self.care.verify && !slot.is_as_new().unwrap_or(false) {
            self.different.fetch_add(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// A place that waits for a guest, and is counted.
struct Waiting {
    slot: Option<Slot>,
    bytes: usize,
    kept: Arc<AtomicUsize>,
}

impl Waiting {
    fn new(slot: Slot, kept: &Arc<AtomicUsize>) -> Self {
        let bytes = slot.kept();
        kept.fetch_add(bytes, Ordering::Relaxed);
        Self {
            slot: Some(slot),
            bytes,
            kept: Arc::clone(kept),
        }
    }

    fn slot(mut self) -> Option<Slot> {
        self.slot.take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the engine asks for memories.
pub(crate) struct Creator;

// SAFETY: a memory has the addresses, guards and size that were asked for, is open up to its size and no further, and holds
// zeros but for what its image says, which is what the component says that it holds: see `Slot` and the module above.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let driven = drive::current().ok_or("a restored memory was asked for by nobody who drives it")?;
        let made = Memory::new(&driven, minimum, reserved, guard);
        made.map(|memory| Box::new(memory) as _).map_err(|error| {
            let said = error.message().to_owned();
            driven.refuse(error);
            said
        })
    }
}

/// Where one memory is while a guest has it: its own, and whoever puts it back where it is.
pub(super) struct Place {
    /// There until the memory is dropped.
    slot: Mutex<Option<Slot>>,
    pool: Arc<Pool>,
    /// How many bytes the guest reaches.
    size: AtomicUsize,
}

/// The most bytes of written pages that a memory keeps which is put back where it is: nobody else can have them.
const KEPT_IN_PLACE: usize = 1 << 20;

impl Place {
    fn slot(&self) -> MutexGuard<'_, Option<Slot>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it back to what it was, with the size that it had; false when it cannot be used again by the same guest. With
    /// `known`, that took no page fault.
    pub(super) fn rewind(&self, known: bool) -> bool {
        let mut slot = self.slot();
        // Where its image does not say how large it was, nothing does.
        let least = self.pool.source.least();
        let Some(slot) = slot.as_mut().filter(|_| least > 0) else {
            return false;
        };
        let rewound = self.pool.reset(slot, known) && slot.kept() <= KEPT_IN_PLACE;
        self.size.store(least, Ordering::Relaxed);
        self.pool.rewound.fetch_add(u64::from(rewound), Ordering::Relaxed);
        rewound
    }
}

/// One memory while a guest has it.
struct Memory {
    place: Arc<Place>,
    driven: Arc<Driven>,
    capacity: usize,
}

impl Memory {
    fn new(driven: &Arc<Driven>, minimum: usize, reserved: Option<usize>, guard: usize) -> Result<Self> {
        let fault = |message: String| Error::new(Kind::Internal, message);
        let number = driven.next();
        let pool = driven.memories().pools.get(number).ok_or_else(|| {
            fault(format!(
                "a component that was prepared asks for a memory more than its {number}"
            ))
        })?;
        let least = pool.source.least();
        if least != 0 && least != minimum {
            let message = format!("memory {number} has {minimum} bytes, and its image {least}");
            return Err(fault(message));
        }
        let capacity = reserved
            .filter(|capacity| *capacity >= minimum)
            .ok_or_else(|| fault(format!("memory {number} is larger than its addresses")))?;
        let slot = pool.take(capacity, guard)?;
        let place = Arc::new(Place {
            slot: Mutex::new(Some(slot)),
            pool: Arc::clone(pool),
            size: AtomicUsize::new(minimum),
        });
        driven.begin(&place);
        let mut memory = Self {
            place,
            driven: Arc::clone(driven),
            capacity,
        };
        let grown = memory.grow_to(minimum);
        grown.map_err(|error| {
            Error::new(
                Kind::Busy,
                format!("there is no memory for another guest: {error}"),
            )
        })?;
        Ok(memory)
    }
}

// SAFETY: it says what `Slot` does.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.place.size.load(Ordering::Relaxed)
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if let Some(slot) = &mut *self.place.slot() {
            // An error of the system stays one: the meter takes back what it granted.
            slot.grow(size)?;
            self.place.size.store(size, Ordering::Relaxed);
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.place
            .slot()
            .as_ref()
            .map_or(std::ptr::null_mut(), Slot::start)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let known = self.driven.end();
        let slot = self.place.slot().take();
        if let Some(slot) = slot {
            self.place.pool.put(slot, known);
        }
    }
}
