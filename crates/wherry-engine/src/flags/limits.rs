//! What the guest may use up: `--memory`, `--timeout` and their kin.

use super::{Flag, Group, ROW, Reach};
use crate::limits;

/// What these rows are alike in.
const LIMIT: Flag = Flag {
    group: Group::Limits,
    reach: Reach::Project,
    ..ROW
};

/// The rows, in the order of help.
pub(super) const FLAGS: &[Flag] = &[
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
        name: "max-outgoing",
        value: Some("COUNT"),
        help: "Most HTTP requests sent",
        variable: Some("WHERRY_MAX_OUTGOING"),
        default: Some("none"),
        set: |run, text, _| limits::or_none(text, limits::count).map(|most| run.limits.outgoing = most),
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
];
