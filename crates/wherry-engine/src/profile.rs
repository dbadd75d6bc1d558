//! `--profile FILE`: where a guest spends its time, in the format of the Firefox profiler.
//!
//! The epoch is what takes samples: at each tick the engine stops at the next loop or call and looks at the stack. So
//! only what the guest computes is seen, and time in the host is a gap. <https://profiler.firefox.com> opens the file.

use crate::error::{Error, Kind, Result};
use crate::program::{Code, Program};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::{AsContext, GuestProfiler};

/// The time between two samples.
pub const INTERVAL: Duration = Duration::from_millis(1);

/// A profile that is being taken; the guest's thread adds samples, any thread may end it.
#[derive(Clone)]
pub struct Sampler(Arc<Mutex<Option<Samples>>>);

struct Samples {
    profiler: GuestProfiler,
    last: Instant,
    file: File,
    path: PathBuf,
}

impl Sampler {
    /// Begins a profile of `program`. The file is made now, so that a long run is not in vain.
    ///
    /// # Errors
    /// [`Kind::Io`] when the file cannot be written.
    pub fn start(program: &Program, path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| unwritten(path, &error))?;
        let (engine, name) = (&program.engine, program.name.as_str());
        let profiler = match &program.code {
            Code::Module(module) => {
                GuestProfiler::new(engine, name, INTERVAL, [(name.to_owned(), module.clone())])
            }
            Code::Component(component) => {
                GuestProfiler::new_component(engine, name, INTERVAL, component.clone(), [])
            }
        };
        let profiler = profiler
            .map_err(|error| Error::new(Kind::Internal, format!("`{name}` cannot be profiled: {error:#}")))?;
        let samples = Samples {
            profiler,
            last: Instant::now(),
            file,
            path: path.to_owned(),
        };
        Ok(Self(Arc::new(Mutex::new(Some(samples)))))
    }

    /// Looks at the stack of the guest.
    pub fn sample(&self, store: impl AsContext) {
        if let Some(samples) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let now = Instant::now();
            samples.profiler.sample(store, now - samples.last);
            samples.last = now;
        }
    }

    /// Writes the profile; later samples go nowhere.
    ///
    /// # Errors
    /// [`Kind::Io`] when the file cannot be written.
    pub fn finish(&self) -> Result<()> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Samples {
            profiler, file, path, ..
        }) = taken
        else {
            return Ok(());
        };
        let mut writer = BufWriter::new(file);
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(
                Kind::Io,
                format!("the profile `{}` cannot be written: {error}", path.display()),
            )
        };
        profiler.finish(&mut writer).map_err(|error| failed(&error))?;
        writer.flush().map_err(|error| failed(&error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let why = Error::io(path.display(), error);
    Error::new(
        Kind::Io,
        format!("the profile cannot be written: {}", why.message()),
    )
    .with_hint("`--profile` wants the path of a file in a folder that exists")
}
