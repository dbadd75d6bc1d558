//! Where compiled code is kept: `--cache-dir` and its kin.

use super::{Flag, Group, ROW, Reach};
use crate::{limits, options};

/// What these rows are alike in.
const CACHE: Flag = Flag {
    group: Group::Cache,
    reach: Reach::User,
    ..ROW
};

/// The rows, in the order of help.
pub(super) const FLAGS: &[Flag] = &[
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
];
