//! Compiled code on disk.

/// A folder of compiled code.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: std::path::PathBuf,
}

impl Cache {
    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }
}
