//! A folder, the files in it, and those of them that are kept in memory.
//!
//! Files are opened beneath the folder (`openat2` on Linux), so that no link leads out of it. The files of a package never
//! change: what is there is found out once. In any other folder each use asks whether the file is still the same.
//! Start at [`Shelf::find`].

use super::coding::Coding;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use headers::{HeaderMapExt as _, LastModified};
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Files up to this size are kept in memory.
const SMALL: u64 = 256 << 10;

/// How many bytes of files are kept at the most.
const KEPT: u64 = 64 << 20;

/// What one of them takes besides its bytes, about.
const OVERHEAD: u64 = 1 << 10;

/// How old the last change has to be: two changes within one step of the file system's clock look the same.
const SETTLED: Duration = Duration::from_millis(50);

/// What a folder is asked for.
pub const INDEX: &str = "index.html";

/// A folder.
pub struct Shelf {
    root: Dir,
    package: Option<Package>,
    kept: Cache<Box<str>, Arc<Found>, Weigh>,
}

/// What never changes.
struct Package {
    digest: String,
    files: HashSet<Box<str>>,
}

/// What is at a path.
pub enum Place {
    /// A file.
    File(Arc<Found>),
    /// A folder with an [`INDEX`].
    Folder,
    /// Neither.
    Nothing,
}

/// A file, with the forms of it that are beside it.
pub struct Found {
    /// The file as it is.
    pub plain: Document,
    coded: [Option<Document>; Coding::ALL.len()],
}

/// One form of a file.
pub struct Document {
    /// Where it is.
    path: String,
    stamp: Stamp,
    /// All of it, where it is small.
    pub bytes: Option<Bytes>,
    /// How long it is.
    pub size: u64,
    /// When it was changed, where that means something.
    pub modified: Option<SystemTime>,
    /// What an answer with it says.
    pub fields: HeaderMap,
}

/// By what a file is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Box<str>, Arc<Found>> for Weigh {
    fn weight(&self, path: &Box<str>, found: &Arc<Found>) -> u64 {
        let bytes = found
            .documents()
            .map(|one| OVERHEAD + one.bytes.as_ref().map_or(0, Bytes::len) as u64);
        bytes.sum::<u64>() + path.len() as u64
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use cap_std::fs::MetadataExt as _;
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
            #[cfg(unix)]
            identity: (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ),
        }
    }

    fn is_settled(&self) -> bool {
        self.modified
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > SETTLED)
    }
}

impl Found {
    /// The form in a coding, if there is one.
    pub fn coded(&self, coding: Coding) -> Option<&Document> {
        self.coded[coding as usize].as_ref()
    }

    /// All of its forms.
    fn documents(&self) -> impl Iterator<Item = &Document> {
        [&self.plain].into_iter().chain(self.coded.iter().flatten())
    }

    /// Whether there is more than the file itself.
    pub fn varies(&self) -> bool {
        self.coded.iter().any(Option::is_some)
    }
}

impl Shelf {
    /// A folder; with the digest of a package, one of its folders, which never changes.
    ///
    /// # Errors
    /// What the system says of a folder that cannot be opened.
    pub fn open(folder: &Path, package: Option<&str>) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(folder, ambient_authority())?;
        let package = package.map(|digest| {
            let mut files = HashSet::new();
            list(&root, "", &mut files)?;
            let digest = digest.to_owned();
            Ok::<_, io::Error>(Package { digest, files })
        });
        let mut options = OptionsBuilder::new();
        options
            .shards(4)
            .estimated_items_capacity(1024)
            .weight_capacity(KEPT);
        let options = options.build().map_err(io::Error::other)?;
        Ok(Self {
            root,
            package: package.transpose()?,
            kept: Cache::with_options(
                options,
                Weigh,
                DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
        })
    }

    /// What is at a path.
    pub async fn find(self: &Arc<Self>, path: &str) -> Place {
        match &self.package {
            Some(package) if package.files.contains(path) => {}
            Some(package) if package.files.contains(&*index(path)) => return Place::Folder,
            Some(_) => return Place::Nothing,
            None => {}
        }
        if let Some(found) = self.kept.get(path)
            && (self.package.is_some() || self.is_current(&found))
        {
            return Place::File(found);
        }
        if self.package.is_none() {
            match self.root.metadata(path) {
                Ok(metadata) if metadata.is_file() => {}
                Ok(metadata) if metadata.is_dir() => {
                    let index = self.root.metadata(index(path));
                    let folder = index.is_ok_and(|metadata| metadata.is_file());
                    return if folder { Place::Folder } else { Place::Nothing };
                }
                _ => return Place::Nothing,
            }
        }
        let (this, path) = (Arc::clone(self), path.to_owned());
        let loaded = tokio::task::spawn_blocking(move || this.load(&path)).await;
        match loaded {
            Ok(Ok(found)) => Place::File(found),
            _ => Place::Nothing,
        }
    }

    /// Opens one form of a file, if it is still the same.
    ///
    /// # Errors
    /// What the system says, and that it changed.
    pub async fn reopen(self: &Arc<Self>, document: &Document) -> io::Result<std::fs::File> {
        let (this, path, known) = (Arc::clone(self), document.path.clone(), document.stamp);
        let opening = tokio::task::spawn_blocking(move || {
            let (file, stamp) = this.file(&path)?;
            if stamp != known && this.package.is_none() {
                return Err(io::Error::other("the file changed"));
            }
            Ok(file.into_std())
        });
        opening.await.map_err(io::Error::other).flatten()
    }

    /// Whether a file and its forms are still the same.
    fn is_current(&self, found: &Found) -> bool {
        let coded = Coding::ALL.into_iter().zip(&found.coded);
        let mut forms = coded.map(|(coding, coded)| {
            let path = format!("{}{}", found.plain.path, coding.suffix());
            (self.stamp(&path), coded.as_ref().map(|coded| coded.stamp))
        });
        self.stamp(&found.plain.path) == Some(found.plain.stamp) && forms.all(|(now, before)| now == before)
    }

    /// By what a file is known, if it is one; only for comparing, as a link that leads out of the folder is followed.
    #[cfg(target_os = "linux")]
    fn stamp(&self, path: &str) -> Option<Stamp> {
        use rustix::fs::{AtFlags, FileType, StatxFlags, makedev, statx};
        let found = statx(&self.root, path, AtFlags::empty(), StatxFlags::BASIC_STATS).ok()?;
        let since = Duration::new(found.stx_mtime.tv_sec.try_into().ok()?, found.stx_mtime.tv_nsec);
        let stamp = Stamp {
            size: found.stx_size,
            modified: SystemTime::UNIX_EPOCH.checked_add(since),
            identity: (
                makedev(found.stx_dev_major, found.stx_dev_minor),
                found.stx_ino,
                found.stx_ctime.tv_sec,
                found.stx_ctime.tv_nsec.into(),
            ),
        };
        FileType::from_raw_mode(found.stx_mode.into())
            .is_file()
            .then_some(stamp)
    }

    /// The same.
    #[cfg(not(target_os = "linux"))]
    fn stamp(&self, path: &str) -> Option<Stamp> {
        let metadata = self.root.metadata(path).ok()?;
        metadata.is_file().then(|| Stamp::of(&metadata))
    }

    /// Reads a file and its forms, and keeps what is small.
    fn load(&self, path: &str) -> io::Result<Arc<Found>> {
        let plain = self.document(path, None, path)?;
        let coded = Coding::ALL.map(|coding| {
            let path = format!("{path}{}", coding.suffix());
            self.document(&path, Some(coding), &plain.path).ok()
        });
        let mut found = Found { plain, coded };
        if found.varies() {
            let documents = [&mut found.plain]
                .into_iter()
                .chain(found.coded.iter_mut().flatten());
            for document in documents {
                let vary = HeaderValue::from_static("accept-encoding");
                document.fields.insert(VARY, vary);
            }
        }
        let settled = found.documents().all(|one| one.stamp.is_settled());
        let found = Arc::new(found);
        if self.package.is_some() || settled {
            self.kept.insert(path.into(), Arc::clone(&found));
        }
        Ok(found)
    }

    /// One form of a file, whose type is that of another path.
    fn document(&self, path: &str, coding: Option<Coding>, typed: &str) -> io::Result<Document> {
        let (mut file, stamp) = self.file(path)?;
        let mut size = stamp.size;
        let mut bytes = None;
        if size <= SMALL {
            let mut read = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
            (&mut file).take(SMALL + 1).read_to_end(&mut read)?;
            // One that is written meanwhile is as long as what was read.
            if read.len() as u64 <= SMALL {
                size = read.len() as u64;
                bytes = Some(Bytes::from(read));
            }
        }
        let modified = stamp.modified.filter(|_| self.package.is_none());
        let mut fields = HeaderMap::with_capacity(8);
        fields.insert(CONTENT_TYPE, content_type(typed));
        fields.insert(ETAG, self.tag(path, &stamp, bytes.as_deref()));
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        fields.insert(CONTENT_LENGTH, size.into());
        if let Some(coding) = coding {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        if let Some(modified) = modified {
            fields.typed_insert(LastModified::from(modified));
        }
        Ok(Document {
            path: path.to_owned(),
            stamp,
            bytes,
            size,
            modified,
            fields,
        })
    }

    /// A strong validator (RFC 9110, 8.8.3): the digest of what is small, else all that says whether it changed.
    fn tag(&self, path: &str, stamp: &Stamp, bytes: Option<&[u8]>) -> HeaderValue {
        let digest = match (bytes, &self.package) {
            (Some(bytes), _) => Sha256::digest(bytes),
            (None, Some(package)) => Sha256::digest(format!("{}\0{path}", package.digest)),
            (None, None) => Sha256::digest(format!("{stamp:?}")),
        };
        let mut tag = String::from("\"");
        for byte in &digest[..12] {
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// Opens a file, and nothing else: to open a pipe would wait for its other end.
    fn file(&self, path: &str) -> io::Result<(File, Stamp)> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt as _;
            options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        }
        let file = self.root.open_with(path, &options)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((file, Stamp::of(&metadata)))
    }
}

/// What a folder is asked for.
pub fn index(path: &str) -> String {
    if path.is_empty() {
        INDEX.to_owned()
    } else {
        format!("{path}/{INDEX}")
    }
}

/// The files below a folder, by their paths in the first.
fn list(folder: &Dir, path: &str, files: &mut HashSet<Box<str>>) -> io::Result<()> {
    for entry in folder.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if path.is_empty() {
            name
        } else {
            format!("{path}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.open_dir()?, &path, files)?;
        } else if kind.is_file() {
            files.insert(path.into());
        }
    }
    Ok(())
}

/// The type that a name stands for; text is UTF-8 today.
fn content_type(path: &str) -> HeaderValue {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let text = guessed.type_() == "text" && guessed.get_param("charset").is_none();
    let said = if text {
        format!("{guessed}; charset=utf-8")
    } else {
        guessed.to_string()
    };
    HeaderValue::try_from(said).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
