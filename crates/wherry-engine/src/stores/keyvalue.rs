//! `wasi:keyvalue`: stores, each under a name that the guest chooses, in memory or in the file that was granted.
//!
//! A call on a file may wait for the disk or for another process, so it is made on a thread that may block, and a guest
//! that waits for it can be ended.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType};
use wasmtime_wasi::WasiView as _;

use super::database::{Database, Failure, Found};
use crate::Result;
use crate::guest::Guest;
use crate::limits::{Limit, Limits};
use crate::monitor::{Access, Subject};
use crate::policy::KeyValue;

/// The interfaces.
pub(super) const STORE: &str = "wasi:keyvalue/store@0.2.0-draft";
pub(super) const ATOMICS: &str = "wasi:keyvalue/atomics@0.2.0-draft";
pub(super) const BATCH: &str = "wasi:keyvalue/batch@0.2.0-draft";

/// The most bytes in the name of a store.
const MOST_NAME: usize = 1 << 10;

/// The stores of one guest.
pub(super) struct Keyvalue {
    /// `None` until the guest first opens a store in memory.
    database: Option<Shared>,
    /// In a file, so that a call may block.
    durable: bool,
    /// The most bytes of one answer.
    most: usize,
    /// The most handles, for messages.
    handles: u64,
    /// What a store in memory was charged for.
    charged: usize,
}

/// A database that calls take turns on; `None` once it is closed.
type Shared = Arc<Mutex<Option<Database>>>;

/// What closes the file of a guest that may be left behind: the last who closes it clears away what lies beside it.
pub(crate) struct Closer(Option<Shared>);

/// How long a call on it is waited for, and how often that is looked at.
const CLOSING: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(1);

impl Closer {
    /// Closes it, unless a call on it takes too long. Calls that come later fail.
    pub(crate) fn close(&self) {
        let Some(database) = &self.0 else { return };
        let begin = Instant::now();
        while begin.elapsed() < CLOSING {
            let taken = match database.try_lock() {
                Ok(mut open) => open.take(),
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            drop(taken);
            return;
        }
    }
}

/// One store, open in a guest.
struct Bucket(Arc<str>);

/// The error of the interface.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StoreError {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        StoreError::Other(failure.to_string())
    }
}

/// An answer of `list-keys`.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    cursor: Option<u64>,
}

type Answer<T> = std::result::Result<T, StoreError>;
type Returned<T> = wasmtime::Result<(Answer<T>,)>;
type Context<'a> = StoreContextMut<'a, Guest>;
type Handle = Resource<Bucket>;

/// What a call does to a store.
enum Doing {
    Read,
    /// Writes this many bytes.
    Write(u64),
}

impl Doing {
    fn words(&self) -> &'static str {
        match self {
            Doing::Read => "read",
            Doing::Write(_) => "write",
        }
    }
}

impl Keyvalue {
    pub(super) fn new(kv: &KeyValue, limits: &Limits) -> Result<Self> {
        let most = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        let database = match kv {
            KeyValue::Memory => None,
            KeyValue::Sqlite(path) => Some(Arc::new(Mutex::new(Some(Database::in_file(path, most)?)))),
        };
        Ok(Self {
            durable: database.is_some(),
            database,
            most,
            handles: limits.handles.into(),
            charged: 0,
        })
    }

    /// What closes the file, if there is one.
    pub(super) fn closer(&self) -> Closer {
        Closer(self.database.clone().filter(|_| self.durable))
    }

    /// The database, made when it is first wanted.
    fn database(&mut self) -> std::result::Result<Shared, Failure> {
        if let Some(database) = &self.database {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(Mutex::new(Some(Database::in_memory(self.most)?)));
        Ok(Arc::clone(self.database.insert(database)))
    }
}

/// Defines the interfaces.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut store = linker.instance(STORE)?;
    store.resource("bucket", ResourceType::host::<Bucket>(), |mut store, handle| {
        let bucket = Resource::<Bucket>::new_own(handle);
        store.data_mut().ctx().table.delete(bucket)?;
        Ok(())
    })?;
    store.func_wrap(
        "open",
        |mut store: Context<'_>, (name,): (String,)| -> Returned<Handle> {
            Ok((open(store.data_mut(), &name),))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.get",
        |store: Context<'_>, (bucket, key): (Handle, String)| {
            Box::new(perform(store, bucket, Doing::Read, move |database, name| {
                database.get(name, &key)
            }))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.set",
        |store: Context<'_>, (bucket, key, value): (Handle, String, Vec<u8>)| {
            let entries = [(key, value)];
            Box::new(perform(
                store,
                bucket,
                writing(&entries),
                move |database, name| database.set_many(name, &entries),
            ))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.delete",
        |store: Context<'_>, (bucket, key): (Handle, String)| {
            Box::new(perform(store, bucket, Doing::Write(0), move |database, name| {
                database.delete_many(name, &[key])
            }))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.exists",
        |store: Context<'_>, (bucket, key): (Handle, String)| {
            Box::new(perform(store, bucket, Doing::Read, move |database, name| {
                database.exists(name, &key)
            }))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.list-keys",
        |store: Context<'_>, (bucket, cursor): (Handle, Option<u64>)| {
            Box::new(perform(store, bucket, Doing::Read, move |database, name| {
                let (keys, cursor) = database.keys(name, cursor)?;
                Ok(KeyResponse { keys, cursor })
            }))
        },
    )?;
    add_others(linker)
}

fn add_others(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(ATOMICS)?.func_wrap_async(
        "increment",
        |store: Context<'_>, (bucket, key, delta): (Handle, String, u64)| {
            let bytes = key.len() as u64 + delta.to_string().len() as u64;
            Box::new(perform(
                store,
                bucket,
                Doing::Write(bytes),
                move |database, name| database.increment(name, &key, delta),
            ))
        },
    )?;
    let mut batch = linker.instance(BATCH)?;
    batch.func_wrap_async(
        "get-many",
        |store: Context<'_>, (bucket, keys): (Handle, Vec<String>)| {
            Box::new(perform(
                store,
                bucket,
                Doing::Read,
                move |database, name| -> std::result::Result<Vec<Found>, Failure> {
                    database.get_many(name, keys)
                },
            ))
        },
    )?;
    batch.func_wrap_async(
        "set-many",
        |store: Context<'_>, (bucket, entries): (Handle, Vec<(String, Vec<u8>)>)| {
            Box::new(perform(
                store,
                bucket,
                writing(&entries),
                move |database, name| database.set_many(name, &entries),
            ))
        },
    )?;
    batch.func_wrap_async(
        "delete-many",
        |store: Context<'_>, (bucket, keys): (Handle, Vec<String>)| {
            Box::new(perform(store, bucket, Doing::Write(0), move |database, name| {
                database.delete_many(name, &keys)
            }))
        },
    )
}

/// Opens a store, which is there under whatever name it is asked for.
fn open(guest: &mut Guest, name: &str) -> Answer<Handle> {
    if name.len() > MOST_NAME {
        return Err(StoreError::NoSuchStore);
    }
    guest.monitor.granted(|| access(name, "open"));
    guest.ctx().table.push(Bucket(name.into())).map_err(|_| {
        guest
            .monitor
            .struck(Limit::Handles, "open", guest.stores.keyvalue.handles);
        StoreError::Other("too many open handles".to_owned())
    })
}

/// Makes one call on an open store.
async fn perform<T: Send + 'static>(
    mut store: Context<'_>,
    bucket: Handle,
    doing: Doing,
    work: impl FnOnce(&mut Database, &str) -> std::result::Result<T, Failure> + Send + 'static,
) -> Returned<T> {
    let guest = store.data_mut();
    let name = Arc::clone(&guest.ctx().table.get(&bucket)?.0);
    guest.monitor.granted(|| access(&name, doing.words()));
    let (monitor, noted, operation) = (Arc::clone(&guest.monitor), Arc::clone(&name), doing.words());
    let failed = |failure: Failure| {
        // That a limit struck was noted as what it is.
        if !matches!(failure, Failure::Full) {
            monitor.failed(|| access(&noted, operation), "other");
        }
        StoreError::from(failure)
    };
    let database = match guest.stores.keyvalue.database() {
        Ok(database) => database,
        Err(failure) => return Ok((Err(failed(failure)),)),
    };
    if !guest.stores.keyvalue.durable {
        let done = open_in(&database, |database| {
            in_memory(guest, database, |database| work(database, &name))
        });
        return Ok((done.map_err(failed),));
    }
    if let Err(refused) = spend(guest, &doing) {
        return Ok((Err(refused),));
    }
    let done =
        wasmtime_wasi::runtime::spawn_blocking(move || open_in(&database, |database| work(database, &name)));
    Ok((done.await.map_err(failed),))
}

/// Works on a database, unless it is closed.
fn open_in<T>(
    database: &Shared,
    work: impl FnOnce(&mut Database) -> std::result::Result<T, Failure>,
) -> std::result::Result<T, Failure> {
    let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
    work(database.as_mut().ok_or(Failure::Broken)?)
}

/// Makes a call on a store in memory, which is the guest's memory: it counts against the same limit.
fn in_memory<T>(
    guest: &mut Guest,
    database: &mut Database,
    work: impl FnOnce(&mut Database) -> std::result::Result<T, Failure>,
) -> std::result::Result<T, Failure> {
    let left = guest.meter.limit().saturating_sub(guest.meter.used());
    let charged = guest.stores.keyvalue.charged;
    database.bound(left.saturating_sub(database.bytes()?.saturating_sub(charged)))?;
    let done = work(database);
    let bytes = database.bytes()?;
    if guest.meter.grow(bytes.saturating_sub(charged)) {
        guest.stores.keyvalue.charged = bytes.max(charged);
    }
    if matches!(done, Err(Failure::Full)) {
        let limit = guest.meter.limit() as u64;
        guest.monitor.struck(Limit::Memory, "write", limit);
    }
    done
}

/// Takes what a call writes from what may be written, to files of all sorts together.
fn spend(guest: &Guest, doing: &Doing) -> Answer<()> {
    let Doing::Write(bytes) = doing else { return Ok(()) };
    guest.files.spend(*bytes).map_err(|limit| {
        guest.monitor.struck(Limit::Write, "write", limit);
        StoreError::Other("the limit of bytes written is reached".to_owned())
    })
}

fn writing(entries: &[(String, Vec<u8>)]) -> Doing {
    let bytes = entries.iter().map(|(key, value)| key.len() + value.len());
    Doing::Write(bytes.sum::<usize>() as u64)
}

fn access(name: &str, operation: &'static str) -> Access {
    Access {
        subject: Subject::KeyValue,
        operation,
        target: name.to_owned(),
    }
}
