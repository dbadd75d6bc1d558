"""What is generated from interfaces, written where the user's editor finds it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from wherry import _native

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.build.languages import Job

__all__ = ["with_wasi", "write_bindings", "write_changed"]


def write_bindings(job: Job, files: dict[str, bytes]) -> list[Path]:
    """Writes generated files into the folder for them, where nothing else stays: their paths, in order."""
    written = [job.bindings / name for name in sorted(files)]
    for path in written:
        write_changed(path, files[str(path.relative_to(job.bindings))])
    for path in [path for path in job.bindings.rglob("*") if path.is_file() and path not in written]:
        path.unlink()
    return written


def with_wasi(job: Job) -> Path:
    """The interfaces of a target for tools that have no WASI of their own: with it beside, if it is used.

    A project that has a copy of WASI among its own files keeps to that.
    """
    wit = job.target.interfaces
    assert wit is not None  # noqa: S101 - asked for where there are some
    files = [wit] if wit.is_file() else sorted(wit.rglob("*.wit"))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    if not any("wasi:" in text for text in texts.values()):
        return wit
    if any(re.search(r"^\s*package\s+wasi:", text, re.MULTILINE) for text in texts.values()):
        return wit
    folder = job.work / "wit"
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in texts.items():
        write_changed(folder / (path.name if wit.is_file() else path.relative_to(wit)), text.encode())
    for name, text in _native.wasi_interfaces().items():
        write_changed(folder / "deps" / name, text.encode())
    return folder


def write_changed(path: Path, data: bytes) -> None:
    """Writes a file unless it is so already: compilers go by its time."""
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
