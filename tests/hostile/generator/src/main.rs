//! `hostile-modules SEED COUNT`: writes that many modules to stdout, each after its length in four little-endian bytes.
//!
//! The same seed gives the same modules.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

/// The random bytes that decide one module.
const ENTROPY: usize = 8 << 10;

fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|argument| argument.parse().ok());
    let (Some(seed), Some(count), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: hostile-modules SEED COUNT");
        return ExitCode::from(2);
    };
    match write(seed, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(seed: u64, count: u64) -> std::io::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut output = BufWriter::new(stdout().lock());
    let mut entropy = vec![0; ENTROPY];
    let mut written = 0;
    while written < count {
        random.fill(&mut entropy);
        let Ok(module) = hostile_modules::module(&mut arbitrary::Unstructured::new(&entropy)) else {
            continue;
        };
        let length = u32::try_from(module.len()).map_err(std::io::Error::other)?;
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&module)?;
        written += 1;
    }
    output.flush()
}
