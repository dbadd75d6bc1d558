"""Formatters that work on files: sources are put into a folder for them, and taken out as they leave them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.bind.languages import Files

__all__ = ["formatted"]


def formatted(files: Files, sources: Sequence[str], run: Callable[[Path], None]) -> Files:
    """The files, with these ``sources`` among them as ``run`` has left them in a folder."""
    with tempfile.TemporaryDirectory(prefix="wherry-bind-") as name:
        folder = Path(name)
        for path in sources:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(files[path])
        run(folder)
        return {**files, **{path: (folder / path).read_bytes() for path in sources}}
