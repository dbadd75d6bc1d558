"""The archive of a package's files: one archive for one tree, byte for byte.

An archive says only which files and folders there are and what is in them: no owner, time, right or order of
its own, so that whoever packs the same files gets the same bytes. Whoever reads one accepts nothing else,
which leaves no room for what two readers could take differently. It is not compressed:
``docs/design/artifact.md`` says why.

``pack_tree`` writes one, ``check_tree`` reads one through before anything of it is used.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

from wherry.artifact.blobs import CHUNK
from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.headers import BLOCK, END, Member, header, members, padding
from wherry.artifact.paths import Names, check_path, is_simple, of_disk
from wherry.artifact.refusals import malformed, over
from wherry.errors import ArtifactError, PackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Entry", "check_tree", "collect", "pack_tree"]


@dataclass(frozen=True, order=True)
class Entry:
    """A file or folder that goes into an archive, and where it is now."""

    path: str
    source: Path
    folder: bool


def collect(source: Path, path: str, exclude: Sequence[str] = ()) -> Iterator[Entry]:
    """What stands at ``source``, a file or folder, as the entries that it makes at ``path``.

    A pattern of ``exclude`` without ``/`` is held against each name, one with ``/`` against the path from
    ``source`` on.

    Raises:
        PackError: It is not there, or holds something that is neither file nor folder.

    """
    try:
        mode = source.lstat().st_mode
    except FileNotFoundError as error:
        raise PackError(f"`{source}`: no such file or folder") from error
    except OSError as error:
        raise PackError(f"`{source}`: {(error.strerror or str(error)).lower()}") from error
    yield from _collect(source, mode, path, "", tuple(exclude))


def _collect(source: Path, mode: int, path: str, inside: str, exclude: tuple[str, ...]) -> Iterator[Entry]:
    if stat.S_ISREG(mode):
        yield Entry(_normal(path, source), source, folder=False)
        return
    if not stat.S_ISDIR(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "neither file nor folder"
        raise PackError(
            f"`{source}` is {what}", hint="put what it leads to in its place, or leave it out by `exclude`"
        )
    if path:
        yield Entry(_normal(path, source), source, folder=True)
    try:
        with os.scandir(source) as found:
            entries = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in found]
    except OSError as error:
        raise PackError(f"`{source}`: {(error.strerror or str(error)).lower()}") from error
    for name, inner in entries:
        said = of_disk(name)
        within = f"{inside}/{said}" if inside else said
        if not any(fnmatchcase(within if "/" in pattern else said, pattern) for pattern in exclude):
            yield from _collect(source / name, inner, f"{path}/{said}" if path else said, within, exclude)


def _normal(path: str, source: Path) -> str:
    """The path in normal form C: some file systems keep names in another."""
    if is_simple(path):
        return path
    path = unicodedata.normalize("NFC", path)
    try:
        check_path(path)
    except ArtifactError as error:
        raise PackError(f"`{ascii(str(source))[1:-1]}`: {error.message}") from error
    return path


def pack_tree(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The archive of ``entries``, in pieces. Folders that they lie in are added.

    Raises:
        PackError: Two of them are one file on some system, or one changes while it is read.

    """
    for entry in _complete(entries):
        if entry.folder:
            yield header(entry.path, 0, folder=True)
        else:
            yield from _pack_file(entry)
    yield END


def _complete(entries: Iterable[Entry]) -> list[Entry]:
    """All entries with the folders above them, in the order of their bytes, none twice."""
    found: dict[str, Entry] = {}
    for entry in entries:
        other = found.setdefault(entry.path, entry)
        if other != entry and not (other.folder and entry.folder):
            raise PackError(
                f"`{other.source}` and `{entry.source}` would both be `{entry.path}` in the package"
            )
        above = entry.path.rpartition("/")[0]
        while above and above not in found:
            found[above] = Entry(above, entry.source.parent, folder=True)
            above = above.rpartition("/")[0]
    ordered = sorted(found.values(), key=lambda entry: _place(entry.path))
    names = Names()
    try:
        for entry in ordered:
            names.add(entry.path, folder=entry.folder)
    except ArtifactError as error:
        raise PackError(error.message) from error
    return ordered


def _place(path: str) -> tuple[bytes, ...]:
    """Where a path stands: names in the order of their bytes, and a folder right before what is in it."""
    return tuple(name.encode() for name in path.split("/"))


def _pack_file(entry: Entry) -> Iterator[bytes]:
    try:
        with entry.source.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > BOUNDS.file:
                raise PackError(f"`{entry.source}` is over the bound of {BOUNDS.file:,} bytes")
            seen = 0
            yield header(entry.path, size)
            while piece := file.read(CHUNK):
                seen += len(piece)
                yield piece
    except OSError as error:
        raise PackError(f"`{entry.source}`: {(error.strerror or str(error)).lower()}") from error
    if seen != size:
        raise PackError(
            f"`{entry.source}` changed while it was packed", hint="pack again when nothing writes to it"
        )
    yield padding(size)


def check_tree(stream: BinaryIO, size: int, bounds: Bounds = BOUNDS) -> list[Member]:
    """The files and folders of an archive of ``size`` bytes, once all of it has been seen to be as it should.

    Raises:
        MalformedArtifactError: It is no archive, cut, goes on behind its end, or is not as we write it.
        UnsafeEntryError: It holds a path, link or device that no package holds.
        ArtifactLimitError: It holds too much.

    """
    names = Names()
    found: list[Member] = []
    total = 0
    last: tuple[bytes, ...] = ()
    what = "the archive of files"
    for member in members(stream, size, what, bounds):
        check_path(member.path, bounds)
        names.add(member.path, folder=member.folder)
        total += member.size
        if len(found) >= bounds.entries:
            raise over(f"the number of entries in {what}", bounds.entries, "entries")
        if member.size > bounds.file:
            raise over(f"the size of `{member.path}`", bounds.file, "file-size")
        if total > bounds.files:
            raise over(f"the size of all in {what}", bounds.files, "files-size")
        place = _place(member.path)
        if place <= last or member.head != header(member.path, member.size, folder=member.folder):
            raise malformed("not-canonical", f"{what} is not as Wherry writes it, at `{member.path}`")
        last = place
        found.append(member)
    _check_filling(stream, size, found, what)
    return found


def _check_filling(stream: BinaryIO, size: int, found: list[Member], what: str) -> None:
    """What fills blocks is empty, and nothing more than the end stands at the end."""
    end = 0
    for member in found:
        end = member.offset + member.size
        fill = -member.size % BLOCK
        if fill:
            stream.seek(end)
            if any(stream.read(fill)):
                raise malformed("hidden-data", f"{what} hides bytes behind `{member.path}`")
        end += fill
    if size != end + len(END):
        raise malformed("trailing-data", f"{what} goes on behind its end")
