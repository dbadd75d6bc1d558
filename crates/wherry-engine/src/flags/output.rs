//! What is printed: `--format`, `--quiet` and their kin.

use super::{Flag, Group, ROW, Reach};
use crate::options;

/// What these rows are alike in.
const OUTPUT: Flag = Flag {
    group: Group::Output,
    reach: Reach::Project,
    ..ROW
};

/// The rows, in the order of help.
pub(super) const FLAGS: &[Flag] = &[
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
