//! Keys and values in `SQLite`: in memory, or in a file that any number of processes may share.
//!
//! One table holds all stores of a file. Each write is one transaction that is on the disk when it returns; who has to wait
//! for another process gives up after [`PATIENCE`]. Nothing of the host, no path and no message of `SQLite`, reaches the guest.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use crate::{Error, Kind, Result};

/// How long a call waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is left alone between two tries to open it.
const PAUSE: Duration = Duration::from_millis(5);

/// Marks a file as ours (`WhKV`); `SQLite` keeps the number in the header.
const APPLICATION: i32 = 0x5768_4b56;

/// The form of the table, for versions to come.
const FORM: i32 = 1;

/// The most that one answer lists: so many keys, and about so many bytes of them.
const PAGE: usize = 1_000;
const PAGE_BYTES: usize = 1 << 20;

/// Why a call failed, in words for the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another process holds it.
    Busy,
    /// No memory, or no room on the disk.
    Full,
    /// More than a guest can take in.
    TooLarge,
    /// No text that reads as a number.
    NotANumber,
    /// Past what a number holds.
    Overflow,
    /// The file may not be written.
    ReadOnly,
    /// All else.
    Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Busy => "the store is in use",
            Failure::Full => "the store is full",
            Failure::TooLarge => "too large for the store",
            Failure::NotANumber => "the value is not a number",
            Failure::Overflow => "the number would be too large",
            Failure::ReadOnly => "the store cannot be written",
            Failure::Broken => "the store failed",
        })
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Busy,
            Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => Failure::Full,
            Some(ErrorCode::TooBig) => Failure::TooLarge,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Failure::ReadOnly,
            _ => Failure::Broken,
        }
    }
}

type Answer<T> = std::result::Result<T, Failure>;

/// Some keys, and where the next ones begin.
pub(super) type Page = (Vec<String>, Option<u64>);

/// A key and its value, where there is one.
pub(super) type Found = Option<(String, Vec<u8>)>;

/// An open database.
pub(super) struct Database {
    connection: Connection,
    /// The most bytes that one answer may hold.
    most: usize,
}

impl Database {
    /// An empty one in memory. `most` bounds a value, and what one call answers.
    pub(super) fn in_memory(most: usize) -> Answer<Self> {
        let mut connection = Connection::open_in_memory()?;
        make(&mut connection)?;
        Self::of(connection, most)
    }

    /// The one in a file, which is made when it is not there.
    ///
    /// # Errors
    /// [`Kind::Grant`] when it cannot be opened, or is the file of another program.
    pub(super) fn in_file(path: &Path, most: usize) -> Result<Self> {
        let refused = |why: &str| {
            Error::new(
                Kind::Grant,
                format!("`{}` cannot hold a key-value store: {why}", path.display()),
            )
            .with_hint("name a file of its own; it is made when it is not there")
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Option<Self>> {
            let mut connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            let found = whose(&mut connection)?;
            if found == Whose::Others {
                return Ok(None);
            }
            // Several processes, and a write that returned is on the disk.
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            if found == Whose::Nobodys {
                make(&mut connection)?;
            }
            Self::of(connection, most).map(Some)
        };
        match patiently(open) {
            Ok(Some(database)) => Ok(database),
            Ok(None) => Err(refused("it is the database of another program")),
            Err(error) => Err(refused(match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => "it is no database",
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it",
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                    "it cannot be opened for writing"
                }
                _ => "it cannot be read",
            })),
        }
    }

    fn of<E: From<rusqlite::Error>>(connection: Connection, most: usize) -> std::result::Result<Self, E> {
        connection.set_limit(
            Limit::SQLITE_LIMIT_LENGTH,
            i32::try_from(most).unwrap_or(i32::MAX),
        )?;
        Ok(Self { connection, most })
    }

    /// Lets it grow by this many bytes and no more.
    pub(super) fn bound(&self, bytes: usize) -> Answer<()> {
        let page: i64 = self
            .connection
            .pragma_query_value(None, "page_size", |row| row.get(0))?;
        let more = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        let most = self.pages()?.saturating_add(more).min(i64::from(u32::MAX - 1));
        self.connection
            .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        Ok(())
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> Answer<usize> {
        let page: i64 = self
            .connection
            .pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(usize::try_from(self.pages()?.saturating_mul(page)).unwrap_or(usize::MAX))
    }

    fn pages(&self) -> Answer<i64> {
        Ok(self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))?)
    }

    pub(super) fn get(&self, store: &str, key: &str) -> Answer<Option<Vec<u8>>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT value FROM entries WHERE store = ?1 AND key = ?2")?;
        Ok(query.query_row([store, key], |row| row.get(0)).optional()?)
    }

    pub(super) fn exists(&self, store: &str, key: &str) -> Answer<bool> {
        let mut query = self
            .connection
            .prepare_cached("SELECT 1 FROM entries WHERE store = ?1 AND key = ?2")?;
        Ok(query.exists([store, key])?)
    }

    /// The keys after `cursor`, in the order they were first set.
    pub(super) fn keys(&self, store: &str, cursor: Option<u64>) -> Answer<Page> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id, key FROM entries WHERE store = ?1 AND id > ?2 ORDER BY id")?;
        let after = i64::try_from(cursor.unwrap_or(0)).unwrap_or(i64::MAX);
        let mut rows = query.query(params![store, after])?;
        let (mut keys, mut bytes, mut last) = (Vec::new(), 0, 0);
        while let Some(row) = rows.next()? {
            if keys.len() >= PAGE || bytes >= PAGE_BYTES {
                return Ok((keys, Some(last)));
            }
            last = row.get::<_, i64>(0)?.unsigned_abs();
            let key: String = row.get(1)?;
            bytes += key.len();
            keys.push(key);
        }
        Ok((keys, None))
    }

    pub(super) fn get_many(&self, store: &str, keys: Vec<String>) -> Answer<Vec<Found>> {
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        for key in keys {
            let value = self.get(store, &key)?;
            // One key can be asked for any number of times.
            bytes = bytes.saturating_add(key.len() + value.as_ref().map_or(0, Vec::len));
            if bytes > self.most {
                return Err(Failure::TooLarge);
            }
            found.push(value.map(|value| (key, value)));
        }
        Ok(found)
    }

    pub(super) fn set_many(&mut self, store: &str, entries: &[(String, Vec<u8>)]) -> Answer<()> {
        self.change(|connection| {
            let mut change = connection.prepare_cached(
                "INSERT INTO entries (store, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
            )?;
            for (key, value) in entries {
                change.execute(params![store, key, value])?;
            }
            Ok(())
        })
    }

    pub(super) fn delete_many(&mut self, store: &str, keys: &[String]) -> Answer<()> {
        self.change(|connection| {
            let mut change =
                connection.prepare_cached("DELETE FROM entries WHERE store = ?1 AND key = ?2")?;
            for key in keys {
                change.execute([store, key])?;
            }
            Ok(())
        })
    }

    /// Adds to a number that is kept as decimal text; what is not there is zero.
    pub(super) fn increment(&mut self, store: &str, key: &str, delta: u64) -> Answer<u64> {
        self.change(|connection| {
            let mut query =
                connection.prepare_cached("SELECT value FROM entries WHERE store = ?1 AND key = ?2")?;
            let value: Option<Vec<u8>> = query.query_row([store, key], |row| row.get(0)).optional()?;
            let number = match value {
                Some(value) => std::str::from_utf8(&value)
                    .ok()
                    .and_then(|text| text.parse::<u64>().ok())
                    .ok_or(Failure::NotANumber)?,
                None => 0,
            };
            let sum = number.checked_add(delta).ok_or(Failure::Overflow)?;
            let mut change = connection.prepare_cached(
                "INSERT INTO entries (store, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
            )?;
            change.execute(params![store, key, sum.to_string().into_bytes()])?;
            Ok(sum)
        })
    }

    /// All of it or nothing, and nobody else's change in between.
    fn change<T>(&mut self, work: impl FnOnce(&Connection) -> Answer<T>) -> Answer<T> {
        let changing = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&changing)?;
        changing.commit()?;
        Ok(done)
    }
}

/// Tries again while another process makes the file: a change of its journal does not wait for others by itself.
fn patiently<T>(mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let start = Instant::now();
    loop {
        let result = attempt();
        let busy = result.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        if busy != Some(ErrorCode::DatabaseBusy) || start.elapsed() > PATIENCE {
            return result;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who made a database.
#[derive(PartialEq)]
enum Whose {
    /// It is new.
    Nobodys,
    /// We did, in a form that we know.
    Ours,
    Others,
}

fn whose(connection: &mut Connection) -> rusqlite::Result<Whose> {
    // One look at it, as another process may be making it.
    let look = connection.transaction()?;
    let number = |pragma: &str| look.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 = look.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (number("application_id")?, number("user_version")?) {
        (APPLICATION, FORM) => Whose::Ours,
        (0, 0) if tables == 0 => Whose::Nobodys,
        _ => Whose::Others,
    })
}

/// Makes the table, unless another process has just done so.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let making = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    making.execute_batch(
        "CREATE TABLE IF NOT EXISTS entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT, store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
            UNIQUE (store, key)
        ) STRICT",
    )?;
    making.pragma_update(None, "application_id", APPLICATION)?;
    making.pragma_update(None, "user_version", FORM)?;
    making.commit()
}

#[cfg(test)]
mod tests;
