"""What there is to build in a project: its language, its sources, and what comes out where.

``read_project`` reads ``wherry.toml`` and finds out what that leaves open. A ``Target`` is one component:
places of the package that have the same source, in one language, and are of the same kind share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from wherry.artifact.manifest import Build, Command, Http
from wherry.artifact.paths import on_disk
from wherry.artifact.reading import read_manifest
from wherry.build.languages import LANGUAGES, find_language
from wherry.build.locate import OUTPUT
from wherry.errors import BuildError

if TYPE_CHECKING:
    import os

    from wherry.artifact.manifest import Language, Library, Manifest

__all__ = ["HTTP", "Kind", "Project", "Target", "read_project"]

Kind: TypeAlias = Literal["command", "library", "http"]
"""What a component is built for: a program, functions that others call, an application that answers HTTP."""

HTTP = Path(__file__).with_name("guest") / "http.wit"
"""The world of applications, whatever their language."""


@dataclass(frozen=True)
class Target:
    """One component that is built, and all that decides what comes out.

    ``name`` is that of the file. ``source`` is a file or folder, ``wit`` the interfaces of the user's own,
    which only libraries have; both are absolute.
    """

    name: str
    places: tuple[str, ...]
    kind: Kind
    language: Language
    source: Path
    optimise: Literal["size", "speed"]
    wit: Path | None
    world: str | None

    @property
    def interfaces(self) -> Path | None:
        """What it is built for: the user's interfaces, those of ``wasi:http``, or none that are said."""
        return HTTP if self.kind == "http" else self.wit


@dataclass(frozen=True)
class Project:
    """A folder with its manifest, and what is built in it.

    ``ready`` are components that are not built: ``wherry.toml`` says where they are.
    """

    folder: Path
    manifest: Manifest
    targets: tuple[Target, ...]
    ready: dict[str, Path]

    def output(self, target: Target) -> Path:
        """Where the component of a target is."""
        return self.folder / OUTPUT / f"{target.name}.wasm"

    def components(self) -> dict[str, Path]:
        """The component of each place, built or not."""
        built = {place: self.output(target) for target in self.targets for place in target.places}
        return {place: {**built, **self.ready}[place] for place, _ in self.manifest.places()}


def read_project(folder: str | os.PathLike[str]) -> Project:
    """The project in a folder.

    Raises:
        NotFoundError: There is no ``wherry.toml``.
        ManifestError: It is wrong.
        BuildError: The language or the source cannot be found, or is not there.

    """
    manifest = read_manifest(folder)
    path = Path(folder).absolute()
    build = manifest.build or Build()
    targets: dict[tuple[Kind, Language, Path], Target] = {}
    ready = {}
    for place, wanted in manifest.places():
        if wanted.component is not None:
            ready[place] = Path(folder) / on_disk(wanted.component)
            continue
        kind = _kind(wanted)
        said = wanted.source or build.source
        language = wanted.language or build.language or find_language(path, said)
        _check_kind(language, kind)
        source = path / said if said is not None else path / LANGUAGES[language].default_source(path)
        if not source.exists():
            raise BuildError(f"`{source}`: no such file or directory, where the source should be")
        found = targets.get((kind, language, source))
        targets[kind, language, source] = Target(
            name=found.name if found else _name(place, manifest),
            places=(*(found.places if found else ()), place),
            kind=kind,
            language=language,
            source=source,
            optimise=build.optimise or "size",
            wit=_interfaces(path, build.wit) if kind == "library" else None,
            world=build.world if kind == "library" else None,
        )
    return Project(Path(folder), manifest, tuple(targets.values()), ready)


def _kind(wanted: Command | Library | Http) -> Kind:
    """What the component of a place is built for."""
    if isinstance(wanted, Command):
        return "command"
    return "http" if isinstance(wanted, Http) else "library"


def _check_kind(language: Language, kind: Kind) -> None:
    """Whether the language has components of this kind."""
    if kind not in LANGUAGES[language].kinds:
        able = ", ".join(f"`{name}`" for name, one in LANGUAGES.items() if kind in one.kinds)
        raise BuildError(
            f"`[{kind}]` is not built from {LANGUAGES[language].title} yet",
            hint=f"these languages have it: {able}; `component` takes what something else has built",
        )


def _name(place: str, manifest: Manifest) -> str:
    """The name of the file for a place: that of the command, or of the package for the rest."""
    if place.startswith("command."):
        return place.removeprefix("command.")
    name = manifest.package.name.rpartition("/")[2]
    others = [other for other, _ in manifest.places() if other != place]
    return f"{name}.{place}" if {f"command.{name}", "library"} & {*others} else name


def _interfaces(folder: Path, said: str | None) -> Path:
    """The interfaces of a library."""
    path = folder / (said or "wit")
    if not path.exists():
        raise BuildError(
            f"`{path}`: no such file or directory, where the interfaces of the library should be",
            hint="`wherry new NAME --kind library` shows one; `wit` in `[build]` names another place",
        )
    return path
