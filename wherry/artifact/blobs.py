"""Bytes under the name of their digest: what gives them out, what takes them in, and how they are checked.

A ``Source`` gives out and a ``Sink`` takes in; an OCI layout is both, and so is the store. Bytes are never
believed: ``verified`` checks size and digest while they stream, and ends with an error before it has given
out one byte more than was promised.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO, Protocol

from wherry.artifact.refusals import differs, malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wherry.artifact.oci import Descriptor
    from wherry.errors import MalformedArtifactError

__all__ = [
    "CHUNK",
    "MemoryBlobs",
    "Sink",
    "Source",
    "check_blob",
    "chunks",
    "copy",
    "digest_of",
    "missing",
    "read_blob",
    "verified",
]

CHUNK = 1 << 20
"""How many bytes are held at a time."""


class Source(Protocol):
    """Gives out bytes by their digest."""

    def open(self, digest: str) -> BinaryIO:
        """The bytes of ``digest``, not yet checked; seekable, and to be closed.

        Raises:
            MalformedArtifactError: They are not here; ``reason`` is ``missing-blob``.

        """
        ...


class Sink(Protocol):
    """Takes in bytes and says their digest."""

    def add(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Takes in the bytes, whole or, when ``pieces`` raises, not at all: their digest and size."""
        ...


class MemoryBlobs:
    """Bytes in memory: a source and a sink."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def open(self, digest: str) -> BinaryIO:
        """The bytes of ``digest``."""
        if digest not in self.blobs:
            raise missing(digest)
        return io.BytesIO(self.blobs[digest])

    def add(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Takes in the bytes: their digest and size."""
        data = b"".join(pieces)
        digest = digest_of(data)
        self.blobs[digest] = data
        return digest, len(data)


def digest_of(data: bytes) -> str:
    """The digest of bytes, as ``sha256:`` and hexadecimal."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """What a stream holds, in pieces."""
    while piece := stream.read(CHUNK):
        yield piece


def verified(pieces: Iterable[bytes], descriptor: Descriptor) -> Iterator[bytes]:
    """The same pieces, as long as they are what ``descriptor`` names.

    Raises:
        DigestError: They are more or fewer than promised (``wrong-size``), or others (``wrong-digest``).

    """
    state = hashlib.sha256()
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > descriptor.size:
            raise differs(
                "wrong-size",
                f"`{descriptor.digest}` is more than the {descriptor.size:,} bytes it is said to be",
            )
        state.update(piece)
        yield piece
    if size != descriptor.size:
        message = f"`{descriptor.digest}` is {size:,} bytes, and said to be {descriptor.size:,}"
        raise differs("wrong-size", message)
    if f"sha256:{state.hexdigest()}" != descriptor.digest:
        raise differs("wrong-digest", f"`{descriptor.digest}` has the digest `sha256:{state.hexdigest()}`")


def read_blob(source: Source, descriptor: Descriptor) -> bytes:
    """The bytes that ``descriptor`` names, checked. Its size is to be checked against a bound before.

    Raises:
        MalformedArtifactError: They are not in ``source``.
        DigestError: They are others.

    """
    with source.open(descriptor.digest) as stream:
        return b"".join(verified(chunks(stream), descriptor))


def check_blob(source: Source, descriptor: Descriptor) -> None:
    """Reads the bytes that ``descriptor`` names, and keeps none of them.

    Raises:
        MalformedArtifactError: They are not in ``source``.
        DigestError: They are others.

    """
    with source.open(descriptor.digest) as stream:
        for _ in verified(chunks(stream), descriptor):
            pass


def copy(source: Source, sink: Sink, descriptor: Descriptor) -> None:
    """Takes the bytes that ``descriptor`` names from one to the other, and checks them on the way.

    Raises:
        MalformedArtifactError: They are not in ``source``.
        DigestError: They are others; nothing of them is in ``sink`` then.

    """
    with source.open(descriptor.digest) as stream:
        sink.add(verified(chunks(stream), descriptor))


def missing(digest: str) -> MalformedArtifactError:
    """The error for bytes that are not there."""
    return malformed("missing-blob", f"`{digest}` is not there")
