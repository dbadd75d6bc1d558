"""Compiled code on disk: what is kept, whether it is whole, and how to make room.

The engine keeps what it compiled in a folder and maps it at the next start; see ``docs/cache.md``. The
folder and its size come from the settings: ``cache-dir`` and ``cache-size``. ``Entry`` and ``Verdict`` are
also the schema of ``wherry cache ls --format json``, beside packages that were run from a file, and of
``wherry cache verify --format json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from wherry import _native
from wherry.errors import UsageError

__all__ = ["Cleared", "Entry", "Verdict", "clear", "ls", "path", "prune", "verify"]


class Entry(msgspec.Struct, frozen=True):
    """One piece of compiled code.

    ``file`` is its name in the folder, ``name`` that of its source when it was compiled, ``source`` the
    SHA-256 of that in hexadecimal. ``size`` is in bytes; ``used`` is when it was last used, in seconds since
    1970, within ten minutes. ``platform`` is processor and system, or ``pulley64``; ``wherry`` is the version
    that compiled it.
    """

    file: str
    name: str
    source: str
    form: Literal["component", "module"]
    mode: str
    concurrency: bool
    platform: str
    wherry: str
    size: int
    used: float


class Verdict(msgspec.Struct, frozen=True):
    """What :func:`verify` found of one file: why it was removed, or ``None`` for one that is whole."""

    file: str
    problem: str | None


class Cleared(msgspec.Struct, frozen=True):
    """How many files were removed, and their bytes."""

    files: int
    bytes: int


def path() -> Path:
    """The folder, whether it exists or not.

    Raises:
        UsageError: There is no place for one: a user without a home, and no ``WHERRY_CACHE_DIR``.

    """
    found = _native.cache_path()
    if found is None:
        raise UsageError("there is no folder for compiled code", hint="set `WHERRY_CACHE_DIR`, or `HOME`")
    return Path(found)


def ls() -> list[Entry]:
    """What is kept, the last used first.

    Raises:
        HostIOError: The folder cannot be read, or other users may write to it.

    """
    return msgspec.json.decode(_native.cache_ls(), type=list[Entry])


def verify() -> list[Verdict]:
    """Check the contents of everything that is kept, and remove what is damaged.

    Raises:
        HostIOError: The folder cannot be read, or other users may write to it.

    """
    return msgspec.json.decode(_native.cache_verify(), type=list[Verdict])


def prune(size: int | None = None) -> Cleared:
    """Remove what no run will use, and what was not used for longest until the rest fits into ``size`` bytes.

    No run will use what killed processes left behind, and code of other versions of Wherry. Without ``size``
    the size of the settings holds.

    Raises:
        HostIOError: The folder cannot be read, or other users may write to it.

    """
    return Cleared(*_native.cache_prune(size))


def clear() -> Cleared:
    """Remove everything that is kept.

    Raises:
        HostIOError: The folder cannot be read, or other users may write to it.

    """
    return Cleared(*_native.cache_clear())
