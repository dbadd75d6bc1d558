//! What a guest and the connection that it answers on hand to each other: one answer, piece by piece.
//!
//! The guest is polled inside the connection's task, so that nobody has to be woken here: who takes a piece out polls the
//! guest again. The lock is there because the guest's store and the connection own the two ends; it is never waited for.
//! Framing is decided here and nowhere else: what a guest says of its length is held against what it writes.

use crate::observe::record::Seen;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use wherry_engine::meter::Meter;

/// How many bytes of an answer wait to be sent before the guest has to wait.
pub const ROOM: usize = 256 << 10;

/// One answer on its way.
pub struct Exchange {
    state: Mutex<State>,
    /// What is wrong with the request, as a status; 0 for nothing.
    fault: AtomicU16,
    refused_memory: AtomicBool,
    seen: Seen,
}

/// Where an answer is.
#[derive(Default)]
pub struct State {
    head: Head,
    waiting: Vec<u8>,
    end: End,
    declared: Option<u64>,
    written: u64,
    /// The most bytes that its body may have.
    most: Option<u64>,
    /// Whether it has, or would have, more than that.
    too_much: bool,
    /// The body goes nowhere: it is that of an answer to HEAD, or its status has none.
    unread: bool,
    /// The guest asked for more of the body of the request, and its client has until then to send it.
    awaited: Option<Instant>,
}

/// Status and fields.
#[derive(Default)]
enum Head {
    #[default]
    Missing,
    Set(StatusCode, HeaderMap),
    /// The guest said that it has none, or one that cannot be.
    Refused,
    Taken,
}

/// How the body ends.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    #[default]
    Open,
    /// All of it was written.
    Finished(Option<HeaderMap>),
    /// It breaks off.
    Broken,
}

/// What came of asking for the head.
pub enum Asked {
    /// There is none yet.
    Missing,
    /// This one.
    Head(StatusCode, HeaderMap),
    /// There will be none.
    Refused,
}

impl Exchange {
    /// The answer to a request of which this is known, whose body has up to so many bytes.
    pub fn new(seen: Seen, most: Option<u64>) -> Self {
        Self {
            state: Mutex::new(State {
                most,
                ..State::default()
            }),
            fault: AtomicU16::new(0),
            refused_memory: AtomicBool::new(false),
            seen,
        }
    }

    /// What is known of the request.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Notes what a guest that failed had been told of memory, which may be why.
    pub fn note_memory(&self, meter: &Meter) {
        self.refused_memory.store(meter.refused(), Ordering::Relaxed);
    }

    /// Whether its guest was refused memory before it failed.
    pub fn was_refused_memory(&self) -> bool {
        self.refused_memory.load(Ordering::Relaxed)
    }

    /// The answer as it stands.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the request turned out to be none; what is found first counts.
    pub fn note_fault(&self, status: StatusCode) {
        let (order, code) = (Ordering::Relaxed, status.as_u16());
        // Where it is there already, it stays.
        let _ = self.fault.compare_exchange(0, code, order, order);
    }

    /// What is wrong with the request.
    pub fn fault(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.fault.load(Ordering::Relaxed)).ok()
    }
}

impl State {
    /// Until when its client has time to send what the guest asked for, where it did.
    pub fn awaited(&self) -> Option<Instant> {
        self.awaited
    }

    /// Notes that; nothing when it came.
    pub fn set_awaited(&mut self, until: Option<Instant>) {
        self.awaited = until;
    }

    /// Takes status and fields over. What the fields say of the length is taken out of them, and held to.
    pub fn set_head(&mut self, status: StatusCode, mut fields: HeaderMap) {
        self.head = match length(&mut fields) {
            // RFC 9110, 15.2: an answer of one of these is followed by another one, which the guest cannot give.
            _ if status.is_informational() => Head::Refused,
            Err(()) => Head::Refused,
            Ok(Some(declared)) if self.exceeded_by(declared) => Head::Refused,
            Ok(declared) => {
                self.declared = declared;
                Head::Set(status, fields)
            }
        };
        if self.declared.is_some_and(|declared| self.written > declared) {
            self.end = End::Broken;
        }
    }

    /// Notes that there is no answer.
    pub fn refuse(&mut self) {
        self.head = Head::Refused;
    }

    /// Takes the head out.
    pub fn take_head(&mut self) -> Asked {
        match std::mem::replace(&mut self.head, Head::Taken) {
            Head::Set(status, fields) => Asked::Head(status, fields),
            Head::Refused => Asked::Refused,
            Head::Missing => {
                self.head = Head::Missing;
                Asked::Missing
            }
            Head::Taken => Asked::Missing,
        }
    }

    /// Puts a head back that was taken out too early.
    pub fn put_back(&mut self, status: StatusCode, fields: HeaderMap) {
        self.head = Head::Set(status, fields);
    }

    /// How many bytes may be written now; `None` when nothing will be taken any more.
    pub fn room(&self) -> Option<usize> {
        match self.end {
            End::Open if self.unread => Some(ROOM),
            End::Open => Some(ROOM.saturating_sub(self.waiting.len())),
            End::Finished(_) | End::Broken => None,
        }
    }

    /// Takes bytes over; false when they are more than the guest said.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if self.end != End::Open {
            return false;
        }
        self.written += bytes.len() as u64;
        if !self.unread {
            if self.declared.is_some_and(|declared| self.written > declared) || self.exceeded_by(self.written)
            {
                self.end = End::Broken;
                return false;
            }
            self.waiting.extend_from_slice(bytes);
        }
        true
    }

    /// Whether a body of so many bytes is larger than it may be, which is noted.
    fn exceeded_by(&mut self, bytes: u64) -> bool {
        self.too_much |= self.most.is_some_and(|most| bytes > most);
        self.too_much
    }

    /// Whether the body is larger than it may be; said once.
    pub fn take_too_much(&mut self) -> bool {
        std::mem::take(&mut self.too_much)
    }

    /// Ends the body; false when it is not as long as the guest said.
    pub fn finish(&mut self, trailers: Option<HeaderMap>) -> bool {
        if self.end != End::Open {
            return self.end != End::Broken;
        }
        let whole = self.unread || self.declared.is_none_or(|declared| declared == self.written);
        self.end = if whole {
            End::Finished(trailers)
        } else {
            End::Broken
        };
        whole
    }

    /// Breaks the body off, even where the guest took it for whole.
    pub fn spoil(&mut self) {
        self.end = End::Broken;
    }

    /// Breaks the body off, unless it is over.
    pub fn break_off(&mut self) {
        if self.end == End::Open {
            self.end = End::Broken;
        }
    }

    /// Throws away what is there of the body and what comes.
    pub fn stop_reading(&mut self) {
        self.unread = true;
        self.waiting = Vec::new();
    }

    /// Takes out what waits to be sent.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.waiting).into()
    }

    /// Whether bytes wait to be sent.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How the body ends.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// What the guest said of the length.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Bytes that were written.
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// Takes the length out of fields. RFC 9110, 8.6: one number, or the same one again.
fn length(fields: &mut HeaderMap) -> Result<Option<u64>, ()> {
    let mut found = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().map_err(|_| ())?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| digits.parse::<u64>().ok()).flatten().ok_or(())?;
        if found.is_some_and(|other| other != number) {
            return Err(());
        }
        found = Some(number);
    }
    fields.remove(CONTENT_LENGTH);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn declaring(lengths: &[&'static str]) -> State {
        let mut fields = HeaderMap::new();
        for length in lengths {
            fields.append(CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        let mut state = State::default();
        state.set_head(StatusCode::OK, fields);
        state
    }

    #[test]
    fn a_length_that_is_kept_is_finished() {
        let mut state = declaring(&["5", "5"]);
        assert!(state.write(b"hello"));
        assert!(state.finish(None));
        assert_eq!(state.end(), &End::Finished(None));
        assert!(matches!(state.take_head(), Asked::Head(StatusCode::OK, fields) if fields.is_empty()));
    }

    #[test]
    fn a_length_that_is_not_kept_breaks_the_answer_off() {
        let mut long = declaring(&["4"]);
        assert!(!long.write(b"hello"));
        assert_eq!(long.end(), &End::Broken);
        assert_eq!(long.room(), None);
        let mut short = declaring(&["6"]);
        assert!(short.write(b"hello"));
        assert!(!short.finish(None));
        assert_eq!(short.end(), &End::Broken);
    }

    #[test]
    fn a_length_that_comes_after_the_body_counts_too() {
        let mut state = State::default();
        assert!(state.write(b"hello"));
        let mut fields = HeaderMap::new();
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("4"));
        state.set_head(StatusCode::OK, fields);
        assert_eq!(state.end(), &End::Broken);
    }

    #[test]
    fn lengths_that_are_no_length_are_refused() {
        for lengths in [
            &["-1"][..],
            &["5", "6"],
            &[""],
            &["0x5"],
            &["99999999999999999999"],
            &["5, 5"],
        ] {
            assert!(
                matches!(declaring(lengths).take_head(), Asked::Refused),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn a_guest_waits_when_nobody_reads() {
        let mut state = State::default();
        assert!(state.write(&vec![0; ROOM - 1]));
        assert_eq!(state.room(), Some(1));
        assert!(state.write(&[0; 2]));
        assert_eq!(state.room(), Some(0));
        assert_eq!(state.take().len(), ROOM + 1);
        assert_eq!(state.room(), Some(ROOM));
    }

    #[test]
    fn a_body_that_goes_nowhere_takes_no_memory() {
        let mut state = declaring(&["3"]);
        state.stop_reading();
        for _ in 0..10 {
            assert!(state.write(&vec![0; ROOM]));
        }
        assert!(!state.has_waiting());
        assert!(state.finish(None));
    }

    #[test]
    fn a_body_is_as_large_as_it_may_be_and_no_larger() {
        let limited = || State {
            most: Some(5),
            ..State::default()
        };
        let mut exact = limited();
        assert!(exact.write(b"hello"));
        assert!(exact.finish(None) && !exact.take_too_much());
        let mut larger = limited();
        assert!(larger.write(b"hello"));
        assert!(!larger.write(b"!"));
        assert_eq!(larger.end(), &End::Broken);
        assert!(larger.take_too_much() && !larger.take_too_much());
        let mut announced = limited();
        let length = (CONTENT_LENGTH, HeaderValue::from_static("6"));
        announced.set_head(StatusCode::OK, HeaderMap::from_iter([length]));
        assert!(matches!(announced.take_head(), Asked::Refused));
        assert!(announced.take_too_much());
    }

    #[test]
    fn informational_answers_are_not_final_ones() {
        let mut state = State::default();
        state.set_head(StatusCode::SWITCHING_PROTOCOLS, HeaderMap::new());
        assert!(matches!(state.take_head(), Asked::Refused));
    }
}
