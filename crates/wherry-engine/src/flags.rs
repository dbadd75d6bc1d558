//! The flags of every command that runs guests: one table, [`FLAGS`].
//!
//! `wherry run` reads its command line by it without loading anything else; the command-line library gets its
//! options from it, for help and for completion; `wherry config explain` walks it. A setting that is to have
//! a flag, a variable `WHERRY_*` or a key in a settings file gets its row here and nowhere else. The value is
//! read by the function in the row, which lives beside what it sets: [`limits`], [`policy`](crate::policy)
//! or [`options`].

use crate::environment::Environment;
use crate::options::{self, Invocation};
use crate::{Result, limits, policy};

/// Under which heading help shows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What the guest may reach.
    Grants,
    /// What the guest may use up.
    Limits,
    /// What is run, and how.
    Running,
    /// Where compiled code is kept.
    Cache,
    /// What is printed.
    Output,
}

impl Group {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Group::Grants => "Grants (nothing is granted by default)",
            Group::Limits => "Limits",
            Group::Running => "Running",
            Group::Cache => "Cache",
            Group::Output => "Output",
        }
    }
}

/// Where, beside its flag, a setting may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nowhere: what is granted, loaded or written is said anew for each run.
    CommandLine,
    /// A variable or the user's own file, and not the project's file, which may come from a stranger.
    User,
    /// A variable, the user's file and the project's.
    Project,
}

/// One row of the table.
#[derive(Debug)]
pub struct Flag {
    /// The long name without dashes; also the key in settings files.
    pub name: &'static str,
    /// The one-letter form.
    pub short: Option<char>,
    /// The form of the value as help shows it; `None` for a switch.
    pub value: Option<&'static str>,
    /// The only values there are; empty when there are more.
    pub choices: &'static [&'static str],
    /// What it does, in one line without a full stop.
    pub help: &'static str,
    /// The environment variable.
    pub variable: Option<&'static str>,
    /// What holds in a terminal when nothing is said.
    pub default: Option<&'static str>,
    /// The heading in help.
    pub group: Group,
    /// May be given several times, and then adds up.
    pub repeatable: bool,
    /// Where else it may come from.
    pub reach: Reach,
    /// Reads a value and sets it; switches are given `true` or `false`.
    pub set: fn(&mut Invocation, &str, &Environment) -> Result<()>,
}

impl Flag {
    /// As much of a value as a message may show: of a secret nothing, of what has a name no more than that.
    #[must_use]
    pub fn shown<'a>(&self, text: &'a str) -> &'a str {
        match self.name {
            "secret" => "",
            "env" | "config" => text.find('=').map_or(text, |end| &text[..=end]),
            _ => text,
        }
    }

    /// Takes no value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value.is_none()
    }
}

/// The flag of a long name without dashes.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The flag of a one-letter form.
#[must_use]
pub fn by_short(short: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(short))
}

/// What rows are alike in; each row of [`FLAGS`] says how it differs.
const ROW: Flag = Flag {
    name: "",
    short: None,
    value: None,
    choices: &[],
    help: "",
    variable: None,
    default: None,
    group: Group::Running,
    repeatable: false,
    reach: Reach::CommandLine,
    set: |_, _, _| Ok(()),
};

const GRANT: Flag = Flag {
    group: Group::Grants,
    ..ROW
};
const LIMIT: Flag = Flag {
    group: Group::Limits,
    reach: Reach::Project,
    ..ROW
};
const CACHE: Flag = Flag {
    group: Group::Cache,
    reach: Reach::User,
    ..ROW
};
const OUTPUT: Flag = Flag {
    group: Group::Output,
    reach: Reach::Project,
    ..ROW
};

/// Every flag, in the order of help.
pub static FLAGS: &[Flag] = &[
    Flag {
        name: "dir",
        short: Some('v'),
        value: Some("HOST[::GUEST][:ro]"),
        help: "Let the guest use the folder HOST, under the name GUEST, read-only with `:ro`",
        repeatable: true,
        set: |run, text, environment| run.policy.grant_dir(text, environment),
        ..GRANT
    },
    Flag {
        name: "env",
        short: Some('e'),
        value: Some("NAME[=VALUE]"),
        help: "Set a variable for the guest; NAME alone copies its value from here",
        repeatable: true,
        set: |run, text, environment| run.policy.grant_env(text, environment),
        ..GRANT
    },
    Flag {
        name: "env-file",
        value: Some("FILE"),
        help: "Set the variables of a file with lines of NAME=VALUE",
        repeatable: true,
        set: |run, text, environment| {
            run.options.env_files.push(environment.folder().join(text));
            run.policy.grant_env_file(text, environment)
        },
        ..GRANT
    },
    Flag {
        name: "workdir",
        value: Some("GUEST"),
        help: "Start the guest in this folder of those it was granted",
        set: |run, text, _| run.policy.set_workdir(text),
        ..GRANT
    },
    Flag {
        name: "allow-net",
        value: Some("HOST:PORT"),
        help: "Let the guest connect to HOST, a name, an address or a range such as 10.0.0.0/8",
        repeatable: true,
        set: |run, text, _| run.policy.allow_net(text),
        ..GRANT
    },
    Flag {
        name: "allow-http",
        value: Some("[METHOD ]URL"),
        help: "Let the guest send requests to URL and below",
        repeatable: true,
        set: |run, text, _| run.policy.allow_http(text),
        ..GRANT
    },
    Flag {
        name: "allow-listen",
        value: Some("ADDR:PORT"),
        help: "Let the guest accept connections at ADDR",
        repeatable: true,
        set: |run, text, _| run.policy.allow_listen(text),
        ..GRANT
    },
    Flag {
        name: "allow-dns",
        help: "Let the guest look up any name",
        set: |run, text, _| options::switch(text).map(|on| run.policy.dns = on),
        ..GRANT
    },
    Flag {
        name: "resolver",
        value: Some("IP[:PORT]"),
        help: "Ask this DNS server for names, not the system",
        set: |run, text, _| run.policy.set_resolver(text),
        ..GRANT
    },
    Flag {
        name: "config",
        value: Some("NAME=VALUE"),
        help: "Answer this when the guest asks its configuration (wasi:config) for NAME",
        repeatable: true,
        set: |run, text, _| run.policy.grant_config(text),
        ..GRANT
    },
    Flag {
        name: "secret",
        value: Some("NAME[@FILE]"),
        help: "The same with the variable NAME or the contents of FILE, which is never shown",
        repeatable: true,
        set: |run, text, environment| run.policy.grant_secret(text, environment),
        ..GRANT
    },
    Flag {
        name: "kv",
        value: Some("PATH"),
        help: "Keep what the guest stores (wasi:keyvalue) in this SQLite file, not in memory",
        set: |run, text, environment| run.policy.set_kv(text, environment),
        ..GRANT
    },
    Flag {
        name: "clock",
        value: Some("CLOCK"),
        help: "The guest's clocks: host, none, or START[+STEP] of a virtual one",
        default: Some("host"),
        set: |run, text, _| run.policy.set_clock(text),
        ..GRANT
    },
    Flag {
        name: "random",
        value: Some("SOURCE"),
        help: "The guest's randomness: host, none, or a seed",
        default: Some("host"),
        set: |run, text, _| run.policy.set_random(text),
        ..GRANT
    },
    Flag {
        name: "policy",
        value: Some("FILE"),
        help: "Grant and limit what FILE says; flags beside it add to it or override it",
        set: |run, text, environment| policy::text::read(run, text, environment),
        ..GRANT
    },
    Flag {
        name: "memory",
        value: Some("SIZE"),
        help: "Most memory, such as 256MiB",
        variable: Some("WHERRY_MEMORY"),
        default: Some("512MiB"),
        set: |run, text, _| limits::size(text).map(|bytes| run.limits.memory = bytes),
        ..LIMIT
    },
    Flag {
        name: "timeout",
        value: Some("DURATION"),
        help: "Longest wall time, such as 5s or 1m30s",
        variable: Some("WHERRY_TIMEOUT"),
        default: Some("none"),
        set: |run, text, _| limits::or_none(text, limits::duration).map(|time| run.limits.timeout = time),
        ..LIMIT
    },
    Flag {
        name: "fuel",
        value: Some("COUNT"),
        help: "Most fuel, about one for each instruction, such as 100M",
        variable: Some("WHERRY_FUEL"),
        default: Some("none"),
        set: |run, text, _| {
            let fuel = limits::or_none(text, limits::count)?;
            (run.limits.fuel, run.options.unmetered) = (fuel, fuel.is_none());
            Ok(())
        },
        ..LIMIT
    },
    Flag {
        name: "max-output",
        value: Some("SIZE"),
        help: "Most bytes written to standard output and standard error",
        variable: Some("WHERRY_MAX_OUTPUT"),
        default: Some("none"),
        set: |run, text, _| limits::or_none(text, limits::size).map(|bytes| run.limits.output = bytes),
        ..LIMIT
    },
    Flag {
        name: "stack",
        value: Some("SIZE"),
        help: "Most stack",
        variable: Some("WHERRY_STACK"),
        default: Some("1MiB"),
        set: |run, text, _| limits::stack(text).map(|bytes| run.limits.stack = bytes),
        ..LIMIT
    },
    Flag {
        name: "max-handles",
        value: Some("COUNT"),
        help: "Most open files, folders and other handles",
        variable: Some("WHERRY_MAX_HANDLES"),
        default: Some("1024"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.handles = most),
        ..LIMIT
    },
    Flag {
        name: "max-connections",
        value: Some("COUNT"),
        help: "Most connections at once",
        variable: Some("WHERRY_MAX_CONNECTIONS"),
        default: Some("64"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.connections = most),
        ..LIMIT
    },
    Flag {
        name: "max-write",
        value: Some("SIZE"),
        help: "Most bytes written to files",
        variable: Some("WHERRY_MAX_WRITE"),
        default: Some("none"),
        set: |run, text, _| limits::or_none(text, limits::size).map(|bytes| run.limits.write = bytes),
        ..LIMIT
    },
    Flag {
        name: "max-transfer",
        value: Some("SIZE"),
        help: "Most bytes sent and received over the network",
        variable: Some("WHERRY_MAX_TRANSFER"),
        default: Some("1GiB"),
        set: |run, text, _| limits::or_none(text, limits::size).map(|bytes| run.limits.transfer = bytes),
        ..LIMIT
    },
    Flag {
        name: "connect-timeout",
        value: Some("DURATION"),
        help: "Longest time until a connection stands",
        variable: Some("WHERRY_CONNECT_TIMEOUT"),
        default: Some("10s"),
        set: |run, text, _| limits::duration(text).map(|time| run.limits.connect_timeout = time),
        ..LIMIT
    },
    Flag {
        name: "first-byte-timeout",
        value: Some("DURATION"),
        help: "Longest time from an HTTP request to the first byte of its answer",
        variable: Some("WHERRY_FIRST_BYTE_TIMEOUT"),
        default: Some("1m"),
        set: |run, text, _| limits::duration(text).map(|time| run.limits.first_byte_timeout = time),
        ..LIMIT
    },
    Flag {
        name: "between-bytes-timeout",
        value: Some("DURATION"),
        help: "Longest time between two pieces of an HTTP answer",
        variable: Some("WHERRY_BETWEEN_BYTES_TIMEOUT"),
        default: Some("1m"),
        set: |run, text, _| limits::duration(text).map(|time| run.limits.between_bytes_timeout = time),
        ..LIMIT
    },
    Flag {
        name: "max-instances",
        value: Some("COUNT"),
        help: "Most core instances",
        variable: Some("WHERRY_MAX_INSTANCES"),
        default: Some("10000"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.instances = most),
        ..LIMIT
    },
    Flag {
        name: "max-tables",
        value: Some("COUNT"),
        help: "Most tables",
        variable: Some("WHERRY_MAX_TABLES"),
        default: Some("10000"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.tables = most),
        ..LIMIT
    },
    Flag {
        name: "max-functions",
        value: Some("COUNT"),
        help: "Most functions in a file to compile",
        variable: Some("WHERRY_MAX_FUNCTIONS"),
        default: Some("250000"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.bounds.functions = most),
        ..LIMIT
    },
    Flag {
        name: "max-body",
        value: Some("SIZE"),
        help: "Largest function in a file to compile",
        variable: Some("WHERRY_MAX_BODY"),
        default: Some("4MiB"),
        set: |run, text, _| limits::size(text).map(|bytes| run.limits.bounds.body = bytes),
        ..LIMIT
    },
    Flag {
        name: "max-nesting",
        value: Some("COUNT"),
        help: "Deepest nesting of blocks in a file to compile",
        variable: Some("WHERRY_MAX_NESTING"),
        default: Some("10000"),
        set: |run, text, _| limits::count(text).map(|most| run.limits.bounds.nesting = most),
        ..LIMIT
    },
    Flag {
        name: "max-size",
        value: Some("SIZE"),
        help: "Largest file to compile",
        variable: Some("WHERRY_MAX_SIZE"),
        default: Some("256MiB"),
        set: |run, text, _| limits::size(text).map(|bytes| run.limits.bounds.size = bytes),
        ..LIMIT
    },
    Flag {
        name: "compile-timeout",
        value: Some("DURATION"),
        help: "Longest time to read and compile a file",
        variable: Some("WHERRY_COMPILE_TIMEOUT"),
        default: Some("10m"),
        set: |run, text, _| {
            limits::or_none(text, limits::duration).map(|time| run.limits.compile_timeout = time)
        },
        ..LIMIT
    },
    Flag {
        name: "compile-memory",
        value: Some("SIZE"),
        help: "Most memory for compiling a file",
        variable: Some("WHERRY_COMPILE_MEMORY"),
        default: Some("4GiB"),
        set: |run, text, _| {
            limits::or_none(text, limits::size).map(|bytes| run.limits.compile_memory = bytes)
        },
        ..LIMIT
    },
    Flag {
        name: "invoke",
        value: Some("'NAME(ARGS)'"),
        help: "Call an exported function instead, with values in WAVE, and print its result",
        set: |run, text, _| {
            run.options.invoke = Some(text.to_owned());
            Ok(())
        },
        ..ROW
    },
    Flag {
        name: "precompiled",
        help: "FILE holds compiled code, which is trusted as the programs on this machine are",
        set: |run, text, _| options::switch(text).map(|on| run.options.precompiled = on),
        ..ROW
    },
    Flag {
        name: "target",
        value: Some("TARGET"),
        help: "Run in the portable interpreter, `pulley64`, or as code for all processors of this kind",
        set: |run, text, _| options::target(text).map(|target| run.options.target = Some(target)),
        ..ROW
    },
    Flag {
        name: "deterministic",
        help: "The same output and fuel on each run and machine: virtual clocks, seeded randomness, no network",
        set: |run, text, _| options::switch(text).map(|on| run.policy.deterministic = on),
        ..ROW
    },
    Flag {
        name: "receipt",
        value: Some("FILE"),
        help: "Write what ran, with what, and digests of what came out, for `wherry verify-run`",
        set: |run, text, _| options::path(text).map(|path| run.options.receipt = Some(path)),
        ..ROW
    },
    Flag {
        name: "audit",
        value: Some("FILE"),
        help: "Write each grant used and each refusal, as lines of JSON",
        set: |run, text, _| options::path(text).map(|path| run.options.audit = Some(path)),
        ..ROW
    },
    Flag {
        name: "learn",
        value: Some("FILE"),
        help: "Ask about each access, and write the smallest policy that covers the run",
        set: |run, text, _| options::path(text).map(|path| run.options.learn = Some(path)),
        ..ROW
    },
    Flag {
        name: "allow-all",
        help: "With --learn: allow everything, without asking",
        set: |run, text, _| options::switch(text).map(|on| run.options.allow_all = on),
        ..ROW
    },
    Flag {
        name: "profile",
        value: Some("FILE"),
        help: "Write where the time went, for a profile viewer",
        set: |run, text, _| options::path(text).map(|path| run.options.profile = Some(path)),
        ..ROW
    },
    Flag {
        name: "coredump",
        value: Some("FILE"),
        help: "Write a core dump if the guest traps",
        set: |run, text, _| options::path(text).map(|path| run.options.coredump = Some(path)),
        ..ROW
    },
    Flag {
        name: "cache-dir",
        value: Some("DIR"),
        help: "Keep compiled code in this folder",
        variable: Some("WHERRY_CACHE_DIR"),
        set: |run, text, environment| {
            options::path(text).map(|path| run.cache.dir = Some(environment.folder().join(path)))
        },
        ..CACHE
    },
    Flag {
        name: "cache-size",
        value: Some("SIZE"),
        help: "Keep at most this much compiled code, the most recently used",
        variable: Some("WHERRY_CACHE_SIZE"),
        default: Some("4GiB"),
        set: |run, text, _| limits::size(text).map(|bytes| run.cache.size = bytes),
        ..CACHE
    },
    Flag {
        name: "no-cache",
        help: "Neither look for compiled code nor keep any",
        variable: Some("WHERRY_NO_CACHE"),
        default: Some("false"),
        set: |run, text, _| options::switch(text).map(|on| run.cache.off = on),
        ..CACHE
    },
    Flag {
        name: "format",
        value: Some("FORMAT"),
        choices: &["text", "json"],
        help: "How the result of --invoke is printed",
        variable: Some("WHERRY_FORMAT"),
        default: Some("text"),
        set: |run, text, _| options::format(text).map(|format| run.options.format = format),
        ..OUTPUT
    },
    Flag {
        name: "quiet",
        short: Some('q'),
        help: "No progress and no warnings",
        variable: Some("WHERRY_QUIET"),
        default: Some("false"),
        set: |run, text, _| options::switch(text).map(|on| run.options.quiet = on),
        ..OUTPUT
    },
    Flag {
        name: "debug",
        help: "Show where in Wherry an error came from",
        variable: Some("WHERRY_DEBUG"),
        default: Some("false"),
        set: |run, text, _| options::switch(text).map(|on| run.options.debug = on),
        ..OUTPUT
    },
    Flag {
        name: "help",
        short: Some('h'),
        help: "Show this and exit",
        reach: Reach::CommandLine,
        ..OUTPUT
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_variables_follow_them() {
        for (index, flag) in FLAGS.iter().enumerate() {
            for other in &FLAGS[..index] {
                assert_ne!(flag.name, other.name);
                assert!(flag.short.is_none() || flag.short != other.short, "{}", flag.name);
            }
            let variable = format!("WHERRY_{}", flag.name.to_uppercase().replace('-', "_"));
            assert!(
                flag.variable.is_none_or(|found| found == variable),
                "{}",
                flag.name
            );
        }
    }

    #[test]
    fn grants_and_what_is_written_or_trusted_come_from_the_command_line_alone() {
        for flag in FLAGS {
            let settable =
                matches!(flag.group, Group::Limits | Group::Cache | Group::Output) && flag.name != "help";
            assert_eq!(flag.reach > Reach::CommandLine, settable, "{}", flag.name);
            assert_eq!(flag.variable.is_some(), settable, "{}", flag.name);
        }
    }

    #[test]
    fn stated_defaults_are_the_defaults() {
        let environment = Environment::default();
        for flag in FLAGS {
            let mut run = Invocation::default();
            if let Some(default) = flag.default {
                (flag.set)(&mut run, default, &environment).unwrap();
            }
            // To say what holds anyway is to say it.
            (run.policy.clock, run.policy.random, run.options.unmetered) = (None, None, false);
            assert_eq!(run, Invocation::default(), "{}", flag.name);
        }
    }

    #[test]
    fn limits_in_help_are_the_terminal_s() {
        assert_eq!(Invocation::default().limits, limits::Limits::terminal());
    }
}
