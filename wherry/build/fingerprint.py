"""Whether anything has changed since a target was built, by the contents of all that went into it.

The state of each target lies beside its work: the digest of its inputs and of what came out. Inputs are all
files of the project but what is built, fetched or kept by version control, further files that tools named,
and the versions of the tools. A file, what came out too, is read again only if size, times or inode say that
it may be another.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Inputs", "State", "file_digest", "read_state", "write_atomically", "write_state"]

_IGNORED = frozenset({"build", ".git", ".hg", ".svn", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache"})
_SETTLED = 2_000_000_000
"""How old, in ns, a file has to be to be known by its times: younger ones may change within one tick."""


class _Seen(msgspec.Struct, array_like=True):
    """A file as it was when it was read."""

    size: int
    modified: int
    changed: int
    inode: int
    digest: str


class State(msgspec.Struct):
    """What is known of the last build of a target."""

    inputs: str = ""
    output: str = ""
    further: list[str] = []
    seen: dict[str, _Seen] = {}


class Inputs:
    """The files that go into a target, digested; ``digest`` is that of all of them with their names.

    A file that was looked at is not looked at again: what changes while a target is built is a change since.
    """

    def __init__(self, folder: Path, ignored: Iterable[str], before: State) -> None:
        self._folder = folder
        self._ignored = _IGNORED | {*ignored}
        self._before = before.seen
        self._names: list[str] | None = None
        self._known: dict[str, str] = {}
        self.seen: dict[str, _Seen] = {}

    def digest(self, further: Iterable[str], facts: Iterable[str]) -> str:
        """The digest of all inputs. ``facts`` is what counts beside files, such as versions."""
        state = hashlib.sha256()
        for fact in facts:
            state.update(f"fact {len(fact)} {fact}\n".encode())
        if self._names is None:
            self._names = list(self._below())
        named = ((name, self._folder / name) for name in self._names)
        outside = ((name, Path(name)) for name in sorted(further))
        for name, path in (*named, *outside):
            state.update(
                f"file {len(name)} {name} {self._file(name, path)}\n".encode("utf-8", "surrogateescape")
            )
        return state.hexdigest()

    def beside(self, path: Path, digest: str) -> bool:
        """Whether a file below the folder that is no input has this digest; it is read like one."""
        return self._file(str(path.relative_to(self._folder)), path) == digest

    def take_in(self, written: Iterable[str]) -> None:
        """Looks at files of these names again, which the build may have written."""
        names = {*written}
        for name in [name for name in self._known if name.rpartition("/")[2] in names]:
            del self._known[name]
        known = {*(self._names or ())}
        self._names = [name for name in self._below() if name in known or name.rpartition("/")[2] in names]

    def _below(self) -> Iterator[str]:
        """The names of all files of the project, in one order."""
        waiting = [""]
        while waiting:
            within = waiting.pop()
            with os.scandir(self._folder / within) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    name = f"{within}{entry.name}"
                    if entry.name in self._ignored:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif entry.is_file():
                        yield name

    def _file(self, name: str, path: Path) -> str:
        """The digest of a file, or a word where it is gone."""
        if name not in self._known:
            self._known[name] = self._read(name, path)
        return self._known[name]

    def _read(self, name: str, path: Path) -> str:
        try:
            found = path.stat()
            key = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            seen = self._before.get(name)
            if seen is None or (seen.size, seen.modified, seen.changed, seen.inode) != key:
                seen = _Seen(*key, file_digest(path))
        except OSError:
            return "gone"
        if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED:
            self.seen[name] = seen
        return seen.digest


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: Path) -> State:
    """The state in a file; an empty one if there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()


def write_state(path: Path, state: State) -> None:
    """Writes a state, whole or not at all."""
    write_atomically(path, msgspec.json.encode(state))


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that who looks sees the old one or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
