"""Which paths a package may hold: those that name one file, the same one, on every system.

A path in a package is relative, in UTF-8, with ``/`` between its names, and in Unicode's normal form C.
Whoever makes a package hears of anything else at once; whoever sends one with anything else is refused.
Start reading at ``check_path``; ``Names`` looks at the paths of one archive together, for twins.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.refusals import over, shown, unsafe

if TYPE_CHECKING:
    from wherry.errors import UnsafeEntryError

__all__ = ["Names", "check_path", "is_simple", "of_disk", "on_disk"]

# Letters, digits and a few marks, with no name that begins with a dot: nothing below has to be asked.
_SIMPLE = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,30}[A-Za-z0-9_](?:/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,30}[A-Za-z0-9_])*"
)
_DRIVE = re.compile(r"[A-Za-z]:")
# Marks that turn text round, so that `txt.exe` reads as `exe.txt` (Unicode TR 9).
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What Windows keeps for itself: characters, and names with any ending.
_RESERVED_CHARACTERS = frozenset('<>:"|?*')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def check_path(path: str, bounds: Bounds = BOUNDS) -> None:
    """Refuses a path that is not the same plain path everywhere.

    Raises:
        UnsafeEntryError: It leads out, is absolute, or is not a name on each system; ``reason`` says which.
        ArtifactLimitError: It is too long or too deep.

    """
    if is_simple(path) and len(path) <= bounds.path and path.count("/") < bounds.folders:
        return
    _check_whole(path, bounds)
    for name in path.split("/"):
        _check_name(path, name, bounds)


def on_disk(path: str) -> str:
    """A path of a package as Python has it for the file of that name, which is UTF-8 whatever the locale."""
    return path if path.isascii() else os.fsdecode(path.encode())


def of_disk(name: str) -> str:
    """The name of a file as a package has it; bytes that are no UTF-8 stay apart (PEP 383)."""
    return name if name.isascii() else os.fsencode(name).decode(errors="surrogateescape")


def is_simple(path: str) -> bool:
    """Whether a path is of plain letters, so that most checks have nothing to find."""
    return _SIMPLE.fullmatch(path) is not None and not any(
        _DEVICES.fullmatch(name) for name in path.split("/")
    )


def _check_whole(path: str, bounds: Bounds) -> None:
    if not path:
        raise _refused("empty-path", path, "has no name")
    if "\0" in path:
        raise _refused("nul", path, "holds a NUL")
    if path.startswith("/"):
        raise _refused("absolute-path", path, "is an absolute path")
    if "\\" in path:
        raise _refused("backslash", path, "holds a backslash, which divides folders on some systems")
    if _DRIVE.match(path):
        raise _refused("drive-letter", path, "begins with a drive letter")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise _refused("not-unicode", path, "is no UTF-8") from error
    if size > bounds.path:
        raise over(f"the length of the path `{shown(path)}`", bounds.path, "path-length")
    if path.count("/") >= bounds.folders:
        raise over(f"the depth of the path `{shown(path)}`", bounds.folders, "path-depth")


def _check_name(path: str, name: str, bounds: Bounds) -> None:
    if name == "..":
        raise _refused("parent-path", path, "leads out by `..`")
    if name in {"", "."}:
        raise _refused("dotted-path", path, "holds an empty name or `.`")
    if len(name.encode()) > bounds.segment:
        raise over(f"the length of a name in the path `{shown(path)}`", bounds.segment, "name-length")
    for character in name:
        if unicodedata.category(character) == "Cc":
            raise _refused("control-character", path, "holds a control character")
        if character in _TURNING:
            raise _refused("turned-text", path, "holds a mark that turns text round")
    if not unicodedata.is_normalized("NFC", name):
        raise _refused("not-normal", path, "is not in Unicode's normal form C")
    if not _RESERVED_CHARACTERS.isdisjoint(name):
        raise _refused("reserved-name", path, 'holds one of `<>:"|?*`, which not every system can')
    if name[-1] in ". " or _DEVICES.fullmatch(name):
        raise _refused("reserved-name", path, "is a name that Windows keeps for itself")


class Names:
    """The paths of one archive, looked at together: no two may be one file on some system."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._spelled: dict[str, str] = {}

    def add(self, path: str, *, folder: bool) -> None:
        """Takes in a path that was checked already.

        Raises:
            UnsafeEntryError: It was there already, or is there in another spelling, a file is used as a
                folder, or the folder that it is in has not been there.

        """
        if path in self._files or (folder and path in self._folders):
            raise _refused("duplicate", path, "is there twice")
        if not folder and path in self._folders:
            raise _refused("file-and-folder", path, "is a file and a folder")
        above = path.rpartition("/")[0]
        if above in self._files:
            raise _refused("file-and-folder", above, "is a file and a folder")
        if above and above not in self._folders:
            raise _refused("no-folder", path, "is in a folder that is not in the archive before it")
        other = self._spelled.setdefault(_folded(path), path)
        if other != path:
            raise _refused("twin", path, f"and `{shown(other)}` are one file where capitals do not count")
        (self._folders if folder else self._files).add(path)


def _folded(path: str) -> str:
    """The same for all spellings that some file system takes for one (Unicode 3.13, canonical caseless)."""
    if path.isascii():
        return path.lower()
    normal = unicodedata.normalize("NFD", path)
    return unicodedata.normalize("NFD", normal.casefold())


def _refused(reason: str, path: str, why: str) -> UnsafeEntryError:
    return unsafe(reason, f"the path `{shown(path)}` {why}")
