//! What guests print and log, as lines that say whose they are.
//!
//! Each guest has a voice for each of its outputs; what it writes is cut into lines. A line, and what one request may write
//! altogether, is bounded; what is over that is left out, and it is said once that it was.

use crate::observe::access::write_object;
use crate::observe::identity::RequestId;
use crate::observe::lines::{Entry, Lines};
use crate::observe::stamp;
use serde::Serialize;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use wherry_engine::stdio::Sink;

/// The most bytes in one line; a longer one is several.
const LONGEST: usize = 8 << 10;

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Words on a line, for people.
    #[default]
    Text,
    /// An object for each line.
    Json,
}

/// One line of a guest.
#[derive(Debug)]
pub struct Said {
    time: SystemTime,
    speaker: Arc<Speaker>,
    channel: Channel,
    message: Vec<u8>,
}

/// Whose lines they are.
#[derive(Debug)]
pub struct Speaker {
    /// The application.
    pub application: Arc<str>,
    /// The request.
    pub id: RequestId,
    /// Its trace.
    pub trace: Option<u128>,
    /// Bytes that it may still write.
    left: AtomicUsize,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The server speaks of it.
    Server,
}

/// The log of all guests.
pub struct GuestLog {
    lines: Lines<Said>,
    limit: usize,
}

/// Both outputs of one guest.
pub struct Voices {
    out: Arc<Voice>,
    err: Arc<Voice>,
}

/// One output of one guest.
struct Voice {
    log: Arc<GuestLog>,
    channel: Channel,
    /// Who speaks, and the line that is not over.
    begun: Mutex<(Arc<Speaker>, Vec<u8>)>,
}

impl GuestLog {
    /// Writes there what guests say, up to `limit` bytes for each request.
    #[must_use]
    pub fn new(lines: Lines<Said>, limit: usize) -> Self {
        Self { lines, limit }
    }

    /// Where it is written.
    #[must_use]
    pub fn lines(&self) -> &Lines<Said> {
        &self.lines
    }

    /// Somebody whose words are for this request.
    #[must_use]
    pub fn speaker(&self, application: Arc<str>, id: RequestId, trace: Option<u128>) -> Arc<Speaker> {
        Arc::new(Speaker {
            application,
            id,
            trace,
            left: AtomicUsize::new(self.limit),
        })
    }

    /// Both outputs of one guest.
    #[must_use]
    pub fn voices(self: &Arc<Self>, speaker: Arc<Speaker>) -> Voices {
        let voice = |channel, speaker| {
            Arc::new(Voice {
                log: Arc::clone(self),
                channel,
                begun: Mutex::new((speaker, Vec::new())),
            })
        };
        Voices {
            out: voice(Channel::Out, Arc::clone(&speaker)),
            err: voice(Channel::Err, speaker),
        }
    }

    fn say(&self, speaker: &Arc<Speaker>, channel: Channel, message: Vec<u8>) {
        let cost = message.len() + 1;
        let taken = speaker
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                (left > 0).then(|| left.saturating_sub(cost))
            });
        let Ok(before) = taken else { return };
        let said = |channel, message| Said {
            time: SystemTime::now(),
            speaker: Arc::clone(speaker),
            channel,
            message,
        };
        if before >= cost {
            self.lines.hand(said(channel, message));
        }
        if before <= cost {
            let words = format!(
                "the request wrote more than {} bytes; the rest is left out",
                self.limit
            );
            self.lines.hand(said(Channel::Server, words.into()));
        }
    }
}

impl Voices {
    /// What stands for standard output.
    #[must_use]
    pub fn out(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.out) as Arc<dyn Sink>
    }

    /// What stands for standard error.
    #[must_use]
    pub fn err(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.err) as Arc<dyn Sink>
    }

    /// Ends the lines that were begun: the request is over.
    pub fn rest(&self) {
        self.out.end_line();
        self.err.end_line();
    }

    /// What is said from now on is for another request.
    pub fn speak_for(&self, speaker: Arc<Speaker>) {
        self.out.hand_over(Arc::clone(&speaker));
        self.err.hand_over(speaker);
    }
}

impl Voice {
    fn hand_over(&self, to: Arc<Speaker>) {
        self.end_line();
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).0 = to;
    }

    fn end_line(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let (speaker, line) = &mut *begun;
        if !line.is_empty() {
            self.log.say(speaker, self.channel, std::mem::take(line));
        }
    }
}

impl Sink for Voice {
    fn take(&self, bytes: &[u8]) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let (speaker, begun) = &mut *begun;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece {
                [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            for part in text.chunks(LONGEST) {
                if begun.len() + part.len() > LONGEST {
                    self.log.say(speaker, self.channel, std::mem::take(begun));
                }
                begun.extend_from_slice(part);
            }
            if ended {
                begun.pop_if(|last| *last == b'\r');
                self.log.say(speaker, self.channel, std::mem::take(begun));
            }
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let (speaker, begun) = self.begun.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !begun.is_empty() {
            self.log.say(speaker, self.channel, std::mem::take(begun));
        }
    }
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
            Self::Server => "server",
        }
    }
}

/// A line as an object.
#[derive(Serialize)]
struct Object<'a> {
    time: String,
    application: &'a str,
    request_id: String,
    trace_id: Option<String>,
    stream: &'static str,
    message: &'a str,
}

impl Entry for Said {
    type Form = Format;

    fn size(&self) -> usize {
        self.message.len()
    }

    fn write(&self, form: &Format, lines: &mut Vec<u8>) {
        let message = String::from_utf8_lossy(&self.message);
        let Speaker {
            application,
            id,
            trace,
            ..
        } = &*self.speaker;
        match form {
            Format::Json => write_object(
                &Object {
                    time: stamp(self.time),
                    application,
                    request_id: id.to_string(),
                    trace_id: trace.map(|trace| format!("{trace:032x}")),
                    stream: self.channel.name(),
                    message: &message,
                },
                lines,
            ),
            Format::Text => {
                let (time, channel) = (stamp(self.time), self.channel.name());
                let _ = write!(lines, "{time} {application} {id} {channel}: ");
                write_readable(&message, lines);
                lines.push(b'\n');
            }
        }
    }
}

/// Text in which nothing moves a cursor or ends a line.
fn write_readable(text: &str, lines: &mut Vec<u8>) {
    for letter in text.chars() {
        if letter == '\t' || !(letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')) {
            let mut bytes = [0; 4];
            lines.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
        } else {
            let _ = write!(lines, "{}", letter.escape_unicode());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::lines::Place;
    use http::HeaderValue;
    use std::fs::read_to_string;

    fn written(format: Format, limit: usize, speak: impl FnOnce(Arc<Voice>, Arc<Voice>)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines = Lines::start(Place::File(path.clone()), format).unwrap();
        let log = Arc::new(GuestLog::new(lines, limit));
        let id = RequestId::Given(HeaderValue::from_static("abc-1"));
        let Voices { out, err } = log.voices(log.speaker("shop".into(), id, Some(0xab)));
        speak(out, err);
        log.lines().end();
        read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn words(limit: usize, speak: impl FnOnce(Arc<Voice>, Arc<Voice>)) -> Vec<String> {
        let without_time = |line: &String| line.split_once(' ').unwrap().1.to_owned();
        written(Format::Text, limit, speak)
            .iter()
            .map(without_time)
            .collect()
    }

    #[test]
    fn what_is_written_in_pieces_is_lines() {
        let lines = words(1000, |out, err| {
            for piece in ["one\ntw", "", "o\r", "\n\nthree", " four"] {
                out.take(piece.as_bytes());
            }
            err.take(b"oh\n");
        });
        let expected = [
            "stdout: one",
            "stdout: two",
            "stdout: ",
            "stderr: oh",
            "stdout: three four",
        ];
        let expected = expected.map(|line| format!("shop abc-1 {line}"));
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_as_an_object_names_its_request() {
        let lines = written(Format::Json, 1000, |out, _| out.take(b"a \"b\"\x1b[31m\xff\n"));
        assert!(lines[0].is_ascii());
        let mut line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert!(line["time"].take().is_string());
        assert_eq!(
            line,
            serde_json::json!({
                "time": null, "application": "shop", "request_id": "abc-1",
                "trace_id": "000000000000000000000000000000ab", "stream": "stdout",
                "message": "a \"b\"\u{1b}[31m\u{fffd}",
            })
        );
    }

    #[test]
    fn no_terminal_is_told_anything() {
        let lines = words(1000, |out, _| {
            out.take("a\tb\x1b[2J\u{9b}31m\u{2028}é\x07\n".as_bytes());
        });
        assert_eq!(
            lines,
            ["shop abc-1 stdout: a\tb\\u{1b}[2J\\u{9b}31m\\u{2028}é\\u{7}"]
        );
    }

    #[test]
    fn a_long_line_is_several() {
        let lines = words(1 << 20, |out, _| {
            out.take(&vec![b'x'; 2 * LONGEST + 5]);
            out.take(b"y\n");
        });
        let lengths: Vec<usize> = lines
            .iter()
            .map(|line| line.len() - "shop abc-1 stdout: ".len())
            .collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 6]);
    }

    #[test]
    fn a_request_writes_no_more_than_it_may() {
        for (limit, count) in [(19, 4), (20, 5), (21, 5)] {
            let lines = words(limit, |out, _| {
                for _ in 0..10 {
                    out.take(b"123\n");
                }
            });
            assert_eq!(lines.len(), count + 1, "{limit}: {lines:?}");
            assert!(lines[count].starts_with("shop abc-1 server: the request wrote more than"));
        }
    }
}
