"""What packages want of one another, and what there is to choose from: the records of ``resolve``.

They are apart from it, as most runs of a package need nothing else of it, and start-up time is a feature.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.artifact.manifest import Dependency, Manifest

__all__ = ["Chosen", "Packages", "Resolved", "Wanted", "wants"]


@dataclass(frozen=True)
class Chosen:
    """A package that was chosen: one that is packed has a digest, a project has a folder instead."""

    name: str
    version: str
    digest: str | None = None
    folder: Path | None = None

    @property
    def reference(self) -> str:
        """The name that people use."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Resolved:
    """A package, and those that it uses with all that these use, by name."""

    package: Chosen
    uses: tuple[Chosen, ...]

    def of(self, name: str) -> Chosen:
        """The package of a name."""
        return next(one for one in self.uses if one.name == name)


class Packages(Protocol):
    """What there is to choose from."""

    def names(self) -> list[str]:
        """The names of all packages."""
        ...

    def named(self, name: str) -> Iterable[Chosen]:
        """The packages of a name, one for each version."""
        ...

    def with_digest(self, digest: str) -> Iterable[Chosen]:
        """The package of a digest, if there is one, whether or not its name leads to it."""
        ...

    def manifest(self, digest: str) -> Manifest:
        """What the package of a digest says of itself."""
        ...


@dataclass(frozen=True)
class Wanted:
    """One line of ``[dependencies]``: ``by`` wants a package of this name that fits.

    ``itself`` is what a chosen package wants of itself. ``nowhere`` is one in a folder that only the author
    of a packed package has.
    """

    name: str
    by: Chosen | None = None
    version: str | None = None
    digest: str | None = None
    folder: Path | None = None
    said: str = ""
    itself: Chosen | None = None
    nowhere: bool = False

    def fits(self, package: Chosen) -> bool:
        """Whether a package of the name is what is wanted."""
        if self.itself is not None:
            return package == self.itself
        if self.nowhere or (self.folder is not None and package.folder != self.folder):
            return False
        if self.digest is not None and self.folder is None and package.digest != self.digest:
            return False
        return self.version is None or _covers(self.version, package.version)


def wants(package: Chosen, manifest: Manifest) -> tuple[Wanted, ...]:
    """What a package wants, which ``manifest`` is of."""
    return tuple(_wanted(package, name, said) for name, said in manifest.uses())


def _wanted(by: Chosen, name: str, said: Dependency) -> Wanted:
    """A line of ``[dependencies]``; a folder counts for a project only, and instead of a digest."""
    if said.path is not None and by.folder is not None:
        folder = Path(os.path.realpath(by.folder / said.path))
        words = f"in `{said.path}`" if said.version is None else f"{said.version} in `{said.path}`"
        return Wanted(name, by, said.version, folder=folder, said=words)
    if said.version is None and said.digest is None:
        return Wanted(name, by, said="in a folder that only its author has", nowhere=True)
    words = " ".join(one for one in (said.version, said.digest and f"{said.digest[:19]}…") if one)
    return Wanted(name, by, said.version, said.digest, said=words)


@functools.lru_cache(10_000)
def _covers(requirement: str, version: str) -> bool:
    """Whether a requirement covers a version; one before a release only where the requirement has one too."""
    from semantic_version.base import SimpleSpec, Version

    spec: Any = SimpleSpec(requirement)
    found = Version(version)
    asked = any("-" in clause.partition("+")[0] for clause in requirement.split(","))
    return bool(spec.match(found)) and (asked or not found.prerelease)
