//! A table that only grows and is read without a lock.
//!
//! A process may fork at any moment, in any thread. A lock that another thread holds at that moment stays
//! held in the child for ever, so what every load and call reads (engines, the compiler's threads) is kept
//! here: a linked list whose entries are never freed, with one atomic pointer at its head. Its size is bounded by the
//! number of different keys that a process uses, which is small.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Entry<K, V> {
    key: K,
    value: V,
    next: *const Entry<K, V>,
}

/// A table from `K` to `V` whose entries live as long as the process.
pub struct Registry<K: 'static, V: 'static> {
    head: AtomicPtr<Entry<K, V>>,
}

// SAFETY: entries are immutable once published, so sharing the table shares `&K` and `&V`, and an entry
// may be created in one thread and read in another.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Registry<K, V> {}

impl<K: PartialEq + Send + Sync, V: Send + Sync> Registry<K, V> {
    /// An empty table.
    pub const fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The value for `key`, if there is one.
    pub fn get(&self, key: &K) -> Option<&'static V> {
        Self::find(self.head.load(Ordering::Acquire), key)
    }

    /// The value for `key`, made by `make` when there is none.
    ///
    /// Two threads may both call `make`; all get the value that was published first.
    ///
    /// # Errors
    /// Whatever `make` returns; nothing is stored then.
    pub fn get_or_try_insert<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<&'static V, E> {
        if let Some(found) = self.get(&key) {
            return Ok(found);
        }
        let entry = Box::into_raw(Box::new(Entry {
            value: make()?,
            key,
            next: ptr::null(),
        }));
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // SAFETY: `entry` came from `Box::into_raw` above and is not published yet, so nobody else has it.
            let own = unsafe { &mut *entry };
            if let Some(found) = Self::find(head, &own.key) {
                // SAFETY: as above; it is given back to the box that it came from, once.
                drop(unsafe { Box::from_raw(entry) });
                return Ok(found);
            }
            own.next = head;
            match self
                .head
                .compare_exchange(head, entry, Ordering::AcqRel, Ordering::Acquire)
            {
                // SAFETY: published entries are never freed and never changed.
                Ok(_) => return Ok(unsafe { &(*entry).value }),
                Err(newer) => head = newer,
            }
        }
    }

    /// Looks at every entry.
    pub fn each(&self, mut look: impl FnMut(&K, &'static V)) {
        let mut entry: *const Entry<K, V> = self.head.load(Ordering::Acquire);
        // SAFETY: as in `find`.
        while let Some(found) = unsafe { entry.as_ref::<'static>() } {
            look(&found.key, &found.value);
            entry = found.next;
        }
    }

    fn find(mut entry: *const Entry<K, V>, key: &K) -> Option<&'static V> {
        // SAFETY: every pointer in the list was published by `get_or_try_insert` and is never freed.
        while let Some(found) = unsafe { entry.as_ref::<'static>() } {
            if found.key == *key {
                return Some(&found.value);
            }
            entry = found.next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays() {
        static TABLE: Registry<u32, String> = Registry::new();
        let first = TABLE.get_or_try_insert(1, || Ok::<_, ()>("one".into()));
        let again = TABLE.get_or_try_insert(1, || Ok::<_, ()>("other".into()));
        assert_eq!(first, again);
        assert!(TABLE.get(&2).is_none());
        assert!(TABLE.get_or_try_insert(2, || Err("no")).is_err());
        assert!(TABLE.get(&2).is_none());
    }

    #[test]
    fn racing_threads_agree() {
        static TABLE: Registry<usize, usize> = Registry::new();
        let threads: Vec<_> = (0..8)
            .map(|own| {
                std::thread::spawn(move || {
                    (0..100)
                        .map(|key| *TABLE.get_or_try_insert(key, || Ok::<_, ()>(own)).unwrap_or(&99))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let seen: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .collect();
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
