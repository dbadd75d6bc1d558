//! What the name of a package runs, as it was found out before: the short way of `wherry run acme/thumbs`.
//!
//! The store belongs to Python. It notes what a name led to, with all that was agreed to, and forgets that whenever
//! anything in it changes. To read the note needs one query, where finding out takes several times as long as a start.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The words that stand for a name: flags, the component, and arguments that come before those of the user.
///
/// `None` where nothing is noted, or the store cannot be read: whoever finds it out says why.
#[must_use]
pub fn noted(store: &Path, name: &str) -> Option<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(store.join("index.db"), flags).ok()?;
    let query = "SELECT words FROM launch WHERE name = ?";
    let words: String = database.query_row(query, [name], |row| row.get(0)).ok()?;
    serde_json::from_str(&words).ok()
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
}
