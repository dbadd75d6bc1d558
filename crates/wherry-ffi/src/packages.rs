//! Packages of the user's store by name, as far as a name leads to one component without asking anybody.
//!
//! The store belongs to Python (`wherry/store`), which puts packages in and takes them out. What is read here is the least of it:
//! `index.db`, whose table `reference` says which versions and labels of a name lead to which digest, and the OCI layout beside
//! it, where an image manifest names its components, the main one first. Dependencies, permissions and files are not looked at:
//! a component gets what the caller's policy says and nothing else.

use crate::failure::{Failed, Failure};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use wherry_engine::error::{Error, Kind};

/// What a layer with a component is said to be: by Wherry and current tools, and by older ones.
const COMPONENTS: [&str; 4] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
];

/// The largest image manifest that is read.
const MANIFEST: u64 = 4 << 20;

/// The component that a name leads to: the file with it, and the digest that it has to have.
pub fn component(store: &Path, reference: &str) -> Failed<(PathBuf, String)> {
    if reference.contains('#') {
        let failure = Failure::usage(format!(
            "`{reference}` names a command, and a component is loaded"
        ));
        return Err(failure.with_hint("leave out what follows `#`"));
    }
    let (name, said) = match reference.split_once('@') {
        Some((name, said)) => (name, Some(said)),
        None if reference.starts_with("sha256:") => ("", Some(reference)),
        None => (reference, None),
    };
    let package = Index::open(store)?.package(name, said)?;
    let package = package.ok_or_else(|| {
        let error = Error::new(
            Kind::NotFound,
            format!("the store `{}` has no `{reference}`", store.display()),
        );
        error.with_hint("`wherry list` names what is there; `wherry load` and `wherry pack` put packages in")
    })?;
    let digest = main_component(store, &package)?;
    Ok((blob(store, &digest)?, digest))
}

/// Which names lead to which packages.
struct Index(Connection);

impl Index {
    fn open(store: &Path) -> Failed<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = store.join("index.db");
        if !path.exists() {
            let error = Error::new(
                Kind::NotFound,
                format!("there is no store in `{}`", store.display()),
            );
            return Err(error.with_hint("`wherry load` and `wherry pack` make it").into());
        }
        let index =
            Self(Connection::open_with_flags(path, flags).map_err(|error| unreadable(store, &error))?);
        let version = index.rows("SELECT '', user_version FROM pragma_user_version", &[])?;
        match version.first() {
            Some((_, version)) if version == "1" => Ok(index),
            _ => Err(unreadable(store, &"it is of another version of Wherry")),
        }
    }

    /// Two columns as text.
    fn rows(&self, query: &str, values: &[&str]) -> Failed<Vec<(String, String)>> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.0.prepare(query)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, text(row.get_ref(1)?)));
            statement
                .query_map(rusqlite::params_from_iter(values), row)?
                .collect()
        };
        read().map_err(|error| unreadable(Path::new("index.db"), &error))
    }

    /// The digest of the package that is meant: of a digest, a label, or the newest of the versions that fit.
    fn package(&self, name: &str, said: Option<&str>) -> Failed<Option<String>> {
        if let Some(start) = said.filter(|said| said.starts_with("sha256:")) {
            let query = "SELECT digest, coalesce(name, '') FROM package WHERE substr(digest, 1, length(?1)) = ?1 AND \
                         (?2 = '' OR EXISTS (SELECT 1 FROM reference WHERE package = digest AND reference.name = ?2))";
            let found = self.rows(query, &[start, name])?;
            return match found.as_slice() {
                [] => Ok(None),
                [(digest, _)] => Ok(Some(digest.clone())),
                _ => Err(Failure::usage(format!("several packages begin with `{start}`"))),
            };
        }
        let known = "SELECT label, package FROM reference WHERE name = ?1 AND released = ?2";
        let versions = || self.rows(known, &[name, "1"]);
        match said {
            None => Ok(newest(versions()?)),
            Some(said) if numbers(said).is_some() => {
                let fits = |version: &str| {
                    numbers(version).is_some() && format!("{version}.").starts_with(&format!("{said}."))
                };
                let fitting = versions()?.into_iter().filter(|(version, _)| fits(version));
                Ok(newest(fitting.collect()))
            }
            Some(said) if said.contains(['<', '>', '=', '^', '~', '*', '!', ',']) => {
                let failure = Failure::usage(format!(
                    "`{said}` is a range of versions, which only `wherry` reads"
                ));
                Err(failure.with_hint("give a version or its beginning, such as `1.2`, a label or a digest"))
            }
            Some(said) => {
                // A whole version with what stands behind its numbers, or a label of the user's.
                let all = self.rows(
                    "SELECT label, package FROM reference WHERE name = ?1 AND label = ?2",
                    &[name, said],
                )?;
                Ok(all.into_iter().next().map(|(_, package)| package))
            }
        }
    }
}

fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Error::new(
        Kind::Io,
        format!("`{}`: the store cannot be read: {error}", path.display()),
    )
    .into()
}

/// The numbers of a version or of its beginning; `None` for anything else.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let parts: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
    parts.filter(|parts| parts.len() <= 3)
}

/// The package of the highest version, by the rules of semver; one before a release only where there is no other.
fn newest(versions: Vec<(String, String)>) -> Option<String> {
    let order = |version: &str| {
        let whole = version.split('+').next().unwrap_or_default();
        let (start, before) = whole.split_once('-').unwrap_or((whole, ""));
        let parts = before.split('.').map(|part| match part.parse() {
            Ok(number) => (false, number, String::new()),
            Err(_) => (true, 0_u64, part.to_owned()),
        });
        let parts: Vec<_> = parts.collect();
        (before.is_empty(), numbers(start).unwrap_or_default(), parts)
    };
    let highest = versions.into_iter().max_by_key(|(version, _)| order(version));
    highest.map(|(_, package)| package)
}

/// The digest of the first component that an image manifest names.
fn main_component(store: &Path, package: &str) -> Failed<String> {
    let path = blob(store, package)?;
    let found = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
    if found.len() > MANIFEST {
        return Err(unreadable(&path, &"it is too large for an image manifest"));
    }
    let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let manifest: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, &error))?;
    let layers = manifest["layers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut components = layers.iter().filter(|layer| {
        layer["mediaType"]
            .as_str()
            .is_some_and(|kind| COMPONENTS.contains(&kind))
    });
    let digest = components.next().and_then(|layer| layer["digest"].as_str());
    digest
        .map(str::to_owned)
        .ok_or_else(|| unreadable(&path, &"the package has no component"))
}

/// Where the bytes of a digest are.
fn blob(store: &Path, digest: &str) -> Failed<PathBuf> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(store.join("blobs").join("sha256").join(hex))
        }
        _ => Err(unreadable(store, &format_args!("`{digest}` is no digest"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_a_release_where_there_is_one() {
        let of = |versions: &[&str]| {
            newest(
                versions
                    .iter()
                    .map(|&version| (version.to_owned(), version.to_owned()))
                    .collect(),
            )
        };
        assert_eq!(of(&["1.9.0", "1.10.0", "2.0.0-rc.1"]).as_deref(), Some("1.10.0"));
        assert_eq!(of(&["2.0.0-rc.1", "1.0.0-rc.2"]).as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(
            of(&["2.0.0-rc.10", "2.0.0-rc.9", "2.0.0-1"]).as_deref(),
            Some("2.0.0-rc.10")
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_is_no_digest_leads_to_no_file() {
        assert!(blob(Path::new("/store"), "sha256:../../etc/passwd").is_err());
        assert!(blob(Path::new("/store"), &format!("sha256:{}", "a".repeat(64))).is_ok());
    }
}
