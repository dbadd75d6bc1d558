//! Compiled code in a file: the image that wasmtime maps, and after it a trailer that says what it is.
//!
//! ```text
//! image     an ELF file as wasmtime wrote it, from offset 0, so that its sections stay page-aligned
//! header    JSON: see [`Header`]
//! footer    24 bytes: length of the image (u64), length of the header (u32), format (u32), magic
//! ```
//!
//! Numbers are little-endian. Why a trailer and not a header: `docs/design/compiled-files.md`. Compiled code is
//! trusted code: whoever can write such a file decides what the process that maps it does. So nothing here is loaded
//! but from the cache, which vouches for its files, or because the user passed the file on purpose.
//! Start reading at [`read_header`] and [`map`].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::bounds::Bounds;
use crate::error::{Error, Kind, Result};
use crate::mode::{EngineKey, Mode, PULLEY, Pool, hex};
use crate::program::Code;
use crate::recognise::Form;
use crate::restored::{Beginning, Contents};

/// Ends every file of ours; the zero byte and the line feed show up damage by a text-mode transfer.
const MAGIC: &[u8; 8] = b"\0wherry\n";

/// The version of this layout.
const FORMAT: u32 = 1;

const FOOTER: usize = 24;

/// The trailer of nearly every file fits into one read of this size.
const TAIL: u64 = 4096;

/// A header longer than this was not written by us.
const HEADER_AT_MOST: u64 = 64 << 10;

/// Where an ELF file says which system's conventions it follows, and wasmtime's own number for that.
const ELF_OS_ABI: (usize, u8) = (7, 200);

/// What compiled code is for, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Wherry that compiled it.
    pub wherry: String,
    /// `component` or `module`.
    pub form: String,
    /// The name of the engine mode.
    pub mode: String,
    /// Whether it was compiled with the asynchronous component machinery.
    pub concurrency: bool,
    /// Processor and system, such as `x86_64-linux`, or `pulley64`.
    pub platform: String,
    /// The target as it was named, or `None` for the machine that compiled it, with all its processor can do.
    pub target: Option<String>,
    /// The fingerprint of the engine: see [`EngineKey::fingerprint`].
    pub fingerprint: String,
    /// SHA-256 over the source, in hexadecimal.
    pub source: String,
    /// The name of the source.
    pub name: String,
    /// What was measured of the source.
    pub measured: Bounds,
    /// Whether its tables may grow over what the pool has room for.
    #[serde(default)]
    pub outgrows: bool,
    /// What the memories of a prepared component hold at the start, kept behind its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Prepared>,
    /// SHA-256 over the image, in hexadecimal.
    pub image: String,
}

/// How a component was prepared: its code is that of the prepared one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The version of what prepared it.
    pub version: u32,
    /// What its memories hold.
    pub images: Vec<Kept>,
}

/// What one memory holds at the start, as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which memory: see [`Image`].
    pub memory: u32,
    /// How large it is, in pages of 64 KiB.
    pub pages: u64,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
}

/// What a [`Header`] is made from.
#[derive(Debug, Clone)]
pub struct Made<'a> {
    /// Component or core module.
    pub form: Form,
    /// The engine it was compiled by.
    pub key: &'a EngineKey,
    /// SHA-256 over the source, in hexadecimal.
    pub source: &'a str,
    /// The name of the source.
    pub name: &'a str,
    /// What was measured of the source.
    pub measured: Bounds,
    /// Whether its tables may grow over what the pool has room for.
    pub outgrows: bool,
    /// Where the image holds what its memories do.
    pub prepared: Option<Prepared>,
}

impl Header {
    /// The header for `image`.
    ///
    /// # Errors
    /// As [`EngineKey::fingerprint`].
    pub fn new(made: &Made<'_>, image: &[u8]) -> Result<Self> {
        Ok(Self {
            wherry: env!("CARGO_PKG_VERSION").to_owned(),
            form: made.form.name().to_owned(),
            mode: made.key.mode.name().to_owned(),
            concurrency: made.key.concurrency,
            platform: made.key.target.as_deref().map_or_else(host, platform),
            target: made.key.target.clone(),
            fingerprint: made.key.fingerprint()?.to_owned(),
            source: made.source.to_owned(),
            name: made.name.to_owned(),
            measured: made.measured,
            outgrows: made.outgrows,
            prepared: made.prepared.clone(),
            image: hex(&Sha256::digest(image)),
        })
    }

    /// The key of the engine for this code, or why it does not fit a run in `mode` on this machine.
    ///
    /// # Errors
    /// [`Kind::Precompiled`].
    pub fn key_for(
        &self,
        mode: Mode,
        stack: usize,
        coredump: bool,
        pooled: Option<Pool>,
    ) -> Result<EngineKey> {
        if self.wherry != env!("CARGO_PKG_VERSION") {
            let ours = env!("CARGO_PKG_VERSION");
            return Err(unfit(&format!("by Wherry {}, and this is {ours}", self.wherry)));
        }
        if self.platform != PULLEY && self.platform != host() {
            return Err(unfit(&format!("for {}, and this is {}", self.platform, host())));
        }
        if self.mode != mode.name() {
            let why = format!("for mode `{}`, and this run needs `{}`", self.mode, mode.name());
            return Err(unfit(&why).with_hint(format!("compile it with `--mode {}`", mode.name())));
        }
        let target = (self.platform == PULLEY).then(|| PULLEY.to_owned());
        Ok(EngineKey {
            mode,
            concurrency: self.concurrency,
            stack,
            target,
            coredump,
            pooled,
            restored: false,
        })
    }
}

fn unfit(why: &str) -> Error {
    Error::new(Kind::Precompiled, format!("compiled {why}"))
        .with_hint("compile it again from its source: `wherry compile FILE -o OUT`")
}

/// This machine's platform.
#[must_use]
pub fn host() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The platform of a target triple, in the words of [`host`].
fn platform(target: &str) -> String {
    let system = [("linux", "linux"), ("darwin", "macos"), ("windows", "windows")];
    match (
        target.split_once('-'),
        system.iter().find(|(word, _)| target.contains(word)),
    ) {
        (Some((processor, _)), Some((_, system))) => format!("{processor}-{system}"),
        _ => target.to_owned(),
    }
}

/// Whether `bytes` end as a file of ours does.
#[must_use]
pub fn is_compiled(bytes: &[u8]) -> bool {
    bytes.len() > FOOTER && bytes.ends_with(MAGIC)
}

/// Whether `bytes` begin as an image of wasmtime's does, with or without a trailer.
#[must_use]
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") && bytes.get(ELF_OS_ABI.0) == Some(&ELF_OS_ABI.1)
}

/// Writes image, header and footer.
///
/// # Errors
/// Those of `output`.
pub fn write(output: &mut impl Write, header: &Header, image: &[u8]) -> io::Result<()> {
    let text = serde_json::to_vec(header)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut tail = text;
    tail.extend_from_slice(&(image.len() as u64).to_le_bytes());
    tail.extend_from_slice(&length.to_le_bytes());
    tail.extend_from_slice(&FORMAT.to_le_bytes());
    tail.extend_from_slice(MAGIC);
    output.write_all(image)?;
    output.write_all(&tail)
}

/// Reads the trailer of `file`.
///
/// # Errors
/// [`Kind::Precompiled`] for what was not written by [`write`], or not all of it; [`Kind::Io`].
pub fn read_header(file: &mut File, name: &str) -> Result<Header> {
    let io = |error: io::Error| Error::io(name, &error);
    let length = file.metadata().map_err(io)?.len();
    let tail = read_tail(file, length, TAIL).map_err(io)?;
    let footer = Footer::parse(&tail, length)?;
    let needed = footer.header + FOOTER as u64;
    let tail = if needed > tail.len() as u64 {
        read_tail(file, length, needed).map_err(io)?
    } else {
        tail
    };
    footer.header(&tail)
}

/// As [`read_header`], for bytes in memory; returns the image too.
///
/// # Errors
/// [`Kind::Precompiled`].
pub fn split(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let footer = Footer::parse(bytes, bytes.len() as u64)?;
    let image = usize::try_from(footer.image).map_err(|_| damaged("its lengths do not add up"))?;
    Ok((footer.header(bytes)?, &bytes[..image]))
}

fn read_tail(file: &mut File, length: u64, wanted: u64) -> io::Result<Vec<u8>> {
    let wanted = wanted.min(length);
    file.seek(SeekFrom::Start(length - wanted))?;
    let mut tail = Vec::with_capacity(usize::try_from(wanted).map_err(io::Error::other)?);
    file.take(wanted).read_to_end(&mut tail)?;
    Ok(tail)
}

/// The lengths that a footer holds.
struct Footer {
    image: u64,
    header: u64,
}

impl Footer {
    /// Parses the end of `tail`, itself the end of a file of `length` bytes.
    fn parse(tail: &[u8], length: u64) -> Result<Self> {
        let footer = tail
            .last_chunk::<FOOTER>()
            .filter(|footer| footer.ends_with(MAGIC));
        let Some(footer) = footer else {
            return Err(damaged(
                "its trailer is missing: it is cut short, or wasmtime wrote it and not Wherry",
            ));
        };
        let number = |from: usize, to: usize| {
            footer[from..to]
                .iter()
                .rfold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (image, header, format) = (number(0, 8), number(8, 12), number(12, 16));
        if format != u64::from(FORMAT) {
            return Err(unfit(&format!(
                "in format {format} of the file, and this Wherry reads {FORMAT}"
            )));
        }
        let sum = image
            .checked_add(header)
            .and_then(|sum| sum.checked_add(FOOTER as u64));
        if sum != Some(length) || header > HEADER_AT_MOST {
            return Err(damaged("its lengths do not add up"));
        }
        Ok(Self { image, header })
    }

    fn header(&self, tail: &[u8]) -> Result<Header> {
        let end = tail.len() - FOOTER;
        let start = usize::try_from(self.header)
            .ok()
            .and_then(|length| end.checked_sub(length));
        let text = start
            .map(|start| &tail[start..end])
            .ok_or_else(|| damaged("its lengths do not add up"))?;
        serde_json::from_slice(text).map_err(|error| damaged(&format!("its header cannot be read: {error}")))
    }
}

fn damaged(why: &str) -> Error {
    Error::new(Kind::Precompiled, format!("not compiled code of Wherry's: {why}"))
        .with_hint("compile it again from its source: `wherry compile FILE -o OUT`")
}

/// What the memories of a prepared component hold, out of `file`: where they lie there.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidData`] where the file does not hold what its header says.
///
/// [`ErrorKind::InvalidData`]: io::ErrorKind::InvalidData
pub(crate) fn images(file: &File, prepared: &Prepared) -> io::Result<Vec<Beginning>> {
    let whole = file.metadata()?.len();
    let file = Arc::new(file.try_clone()?);
    let images = prepared.images.iter().map(|kept| {
        let end = kept.offset.checked_add(kept.length);
        let length = usize::try_from(kept.length).ok();
        let length = length.filter(|_| end.is_some_and(|end| end <= whole));
        Ok(Beginning {
            memory: kept.memory,
            pages: kept.pages,
            contents: Contents::File(
                Arc::clone(&file),
                kept.offset,
                length.ok_or(io::ErrorKind::InvalidData)?,
            ),
        })
    });
    images.collect()
}

/// Whether the image in `file` is the one that `header` was written for, by its digest.
///
/// # Errors
/// Those of reading.
pub fn is_intact(file: &mut File, header: &Header) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let tail = read_tail(file, length, FOOTER as u64)?;
    let Ok(footer) = Footer::parse(&tail, length) else {
        return Ok(false);
    };
    file.rewind()?;
    let mut hash = Sha256::new();
    io::copy(&mut file.take(footer.image), &mut hash)?;
    Ok(hex(&hash.finalize()) == header.image)
}

/// Opens a file such that its code can be mapped.
///
/// # Errors
/// Those of opening.
pub fn open_for_mapping(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const GENERIC_READ_AND_EXECUTE: u32 = 0x8000_0000 | 0x2000_0000;
        options.access_mode(GENERIC_READ_AND_EXECUTE);
    }
    options.open(path)
}

/// Maps the code in `file`: its pages are read when they are first executed.
///
/// # Safety
/// The file holds what [`write`] wrote, from an image that wasmtime compiled, and nobody changes it while it is mapped.
///
/// # Errors
/// [`Kind::Precompiled`] with wasmtime's own reason, such as a processor feature that this machine lacks.
pub unsafe fn map(engine: &Engine, file: File, form: &str) -> Result<Code> {
    let code = if form == Form::Component.name() {
        // SAFETY: that of this function.
        unsafe { map_component(engine, file) }.map(Code::Component)
    } else {
        // SAFETY: that of this function.
        unsafe { Module::deserialize_open_file(engine, file) }.map(Code::Module)
    };
    code.map_err(|error| unfit(&format!("for something else: {error:#}")))
}

/// wasmtime opens components by path only. The path of the open descriptor leads to the very file that was
/// checked, whatever has been renamed since.
///
/// # Safety
/// As [`map`].
unsafe fn map_component(engine: &Engine, mut file: File) -> wasmtime::Result<Component> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    {
        use std::os::fd::AsRawFd;
        let folder = if cfg!(target_os = "macos") {
            "/dev/fd"
        } else {
            "/proc/self/fd"
        };
        let path = format!("{folder}/{}", file.as_raw_fd());
        if Path::new(&path).exists() {
            // SAFETY: that of this function.
            return unsafe { Component::deserialize_file(engine, path) };
        }
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    // SAFETY: that of this function; the bytes are copied.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Loads an image from memory, where it is copied.
///
/// # Safety
/// `image` was compiled by wasmtime.
///
/// # Errors
/// As [`map`].
pub unsafe fn copy(engine: &Engine, image: &[u8], form: Form) -> Result<Code> {
    let code = if form == Form::Component {
        // SAFETY: that of this function.
        unsafe { Component::deserialize(engine, image) }.map(Code::Component)
    } else {
        // SAFETY: that of this function.
        unsafe { Module::deserialize(engine, image) }.map(Code::Module)
    };
    code.map_err(|error| unfit(&format!("for something else: {error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::engine;

    fn compiled() -> (Header, Vec<u8>) {
        let key = EngineKey::default();
        let image = engine(&key)
            .expect("an engine")
            .precompile_module(b"\0asm\x01\0\0\0")
            .expect("code");
        let measured = Bounds {
            functions: 0,
            body: 0,
            nesting: 1,
            size: 8,
        };
        let made = Made {
            form: Form::Module,
            key: &key,
            source: "ab",
            name: "empty.wasm",
            measured,
            outgrows: false,
            prepared: None,
        };
        (Header::new(&made, &image).expect("a header"), image)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("to write");
        file
    }

    fn written() -> Vec<u8> {
        let (header, image) = compiled();
        let mut bytes = Vec::new();
        write(&mut bytes, &header, &image).expect("to write");
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let (header, image) = compiled();
        let bytes = written();
        assert!(is_compiled(&bytes) && is_image(&bytes));
        assert_eq!(split(&bytes).expect("parts"), (header.clone(), &*image));
        let mut file = file(&bytes);
        assert_eq!(read_header(&mut file, "f").expect("a header"), header);
        assert!(is_intact(&mut file, &header).expect("to read"));
        let engine = engine(&EngineKey::default()).expect("an engine");
        // SAFETY: the file was written above from what wasmtime compiled, and nobody else has it.
        assert!(unsafe { map(&engine, file, &header.form) }.is_ok());
    }

    #[test]
    fn a_long_header_is_read_in_a_second_go() {
        let (mut header, image) = compiled();
        header.name = "x".repeat(10_000);
        let mut bytes = Vec::new();
        write(&mut bytes, &header, &image).expect("to write");
        assert_eq!(read_header(&mut file(&bytes), "f").expect("a header"), header);
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = written();
        for end in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
            let error = read_header(&mut file(&bytes[..end]), "f").expect_err("cut short");
            assert_eq!(error.kind(), Kind::Precompiled);
        }
    }

    #[test]
    fn every_changed_byte_of_the_footer_is_refused() {
        let whole = written();
        for at in whole.len() - FOOTER..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            assert_eq!(
                read_header(&mut file(&bytes), "f")
                    .err()
                    .map(|error| error.kind()),
                Some(Kind::Precompiled)
            );
        }
    }

    #[test]
    fn a_changed_image_is_not_intact() {
        let mut bytes = written();
        bytes[100] ^= 1;
        let mut file = file(&bytes);
        let header = read_header(&mut file, "f").expect("a header");
        assert!(!is_intact(&mut file, &header).expect("to read"));
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let (header, _) = compiled();
        let table = [
            (
                Header {
                    wherry: "0.0.1".into(),
                    ..header.clone()
                },
                Mode::Plain,
                "by Wherry 0.0.1",
            ),
            (
                Header {
                    platform: "sparc-solaris".into(),
                    ..header.clone()
                },
                Mode::Plain,
                "for sparc-solaris",
            ),
            (header.clone(), Mode::Metered, "this run needs `metered`"),
        ];
        for (header, mode, words) in table {
            let error = header.key_for(mode, 1 << 20, false, None).expect_err("unfit");
            assert_eq!(error.kind(), Kind::Precompiled);
            assert!(error.message().contains(words), "{error}");
        }
        assert!(header.key_for(Mode::Plain, 1 << 20, false, None).is_ok());
    }

    #[test]
    fn targets_name_platforms() {
        let table = [
            ("x86_64-unknown-linux-gnu", "x86_64-linux"),
            ("aarch64-apple-darwin", "aarch64-macos"),
            ("x86_64-pc-windows-msvc", "x86_64-windows"),
            (PULLEY, PULLEY),
        ];
        for (target, name) in table {
            assert_eq!(platform(target), name);
        }
    }
}
