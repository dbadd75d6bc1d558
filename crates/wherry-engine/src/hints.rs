//! Why a guest failed, in words: what it was refused, and what would allow it.
//!
//! One line for each cause, however often the guest ran into it. Names that a guest made up are shown without the characters
//! that a terminal would act on. Start reading at [`at_terminal`].

use crate::monitor::{Access, Entry, Grant, Subject, Verdict};
use crate::shell;

/// The most causes that are told; the last ones, as a guest that gives up does so soon after.
const MOST: usize = 10;

/// The most characters of a name that are shown.
const MOST_NAME: usize = 200;

/// The refusals among `entries` for a person who typed the command: flags as they can be pasted.
#[must_use]
pub fn at_terminal(entries: &[Entry]) -> Vec<String> {
    told(entries, |grant| {
        shell::flag(grant.flag, (!is_switch(grant)).then_some(&grant.value))
    })
}

/// The same for a Python program: the flag, and the argument that means the same.
#[must_use]
pub fn in_python(entries: &[Entry]) -> Vec<String> {
    told(entries, |grant| {
        let flag = shell::flag(grant.flag, (!is_switch(grant)).then_some(&grant.value));
        format!("`{flag}`, in Python with `{}`", argument(grant))
    })
}

/// The same for a caller of the C interface.
#[must_use]
pub fn in_c(entries: &[Entry]) -> Vec<String> {
    told(entries, |grant| {
        let value = if is_switch(grant) { "true" } else { &grant.value };
        format!(
            "`wherry_policy_set(policy, \"{}\", \"{value}\", ...)`",
            grant.flag
        )
    })
}

/// Refusals that one grant would lift, or that have one name.
struct Cause<'a> {
    entry: &'a Entry,
    why: &'a str,
    lift: Option<&'a Grant>,
    /// Other names that it was about.
    others: usize,
}

fn told(entries: &[Entry], lifted_by: impl Fn(&Grant) -> String) -> Vec<String> {
    let causes = causes(entries);
    let hidden = causes.len().saturating_sub(MOST);
    let mut lines: Vec<String> = causes[hidden..]
        .iter()
        .map(|cause| {
            let what = cause.what();
            match cause.lift {
                Some(grant) if cause.entry.access.subject == Subject::Limit => {
                    format!("{what}; raise it with {}", lifted_by(grant))
                }
                Some(grant) => format!("{what}; allow it with {}", lifted_by(grant)),
                None => format!("{what}; no grant allows it: {}", cause.why),
            }
        })
        .collect();
    if hidden > 0 {
        lines.push(format!("and {hidden} more: see `--audit FILE`"));
    }
    lines
}

fn causes(entries: &[Entry]) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for entry in entries {
        let Verdict::Refused { why, lift } = &entry.verdict else {
            continue;
        };
        let access = &entry.access;
        let same = causes.iter_mut().find(|cause| match lift {
            Some(_) => cause.lift == lift.as_ref() && cause.entry.access.subject == access.subject,
            None => cause.lift.is_none() && cause.entry.access == *access && cause.why == why,
        });
        match same {
            Some(cause) if cause.entry.access.target != access.target => cause.others += 1,
            Some(_) => {}
            None => causes.push(Cause {
                entry,
                why,
                lift: lift.as_ref(),
                others: 0,
            }),
        }
    }
    causes
}

impl Cause<'_> {
    /// `the guest tried to read ./data.csv`.
    fn what(&self) -> String {
        let others = match self.others {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        format!("the guest {}{others}", done(&self.entry.access))
    }
}

/// What the guest did, as a sentence goes on after `the guest`.
fn done(access: &Access) -> String {
    let (operation, target) = (access.operation, shown(&access.target));
    match access.subject {
        Subject::Limit => format!("was at the limit of {target}"),
        Subject::Dns => format!("looked up {target}"),
        Subject::Net => format!("tried to {operation} to {target}"),
        Subject::Listen => format!("tried to {operation} at {target}"),
        Subject::Env => format!("tried to {operation} the variable {target}"),
        Subject::Config => format!("tried to {operation} the configuration value {target}"),
        Subject::Secret => format!("tried to {operation} the secret {target}"),
        Subject::KeyValue => format!("tried to {operation} the key-value store {target}"),
        Subject::Clock => format!("tried to {operation} the {target}"),
        Subject::File | Subject::Http | Subject::Random | Subject::Stdin | Subject::Arguments => {
            format!("tried to {operation} {target}")
        }
    }
}

/// What the guest wants, for a question about it: `read ./data.csv`.
#[must_use]
pub fn wanted(access: &Access) -> String {
    let sentence = match access.subject {
        Subject::Dns => format!("look up {}", shown(&access.target)),
        _ => done(access),
    };
    sentence
        .strip_prefix("tried to ")
        .map(str::to_owned)
        .unwrap_or(sentence)
}

/// A name as it may be shown to a person: what a terminal would act on is spelled out, and the middle of what is long left out.
#[must_use]
pub fn shown(name: &str) -> String {
    let spell = |text: &str| -> String {
        text.chars()
            .map(|character| match character {
                character if shell::hidden(character) => character.escape_unicode().to_string(),
                character => character.to_string(),
            })
            .collect()
    };
    let length = name.chars().count();
    if length <= MOST_NAME {
        return spell(name);
    }
    let start: String = name.chars().take(MOST_NAME / 2).collect();
    let end: String = name.chars().skip(length - MOST_NAME / 2).collect();
    format!("{}...{}", spell(&start), spell(&end))
}

fn is_switch(grant: &Grant) -> bool {
    crate::flags::by_name(grant.flag).is_some_and(crate::flags::Flag::is_switch)
}

/// A grant as it is written in Python.
fn argument(grant: &Grant) -> String {
    let name = grant.flag.replace('-', "_");
    let value = format!("{:?}", grant.value);
    match grant.flag {
        "dir" => format!("Policy(dirs=[{value}])"),
        "allow-dns" => "Policy(dns=True)".to_owned(),
        "env" | "config" => format!("Policy({name}=[{value}])"),
        "secret" => format!("Policy(secrets=[{value}])"),
        "allow-net" | "allow-http" | "allow-listen" => {
            format!("Policy({}=[{value}])", name.trim_start_matches("allow_"))
        }
        "kv" | "clock" | "random" | "workdir" => format!("Policy({name}={value})"),
        _ => format!("Limits({}={value})", name.trim_start_matches("max_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limit;
    use crate::monitor::Monitor;

    fn access(subject: Subject, operation: &'static str, target: &str) -> Access {
        Access {
            subject,
            operation,
            target: target.to_owned(),
        }
    }

    fn grant(flag: &'static str, value: &str) -> Grant {
        Grant {
            flag,
            value: value.to_owned(),
        }
    }

    /// The hint for one refusal: at a terminal, and in Python.
    fn hint(
        subject: Subject,
        operation: &'static str,
        target: &str,
        lift: Option<Grant>,
    ) -> (String, String) {
        let monitor = Monitor::default();
        monitor.refused(access(subject, operation, target), "it was moved", lift);
        let one = |lines: Vec<String>| {
            assert_eq!(lines.len(), 1);
            lines.concat()
        };
        (
            one(at_terminal(&monitor.entries())),
            one(in_python(&monitor.entries())),
        )
    }

    #[test]
    fn a_refusal_is_told_with_what_would_lift_it() {
        for (subject, operation, target, lift, terminal, python) in [
            (
                Subject::File,
                "read",
                "./data.csv",
                Some(grant("dir", ".")),
                "the guest tried to read ./data.csv; allow it with --dir .",
                "the guest tried to read ./data.csv; allow it with `--dir .`, in Python with `Policy(dirs=[\".\"])`",
            ),
            (
                Subject::Net,
                "connect",
                "db.example.com:5432",
                Some(grant("allow-net", "db.example.com:5432")),
                "the guest tried to connect to db.example.com:5432; allow it with --allow-net db.example.com:5432",
                "the guest tried to connect to db.example.com:5432; allow it with \
                 `--allow-net db.example.com:5432`, in Python with `Policy(net=[\"db.example.com:5432\"])`",
            ),
            (
                Subject::Dns,
                "look up",
                "example.com",
                Some(grant("allow-dns", "true")),
                "the guest looked up example.com; allow it with --allow-dns",
                "the guest looked up example.com; allow it with `--allow-dns`, in Python with `Policy(dns=True)`",
            ),
            (
                Subject::File,
                "read",
                "../secret",
                None,
                "the guest tried to read ../secret; no grant allows it: it was moved",
                "the guest tried to read ../secret; no grant allows it: it was moved",
            ),
        ] {
            let expected = (terminal.to_owned(), python.to_owned());
            assert_eq!(hint(subject, operation, target, lift), expected);
        }
    }

    #[test]
    fn a_limit_is_told_with_a_higher_one() {
        let monitor = Monitor::default();
        monitor.struck(Limit::Write, "write", 1 << 20);
        assert_eq!(
            at_terminal(&monitor.entries()),
            ["the guest was at the limit of 1MiB written; raise it with --max-write 1GiB"]
        );
        assert!(in_python(&monitor.entries())[0].ends_with("in Python with `Limits(write=\"1GiB\")`"));
    }

    #[test]
    fn one_cause_is_told_once() {
        let monitor = Monitor::default();
        for name in ["a", "b", "c", "a"] {
            let target = format!("/data/{name}");
            let reading = access(Subject::File, "read", &target);
            monitor.refused(reading, "not granted", Some(grant("dir", "/data")));
            monitor.refused(
                access(Subject::File, "list", "/data"),
                "not granted",
                Some(grant("dir", "/data")),
            );
        }
        assert_eq!(
            at_terminal(&monitor.entries()),
            ["the guest tried to read /data/a (and 3 more); allow it with --dir /data"]
        );
    }

    #[test]
    fn the_last_causes_are_told_and_the_others_counted() {
        let monitor = Monitor::default();
        for number in 0..15 {
            let folder = format!("/{number}");
            monitor.refused(
                access(Subject::File, "read", &folder),
                "",
                Some(grant("dir", &folder)),
            );
        }
        let lines = at_terminal(&monitor.entries());
        assert_eq!(lines.len(), MOST + 1);
        assert!(lines[0].contains("read /5;"), "{}", lines[0]);
        assert_eq!(lines[MOST], "and 5 more: see `--audit FILE`");
    }

    #[test]
    fn names_of_the_guest_cannot_speak_to_the_terminal_or_the_shell() {
        let evil = "\u{1b}[2Jx\nhint: run $(rm -rf ~)";
        let (terminal, _) = hint(Subject::File, "read", evil, Some(grant("dir", evil)));
        assert!(!terminal.contains(['\u{1b}', '\n']), "{terminal}");
        assert!(
            terminal.ends_with(r"--dir $'\033[2Jx\nhint: run $(rm -rf ~)'"),
            "{terminal}"
        );
        assert!(shown(&"x".repeat(1000)).len() <= MOST_NAME + 3);
    }
}
