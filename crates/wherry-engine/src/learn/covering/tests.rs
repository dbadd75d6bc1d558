use super::*;
use crate::settings::parse_run;
use std::ffi::OsString;

/// A run in a folder with some folders in it.
struct Run {
    folder: tempfile::TempDir,
    invocation: Invocation,
    monitor: Monitor,
}

impl Run {
    fn new(flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data/deep", "out"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("vars"), "SECRET=from a file\n").unwrap();
        let words: Vec<OsString> = flags
            .split_whitespace()
            .chain(["f.wasm"])
            .map(OsString::from)
            .collect();
        let invocation = parse_run(&words, &environment(&folder)).unwrap();
        let monitor = Monitor::auditing(None, Some(Box::new(|_, grant| !grant.value.contains("no"))));
        Self {
            folder,
            invocation,
            monitor,
        }
    }

    /// Does something that may have to be learned first: subject, operation, target, flag, value.
    fn learns(
        &self,
        (subject, operation, target, flag, value): (Subject, &'static str, &str, &'static str, &str),
    ) {
        let access = access(subject, operation, target);
        let value = value.to_owned();
        if self.monitor.learns(&access, &Grant { flag, value }) {
            self.monitor.granted(|| access);
        }
    }

    fn smallest(&self) -> String {
        let folder = self.folder.path();
        let said = smallest(
            &self.invocation,
            &self.monitor,
            folder,
            &environment(&self.folder),
        )
        .unwrap();
        text::command_line(&said)
    }
}

fn environment(folder: &tempfile::TempDir) -> Environment {
    let variables = vec![(OsString::from("TOKEN"), OsString::from("hunter2"))];
    Environment::new(variables, folder.path().to_owned())
}

fn access(subject: Subject, operation: &'static str, target: &str) -> Access {
    Access {
        subject,
        operation,
        target: target.to_owned(),
    }
}

/// What was granted, what the guest did, and what is left of the grants.
const USED: &[(&str, Subject, &str, &str, &str)] = &[
    (
        "--dir data --dir out",
        Subject::File,
        "read",
        "data/x",
        "--dir data:ro",
    ),
    (
        "--dir data --dir out",
        Subject::File,
        "write",
        "out/x",
        "--dir out",
    ),
    (
        "--dir data::/in",
        Subject::File,
        "read",
        "/in/a/b",
        "--dir data::/in:ro",
    ),
    (
        "--dir .::/in --workdir /in/data",
        Subject::File,
        "read",
        "./x",
        "--dir .::/in:ro --workdir /in/data",
    ),
    (
        "--dir .::/a --dir data::/a/b",
        Subject::File,
        "remove",
        "/a/b/x",
        "--dir data::/a/b",
    ),
    ("--dir data", Subject::Net, "connect", "a.example:1", ""),
    (
        "--allow-net a.example:1 --allow-net b.example:1",
        Subject::Net,
        "connect",
        "a.example:1",
        "--allow-net a.example:1",
    ),
    (
        "--allow-net *.example:* --allow-net 10.0.0.0/8:1",
        Subject::Net,
        "connect",
        "10.1.1.1:1",
        "--allow-net 10.0.0.0/8:1",
    ),
    (
        "--allow-net a.example:1 --allow-dns",
        Subject::Dns,
        "look up",
        "a.example",
        "--allow-net a.example:1 --allow-dns",
    ),
    (
        "--allow-http https://a.example/v1 --allow-http http://a.example",
        Subject::Http,
        "request",
        "GET https://a.example/v1/x",
        "--allow-http 'GET https://a.example/v1/'",
    ),
    (
        "--allow-listen 127.0.0.1:80 --allow-listen 127.0.0.1:81",
        Subject::Listen,
        "listen",
        "127.0.0.1:80",
        "--allow-listen 127.0.0.1:80",
    ),
    (
        "--config A=1 --config B=2",
        Subject::Config,
        "read",
        "A",
        "--config A=1",
    ),
    (
        "--secret TOKEN --secret S@vars",
        Subject::Secret,
        "read",
        "TOKEN",
        "--secret TOKEN",
    ),
    (
        "--memory 1MiB --dir data",
        Subject::Clock,
        "read",
        "the clock",
        "--memory 1MiB",
    ),
];

#[test]
fn what_was_granted_and_not_used_is_left_out() {
    for (flags, subject, operation, target, expected) in USED {
        let run = Run::new(flags);
        run.monitor.granted(|| access(*subject, operation, target));
        assert_eq!(run.smallest(), *expected, "{flags}");
    }
}

#[test]
fn what_was_allowed_is_written_as_narrowly_as_it_was_used() {
    let file = |operation, value| (Subject::File, operation, "x", "dir", value);
    for (allowed, expected) in [
        (vec![file("read", "."), file("read", "data")], "--dir .:ro"),
        (
            vec![file("read", "data"), file("write", "out")],
            "--dir data:ro --dir out",
        ),
        (vec![file("read", "data"), file("write", "data")], "--dir data"),
        (
            vec![file("read", "data/deep"), file("read", "data")],
            "--dir data:ro",
        ),
        (
            vec![file("write", "data/deep"), file("read", "data")],
            "--dir data/deep --dir data:ro",
        ),
        (vec![file("read", "data/none")], ""),
        (
            vec![
                (Subject::Dns, "look up", "a.example", "allow-net", "a.example:*"),
                (
                    Subject::Net,
                    "connect",
                    "a.example:443",
                    "allow-net",
                    "a.example:443",
                ),
            ],
            "--allow-net a.example:443",
        ),
        (
            vec![
                (Subject::Dns, "look up", "localhost", "allow-net", "localhost:*"),
                (
                    Subject::Net,
                    "connect",
                    "127.0.0.1:80",
                    "allow-net",
                    "127.0.0.1:80",
                ),
            ],
            "--allow-net localhost:80 --allow-net 127.0.0.1:80",
        ),
        (
            vec![(Subject::Dns, "look up", "a.example", "allow-net", "a.example:*")],
            "--allow-net 'a.example:*'",
        ),
    ] {
        let run = Run::new("");
        for one in allowed {
            run.learns(one);
        }
        assert_eq!(run.smallest(), expected);
    }
}

#[test]
fn values_stay_where_they_are() {
    let run = Run::new("--env TOKEN --env A=1 --env-file vars");
    let line = run.smallest();
    assert_eq!(line, "--env-file vars --env TOKEN --env A=1");
}

#[test]
fn a_policy_that_grows_keeps_what_was_not_used() {
    let run = Run::new("--dir data");
    run.learns((Subject::File, "write", "out/x", "dir", "out"));
    let said = grown(
        &run.invocation,
        &run.monitor,
        run.folder.path(),
        &environment(&run.folder),
    )
    .unwrap();
    assert_eq!(text::command_line(&said), "--dir data --dir out");
}

#[test]
fn more_than_is_recorded_is_taken_to_have_been_used() {
    let run = Run::new("--dir data --dir out");
    for number in 0..10_001 {
        run.monitor
            .granted(|| access(Subject::File, "read", &format!("data/{number}")));
    }
    assert_eq!(run.smallest(), "--dir data --dir out");
}
