//! What the guest may reach: `--dir`, `--env`, `--allow-net` and their kin.

use super::{Flag, Group, ROW};
use crate::{options, policy};

/// What these rows are alike in.
const GRANT: Flag = Flag {
    group: Group::Grants,
    ..ROW
};

/// The rows, in the order of help.
pub(super) const FLAGS: &[Flag] = &[
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
];
