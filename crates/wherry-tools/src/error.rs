//! What can go wrong when a file is read for what it says of itself, or made.

/// Why a file could not be described or made. Each message stands without a full stop and without a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are malformed, cut short, or contradict themselves.
    #[error("{0}")]
    Invalid(String),
    /// Valid WebAssembly whose interface WIT cannot say, such as a component that exports a module.
    #[error("{0}")]
    Inexpressible(String),
    /// A description would be larger than anything that is not hostile.
    #[error("{0}")]
    TooLarge(String),
    /// Interfaces of a project that are wrong, with the line; or that a language has no form for.
    #[error("{0}")]
    Interface(String),
}

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(format!("{} at byte {}", error.message(), error.offset()))
    }
}
