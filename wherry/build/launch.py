"""From a project or package to what is run: ``wherry run .``, ``run thumbs.oci.tar`` and ``run acme/thumbs``.

``launch_project`` builds what has changed, ``launch_file`` checks a packed file and unpacks it once into the
user's cache, under its digest, and ``launch_package`` finds one in the store; ``launch`` takes the text that
names any of them. Each says which component runs, with which files and arguments, and what the package asks
for, which grants nothing.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.artifact.layout import LayoutArchive
from wherry.artifact.manifest import FilesFrom
from wherry.artifact.paths import on_disk
from wherry.artifact.read import read_artifact
from wherry.artifact.unpack import FILES
from wherry.build.builder import build
from wherry.build.project import read_project
from wherry.errors import NotFoundError, UsageError
from wherry.store import unpacked
from wherry.store.location import is_path
from wherry.store.references import read_reference

if TYPE_CHECKING:
    from wherry.artifact.manifest import Manifest
    from wherry.build.project import Project
    from wherry.build.tools import Progress
    from wherry.store.local import LocalStore
    from wherry.store.references import Reference

__all__ = ["Launch", "launch", "launch_built", "launch_file", "launch_package", "launch_project"]


@dataclass(frozen=True)
class Launch:
    """What is run: the component, flags that go before it, arguments that come before those of the user.

    ``name`` is what the guest is told that it is called. ``subject`` is what people agree about, a digest or
    the folder of a project, and ``manifest`` says what it asks for; a package of another tool has none.
    """

    component: Path
    name: str
    subject: str
    manifest: Manifest | None = None
    flags: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


def launch(
    store: LocalStore, target: str, progress: Progress, *, calls: bool, colour: bool = False
) -> Launch:
    """Finds what a text names: the folder of a project, a packed file, or a package in the store.

    Raises:
        NotFoundError: There is no such thing; where a file has the name of a package, the hint says so.
        UsageError, BuildError, ArtifactError: As for the three ways below.

    """
    if is_path(target):
        path, _, command = target.partition("#")
        if Path(path).is_dir():
            return launch_project(path, command or None, progress, calls=calls, colour=colour)
        return launch_file(Path(path), command or None, calls=calls)
    try:
        return launch_package(store, read_reference(target), calls=calls)
    except (NotFoundError, UsageError) as error:
        if not os.path.lexists(target):
            raise
        raise type(error)(error.message, hint=f"`./{target}` is the file of that name") from error


def launch_project(
    folder: str | os.PathLike[str],
    command: str | None,
    progress: Progress,
    *,
    calls: bool,
    colour: bool = False,
) -> Launch:
    """Builds the project in a folder: its command, or its library if a function is called.

    Raises:
        UsageError: There is no such command, or there are several and none was named.
        BuildError: It does not build.

    """
    build(folder, progress=progress, colour=colour)
    project = read_project(folder)
    return launch_built(project, _choose(project.manifest, command, str(folder), calls=calls))


def launch_built(project: Project, place: str) -> Launch:
    """What is built in a project already: the component of a place, with the files of the project."""
    folder = project.folder.absolute()
    files = []
    for guest, wanted in project.manifest.files.items():
        source = wanted if isinstance(wanted, FilesFrom) else FilesFrom(path=wanted)
        files.append((folder / on_disk(source.path), guest))
    return _launch(project.components()[place], f"folder {folder}", project.manifest, files, place)


def launch_file(path: Path, command: str | None, *, calls: bool) -> Launch:
    """Unpacks the package in an OCI layout: its command, or its library if a function is called.

    Raises:
        ArtifactError: It is refused.
        UsageError: It has no such command, or several and none was named.

    """
    with contextlib.closing(LayoutArchive(path)) as layout:
        artifact = read_artifact(layout, layout.only())
        target = unpacked.provide(artifact, layout)
    if artifact.manifest is None:
        return Launch(target / "component-1.wasm", path.name.partition(".")[0], artifact.digest)
    place = _choose(artifact.manifest, command, str(path), calls=calls)
    number = next(at for at, one in enumerate(artifact.components, 1) if place in one.places)
    files = [(target / FILES / on_disk(guest.strip("/")), guest) for guest in artifact.manifest.files]
    component = target / f"component-{number}.wasm"
    return _launch(component, artifact.digest, artifact.manifest, files, place)


def launch_package(store: LocalStore, reference: Reference, *, calls: bool) -> Launch:
    """Finds a package in the store: its command, or its library if a function is called.

    Raises:
        NotFoundError: There is no such package or command.
        ArtifactError: It is damaged.
        UsageError: It has several commands, and none was named.

    """
    package = store.find(reference)
    artifact = store.artifact(package)
    if artifact.manifest is None:
        blob = store.blob(artifact.components[0].descriptor.digest)
        return Launch(blob, _short(reference.name or package.reference), artifact.digest)
    where = str(reference.without_command())
    place = _choose(artifact.manifest, reference.command, where, calls=calls)
    (component,) = [one for one in artifact.components if place in one.places]
    files = []
    if artifact.manifest.files:
        folder = store.files(artifact)
        files = [(folder / on_disk(guest.strip("/")), guest) for guest in artifact.manifest.files]
    blob = store.blob(component.descriptor.digest)
    return _launch(blob, artifact.digest, artifact.manifest, files, place)


def _launch(
    component: Path,
    subject: str,
    manifest: Manifest,
    files: list[tuple[Path, str]],
    place: str,
) -> Launch:
    flags: list[str] = [word for host, guest in files for word in ("--dir", f"{host}::{on_disk(guest)}:ro")]
    name = place.removeprefix("command.")
    if name == place:
        return Launch(component, _short(manifest.package.name), subject, manifest, tuple(flags))
    command = manifest.command[name]
    if command.entry is not None:
        flags += ["--entry", command.entry]
    if command.workdir is not None:
        flags += ["--workdir", command.workdir]
    return Launch(component, name, subject, manifest, tuple(flags), command.args)


def _choose(manifest: Manifest, name: str | None, where: str, *, calls: bool) -> str:
    """The place that is meant."""
    commands = manifest.command
    if name is not None:
        if name not in commands:
            names = ", ".join(f"`{one}`" for one in commands) or "none"
            raise NotFoundError(f"`{where}` has no command `{name}`", hint=f"its commands are: {names}")
        return f"command.{name}"
    if manifest.library is not None and (calls or not commands):
        if not calls:
            raise UsageError(
                f"`{where}` is a library: there is nothing to run",
                hint=f"`wherry run --invoke 'FUNCTION(ARGS)' {where}` calls a function of it",
            )
        return "library"
    short = _short(manifest.package.name)
    if len(commands) == 1:
        (short,) = commands
    if short not in commands:
        hint = "\n".join(f"`{where}#{one}` names one of them" for one in commands) or None
        raise UsageError(f"`{where}` has {len(commands) or 'no'} commands, and none was named", hint=hint)
    return f"command.{short}"


def _short(name: str) -> str:
    """A package's name without its namespace."""
    return name.rpartition("/")[2]
