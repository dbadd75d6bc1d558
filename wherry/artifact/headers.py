"""Headers of tar archives: written in one way only, and read without guessing.

POSIX.1-2017, pax, section "ustar Interchange Format". Python's ``tarfile`` reads many formats and forgives
much; what it writes may change with its version, and a digest may not. So the few lines that a header takes
stand here: files and folders, with a path of any length in an extended header, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.refusals import malformed, over, shown, unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["BLOCK", "END", "Member", "header", "members", "padding"]

BLOCK = 512
"""Everything in an archive begins at a multiple of this."""

END = bytes(2 * BLOCK)
"""What every archive ends with."""

_NAME = 100
_LARGEST = 8**11 - 1
_EXTENDED_BYTES = 64 << 10
_KINDS: dict[bytes, Literal["file", "folder", "extended"]] = {
    b"0": "file",
    b"\0": "file",
    b"5": "folder",
    b"x": "extended",
}
_REFUSED = {
    b"1": ("link", "a hard link"),
    b"2": ("link", "a symbolic link"),
    b"3": ("device", "a character device"),
    b"4": ("device", "a block device"),
    b"6": ("device", "a pipe"),
}


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive: its path without a slash at the end, and where its bytes begin.

    ``head`` is all of its headers as they are in the archive.
    """

    path: str
    folder: bool
    size: int
    offset: int
    head: bytes


def header(path: str, size: int, *, folder: bool = False) -> bytes:
    """The one header of a file or folder: owned by nobody, of no time, readable by all."""
    full = f"{path}/" if folder else path
    name = full.encode()
    if len(name) <= _NAME and full.isascii():
        return _block(name, size, b"5" if folder else b"0", 0o755 if folder else 0o644)
    record = _record(b"path", name)
    short = full.encode("ascii", "replace")[: _NAME - 1] + (b"/" if folder else b"")
    extended = _block(b"././@PaxHeader", len(record), b"x", 0o644) + record + padding(len(record))
    return extended + _block(short, size, b"5" if folder else b"0", 0o755 if folder else 0o644)


def padding(size: int) -> bytes:
    """What fills the last block after ``size`` bytes."""
    return bytes(-size % BLOCK)


def members(stream: BinaryIO, size: int, what: str, bounds: Bounds = BOUNDS) -> Iterator[Member]:
    """Each file and folder of the archive that ``stream``, seekable and of ``size`` bytes, is.

    After the last one the archive has been seen to end as it should.

    Raises:
        MalformedArtifactError: It is cut short, damaged, goes on behind its end, or is no such archive.
        UnsafeEntryError: It holds a link, a device or something else that is neither file nor folder.
        ArtifactLimitError: A path is too long to be one.

    """
    offset = 0
    long_path: str | None = None
    begun = 0
    while True:
        stream.seek(offset)
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise malformed("cut", f"{what} is cut short")
        if not any(block):
            break
        name, kind, length = _fields(block, what)
        after = offset + BLOCK + length + -length % BLOCK
        if after > size:
            raise malformed(
                "cut", f"{what} is cut short: `{shown(long_path or name)}` is said to be {length:,} bytes"
            )
        if kind == "extended":
            if long_path is not None or length > min(_EXTENDED_BYTES, bounds.path + BLOCK):
                raise over(f"an extended header in {what}", bounds.path, "path-length")
            long_path = _extended_path(stream.read(length), what)
        else:
            path = (long_path or name).removesuffix("/") if kind == "folder" else long_path or name
            end = offset + BLOCK
            stream.seek(begun)
            yield Member(path, kind == "folder", length, end, stream.read(end - begun))
            long_path = None
            begun = after
        offset = after
    _check_end(stream, offset, size, what)
    if long_path is not None:
        raise malformed("cut", f"{what} ends after an extended header")


def _block(name: bytes, size: int, kind: bytes, mode: int) -> bytes:
    """One header block with its checksum."""
    head = name.ljust(_NAME, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, 0)
    tail = (kind + bytes(_NAME) + b"ustar\x0000" + bytes(64) + b"%07o\0%07o\0" % (0, 0)).ljust(
        BLOCK - 156, b"\0"
    )
    checksum = sum(head) + sum(tail) + 8 * ord(" ")
    return head + b"%06o\0 " % checksum + tail


def _record(key: bytes, value: bytes) -> bytes:
    """A record of an extended header: its length, which counts itself, then ``key=value``."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _fields(block: bytes, what: str) -> tuple[str, str, int]:
    """Name, kind and size of what a header block describes."""
    if sum(block[:148]) + sum(block[156:]) + 8 * ord(" ") != _octal(block[148:156], what):
        raise malformed("damaged", f"{what} is no tar archive, or damaged")
    if block[257:262] != b"ustar":
        raise malformed("no-ustar", f"{what} is a tar archive of a form before 1988")
    try:
        name = block[:_NAME].rstrip(b"\0").decode()
        above = block[345:500].rstrip(b"\0").decode() if block[257:265] == b"ustar\x0000" else ""
    except UnicodeDecodeError as error:
        raise unsafe("not-unicode", f"{what} holds a path that is no UTF-8") from error
    if above:
        name = f"{above}/{name}"
    kind = block[156:157]
    if kind not in _KINDS:
        reason, said = _REFUSED.get(kind, ("unknown-entry", f"something of the kind {kind!r}"))
        raise unsafe(reason, f"{what} holds {said}: `{shown(name)}`")
    size = _octal(block[124:136], what)
    if _KINDS[kind] == "folder" and size:
        raise malformed("folder-with-bytes", f"{what} holds a folder with bytes: `{shown(name)}`")
    return name, _KINDS[kind], size


def _octal(field: bytes, what: str) -> int:
    digits = field.rstrip(b"\0 ").lstrip(b" ")
    # Binary numbers, which some write beyond 8 GiB, begin with a set bit and are no digits.
    if not digits or not all(0x30 <= digit <= 0x37 for digit in digits):  # noqa: PLR2004 - `0` to `7`
        raise malformed("damaged", f"{what} holds a number that is none")
    return int(digits, 8)


def _extended_path(data: bytes, what: str) -> str:
    """The path in an extended header; other records, such as times, are passed over, a size is refused."""
    path: str | None = None
    at = 0
    while at < len(data):
        length, space, _ = data[at : at + 8].partition(b" ")
        if not space or not length.isdigit() or not len(length) + 3 < int(length) <= len(data) - at:
            raise malformed("damaged", f"{what} holds an extended header that is damaged")
        record = data[at + len(length) + 1 : at + int(length)]
        key, equals, value = record[:-1].partition(b"=")
        if record[-1:] != b"\n" or not equals or (key == b"path" and path is not None):
            raise malformed("damaged", f"{what} holds an extended header that is damaged")
        if key in {b"size", b"linkpath"} or key.startswith(b"GNU.sparse"):
            raise unsafe(
                "unknown-entry", f"{what} holds an extended header with `{key.decode('ascii', 'replace')}`"
            )
        if key == b"path":
            try:
                path = value.decode()
            except UnicodeDecodeError as error:
                raise unsafe("not-unicode", f"{what} holds a path that is no UTF-8") from error
        at += int(length)
    return path or ""


def _check_end(stream: BinaryIO, offset: int, size: int, what: str) -> None:
    """Two empty blocks, and as many more as there are: writers fill up to whole records."""
    stream.seek(offset)
    seen = 0
    while piece := stream.read(1 << 16):
        if any(piece):
            raise malformed("trailing-data", f"{what} goes on behind its end")
        seen += len(piece)
    if seen < len(END) or offset + seen != size:
        raise malformed("cut", f"{what} is cut short")
