"""Packages that are run from a file, unpacked in the user's cache under their digests.

What is in the store has its files there; what is run from a file has them here, for the next run. A package
appears whole or not at all. Who runs one holds a lock on its folder as long as the process lives, and what
makes room takes only what nobody holds. Start reading at ``provide``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from wherry import _native
from wherry.artifact.reading import read_manifest
from wherry.artifact.refusals import host_error
from wherry.artifact.unpack import PARTIAL, unpack
from wherry.errors import HostIOError, WherryError
from wherry.runtime.cache import Cleared
from wherry.store.location import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.blobs import Source
    from wherry.artifact.read import Artifact

__all__ = ["Unpacked", "clear", "ls", "path", "provide", "prune"]

_LEFT_BEHIND = 3600.0
"""How many seconds old an unfinished folder must be for its process to be gone."""

_PRECISION = 600.0
_held: dict[Path, int] = {}


class Unpacked(msgspec.Struct, frozen=True):
    """One package: as an ``Entry`` of compiled code, as far as both have the same.

    ``file`` is the name of its folder, ``name`` what it calls itself, ``source`` its digest in hexadecimal.
    """

    file: str
    name: str
    source: str
    size: int
    used: float
    form: Literal["package"] = "package"


def path() -> Path:
    """The folder, whether it exists or not."""
    return Path(cache_folder()) / "packages"


def provide(artifact: Artifact, source: Source) -> Path:
    """The folder of a package, which is unpacked now if it is not there, and stays as long as this process.

    Raises:
        ArtifactError: It is refused; nothing was written.
        HostIOError: It cannot be written.

    """
    target = path() / artifact.digest.replace(":", "-")
    fresh = False
    while not _hold(target):
        fresh = True
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            unpack(artifact, source, target)
        except OSError as error:
            if _was_late(target, error):
                continue
            found = error if isinstance(error, HostIOError) else host_error(target.parent, error)
            hint = "`wherry load` takes the package into the store; `XDG_CACHE_HOME` names another cache"
            raise HostIOError(found.message, hint=hint) from error
    if fresh:
        prune()
    return target


def ls() -> list[Unpacked]:
    """What is there, the last used first."""
    found = []
    for folder in _folders():
        with contextlib.suppress(OSError):
            _, size = _measured(folder)
            used = folder.stat().st_mtime
            found.append(Unpacked(folder.name, _name(folder), folder.name.rpartition("-")[2], size, used))
    return sorted(found, key=lambda one: (-one.used, one.file))


def prune(size: int | None = None) -> Cleared:
    """Removes what was not used for longest, until the rest fits into ``size`` bytes; nothing that is in use.

    Without ``size`` that of the settings holds. What killed processes left unfinished goes, too.
    """
    most = size if size is not None else _usual_size()
    cleared = _clear_left_behind()
    entries = ls()
    left = sum(one.size for one in entries)
    for one in reversed(entries):
        if left <= most:
            break
        gone = _remove(path() / one.file)
        cleared = _sum(cleared, gone)
        left -= gone.bytes
    return cleared


def clear() -> Cleared:
    """Removes all that is not in use."""
    cleared = _clear_left_behind()
    for folder in _folders():
        cleared = _sum(cleared, _remove(folder))
    return cleared


def _was_late(target: Path, error: OSError) -> bool:
    """Whether somebody else unpacked it meanwhile; by now it may be gone again."""
    if os.path.lexists(target):
        return target.is_dir()
    taken = isinstance(error, HostIOError) and not isinstance(error.__cause__, OSError)
    return taken or getattr(error.__cause__, "errno", None) in {errno.EEXIST, errno.ENOTEMPTY}


def _hold(target: Path) -> bool:
    """Whether the folder is there; this process holds it then, until its end."""
    try:
        if target in _held and os.path.samestat(os.fstat(_held[target]), target.stat()):
            return True
        opened = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    with contextlib.suppress(OSError):  # a file system without locks, which what makes room leaves alone
        fcntl.flock(opened, fcntl.LOCK_SH)
    try:
        # Whoever was about to remove it may have done so meanwhile.
        there = os.path.samestat(os.fstat(opened), target.stat())
        if there and time.time() - target.stat().st_mtime > _PRECISION:
            os.utime(opened)
    except FileNotFoundError:
        there = False
    except PermissionError:  # somebody else's; it is used all the same
        there = True
    if not there:
        os.close(opened)
        return False
    _held[target] = opened
    return True


def _remove(folder: Path) -> Cleared:
    """Takes a package away, unless somebody holds it: first its name, then its files."""
    nothing = Cleared(0, 0)
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return nothing
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cleared = Cleared(*_measured(folder))
        aside = folder.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    except OSError:
        return nothing
    finally:
        os.close(opened)
    return cleared


def _clear_left_behind() -> Cleared:
    """Removes unfinished folders whose processes are gone."""
    cleared = Cleared(0, 0)
    for folder in _folders(PARTIAL):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _LEFT_BEHIND:
                gone = Cleared(*_measured(folder))
                shutil.rmtree(folder)
                cleared = _sum(cleared, gone)
    return cleared


def _folders(prefix: str = "sha256-") -> Iterator[Path]:
    try:
        yield from [one for one in path().iterdir() if one.name.startswith(prefix)]
    except OSError:
        return


def _measured(folder: Path) -> tuple[int, int]:
    """How many files are in a folder, and their bytes."""
    sizes = [os.lstat(f"{at}/{name}").st_size for at, _, names in os.walk(folder) for name in names]
    return len(sizes), sum(sizes)


def _name(folder: Path) -> str:
    """What a package calls itself; nothing, if another tool made it."""
    try:
        package = read_manifest(folder).package
    except WherryError:
        return ""
    return f"{package.name}@{package.version}"


def _usual_size() -> int:
    """What the settings say of the cache."""
    said = next(one.value for one in _native.explain_settings() if one.name == "cache-size")
    return _native.parse_size(said or "0")


def _sum(one: Cleared, other: Cleared) -> Cleared:
    return Cleared(one.files + other.files, one.bytes + other.bytes)
