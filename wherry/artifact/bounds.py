"""How much of anything is accepted from somebody's package: one table, checked while bytes stream in.

The bounds are far above what packages need and far below what hurts. Tests set smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOUNDS", "Bounds"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """The most of each; sizes in bytes.

    ``document`` is for one document of JSON, ``depth`` for its nesting. ``layers`` counts those of one
    artifact and ``manifests`` those of one index. ``annotations`` counts them, ``annotation`` is for one
    value. ``component`` is for one component. ``entries`` counts files and folders, ``file`` is for one of
    them and ``files`` for all; ``path`` is for a whole path in UTF-8, ``segment`` for one name in it,
    ``folders`` counts names in a path. ``archive_entries`` counts those of an archive that holds whole
    artifacts.
    """

    document: int = 4 * _MIB
    depth: int = 32
    layers: int = 500
    manifests: int = 10_000
    annotations: int = 256
    annotation: int = _MIB
    component: int = 1024 * _MIB
    entries: int = 200_000
    file: int = 2048 * _MIB
    files: int = 8192 * _MIB
    path: int = 1024
    segment: int = 255
    folders: int = 64
    archive_entries: int = 100_000


BOUNDS = Bounds()
"""Those that hold unless others are given."""
