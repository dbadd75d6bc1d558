use std::ffi::OsString;
use std::time::Duration;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::write(folder.path().join("token"), "hunter2\n").unwrap();
        Self(folder)
    }

    fn environment(&self) -> Environment {
        let variables = vec![(OsString::from("TOKEN"), OsString::from("from here"))];
        Environment::new(variables, self.0.path().to_owned())
    }

    fn parsed(&self, text: &str) -> Result<Invocation> {
        let mut run = Invocation::default();
        parse(&mut run, text, "`p`", &self.environment()).map(|()| run)
    }

    fn round(&self, run: &Invocation) -> Invocation {
        let said = said(&run.policy, &run.limits, &Limits::default());
        self.parsed(&toml(&said)).unwrap()
    }
}

/// One value for each flag that a policy can say. Whoever adds a flag adds its line.
const LINES: &[(&str, &str)] = &[
    ("dir", "['data::/in:ro', '.::.']"),
    ("env", "['A=b c', 'TOKEN']"),
    ("workdir", "'/in'"),
    ("allow-net", "['*.example.com:443', '10.0.0.0/8:1', '[::1]:*']"),
    (
        "allow-http",
        "['GET https://example.com/v1', 'http://localhost:8080']",
    ),
    ("allow-listen", "['127.0.0.1:8080']"),
    ("allow-dns", "true"),
    ("resolver", "'9.9.9.9:53'"),
    ("config", "['a.b=c=d']"),
    ("secret", "['TOKEN', 'OTHER@token']"),
    ("kv", "'store.db'"),
    ("clock", "'none'"),
    ("random", "7"),
    ("deterministic", "true"),
    ("memory", "'1MiB'"),
    ("timeout", "'1.5s'"),
    ("fuel", "1000"),
    ("max-output", "'1000'"),
    ("stack", "'2MiB'"),
    ("max-handles", "7"),
    ("max-connections", "8"),
    ("max-outgoing", "9"),
    ("max-write", "'1kB'"),
    ("max-transfer", "'none'"),
    ("connect-timeout", "'1ms'"),
    ("first-byte-timeout", "'3us'"),
    ("between-bytes-timeout", "'5ns'"),
    ("max-instances", "1"),
    ("max-tables", "2"),
    ("max-functions", "3"),
    ("max-body", "4"),
    ("max-nesting", "5"),
    ("max-size", "6"),
    ("compile-timeout", "'7s'"),
    ("compile-memory", "'3GiB'"),
];

#[test]
fn each_flag_has_its_line() {
    for flag in FLAGS.iter().filter(|flag| sayable(flag)) {
        // A file of variables is written as the variables in it.
        let there = LINES.iter().any(|(name, _)| *name == flag.name) || flag.name == "env-file";
        assert!(there, "{}", flag.name);
    }
}

#[test]
fn what_is_read_is_written_and_read_again() {
    let place = Place::new();
    for (key, value) in LINES {
        let run = place.parsed(&format!("{key} = {value}")).unwrap();
        assert_ne!(run, Invocation::default(), "{key}");
        assert_eq!(place.round(&run), run, "{key}");
        let said = said(&run.policy, &run.limits, &Limits::default());
        assert!(said.iter().all(|grant| grant.flag == *key), "{key}");
    }
}

#[test]
fn the_command_line_means_the_same() {
    let place = Place::new();
    let lines: Vec<String> = LINES
        .iter()
        // It excludes the network.
        .filter(|(key, _)| *key != "deterministic")
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    let run = place.parsed(&lines.concat()).unwrap();
    let said = said(&run.policy, &run.limits, &Limits::default());
    let mut words: Vec<OsString> = Vec::new();
    for grant in &said {
        words.push(format!("--{}", grant.flag).into());
        if grant.value != "true" {
            words.push(grant.value.clone().into());
        }
    }
    words.push("f.wasm".into());
    let typed = crate::settings::parse_run(&words, &place.environment()).unwrap();
    assert_eq!((typed.policy, typed.limits), (run.policy, run.limits));
}

#[test]
fn a_default_says_nothing() {
    let said = said(&Policy::default(), &Limits::default(), &Limits::default());
    assert_eq!(said, []);
    assert_eq!(toml(&said), "");
    assert_eq!(command_line(&said), "");
}

#[test]
fn a_policy_reads_as_a_person_would_write_it() {
    let said = [
        ("memory", "256MiB"),
        ("dir", "it's::/in:ro"),
        ("dir", "out"),
        ("dir", "out"),
        ("allow-dns", "true"),
    ];
    let said = said.map(|(flag, value)| Grant {
        flag,
        value: value.to_owned(),
    });
    let text = "dir = [\n    \"it's::/in:ro\",\n    \"out\",\n]\nallow-dns = true\nmemory = \"256MiB\"\n";
    assert_eq!(toml(&said), text);
    let line = "--memory 256MiB --dir 'it'\\''s::/in:ro' --dir out --dir out --allow-dns";
    assert_eq!(command_line(&said), line);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, message, hint) in [
        (
            "memory = 1\n\n memroy = 2",
            "`p` line 3 column 2: there is no key `memroy`",
            "did you mean `memory`?",
        ),
        (
            "quiet = true",
            "`p` line 1 column 1: `quiet` is neither a grant nor a limit",
            "it is said for each run: `wherry run --quiet`",
        ),
        (
            "policy = 'other'",
            "`p` line 1 column 1: a policy cannot stand on another",
            "copy what the other one says",
        ),
        (
            "dir = 1.5",
            "`p` line 1 column 1: `dir` cannot be of type float",
            "write it as `dir = [\"HOST[::GUEST][:ro]\"]`",
        ),
        (
            "memory = ['1']",
            "`p` line 1 column 1: `memory` cannot be of type array",
            "write it as `memory = \"512MiB\"`",
        ),
        (
            "timeout = '5 parsecs'",
            "`p` line 1 column 1, `timeout = 5 parsecs`: `parsecs` is not a unit of a duration",
            "a duration is such as `5s`, `250ms`, `1m30s`, `2h`",
        ),
    ] {
        let error = Place::new().parsed(text).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Usage, message));
        assert_eq!(error.hint(), Some(hint), "{text}");
    }
    let error = Place::new().parsed("dir = [").unwrap_err();
    assert!(error.message().starts_with("`p`: line 1 column "), "{error:?}");
}

#[test]
fn flags_beside_a_policy_add_to_it_or_override_it() {
    let place = Place::new();
    let folder = place.0.path().join("below");
    std::fs::create_dir_all(folder.join("own")).unwrap();
    let text = "dir = ['own']\nenv = ['A=1']\nmemory = '1MiB'\ntimeout = '1s'";
    std::fs::write(folder.join("p.toml"), text).unwrap();
    for line in [
        "--policy below/p.toml --dir data --env A=2 --memory 2MiB f.wasm",
        "--dir data --env A=2 --memory 2MiB --policy below/p.toml f.wasm",
    ] {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let run = crate::settings::parse_run(&words, &place.environment()).unwrap();
        let hosts: Vec<_> = run.policy.dirs.iter().map(|dir| dir.host.clone()).collect();
        assert_eq!(hosts, [folder.join("own"), place.0.path().join("data")]);
        assert_eq!(run.policy.env, [("A".to_owned(), "2".to_owned())]);
        assert_eq!(run.limits.memory, 2 << 20);
        assert_eq!(run.limits.timeout, Some(Duration::from_secs(1)));
    }
}

#[test]
fn a_grant_of_a_folder_means_itself() {
    let place = Place::new();
    let folder = place.0.path();
    for (host, guest, read_only) in [
        ("data", "data", false),
        ("data", "/in", true),
        ("data", "odd:ro", false),
        ("data", "odd:ro", true),
        ("a::b", "/in", false),
    ] {
        std::fs::create_dir_all(folder.join(host)).unwrap();
        let grant = crate::policy::DirGrant {
            host: folder.join(host),
            guest: guest.to_owned(),
            read_only,
        };
        let mut policy = Policy::default();
        policy
            .grant_dir(&grant.to_string(), &place.environment())
            .unwrap();
        let read = &policy.dirs[0];
        assert_eq!((&read.host, read.read_only), (&grant.host, read_only), "{grant}");
        assert_eq!(read.guest.trim_end_matches('/'), guest, "{grant}");
    }
}
