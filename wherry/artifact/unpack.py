"""An artifact becomes files: all of it, or nothing.

Everything is checked before the first file is made. Files are then made in a folder of their own beside the
target, brought to the disk, and the folder gets its name: who looks sees the whole package or none. What is
left when the machine stops in between has a name that begins with ``PARTIAL``, and is never taken for a
package.

What is written is checked once more on its way: where somebody else can write, bytes may change after they
were looked at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.artifact.blobs import CHUNK, chunks, verified
from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.headers import END, padding
from wherry.artifact.oci import Annotation
from wherry.artifact.paths import of_disk, on_disk
from wherry.artifact.read import verify
from wherry.artifact.reading import FILE_NAME
from wherry.artifact.refusals import differs, host_error
from wherry.errors import HostIOError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from wherry.artifact.blobs import Source
    from wherry.artifact.headers import Member
    from wherry.artifact.oci import Descriptor
    from wherry.artifact.read import Artifact

__all__ = ["FILES", "PARTIAL", "holds_files", "unpack", "unpack_files"]

FILES = "files"
"""The folder of a package's files in what is unpacked."""

PARTIAL = ".wherry-partial-"
"""What names of unfinished folders begin with."""

_ONE_BY_ONE = 64
"""How many files are brought to the disk each by itself."""


def unpack(artifact: Artifact, source: Source, target: Path, bounds: Bounds = BOUNDS) -> None:
    """Writes an artifact to ``target``, a folder that is made.

    In it are ``wherry.toml``, ``component-N.wasm`` and the folder ``files``. Components are numbered from 1
    in the order of ``artifact.components``.

    Raises:
        ArtifactError: The artifact is refused; nothing was written.
        HostIOError: ``target`` is there, or cannot be written; nothing is left behind.

    """
    entries = verify(source, artifact, bounds)

    def write(folder: Path) -> Iterator[str]:
        text = (artifact.image.annotations or {}).get(Annotation.MANIFEST)
        if text is not None:
            (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="")
            yield f"{folder}/{FILE_NAME}"
        for number, component in enumerate(artifact.components, 1):
            path = folder / f"component-{number}.wasm"
            with source.open(component.descriptor.digest) as stream, path.open("xb") as file:
                file.writelines(verified(chunks(stream), component.descriptor))
            yield str(path)
        if artifact.files is not None:
            (folder / FILES).mkdir()
            yield from _write_members(source, artifact.files, entries, folder / FILES)

    _write_whole(target, write)


def unpack_files(artifact: Artifact, source: Source, target: Path, bounds: Bounds = BOUNDS) -> None:
    """Writes the files of an artifact to ``target``, a folder that is made.

    Raises:
        ArtifactError: The artifact is refused; nothing was written.
        HostIOError: ``target`` is there, or cannot be written; nothing is left behind.

    """
    entries = verify(source, artifact, bounds)

    def write(folder: Path) -> Iterator[str]:
        if artifact.files is not None:
            yield from _write_members(source, artifact.files, entries, folder)

    _write_whole(target, write)


def holds_files(artifact: Artifact, source: Source, folder: Path) -> bool:
    """Whether a folder holds the files of an artifact as ``unpack_files`` wrote them, and nothing else.

    Raises:
        ArtifactError: The artifact is refused.

    """
    entries = verify(source, artifact)
    root = os.fspath(folder)
    there: set[str] = set()
    for at, folders, files in os.walk(root):
        there.update(of_disk(os.path.relpath(f"{at}/{name}", root)) for name in (*folders, *files))
    if artifact.files is None or there != {member.path for member in entries}:
        return artifact.files is None and not there
    with source.open(artifact.files.digest) as stream:
        return all(_is_written(stream, member, f"{root}/{on_disk(member.path)}") for member in entries)


def _is_written(stream: BinaryIO, member: Member, path: str) -> bool:
    """Whether a path is the file or folder that an archive says."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if member.folder or not stat.S_ISREG(found.st_mode) or found.st_size != member.size:
        return member.folder and stat.S_ISDIR(found.st_mode)
    stream.seek(member.offset)
    left = member.size
    with open(path, "rb") as file:  # noqa: PTH123 - as for writing
        while left:
            piece = stream.read(min(left, CHUNK))
            if not piece or file.read(len(piece)) != piece:
                return False
            left -= len(piece)
    return True


def _write_whole(target: Path, write: Callable[[Path], Iterator[str]]) -> None:
    """Has a folder written beside ``target``, and gives it its name. ``write`` says when a file is there."""
    if target.exists() or target.is_symlink():
        raise HostIOError(f"`{target}` is there already")
    try:
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=PARTIAL))
    except OSError as error:
        raise host_error(target, error) from error
    try:
        written = list(write(partial))
        partial.chmod(0o755)
        _settle(partial, written)
        partial.rename(target)
        _sync(os.fspath(target.parent))
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, HostIOError):
            raise host_error(target, error) from error
        raise


def _write_members(source: Source, archive: Descriptor, entries: list[Member], folder: Path) -> Iterator[str]:
    """Writes files and folders that were checked. The folder is new and ours: nothing in it can be a link."""
    root = os.fspath(folder)
    seen = hashlib.sha256()
    with source.open(archive.digest) as stream:
        for member in entries:
            path = f"{root}/{on_disk(member.path)}"
            seen.update(member.head)
            if member.folder:
                os.mkdir(path)  # noqa: PTH102 - tens of thousands: a `Path` for each takes as long as the file
                os.chmod(path, 0o755)  # noqa: PTH101, S103 - whatever the umask is
                continue
            stream.seek(member.offset)
            _write_file(path, _read(stream, member.size, seen))
            seen.update(padding(member.size))
            yield path
    seen.update(END)
    if f"sha256:{seen.hexdigest()}" != archive.digest:
        raise differs("wrong-digest", f"`{archive.digest}` changed while it was unpacked")


def _read(stream: BinaryIO, size: int, seen: hashlib._Hash) -> Iterator[bytes]:
    """The next ``size`` bytes of a stream, or as many as there are."""
    while size and (piece := stream.read(min(size, CHUNK))):
        size -= len(piece)
        seen.update(piece)
        yield piece


def _write_file(path: str, pieces: Iterable[bytes]) -> None:
    """Writes a new file, of no time and readable by all."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(opened, view) :]
        os.fchmod(opened, 0o644)
        os.utime(opened, ns=(0, 0))
    finally:
        os.close(opened)


def _settle(folder: Path, files: list[str]) -> None:
    """Brings files and the folders that they are in to the disk.

    One by one each waits for a turn of the disk, and 2,000 of them for seconds; many go with all that waits.
    """
    if len(files) > _ONE_BY_ONE:
        _native.sync_disk(folder)
        return
    for path in files:
        _sync(path)
    for path, _, _ in os.walk(folder, topdown=False):
        _sync(path)


def _sync(path: str) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
