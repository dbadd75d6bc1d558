"""What is generated from interfaces, written where the user's editor finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.build.languages import Job

__all__ = ["write_bindings", "write_changed"]


def write_bindings(job: Job, files: dict[str, bytes]) -> list[Path]:
    """Writes generated files into the folder for them, where nothing else stays: their paths, in order."""
    written = [job.bindings / name for name in sorted(files)]
    for path in written:
        write_changed(path, files[str(path.relative_to(job.bindings))])
    for path in [path for path in job.bindings.rglob("*") if path.is_file() and path not in written]:
        path.unlink()
    return written


def write_changed(path: Path, data: bytes) -> None:
    """Writes a file unless it is so already: compilers go by its time."""
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
