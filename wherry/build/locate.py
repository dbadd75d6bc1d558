"""Where a project is, and what is built in it: apart from what reads it, which takes longer to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

__all__ = ["MANIFEST", "OUTPUT", "find_project"]

MANIFEST = "wherry.toml"
"""The file that makes a folder a project."""

OUTPUT = "build"
"""The folder of what is built, in the project."""


def find_project(start: str | os.PathLike[str]) -> Path:
    """The folder with a ``wherry.toml``: ``start`` as it was said, or the nearest above it."""
    above = Path(start).absolute().parents
    return next((one for one in (Path(start), *above) if (one / MANIFEST).is_file()), Path(start))
