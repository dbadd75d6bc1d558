"""Packages as they are run, wherever they are: their components and files on the disk.

A ``RunnableProject`` is built when a component of it is wanted. A ``RunnablePackage`` is packed, and lies in
the store (``StoreShelf``) or in a file (``FileShelf``), whose packages are unpacked into the user's cache,
each once, under its digest. What a file does not bring along comes from the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wherry.artifact.manifest import FilesFrom
from wherry.artifact.paths import on_disk
from wherry.artifact.unpack import FILES
from wherry.build.builder import build
from wherry.build.project import read_project
from wherry.errors import HostIOError
from wherry.store import unpacked
from wherry.store.dependencies import StorePackages
from wherry.store.wanted import Chosen, Packages

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from wherry.artifact.blobs import Source
    from wherry.artifact.manifest import Manifest
    from wherry.artifact.read import Artifact, Component
    from wherry.build.tools import Progress

__all__ = ["FileShelf", "Runnable", "RunnablePackage", "RunnableProject", "Shelf", "StoreShelf"]


class Runnable(Protocol):
    """One package that can be run; ``subject`` is what people agree about."""

    @property
    def manifest(self) -> Manifest | None:
        """What it says of itself; a package of another tool says nothing."""
        ...

    @property
    def subject(self) -> str:
        """A digest, or the folder of a project."""
        ...

    def component(self, place: str | None) -> Path:
        """The component of a place; without one the first."""
        ...

    def files(self) -> list[tuple[Path, str]]:
        """Its files and folders, each with its path in the guest."""
        ...


class Shelf(Packages, Protocol):
    """Packages to choose from, and to run."""

    def runnable(self, digest: str) -> Runnable:
        """The package of a digest."""
        ...


class RunnableProject:
    """The project in a folder."""

    def __init__(self, folder: str | os.PathLike[str], progress: Progress, *, colour: bool = False) -> None:
        self._project = read_project(folder)
        self._progress = progress
        self._colour = colour
        self.manifest: Manifest = self._project.manifest
        self.subject = f"folder {self._project.folder.absolute()}"

    def component(self, place: str | None) -> Path:
        """The component of a place, built if need be."""
        build(self._project.folder, progress=self._progress, colour=self._colour)
        components = self._project.components()
        return components[place] if place is not None else next(iter(components.values()))

    def files(self) -> list[tuple[Path, str]]:
        """The files where the project has them."""
        found = []
        for guest, wanted in self.manifest.files.items():
            source = wanted if isinstance(wanted, FilesFrom) else FilesFrom(path=wanted)
            found.append((self._project.folder / on_disk(source.path), guest))
        return found


class RunnablePackage:
    """A package that is packed; ``code`` finds one of its components on the disk, ``tree`` its files."""

    def __init__(
        self, artifact: Artifact, code: Callable[[Component], Path], tree: Callable[[], Path]
    ) -> None:
        self._artifact = artifact
        self._code = code
        self._tree = tree
        self.manifest = artifact.manifest
        self.subject = artifact.digest

    def component(self, place: str | None) -> Path:
        """The component of a place."""
        found = self._artifact.at(place) if place is not None else None
        return self._code(found or self._artifact.components[0])

    def files(self) -> list[tuple[Path, str]]:
        """The files, unpacked."""
        if self.manifest is None or not self.manifest.files:
            return []
        folder = self._tree()
        return [(folder / on_disk(guest.strip("/")), guest) for guest in self.manifest.files]


class StoreShelf(StorePackages):
    """The packages in the store."""

    def runnable(self, digest: str) -> Runnable:
        """The package of a digest."""
        artifact = self.artifact(digest)
        return RunnablePackage(
            artifact,
            lambda component: self.store.blob(component.descriptor.digest),
            lambda: self._files(artifact),
        )

    def _files(self, artifact: Artifact) -> Path:
        """Its files in the store, or in the cache where the store can only be read."""
        try:
            return self.store.files(artifact)
        except HostIOError:
            return unpacked.provide(artifact, self.store.source) / FILES


class FileShelf:
    """The packages in one file, and of all names that none of them has those of the store."""

    def __init__(self, source: Source, artifacts: Iterable[Artifact], store: StoreShelf) -> None:
        self._source = source
        self._artifacts = {artifact.digest: artifact for artifact in artifacts}
        self._store = store

    def names(self) -> list[str]:
        """All names."""
        return sorted({*self._store.names(), *(one.name for one in map(chosen, self._named()))})

    def named(self, name: str) -> list[Chosen]:
        """The packages of a name: if the file has any, these."""
        here = [one for one in map(chosen, self._named()) if one.name == name]
        return here or self._store.named(name)

    def with_digest(self, digest: str) -> list[Chosen]:
        """The package of a digest."""
        here = [chosen(one) for one in self._named() if one.digest == digest]
        return here or self._store.with_digest(digest)

    def manifest(self, digest: str) -> Manifest:
        """What a package says of itself."""
        artifact = self._artifacts.get(digest)
        if artifact is None or artifact.manifest is None:
            return self._store.manifest(digest)
        return artifact.manifest

    def runnable(self, digest: str) -> Runnable:
        """The package of a digest."""
        artifact = self._artifacts.get(digest)
        if artifact is None:
            return self._store.runnable(digest)

        def code(component: Component) -> Path:
            number = artifact.components.index(component) + 1
            return unpacked.provide(artifact, self._source) / f"component-{number}.wasm"

        return RunnablePackage(artifact, code, lambda: unpacked.provide(artifact, self._source) / FILES)

    def _named(self) -> list[Artifact]:
        return [one for one in self._artifacts.values() if one.manifest is not None]


def chosen(artifact: Artifact) -> Chosen:
    """A package that says its name, as one to choose."""
    package = artifact.manifest.package if artifact.manifest is not None else None
    return Chosen(
        package.name if package is not None else "",
        package.version if package is not None else "",
        artifact.digest,
    )
