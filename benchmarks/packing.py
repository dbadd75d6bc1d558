"""Packing and unpacking many files, against ``tar`` with zstd."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Timing, calls
from tests.guests.build import binary, text
from wherry.artifact.layout import LayoutFolder
from wherry.artifact.pack import pack
from wherry.artifact.read import read_artifact
from wherry.artifact.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pack_and_unpack"]

FILES = 2000
BYTES = 15_000
MANIFEST = """[package]
name = "acme/files"
version = "1.0.0"

[library]
component = "add.wasm"

[files]
"/data" = "data"
"""


def pack_and_unpack() -> Timing:
    """30 MB of words in 2,000 files into blobs, and out of them again, on the disk."""
    tar = shutil.which("tar") or "tar"
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        project = _project(Path(folder))
        numbers = itertools.count()

        def ours() -> None:
            place = _fresh(Path(folder), numbers)
            layout = LayoutFolder.create(place / "packed")
            unpack(read_artifact(layout, pack(project, layout)), layout, place / "unpacked")

        def theirs() -> None:
            place = _fresh(Path(folder), numbers)
            (place / "unpacked").mkdir()
            packed = place / "packed.tar.zst"
            subprocess.run([tar, "--zstd", "-cf", packed, "-C", project, "."], check=True)
            subprocess.run([tar, "--zstd", "-xf", packed, "-C", place / "unpacked"], check=True)

        return calls(ours, theirs)


def _project(folder: Path) -> Path:
    source = random.Random(1)  # noqa: S311 - the point is that it can be repeated
    words = [bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz ", k=8)) for _ in range(2000)]
    project = folder / "project"
    for number in range(FILES):
        file = project / "data" / f"folder-{number % 40}" / f"file-{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(source.choices(words, k=BYTES // 8)))
    (project / "wherry.toml").write_text(MANIFEST)
    shutil.copyfile(binary(text("add")), project / "add.wasm")
    return project


def _fresh(folder: Path, numbers: Iterator[int]) -> Path:
    """A folder of its own for one round; all go at the end, which is nobody's time."""
    place = folder / f"round-{next(numbers)}"
    place.mkdir()
    return place
