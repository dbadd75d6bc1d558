"""Which names lead to which packages, and which bytes belong to them: a database beside the bytes.

SQLite, so that any number of processes may read and write, and one that is killed leaves what was there
before. The bytes come first and their row afterwards; whoever deletes bytes asks here, see ``local``.
Journals are of the old kind: with a write-ahead log a store on a read-only disk could not be read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from wherry.errors import HostIOError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wherry.artifact.oci import Descriptor

__all__ = ["Index", "Row"]

_VERSION = 1
_PATIENCE = 30.0
"""Seconds that a process waits while others write."""

_SCHEMA = """
CREATE TABLE package (
    digest TEXT PRIMARY KEY, size INTEGER NOT NULL, name TEXT, version TEXT, description TEXT,
    added REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE reference (
    name TEXT NOT NULL, label TEXT NOT NULL, released INTEGER NOT NULL,
    package TEXT NOT NULL REFERENCES package ON DELETE CASCADE,
    PRIMARY KEY (name, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_package ON reference (package);
CREATE TABLE part (
    package TEXT NOT NULL REFERENCES package ON DELETE CASCADE, blob TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (package, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_blob ON part (blob);
CREATE TABLE agreement (
    subject TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, flags TEXT NOT NULL,
    agreed REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE launcher (
    file TEXT PRIMARY KEY, command TEXT NOT NULL, reference TEXT NOT NULL,
    package TEXT NOT NULL REFERENCES package
) STRICT, WITHOUT ROWID;
CREATE TABLE launch (name TEXT PRIMARY KEY, words TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
"""A ``reference`` is a version that the package gives itself (``released``) or a label that a user gave.

A ``launcher`` keeps its package. A ``launch`` says what a name ran, for the short way through the core; each
change of anything else empties it.
"""


class Row(NamedTuple):
    """A package: digest and size of its image manifest, what it says of itself, when it came (seconds)."""

    digest: str
    size: int
    name: str | None
    version: str | None
    description: str | None
    added: float


class Index:
    """The database. Each method is one transaction.

    Raises:
        HostIOError: It cannot be read or written: no right, a full or read-only disk, others that write long.
        StoreError: It is damaged, or of a newer version of Wherry.

    """

    def __init__(self, path: str | None) -> None:
        """Opens the database at ``path``, which is made; without a path it is empty and in memory."""
        self._path = path
        with self._told():
            self._database = sqlite3.connect(path or ":memory:", timeout=_PATIENCE, isolation_level=None)
            self._database.execute("PRAGMA foreign_keys = ON")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version < _VERSION:
                self._make()
        if version > _VERSION:
            raise StoreError(
                f"`{path}` is of a newer version of Wherry", hint="`pip install --upgrade wherry`"
            )

    @property
    def lasting(self) -> bool:
        """Whether it is on the disk, and not the empty one that stands for a store to come."""
        return self._path is not None

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()

    def add(self, row: Row, parts: Iterable[Descriptor], references: Iterable[tuple[str, str, bool]]) -> None:
        """Puts a package in, and lets references (name, label, released) lead to it."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO package VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET added = excluded.added",
                row,
            )
            database.executemany(
                "INSERT OR IGNORE INTO part VALUES (?, ?, ?)",
                [(row.digest, part.digest, part.size) for part in parts],
            )
            self._refer(references, row.digest)

    def refer(self, name: str, label: str, digest: str) -> None:
        """Lets a label of the user's lead to a package."""
        with self._writing():
            self._refer([(name, label, False)], digest)

    def packages(self) -> list[Row]:
        """All packages, by name and the newest first."""
        query = "SELECT * FROM package ORDER BY name IS NULL, name, added DESC, digest"
        with self._reading() as database:
            return list(map(Row._make, database.execute(query)))

    def named(self, name: str) -> list[tuple[str, bool, Row]]:
        """What leads to packages under a name: each label, whether it is a version, and the package."""
        query = (
            "SELECT label, released, package.* FROM reference JOIN package ON package = digest"
            " WHERE reference.name = ?"
        )
        with self._reading() as database:
            return [
                (label, bool(released), Row(*found))
                for label, released, *found in database.execute(query, (name,))
            ]

    def with_digest(self, start: str) -> list[Row]:
        """The packages whose digest begins so."""
        # The character after `f`, so that the index on the digest is used.
        query = "SELECT * FROM package WHERE digest >= ? AND digest < ?"
        with self._reading() as database:
            return [Row(*found) for found in database.execute(query, (start, f"{start}g"))]

    def references(self, digest: str | None = None) -> list[tuple[str, str, str]]:
        """The names that lead to one package or to any, with their labels, and the digests of these."""
        query = "SELECT name, label, package FROM reference WHERE package = ? ORDER BY 1, 2"
        if digest is None:
            query = query.replace("package = ?", "? IS NULL")
        with self._reading() as database:
            return database.execute(query, (digest,)).fetchall()

    def names(self) -> list[str]:
        """The names that there are."""
        with self._reading() as database:
            return [name for (name,) in database.execute("SELECT DISTINCT name FROM reference ORDER BY 1")]

    def parts(self, digest: str | None = None) -> list[tuple[str, int]]:
        """The digests and sizes of the bytes of one package or of all, each once."""
        query = "SELECT DISTINCT blob, size FROM part WHERE ? IS NULL OR package = ?"
        with self._reading() as database:
            return database.execute(query, (digest, digest)).fetchall()

    def size(self) -> int:
        """How many bytes all packages take together; what two share counts once."""
        with self._reading() as database:
            query = "SELECT TOTAL(size) FROM (SELECT DISTINCT blob, size FROM part)"
            return int(database.execute(query).fetchone()[0])

    def forget(self, references: Iterable[tuple[str, str]]) -> list[str]:
        """Takes references away, and the packages that nothing leads to any more: the digests of these."""
        with self._writing() as database:
            led = []
            for name, label in references:
                query = "DELETE FROM reference WHERE name = ? AND label = ? RETURNING package"
                led += [digest for (digest,) in database.execute(query, (name, label)).fetchall()]
            query = (
                "DELETE FROM package WHERE digest = ?"
                " AND NOT EXISTS (SELECT 1 FROM reference WHERE package = digest)"
                " AND NOT EXISTS (SELECT 1 FROM launcher WHERE package = digest) RETURNING digest"
            )
            return [gone for digest in led for (gone,) in database.execute(query, (digest,)).fetchall()]

    def drop(self, digest: str) -> None:
        """Takes a package away, and all that leads to it."""
        with self._writing() as database:
            database.execute("DELETE FROM package WHERE digest = ?", (digest,))

    def drop_unnamed(self, kept: Iterable[str] = ()) -> list[str]:
        """Takes the packages away that nothing leads to, but for those that are ``kept``: their digests."""
        import json

        with self._writing() as database:
            query = (
                "DELETE FROM package WHERE name IS NOT NULL"
                " AND NOT EXISTS (SELECT 1 FROM reference WHERE package = digest)"
                " AND NOT EXISTS (SELECT 1 FROM launcher WHERE package = digest)"
                " AND digest NOT IN (SELECT value FROM json_each(?)) RETURNING digest"
            )
            return [digest for (digest,) in database.execute(query, (json.dumps([*kept]),)).fetchall()]

    def sizes(self, digest: str | None = None) -> dict[str, int]:
        """How many bytes belong to one package, or to each."""
        query = "SELECT package, SUM(size) FROM part WHERE package = ? GROUP BY package"
        if digest is None:
            query = query.replace("package = ?", "? IS NULL")
        with self._reading() as database:
            return dict(database.execute(query, (digest,)))

    def agree(self, subject: str, name: str, version: str, flags: str, agreed: float) -> None:
        """Remembers what somebody agreed to, in place of what it was before."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO agreement VALUES (?, ?, ?, ?, ?)",
                (subject, name, version, flags, agreed),
            )

    def agreements(self) -> list[tuple[str, str, str, str, float]]:
        """What was agreed to: subject, name, version, flags and moment."""
        with self._reading() as database:
            return database.execute("SELECT * FROM agreement ORDER BY name, agreed").fetchall()

    def disagree(self, subject: str) -> None:
        """Forgets it."""
        with self._writing() as database:
            database.execute("DELETE FROM agreement WHERE subject = ?", (subject,))

    def install(self, file: str, command: str, reference: str, digest: str) -> None:
        """Notes a launcher, in place of what was at its file."""
        with self._writing() as database:
            values = (file, command, reference, digest)
            database.execute("INSERT OR REPLACE INTO launcher VALUES (?, ?, ?, ?)", values)

    def installed(self) -> list[tuple[str, str, str, str]]:
        """The launchers: file, command, reference and package."""
        with self._reading() as database:
            return database.execute("SELECT * FROM launcher ORDER BY file").fetchall()

    def uninstall(self, file: str) -> None:
        """Forgets a launcher."""
        with self._writing() as database:
            database.execute("DELETE FROM launcher WHERE file = ?", (file,))

    def state(self) -> int:
        """A number that is another one as soon as another process has changed anything."""
        with self._reading() as database:
            return int(database.execute("PRAGMA data_version").fetchone()[0])

    def note(self, name: str, words: str, state: int) -> None:
        """Notes what a name runs, until something changes; nothing if it has since ``state``."""
        with self._writing(forgetting=False) as database:
            if self.state() == state:
                database.execute("INSERT OR REPLACE INTO launch VALUES (?, ?)", (name, words))

    def problem(self) -> str | None:
        """What SQLite finds wrong with the database."""
        with self._reading() as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            return None if said == "ok" else said

    def _refer(self, references: Iterable[tuple[str, str, bool]], digest: str) -> None:
        for name, label, released in references:
            self._database.execute(
                "INSERT INTO reference VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET package = excluded.package, released = excluded.released",
                (name, label, released, digest),
            )

    def _make(self) -> None:
        """Makes the tables, once; whoever comes second waits for the first."""
        with self._writing() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            yield self._database

    @contextlib.contextmanager
    def _writing(self, *, forgetting: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it happens, or nothing. What names run may be something else afterwards."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                if forgetting:
                    self._database.execute("DELETE FROM launch")
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says, as an error of Wherry's."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise HostIOError(f"`{self._path}`: {error}", hint=_hint(error)) from error
        except sqlite3.IntegrityError as error:
            # One row leads to another that is gone by now, or that was to go.
            raise HostIOError(
                f"`{self._path}`: another process changed the package at the same time", hint="try again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"`{self._path}` is damaged: {error}",
                hint="move it away and bring the packages in again with `wherry load`",
            ) from error


def _hint(error: sqlite3.OperationalError) -> str:
    """What to do about something that the disk or another process is in the way of."""
    if "locked" in str(error):
        return "another process writes to the store; try again when it is done"
    return "the folder has to be on a disk with room where you may write; `WHERRY_STORE` names another one"
