//! What a guest may use of the network: connections at once, and requests in all, and bytes in both directions together.

use crate::limits::Limit;
use crate::monitor::Monitor;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime_wasi_http::Error;

/// Connections at once.
pub(super) struct Slots {
    most: u32,
    taken: AtomicU32,
}

/// One of the connections; free again when it is dropped.
pub struct Slot(Arc<Slots>);

impl Slots {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            taken: AtomicU32::new(0),
        }
    }

    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Takes one, unless all are taken.
    pub(super) fn take(slots: &Arc<Self>) -> Option<Slot> {
        let more = |taken| (taken < slots.most).then_some(taken + 1);
        let taken = slots
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Slot(Arc::clone(slots)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// HTTP requests sent.
pub(super) struct Count {
    most: Option<u64>,
    sent: AtomicU64,
}

impl Count {
    pub(super) fn new(most: Option<u64>) -> Self {
        Self {
            most,
            sent: AtomicU64::new(0),
        }
    }

    /// Counts anew.
    pub(super) fn renew(&self) {
        self.sent.store(0, Ordering::Relaxed);
    }

    /// Counts one more; the limit, where it is reached already.
    pub(super) fn more(&self) -> Result<(), u64> {
        let Some(most) = self.most else { return Ok(()) };
        let more = |sent| (sent < most).then_some(sent + 1);
        let counted = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.map(drop).map_err(|_| most)
    }
}

/// Bytes sent and received.
pub(super) struct Transfer {
    limit: Option<u64>,
    used: Mutex<u64>,
    monitor: Arc<Monitor>,
}

impl Transfer {
    pub(super) fn new(limit: Option<u64>, monitor: Arc<Monitor>) -> Self {
        Self {
            limit,
            used: Mutex::new(0),
            monitor,
        }
    }

    /// Moves up to `wanted` bytes: `act` is told how many may be moved and answers how many it did move. Nobody else moves
    /// any meanwhile, so that the limit is exact; `act` must not wait.
    pub(super) fn moves<R>(&self, wanted: usize, act: impl FnOnce(usize) -> (R, usize)) -> R {
        let Some(limit) = self.limit else {
            return act(wanted).0;
        };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let left = usize::try_from(limit.saturating_sub(*used)).unwrap_or(usize::MAX);
        let (result, moved) = act(wanted.min(left));
        *used += moved as u64;
        result
    }

    /// How many of these amounts, one after the other, fit in; they count as moved.
    pub(super) fn fitting(&self, lengths: impl Iterator<Item = usize>) -> usize {
        self.moves(usize::MAX, |left| {
            let (mut count, mut sum) = (0, 0_usize);
            for length in lengths {
                let more = sum.saturating_add(length);
                if more > left {
                    break;
                }
                (count, sum) = (count + 1, more);
            }
            (count, sum)
        })
    }

    /// Counts so many bytes as moved, or none where not all of them fit in.
    ///
    /// # Errors
    /// [`NoRoom::error`].
    pub(super) fn pay(&self, bytes: usize, operation: &'static str) -> Result<(), Error> {
        if self.fitting(std::iter::once(bytes)) == 1 {
            return Ok(());
        }
        self.strike(operation);
        Err(NoRoom::error())
    }

    /// Takes back bytes that were counted and not moved.
    pub(super) fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes as u64);
    }

    /// Counts anew.
    pub(super) fn renew(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// How many bytes may still be moved.
    pub(super) fn left(&self) -> usize {
        self.moves(usize::MAX, |left| (left, 0))
    }

    /// Notes that the limit struck.
    pub(super) fn strike(&self, operation: &'static str) {
        self.monitor
            .struck(Limit::Transfer, operation, self.limit.unwrap_or(u64::MAX));
    }
}

/// What an operation fails with that the limit on transfer struck.
#[derive(Debug, thiserror::Error)]
#[error("the limit on bytes over the network is reached")]
pub(super) struct NoRoom;

impl NoRoom {
    /// The same as an error of `wasi:http`.
    pub(super) fn error() -> Error {
        Error::HttpResponseBodySize(None)
    }

    /// The same as an error of input and output; guests are told that access is denied.
    pub(super) fn io() -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::PermissionDenied, NoRoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_free_again_when_it_ends() {
        let slots = Arc::new(Slots::new(2));
        let one = Slots::take(&slots).unwrap();
        let _two = Slots::take(&slots).unwrap();
        assert!(Slots::take(&slots).is_none());
        drop(one);
        assert!(Slots::take(&slots).is_some());
    }

    #[test]
    fn requests_are_counted_as_they_are_sent() {
        let count = Count::new(Some(2));
        assert_eq!(
            [count.more(), count.more(), count.more()],
            [Ok(()), Ok(()), Err(2)]
        );
        assert!((0..100).all(|_| Count::new(None).more().is_ok()));
    }

    #[test]
    fn bytes_are_counted_to_the_last_one() {
        let transfer = Transfer::new(Some(10), Arc::default());
        assert_eq!(transfer.moves(4, |room| (room, room)), 4);
        assert_eq!(transfer.moves(100, |room| (room, 1)), 6);
        assert_eq!(transfer.moves(5, |room| (room, room)), 5);
        assert_eq!(transfer.moves(1, |room| (room, room)), 0);
        assert_eq!(transfer.left(), 0);
        assert_eq!(
            Transfer::new(None, Arc::default()).moves(7, |room| (room, room)),
            7
        );
    }
}
