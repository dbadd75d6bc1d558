"""Artifacts in files: an OCI layout, as a folder or as one archive, which other tools read and write too.

OCI image specification, image-layout.md: ``oci-layout``, ``index.json`` and ``blobs/sha256/``.
``LayoutFolder`` is written and read, ``LayoutArchive`` read; ``write_archive`` writes one, the same bytes
for the same artifacts. Both are read without trusting them: an archive is never unpacked, its blobs are read
where they lie.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from wherry.artifact import oci
from wherry.artifact.blobs import chunks, missing, verified
from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.documents import decode, encode
from wherry.artifact.headers import END, header, members, padding
from wherry.artifact.paths import check_path
from wherry.artifact.read import read_artifact
from wherry.artifact.refusals import host_error, malformed, over, unsupported
from wherry.errors import HostIOError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from typing_extensions import Buffer

    from wherry.artifact.blobs import Source
    from wherry.artifact.read import Artifact

__all__ = ["LayoutArchive", "LayoutFolder", "only_artifact", "open_layout", "write_archive"]

_LAYOUT = "oci-layout"
_INDEX = "index.json"
_BLOBS = "blobs/sha256"
_VERSION = "1.0.0"
_TAKEN_FOR = {
    b"\x1f\x8b": ("compressed", "unpack it first: `gunzip {}`"),
    b"\x28\xb5\x2f\xfd": ("compressed", "unpack it first: `unzstd {}`"),
    b"\xfd7zXZ\0": ("compressed", "unpack it first: `unxz {}`"),
    b"\0asm": ("WebAssembly, and not packed", "`wherry pack {}` makes a package of it"),
}
"""How files begin that are taken for packed ones, what they are, and what to do."""


class _LayoutVersion(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of ``oci-layout``."""

    image_layout_version: str


class _Layout:
    """What both forms have in common."""

    path: Path

    def index(self, bounds: Bounds = BOUNDS) -> tuple[oci.Descriptor, ...]:
        """The artifacts that it holds, not yet read; where they have a name, it is in their annotations.

        Raises:
            MalformedArtifactError: It is no OCI layout.
            UnsupportedArtifactError: It is one of another version.
            ArtifactLimitError: It is over a bound.

        """
        version = decode(self._file(_LAYOUT, bounds), _LayoutVersion, f"`{_LAYOUT}`", bounds)
        if version.image_layout_version != _VERSION:
            raise unsupported("unknown-version", f"the layout is of another version than {_VERSION}")
        index = decode(self._file(_INDEX, bounds), oci.ImageIndex, f"`{_INDEX}`", bounds)
        if len(index.manifests) > bounds.manifests:
            raise over("the number of artifacts", bounds.manifests, "manifests")
        return index.manifests

    def only(self, bounds: Bounds = BOUNDS) -> oci.Descriptor:
        """The one artifact that it holds, not yet read.

        Raises:
            UsageError: It holds none, or several.
            ArtifactError: As for ``index``.

        """
        found = self.index(bounds)
        if len(found) != 1:
            raise UsageError(
                f"`{self.path}` holds {len(found)} packages, and one is wanted",
                hint="`wherry load` takes all of them in; each is found by its name then",
            )
        return found[0]

    def close(self) -> None:
        """Lets go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, name: str, bounds: Bounds) -> bytes:
        with self._open(name) as stream:
            data = stream.read(bounds.document + 1)
        if len(data) > bounds.document:
            raise over(f"the size of `{name}`", bounds.document, "document-size")
        return data

    def _open(self, name: str) -> BinaryIO:
        raise NotImplementedError


class LayoutFolder(_Layout):
    """A folder with an OCI layout; a source and a sink."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> LayoutFolder:
        """A new layout without artifacts, in a folder that is made.

        Raises:
            HostIOError: The folder is there, or cannot be made.

        """
        try:
            path.mkdir()
            (path / _BLOBS).mkdir(parents=True)
            (path / _LAYOUT).write_bytes(_layout_bytes())
        except OSError as error:
            raise host_error(path, error) from error
        layout = cls(path)
        layout.write_index(())
        return layout

    def open(self, digest: str) -> BinaryIO:
        """The bytes of ``digest``, not yet checked."""
        if not oci.DIGEST.fullmatch(digest):
            raise missing(digest)
        try:
            return self._open(f"{_BLOBS}/{digest.removeprefix('sha256:')}")
        except FileNotFoundError as error:
            raise missing(digest) from error

    def add(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Takes in the bytes: their digest and size. They are on the disk, whole, when this returns."""
        import hashlib

        folder = self.path / _BLOBS
        state, size = hashlib.sha256(), 0
        try:
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=".partial-")
        except OSError as error:
            raise host_error(folder, error) from error
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
                for piece in pieces:
                    state.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(name, folder / state.hexdigest())  # noqa: PTH105 - `name` is a text
        except BaseException as error:
            Path(name).unlink(missing_ok=True)
            if isinstance(error, OSError) and not isinstance(error, HostIOError):
                raise host_error(folder, error) from error
            raise
        return f"sha256:{state.hexdigest()}", size

    def write_index(self, artifacts: Sequence[oci.Descriptor]) -> None:
        """Says which artifacts the layout holds, in place of what it said before."""
        partial = self.path / f".{_INDEX}.partial"
        try:
            partial.write_bytes(_index_bytes(artifacts))
            partial.replace(self.path / _INDEX)
        except OSError as error:
            raise host_error(self.path, error) from error

    def _open(self, name: str) -> BinaryIO:
        path = self.path / name
        # A link could lead anywhere, and a pipe would have us wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            opened = os.open(path, flags)
        except FileNotFoundError as error:
            if name.startswith(_BLOBS):
                raise
            raise malformed("no-layout", f"`{self.path}` is no OCI layout: `{name}` is not there") from error
        except OSError as error:
            if path.is_symlink():
                raise malformed("link", f"`{path}` is a link, which no layout holds") from error
            raise host_error(path, error) from error
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise malformed("no-file", f"`{path}` is no file")
        return os.fdopen(opened, "rb")


class LayoutArchive(_Layout):
    """An archive with an OCI layout, open until ``close``; a source.

    Raises:
        NotFoundError: There is no such file.
        HostIOError: It cannot be read.
        MalformedArtifactError: It is no tar archive, is cut short or goes on behind its end.
        UnsafeEntryError: It holds a path, link or device that no layout holds.
        ArtifactLimitError: It holds too many entries.

    """

    def __init__(self, path: Path, bounds: Bounds = BOUNDS) -> None:
        self.path = path
        try:
            self._archive = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"`{path}`: no such file or directory") from error
        except OSError as error:
            raise host_error(path, error) from error
        try:
            self._check_archive()
            self._places = dict(self._members(bounds))
        except BaseException:
            self._archive.close()
            raise

    def open(self, digest: str) -> BinaryIO:
        """The bytes of ``digest``, not yet checked."""
        name = f"{_BLOBS}/{digest.removeprefix('sha256:')}"
        if name not in self._places or not oci.DIGEST.fullmatch(digest):
            raise missing(digest)
        return self._open(name)

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()

    def _check_archive(self) -> None:
        """Refuses what is compressed, WebAssembly or a text: every header of an archive has zeros in it."""
        head = os.pread(self._archive.fileno(), 512, 0)
        for start, (what, hint) in _TAKEN_FOR.items():
            if head.startswith(start):
                error = malformed("no-archive", f"`{self.path}` is {what}")
                error.hint = hint.format(self.path)
                raise error
        if head and b"\0" not in head:
            error = malformed("no-archive", f"`{self.path}` is no packed package")
            error.hint = "`wherry pack -o FILE` and `wherry save` write such files"
            raise error

    def _members(self, bounds: Bounds) -> Iterator[tuple[str, tuple[int, int]]]:
        """The files by name; other tools begin names with ``./``, and put files of their own in as well."""
        size = os.fstat(self._archive.fileno()).st_size
        seen: set[str] = set()
        for member in members(self._archive, size, f"`{self.path}`", bounds):
            if len(seen) >= bounds.archive_entries:
                raise over(f"the number of entries in `{self.path}`", bounds.archive_entries, "entries")
            name = member.path.removeprefix("./")
            if member.folder and name in {"", "."}:
                continue
            check_path(name, bounds)
            if name in seen:
                raise malformed("duplicate", f"`{self.path}` holds `{name}` twice")
            seen.add(name)
            if not member.folder:
                yield name, (member.offset, member.size)

    def _open(self, name: str) -> BinaryIO:
        if name not in self._places:
            raise malformed("no-layout", f"`{self.path}` is no OCI layout: `{name}` is not in it")
        offset, size = self._places[name]
        return cast("BinaryIO", io.BufferedReader(_Part(self._archive.fileno(), offset, size), 1 << 18))


class _Part(io.RawIOBase):
    """Some bytes in the middle of a file, as a file of their own."""

    def __init__(self, file: int, offset: int, size: int) -> None:
        super().__init__()
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, min(len(view), self._size - self._at))]
        if not view:
            return 0
        found = os.preadv(self._file, [view], self._offset + self._at)
        self._at += found
        return found


def open_layout(path: Path) -> LayoutFolder | LayoutArchive:
    """The layout in a folder or an archive."""
    return LayoutFolder(path) if path.is_dir() else LayoutArchive(path)


@contextlib.contextmanager
def only_artifact(path: Path) -> Iterator[tuple[LayoutArchive, Artifact]]:
    """The one artifact in a file, and where its bytes are read.

    Raises:
        UsageError: The file holds none, or several.
        NotFoundError: There is no such file.
        ArtifactError: It is refused.

    """
    with LayoutArchive(path) as layout:
        yield layout, read_artifact(layout, layout.only())


def write_archive(path: Path, source: Source, artifacts: Sequence[oci.Descriptor]) -> None:
    """Writes artifacts with all that belongs to them into one file, which is there whole or not at all.

    Names stay, as annotations of the descriptors. The same artifacts give the same bytes.

    Raises:
        ArtifactError: Something in ``source`` is missing or is not what was named.
        HostIOError: The file cannot be written.

    """
    blobs = {blob.digest: blob for one in artifacts for blob in read_artifact(source, one).blobs()}
    try:
        opened, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    except OSError as error:
        raise host_error(path, error) from error
    try:
        with open(opened, "wb") as file:  # noqa: PTH123 - it is open already
            file.writelines(_archive(source, artifacts, blobs))
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, HostIOError):
            raise host_error(path, error) from error
        raise


def _archive(
    source: Source, artifacts: Sequence[oci.Descriptor], blobs: dict[str, oci.Descriptor]
) -> Iterator[bytes]:
    """The bytes of an archive: what says what it is comes first."""
    for name, data in ((_LAYOUT, _layout_bytes()), (_INDEX, _index_bytes(artifacts))):
        yield header(name, len(data)) + data + padding(len(data))
    yield header("blobs", 0, folder=True) + header(_BLOBS, 0, folder=True)
    for digest in sorted(blobs):
        yield header(f"{_BLOBS}/{digest.removeprefix('sha256:')}", blobs[digest].size)
        with source.open(digest) as stream:
            yield from verified(chunks(stream), blobs[digest])
        yield padding(blobs[digest].size)
    yield END


def _layout_bytes() -> bytes:
    return encode(_LayoutVersion(_VERSION))


def _index_bytes(artifacts: Sequence[oci.Descriptor]) -> bytes:
    ordered = sorted(
        artifacts, key=lambda one: ((one.annotations or {}).get(oci.Annotation.REFERENCE, ""), one.digest)
    )
    return encode(oci.ImageIndex(schema_version=2, media_type=oci.IMAGE_INDEX, manifests=tuple(ordered)))


def _umask() -> int:
    """What the user wants no file to be; it can be asked for by setting it only."""
    found = os.umask(0o077)
    os.umask(found)
    return found
