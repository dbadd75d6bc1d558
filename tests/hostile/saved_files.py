"""Saved files that somebody hostile wrote: put together by hand, or changed as chance has it."""

from __future__ import annotations

import io
import json
import random
import tarfile
from typing import Any

from tests.artifact.projects import Made
from wherry.artifact.blobs import digest_of
from wherry.artifact.headers import BLOCK, END, header, padding

__all__ = ["Mutator", "laid_out", "member"]

VERSION = b'{"imageLayoutVersion":"1.0.0"}'
_FIELDS = [(0, 12), (100, 8), (124, 12), (136, 12), (156, 1), (157, 12), (345, 12)]
"""Where fields of headers are: name, rights, size, time, kind, link, and what comes before the name."""
_VALUES: list[Any] = [None, [], {}, -1, 1 << 60, 1.5, "", "../x", "\ud800", "\x1b[2J"]


def laid_out(made: Made, *descriptors: dict[str, Any], more: bytes = b"") -> bytes:
    """A layout with these artifacts; ``more`` are members that come last."""
    index = {"schemaVersion": 2, "manifests": list(descriptors)}
    parts = [member("oci-layout", VERSION), member("index.json", json.dumps(index).encode())]
    parts += [member(f"blobs/sha256/{digest[7:]}", data) for digest, data in made.blobs.items()]
    return b"".join(parts) + more + END


def member(name: str, data: bytes, /, **changed: bytes) -> bytes:
    """A file in an archive, with fields of its header written over, and a checksum that is right again."""
    block = bytearray(header(name, len(data)))
    places = {"name": (0, 100), "size": (124, 12), "kind": (156, 1), "link": (157, 100)}
    for field, value in changed.items():
        at, width = places[field]
        block[at : at + width] = value.ljust(width, b"\0")
    return signed(block) + data + padding(len(data))


def signed(block: bytearray) -> bytes:
    """A header with its checksum."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class Mutator:
    """Changes a saved file: somewhere in its bytes, or deep inside, with all digests right again."""

    def __init__(self, seed: int, data: bytes) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - the point is that it can be repeated
        self.data = data
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            self.blobs = {
                info.name.rpartition("/")[2]: opened.extractfile(info).read()  # type: ignore[union-attr]
                for info in opened
                if info.isfile() and info.name.startswith("blobs/")
            }
            index = json.load(opened.extractfile("index.json"))  # type: ignore[arg-type]
        self.artifact: dict[str, Any] = index["manifests"][0]

    def next(self) -> bytes:
        """Another file."""
        return self._on_the_outside(self.data) if self.chance.random() < 0.4 else self._inside()

    def _on_the_outside(self, data: bytes) -> bytes:
        """Blocks and bytes changed, moved, doubled or gone; headers mostly with a checksum that is right."""
        changed = bytearray(data)
        blocks = len(changed) // BLOCK
        at, other = (self.chance.randrange(blocks) * BLOCK for _ in range(2))
        match self.chance.randrange(7):
            case 0:
                changed[self.chance.randrange(len(changed))] = self.chance.randrange(256)
            case 1:
                del changed[at : at + BLOCK * self.chance.randrange(1, 4)]
            case 2:
                changed[at:at] = changed[other : other + BLOCK * self.chance.randrange(1, 4)]
            case 3:
                changed[at : at + BLOCK] = changed[other : other + BLOCK]
            case 4:
                del changed[self.chance.randrange(len(changed)) :]
            case 5:
                changed += self.chance.randbytes(self.chance.choice([1, BLOCK, 3000]))
            case _:
                self._in_a_header(changed)
        return bytes(changed)

    def _in_a_header(self, changed: bytearray) -> None:
        heads = [
            at for at in range(0, len(changed) - BLOCK, BLOCK) if changed[at + 257 : at + 262] == b"ustar"
        ]
        if heads:
            at = self.chance.choice(heads)
            field, width = self.chance.choice(_FIELDS)
            byte = at + field + self.chance.randrange(width)
            changed[byte] = self.chance.choice(b"\0\x01\x80\xff./\\0157xgLKS \n:~")
            changed[at : at + BLOCK] = signed(changed[at : at + BLOCK])

    def _inside(self) -> bytes:
        """One blob is another, and whatever names it says so."""
        names = list(self.blobs)
        old = self.chance.choice(names)
        data = self.blobs[old]
        if data.startswith(b"{"):
            new = self._document(data)
        else:
            new = (
                self._on_the_outside(data)
                if len(data) >= 2 * BLOCK
                else data[: self.chance.randrange(len(data))]
            )
        blobs = dict(self.blobs)
        artifact = dict(self.artifact)
        self._rename(blobs, artifact, old, new)
        made = Made()
        made.blobs = {f"sha256:{name}": found for name, found in blobs.items()}
        return laid_out(made, artifact)

    def _rename(self, blobs: dict[str, bytes], artifact: dict[str, Any], old: str, new: bytes) -> None:
        """Puts bytes in the place of others, in all documents that speak of them."""
        name = digest_of(new)[7:]
        size = len(blobs.pop(old))
        blobs[name] = new
        if artifact["digest"] == f"sha256:{old}":
            artifact |= {"digest": f"sha256:{name}", "size": len(new)}
            return
        for other, data in list(blobs.items()):
            if data.startswith(b"{") and old.encode() in data:
                said = data.replace(old.encode(), name.encode())
                said = said.replace(f'"size":{size}'.encode(), f'"size":{len(new)}'.encode())
                self._rename(blobs, artifact, other, said)

    def _document(self, data: bytes) -> bytes:
        """JSON with a value that is another, a member that is gone, or a byte that is wrong."""
        if self.chance.random() < 0.3:
            return self._bytes(data)
        document = json.loads(data)
        where: Any = document
        while True:
            key: Any = self.chance.choice(list(where) if isinstance(where, dict) else range(len(where)))
            if not isinstance(where[key], dict | list) or not where[key] or self.chance.random() < 0.2:
                break
            where = where[key]
        if self.chance.random() < 0.2:
            del where[key]
        else:
            where[key] = self.chance.choice([*_VALUES, where])
        try:
            return json.dumps(document).encode()
        except ValueError:  # it would hold itself
            return b"{}"

    def _bytes(self, data: bytes) -> bytes:
        changed = bytearray(data)
        changed[self.chance.randrange(len(changed))] = self.chance.randrange(256)
        return bytes(changed)
