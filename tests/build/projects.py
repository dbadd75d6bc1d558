"""Projects for tests: what ``wherry new`` makes, with tools that stay between runs of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.build.languages import LANGUAGES
from wherry.build.new import new_project

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

__all__ = ["SLOW", "TEMPLATED", "make"]

SLOW: frozenset[tuple[Language, Kind]] = frozenset(
    {
        ("assemblyscript", "command"),
        ("assemblyscript", "library"),
        ("cpp", "library"),
        ("javascript", "command"),
        ("javascript", "http"),
        ("python", "command"),
        ("python", "http"),
        ("python", "library"),
        ("rust", "http"),
        ("rust", "library"),
        ("typescript", "command"),
        ("typescript", "http"),
    }
)
"""What takes long, or is much like another: tested by ``make test-slow``."""

TEMPLATED: list[tuple[Language, Kind]] = [
    (language, kind) for language, row in LANGUAGES.items() for kind in row.kinds
]


def make(folder: Path, language: Language, kind: Kind, name: str = "greeter") -> Path:
    """A new project in a folder."""
    return new_project(f"acme/{name}", language, kind, folder / name)
