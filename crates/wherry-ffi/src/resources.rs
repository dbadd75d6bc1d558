//! Resources on both sides: those of a guest that the caller has handles to, and those of the caller that a guest has handles to.

use crate::imports::Destructor;
use crate::instance::Instance;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use wherry_engine::error::{Error, Kind};
use wherry_engine::values::{ResourceAny, Result};

/// What the resources of one instance stand in.
pub struct Home {
    /// Tells handles of one instance from those of another.
    serial: u64,
    table: Mutex<Table>,
    /// What ends the caller's resources, in the order in which the component imports their types.
    destructors: Vec<Option<Arc<Destructor>>>,
    /// The instance, once there is one.
    pub instance: Arc<OnceLock<Weak<Instance>>>,
}

#[derive(Default)]
struct Table {
    slots: Vec<(u32, Option<ResourceAny>)>,
    free: Vec<u32>,
}

/// Bits of a handle: 20 of an instance, 22 of a generation, 22 of a place.
const BITS: u32 = 22;
const MASK: u64 = (1 << BITS) - 1;

impl Home {
    pub fn new(destructors: Vec<Option<Arc<Destructor>>>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed) % (1 << (64 - 2 * BITS)),
            table: Mutex::default(),
            destructors,
            instance: Arc::default(),
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a guest's resource; its number is never that of one which is gone.
    pub fn keep(&self, resource: ResourceAny) -> Result<u64> {
        let mut table = self.table();
        let place = match table.free.pop() {
            Some(place) => place,
            None if table.slots.len() as u64 <= MASK => {
                table.slots.push((1, None));
                u32::try_from(table.slots.len() - 1).unwrap_or(0)
            }
            None => {
                return Err(Error::new(
                    Kind::Value,
                    "the host holds too many resources of this instance",
                ));
            }
        };
        let slot = &mut table.slots[place as usize];
        slot.1 = Some(resource);
        Ok(self.serial << (2 * BITS) | u64::from(slot.0) << BITS | u64::from(place))
    }

    /// The guest's resource of this number; with `take` the number is one no more.
    pub fn guest_resource(&self, number: u64, take: bool) -> Result<ResourceAny> {
        if number >> (2 * BITS) != self.serial {
            return Err(Error::new(Kind::Value, "this is no resource of this instance"));
        }
        let mut table = self.table();
        let place = usize::try_from(number & MASK).unwrap_or(usize::MAX);
        let generation = number >> BITS & MASK;
        let none = || Error::new(Kind::Value, "this is no resource of this instance");
        let slot = table.slots.get_mut(place).ok_or_else(none)?;
        let resource = slot
            .1
            .filter(|_| u64::from(slot.0) == generation)
            .ok_or_else(|| {
                Error::new(Kind::Closed, "the resource was released or given away already")
                    .with_hint("make a new one, or keep it for as long as it is used")
            })?;
        if take {
            slot.1 = None;
            slot.0 = if u64::from(slot.0) == MASK { 1 } else { slot.0 + 1 };
            table.free.push(u32::try_from(place).unwrap_or(0));
        }
        Ok(resource)
    }

    /// The caller's resource of this number, given to a guest or lent to it.
    pub fn host_resource(&self, place: u32, number: u64, give: bool) -> HostResource {
        let destructor = self.destructors.get(place as usize).cloned().flatten();
        HostResource {
            number,
            destructor: destructor.filter(|_| give),
        }
    }
}

/// A resource of the caller's that a guest has a handle to. When the guest drops one that is its own, the caller hears of it.
pub struct HostResource {
    /// What the caller calls it.
    pub number: u64,
    destructor: Option<Arc<Destructor>>,
}

impl HostResource {
    /// The caller has it again.
    pub fn give_back(mut self) -> u64 {
        self.destructor = None;
        self.number
    }
}

impl Drop for HostResource {
    fn drop(&mut self) {
        if let Some(destructor) = &self.destructor {
            destructor.run(self.number);
        }
    }
}
