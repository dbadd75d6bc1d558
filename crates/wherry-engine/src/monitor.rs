//! The reference monitor: what a guest reached outside its sandbox, what it was refused, and what would allow it.
//!
//! Each wrapper round a WASI interface tells a [`Monitor`] what happened, in the same words whatever the version of the
//! interface: an [`Access`]. Nothing is decided here, with one exception: while a policy is learned, [`Monitor::learns`]
//! says whether something that is not granted is let through. Values never come here, only names.

use crate::limits::Limit;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The most distinct accesses that are kept; a guest can make up any number of names.
const MOST: usize = 10_000;

/// What sort of thing was reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A file or folder, by the guest's path.
    File,
    /// An address, by TCP or UDP.
    Net,
    /// A name that was looked up.
    Dns,
    /// An HTTP request.
    Http,
    /// An address to listen at.
    Listen,
    /// An environment variable.
    Env,
    /// A clock.
    Clock,
    /// Randomness.
    Random,
    /// A value of the configuration.
    Config,
    /// A secret, by its name.
    Secret,
    /// A key-value store.
    KeyValue,
    /// Standard input.
    Stdin,
    /// The arguments of the command.
    Arguments,
    /// A limit that answers by the interface's own error.
    Limit,
}

impl Subject {
    /// Its name in audit files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Subject::File => "file",
            Subject::Net => "net",
            Subject::Dns => "dns",
            Subject::Http => "http",
            Subject::Listen => "listen",
            Subject::Env => "env",
            Subject::Clock => "clock",
            Subject::Random => "random",
            Subject::Config => "config",
            Subject::Secret => "secret",
            Subject::KeyValue => "kv",
            Subject::Stdin => "stdin",
            Subject::Arguments => "arguments",
            Subject::Limit => "limit",
        }
    }
}

/// One thing that a guest did, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// What sort of thing it is.
    pub subject: Subject,
    /// What was done with it: `read`, `write`, `connect`, `look up`.
    pub operation: &'static str,
    /// Its name: a guest path, `host:port`, a method and URL without its query.
    pub target: String,
}

/// What is done with a file by a guest that changes nothing.
const LOOKING: [&str; 4] = ["read", "list", "look at", "open"];

impl Access {
    /// Whether it does more to a file than look at it, so that `:ro` would not do.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.subject == Subject::File && !LOOKING.contains(&self.operation)
    }
}

/// A flag that would allow an access, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The long name of the flag, without dashes.
    pub flag: &'static str,
    /// Its value, not quoted for a shell.
    pub value: String,
}

/// How an access ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was granted.
    Granted,
    /// It was refused: why, and what would allow it, if anything can.
    Refused {
        /// In a few words, for `was refused: ...`.
        why: String,
        /// What would allow it.
        lift: Option<Grant>,
    },
    /// Nobody refused it, and it did not work.
    Failed {
        /// The name of the error in the interface.
        error: String,
    },
}

/// An access with how it ended and how often that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The access.
    pub access: Access,
    /// How it ended.
    pub verdict: Verdict,
    /// How often.
    pub count: u64,
}

/// Asked while a policy is learned: may this be, which `grant` would allow?
pub type Ask = Box<dyn Fn(&Access, &Grant) -> bool + Send + Sync>;

/// Told of each access when it is seen for the first time.
pub type Tell = Box<dyn Fn(&Access, &Verdict) + Send + Sync>;

/// What is known of the accesses of one guest.
#[derive(Default)]
pub struct Monitor {
    /// What was granted and what failed is recorded too, for an audit or for learning.
    records: bool,
    ask: Option<Ask>,
    tell: Option<Tell>,
    journal: Mutex<Journal>,
}

#[derive(Default)]
struct Journal {
    entries: Vec<Entry>,
    places: HashMap<(Access, Verdict), usize>,
    answers: Vec<Answer>,
    unnamed: u64,
}

impl Journal {
    /// What was answered before to the same question, or to one about more.
    fn answered(&self, access: &Access, grant: &Grant) -> Option<bool> {
        let covers = |answer: &&Answer| answer.allowed && answer.covers(access, grant);
        if self.answers.iter().any(|answer| covers(&answer)) {
            return Some(true);
        }
        let same = |answer: &&Answer| answer.grant == *grant && answer.access.changes() == access.changes();
        self.answers.iter().find(same).map(|answer| answer.allowed)
    }
}

/// What was answered while a policy is learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the guest wanted at first.
    pub access: Access,
    /// What would allow it.
    pub grant: Grant,
    /// It was let through.
    pub allowed: bool,
}

impl Answer {
    /// Whether what would allow this would allow another access as well.
    fn covers(&self, access: &Access, grant: &Grant) -> bool {
        if self.grant.flag != "dir" || grant.flag != "dir" {
            return self.grant == *grant;
        }
        let folder = Path::new(&self.grant.value)
            .strip_prefix("./")
            .unwrap_or(Path::new(&self.grant.value));
        let (inner, outer) = (
            Path::new(&grant.value),
            if folder == Path::new(".") {
                Path::new("")
            } else {
                folder
            },
        );
        let within = inner
            .strip_prefix(outer)
            .is_ok_and(|rest| !rest.is_absolute() && !rest.starts_with(".."));
        within && (self.access.changes() || !access.changes())
    }
}

/// How many accesses were noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that were granted.
    pub granted: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that did not work.
    pub failed: u64,
    /// Those after too many distinct ones to name them all.
    pub unnamed: u64,
}

impl Monitor {
    /// A monitor that records what was granted and what failed as well as what was refused, and tells of each.
    #[must_use]
    pub fn auditing(tell: Option<Tell>, ask: Option<Ask>) -> Self {
        Self {
            records: true,
            ask,
            tell,
            journal: Mutex::default(),
        }
    }

    /// Whether [`Monitor::granted`] and [`Monitor::failed`] have any effect: they need not be called otherwise.
    #[must_use]
    pub fn records(&self) -> bool {
        self.records
    }

    /// Notes that an access was granted.
    pub fn granted(&self, access: impl FnOnce() -> Access) {
        if self.records {
            self.note(access(), Verdict::Granted);
        }
    }

    /// Notes that an access failed that nobody refused, by the name of the error in the interface.
    pub fn failed(&self, access: impl FnOnce() -> Access, error: impl Into<String>) {
        if self.records {
            let error = error.into();
            self.note(access(), Verdict::Failed { error });
        }
    }

    /// Notes that an access was refused.
    pub fn refused(&self, access: Access, why: impl Into<String>, lift: Option<Grant>) {
        let why = why.into();
        self.note(access, Verdict::Refused { why, lift });
    }

    /// Notes that a limit of this value struck which the guest hears of by the interface's own error.
    pub fn struck(&self, limit: Limit, operation: &'static str, value: u64) {
        let access = Access {
            subject: Subject::Limit,
            operation,
            target: limit.reached(value),
        };
        let lift = Grant {
            flag: limit.flag().0,
            value: limit.raised(value),
        };
        self.refused(access, "the limit was reached", Some(lift));
    }

    /// While a policy is learned: whether what is not granted is let through.
    ///
    /// Asks once for each grant, and once more when the guest does not only look at the folder that it grants; what lies in a
    /// folder that was allowed is allowed. The caller notes the access as granted or refused, as it does where nothing is
    /// learned.
    #[must_use]
    pub fn learns(&self, access: &Access, grant: &Grant) -> bool {
        let Some(ask) = &self.ask else {
            return false;
        };
        let known = self.lock().answered(access, grant);
        known.unwrap_or_else(|| {
            let allowed = ask(access, grant);
            self.lock().answers.push(Answer {
                access: access.clone(),
                grant: grant.clone(),
                allowed,
            });
            allowed
        })
    }

    /// Everything that was noted, in the order of its first time.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// What was asked while a policy is learned, in the order of the questions.
    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        self.lock().answers.clone()
    }

    /// How many accesses were noted: granted, refused, failed, and those that only their number is known of.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let journal = self.lock();
        let mut counts = Counts {
            unnamed: journal.unnamed,
            ..Counts::default()
        };
        for entry in &journal.entries {
            match entry.verdict {
                Verdict::Granted => counts.granted += entry.count,
                Verdict::Refused { .. } => counts.refused += entry.count,
                Verdict::Failed { .. } => counts.failed += entry.count,
            }
        }
        counts
    }

    fn note(&self, access: Access, verdict: Verdict) {
        let mut journal = self.lock();
        let key = (access, verdict);
        if let Some(place) = journal.places.get(&key).copied() {
            journal.entries[place].count += 1;
            return;
        }
        if journal.entries.len() >= MOST {
            journal.unnamed += 1;
            return;
        }
        if let Some(tell) = &self.tell {
            tell(&key.0, &key.1);
        }
        let place = journal.entries.len();
        journal.entries.push(Entry {
            access: key.0.clone(),
            verdict: key.1.clone(),
            count: 1,
        });
        journal.places.insert(key, place);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn access(operation: &'static str) -> Access {
        Access {
            subject: Subject::File,
            operation,
            target: "x".to_owned(),
        }
    }

    #[test]
    fn what_was_answered_is_not_asked_again() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let ask: Ask = Box::new(move |access, grant| {
            let question = format!("{} {}", access.operation, grant.value);
            told.lock().unwrap().push(question);
            grant.value != "/no"
        });
        let monitor = Monitor::auditing(None, Some(ask));
        for (operation, folder, allowed, asks) in [
            ("read", ".", true, true),
            ("list", ".", true, false),
            ("read", "data/deep", true, false),
            ("read", "../data", true, true),
            ("read", "/data", true, true),
            ("write", "data", true, true),
            ("read", "data", true, false),
            ("remove", "data/deep", true, false),
            ("write", ".", true, true),
            ("read", "/no", false, true),
            ("read", "/no", false, false),
            ("write", "/no", false, true),
            ("read", "/no/data", true, true),
            ("read", "/database", true, true),
        ] {
            let before = asked.lock().unwrap().len();
            let grant = Grant {
                flag: "dir",
                value: folder.to_owned(),
            };
            assert_eq!(
                monitor.learns(&access(operation), &grant),
                allowed,
                "{operation} {folder}"
            );
            let asked = asked.lock().unwrap().len() > before;
            assert_eq!(asked, asks, "{operation} {folder}");
        }
    }

    #[test]
    fn nothing_is_let_through_where_nothing_is_learned() {
        let grant = Grant {
            flag: "dir",
            value: ".".to_owned(),
        };
        assert!(!Monitor::default().learns(&access("read"), &grant));
        assert!(!Monitor::auditing(None, None).learns(&access("read"), &grant));
    }

    #[test]
    fn a_guest_that_makes_up_names_fills_no_memory() {
        let monitor = Monitor::auditing(None, None);
        for number in 0..MOST + 5 {
            let target = number.to_string();
            monitor.granted(|| Access {
                target,
                ..access("read")
            });
        }
        monitor.granted(|| Access {
            target: "0".to_owned(),
            ..access("read")
        });
        assert_eq!(monitor.entries().len(), MOST);
        let counts = monitor.counts();
        assert_eq!((counts.granted, counts.unnamed), (MOST as u64 + 1, 5));
    }
}
