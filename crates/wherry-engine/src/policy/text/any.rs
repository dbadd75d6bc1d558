//! Any policy and any limits read again as what they were: from a file, and from a command line that a shell has read.

use std::ffi::OsString;
use std::process::Command;

use super::*;
use crate::limits;

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A few characters that mean something to a shell, to TOML, to a flag, or to a terminal.
    fn text(&mut self) -> String {
        const LETTERS: [char; 36] = [
            'a', 'B', '0', ' ', '\'', '"', '$', '`', '\\', '\n', '\t', '\r', '=', ':', ';', '#', ',', '*',
            '?', '[', ']', '{', '}', '~', '!', '-', '_', '.', '@', '%', 'é', '\u{202e}', '\u{1b}', '😀', '<',
            '&',
        ];
        let length = self.below(9);
        (0..length).map(|_| self.one(&LETTERS)).collect()
    }

    /// The same where it may not be empty, nor hold what divides it from the rest.
    fn name(&mut self, without: &[char]) -> String {
        format!("N{}", self.text().replace(without, "x"))
    }

    /// A number of any magnitude.
    fn number(&mut self) -> u64 {
        let magnitude = self.below(60);
        self.next() >> (63 - magnitude) | 1
    }

    fn duration(&mut self) -> String {
        format!("{}ns", self.number() % (1 << 58) + 1)
    }
}

const NET: [&str; 6] = [
    "db.example.com:5432",
    "*.example.com:443",
    "10.0.0.0/8:1",
    "[::1]:*",
    "[fd00::/8]:443",
    "localhost:80",
];
const HTTP: [&str; 6] = [
    "https://example.com",
    "GET https://example.com/v1",
    "http://localhost:8080/a-b",
    "POST https://*.example.com:8443/x/",
    "https://[::1]",
    "PUT https://example.com/a/",
];
const LISTEN: [&str; 3] = ["127.0.0.1:8080", "[::1]:*", "0.0.0.0:1"];
const RESOLVER: [&str; 3] = ["9.9.9.9", "9.9.9.9:5353", "[::1]:53"];

/// Where paths of policies start.
struct Place(tempfile::TempDir);

impl Place {
    fn environment(&self) -> Environment {
        let variables = vec![(OsString::from("TOKEN"), OsString::from("from here"))];
        Environment::new(variables, self.0.path().to_owned())
    }

    /// Grants of every sort, or none of them.
    fn policy(&self, chance: &mut Chance) -> Policy {
        let environment = self.environment();
        let mut policy = Policy::default();
        for index in 0..chance.below(4) {
            let folder = self.0.path().join(format!("folder{}", chance.text()));
            std::fs::create_dir_all(&folder).unwrap();
            // The name of a guest's folder may be anything; it is the number that tells them apart.
            let guest = format!("/{index}{}", chance.text().replace("::", ":"));
            let mode = chance.one(&["", ":ro"]);
            let text = format!("{}::{guest}{mode}", folder.display());
            policy.grant_dir(&text, &environment).unwrap();
        }
        for _ in 0..chance.below(3) {
            let (name, value) = (chance.name(&['=']), chance.text());
            policy.add_env(&name, value).unwrap();
            let (name, value) = (chance.name(&['=']), chance.text());
            policy.add_config(&name, value).unwrap();
        }
        if let Some(dir) = policy.dirs.first().filter(|_| chance.below(2) == 0) {
            policy.workdir = Some(dir.guest.clone());
        }
        for _ in 0..chance.below(3) {
            let file = format!("file{}", chance.text());
            std::fs::write(self.0.path().join(&file), "hunter2").unwrap();
            let secret = format!("SECRET{}@{file}", chance.name(&['=', '@']));
            policy.grant_secret(&secret, &environment).unwrap();
        }
        if chance.below(3) == 0 {
            policy.grant_secret("TOKEN", &environment).unwrap();
        }
        policy.deterministic = chance.below(4) == 0;
        for _ in 0..if policy.deterministic { 0 } else { chance.below(3) } {
            policy.allow_net(chance.one(&NET)).unwrap();
            policy.allow_http(chance.one(&HTTP)).unwrap();
            policy.allow_listen(chance.one(&LISTEN)).unwrap();
            policy.set_resolver(chance.one(&RESOLVER)).unwrap();
            policy.dns = chance.below(2) == 0;
            policy
                .set_kv(&format!("store{}", chance.text()), &environment)
                .unwrap();
        }
        let mut clocks = vec![
            "none".to_owned(),
            format!("{}ns+{}", chance.number(), chance.duration()),
        ];
        let mut randoms = vec!["none".to_owned(), chance.next().to_string()];
        if !policy.deterministic {
            clocks.push("host".to_owned());
            randoms.push("host".to_owned());
        }
        if chance.below(2) == 0 {
            policy.set_clock(&clocks[chance.below(clocks.len())]).unwrap();
            policy.set_random(&randoms[chance.below(randoms.len())]).unwrap();
        }
        policy
    }

    /// A value for each limit, or for some.
    fn limits(&self, chance: &mut Chance) -> Limits {
        let mut run = Invocation::default();
        for flag in FLAGS.iter().filter(|flag| flag.group == Group::Limits) {
            let value = match flag.value {
                _ if chance.below(2) == 0 => continue,
                Some("DURATION") => chance.duration(),
                _ if flag.name == "stack" => (limits::LEAST_STACK + chance.below(1 << 20)).to_string(),
                _ => (chance.number() % (1 << 32)).to_string(),
            };
            (flag.set)(&mut run, &value, &self.environment())
                .unwrap_or_else(|error| panic!("{} {value}: {}", flag.name, error.message()));
        }
        run.limits
    }
}

/// The words that a shell makes of a line.
fn words(line: &str) -> Vec<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let script = format!("printf '%s\\0' {line}");
    let done = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{line}");
    let mut words: Vec<_> = done.stdout.split(|byte| *byte == 0).collect();
    words.pop();
    words
        .into_iter()
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

#[test]
fn any_policy_reads_again_as_what_it_was() {
    let place = Place(tempfile::tempdir().unwrap());
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for round in 0..150 {
        let policy = place.policy(&mut chance);
        let limits = place.limits(&mut chance);
        let said = said(&policy, &limits, &Limits::default());

        let file = toml(&said);
        let mut read = Invocation::default();
        parse(&mut read, &file, "`p`", &place.environment())
            .unwrap_or_else(|error| panic!("{round}: {}\n{file}", error.message()));
        assert_eq!(
            (&read.policy, &read.limits),
            (&policy, &limits),
            "{round}:\n{file}"
        );
        assert_eq!(
            toml(&super::said(&read.policy, &read.limits, &Limits::default())),
            file
        );

        let line = format!("{} f.wasm", command_line(&said));
        let typed = crate::settings::parse_run(&words(&line), &place.environment())
            .unwrap_or_else(|error| panic!("{round}: {}\n{line}", error.message()));
        let limits = crate::determinism::limits(&policy, &limits).unwrap();
        assert_eq!((typed.policy, typed.limits), (policy, limits), "{round}:\n{line}");
    }
}
