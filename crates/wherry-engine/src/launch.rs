//! What the name of a package runs, as it was found out before: the short way of `wherry run acme/thumbs`.
//!
//! The store belongs to Python. It notes what a name led to, with all that was agreed to, and forgets that whenever
//! anything in it changes. To read the note needs one query, where finding out takes several times as long as a start.
//!
//! A note grants what was agreed to, so that one which somebody else could have written counts for nothing.

use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the store is: `WHERRY_STORE`, or `wherry/store` in the user's folder for data.
///
/// Relative to the current folder for a user without a home.
#[must_use]
pub fn store_folder(variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(own) = path("WHERRY_STORE") {
        return own;
    }
    let home = || path("HOME").or_else(std::env::home_dir).unwrap_or_default();
    let data = path("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local/share"));
    data.join("wherry/store")
}

/// The words that stand for a name: flags, the component, and arguments that come before those of the user.
///
/// `None` where nothing is noted, or the store cannot be read: whoever finds it out says why.
#[must_use]
pub fn noted(store: &Path, name: &str) -> Option<Vec<String>> {
    if !is_witness(store) {
        return None;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(store.join("index.db"), flags).ok()?;
    let query = "SELECT words FROM launch WHERE name = ?";
    let words: String = database.query_row(query, [name], |row| row.get(0)).ok()?;
    serde_json::from_str(&words).ok()
}

/// Whether nobody but this user and root can write what the store says that was agreed to.
#[must_use]
pub fn is_witness(store: &Path) -> bool {
    is_own(store) && is_own(&store.join("index.db"))
}

#[cfg(unix)]
fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    const OTHERS_WRITE: u32 = 0o022;
    let me = rustix::process::geteuid().as_raw();
    let is_mine = |owner| owner == me || owner == 0;
    // A link is as good as its owner: someone else's could lead to what this user wrote for another purpose.
    std::fs::symlink_metadata(path).is_ok_and(|named| is_mine(named.uid()))
        && std::fs::metadata(path).is_ok_and(|found| is_mine(found.uid()) && found.mode() & OTHERS_WRITE == 0)
}

#[cfg(not(unix))]
fn is_own(path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_all_else_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(noted(folder.path(), "acme/add"), None);
        assert!(!folder.path().join("index.db").exists());
        let database = Connection::open(folder.path().join("index.db")).unwrap();
        assert_eq!(noted(folder.path(), "acme/add"), None);
        database
            .execute_batch(
                "CREATE TABLE launch (name TEXT PRIMARY KEY, words TEXT);
                 INSERT INTO launch VALUES ('acme/add', '[\"--env\", \"A\", \"x\"]'), ('acme/bad', '{}');",
            )
            .unwrap();
        assert_eq!(noted(folder.path(), "acme/add").unwrap(), ["--env", "A", "x"]);
        assert_eq!(noted(folder.path(), "acme/bad"), None);
        assert_eq!(noted(folder.path(), "acme"), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_have_written_counts_for_nothing() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.db");
        let database = Connection::open(&index).unwrap();
        database
            .execute_batch(
                "CREATE TABLE launch (name TEXT, words TEXT); INSERT INTO launch VALUES ('acme/add', '[]');",
            )
            .unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (outer, inner, counts) in [
            (0o755, 0o644, true),
            (0o700, 0o600, true),
            (0o777, 0o644, false),
            (0o775, 0o644, false),
            (0o1777, 0o644, false),
            (0o755, 0o666, false),
            (0o755, 0o664, false),
        ] {
            set(folder.path(), outer);
            set(&index, inner);
            assert_eq!(
                noted(folder.path(), "acme/add").is_some(),
                counts,
                "{outer:o} {inner:o}"
            );
        }
    }
}
