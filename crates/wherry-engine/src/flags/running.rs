//! What is run, and how: `--invoke`, `--deterministic` and their kin.

use super::{Flag, ROW};
use crate::options;

/// The rows, in the order of help.
pub(super) const FLAGS: &[Flag] = &[
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
        name: "name",
        value: Some("NAME"),
        help: "What the guest is told that it is called, and messages call it",
        set: |run, text, _| {
            run.options.name = Some(text.to_owned());
            Ok(())
        },
        ..ROW
    },
    Flag {
        name: "entry",
        value: Some("FUNCTION"),
        help: "Where a core module starts, if not at `_start`",
        set: |run, text, _| {
            run.options.entry = Some(text.to_owned());
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
];
