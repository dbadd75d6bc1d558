//! Any bytes at all are loaded, or refused with an error that is not a fault of ours.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wherry_fuzz::{expect_typed, load};

fuzz_target!(|bytes: &[u8]| {
    expect_typed(load(bytes.to_vec()));
});
