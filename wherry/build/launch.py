"""From a project or package to what is run: ``wherry run .``, ``run thumbs.oci.tar`` and ``run acme/thumbs``.

``launch_project`` builds what has changed, ``launch_file`` checks a packed file and unpacks it once into the
user's cache, under its digest, and ``launch_package`` finds one in the store. Each says which component runs,
with which files and arguments, and what the package asks for, which grants nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wherry.artifact.layout import LayoutArchive
from wherry.artifact.manifest import FilesFrom
from wherry.artifact.paths import on_disk
from wherry.artifact.read import read_artifact
from wherry.artifact.unpack import FILES, unpack
from wherry.build.builder import build
from wherry.build.project import read_project
from wherry.build.tools import cache_folder
from wherry.errors import HostIOError, NotFoundError, UsageError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from wherry.artifact.manifest import Command, Manifest
    from wherry.build.tools import Progress
    from wherry.store.local import LocalStore
    from wherry.store.references import Reference

__all__ = ["Launch", "launch_file", "launch_package", "launch_project"]


@dataclass(frozen=True)
class Launch:
    """What is run: the component, flags that go before it, arguments that come before those of the user.

    ``subject`` is what people agree about, a digest or the folder of a project, and ``manifest`` says what it
    asks for; a package of another tool has none.
    """

    component: Path
    subject: str
    manifest: Manifest | None = None
    flags: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


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
    place, said = _choose(project.manifest, command, str(folder), calls=calls)
    files = []
    for guest, wanted in project.manifest.files.items():
        source = wanted if isinstance(wanted, FilesFrom) else FilesFrom(path=wanted)
        files.append((project.folder / on_disk(source.path), guest))
    subject = f"folder {project.folder.absolute()}"
    return _launch(project.components()[place], subject, project.manifest, files, said)


def launch_file(path: Path, command: str | None, *, calls: bool) -> Launch:
    """Unpacks the package in an OCI layout: its command, or its library if a function is called.

    Raises:
        ArtifactError: It is refused.
        UsageError: It has no such command, or several and none was named.

    """
    with contextlib.closing(LayoutArchive(path)) as layout:
        artifact = read_artifact(layout, layout.only())
        target = cache_folder() / "packages" / artifact.digest.replace(":", "-")
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                unpack(artifact, layout, target)
            except HostIOError:
                if not target.is_dir():  # somebody else was not faster
                    raise
    if artifact.manifest is None:
        return Launch(target / "component-1.wasm", artifact.digest)
    place, said = _choose(artifact.manifest, command, str(path), calls=calls)
    number = next(at for at, one in enumerate(artifact.components, 1) if place in one.places)
    files = [(target / FILES / on_disk(guest.strip("/")), guest) for guest in artifact.manifest.files]
    component = target / f"component-{number}.wasm"
    return _launch(component, artifact.digest, artifact.manifest, files, said)


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
        return Launch(store.blob(artifact.components[0].descriptor.digest), artifact.digest)
    where = str(reference.without_command())
    place, said = _choose(artifact.manifest, reference.command, where, calls=calls)
    (component,) = [one for one in artifact.components if place in one.places]
    files = []
    if artifact.manifest.files:
        folder = store.files(artifact)
        files = [(folder / on_disk(guest.strip("/")), guest) for guest in artifact.manifest.files]
    blob = store.blob(component.descriptor.digest)
    return _launch(blob, artifact.digest, artifact.manifest, files, said)


def _launch(
    component: Path,
    subject: str,
    manifest: Manifest,
    files: list[tuple[Path, str]],
    command: Command | None,
) -> Launch:
    flags: list[str] = [word for host, guest in files for word in ("--dir", f"{host}::{on_disk(guest)}:ro")]
    if command is None:
        return Launch(component, subject, manifest, tuple(flags))
    if command.workdir is not None:
        flags += ["--workdir", command.workdir]
    return Launch(component, subject, manifest, tuple(flags), command.args)


def _choose(manifest: Manifest, name: str | None, where: str, *, calls: bool) -> tuple[str, Command | None]:
    """The place that is meant, and its command if it is one."""
    commands = manifest.command
    if name is not None:
        if name not in commands:
            names = ", ".join(f"`{one}`" for one in commands) or "none"
            raise NotFoundError(f"`{where}` has no command `{name}`", hint=f"its commands are: {names}")
        return f"command.{name}", commands[name]
    if manifest.library is not None and (calls or not commands):
        if not calls:
            raise UsageError(
                f"`{where}` is a library: there is nothing to run",
                hint=f"`wherry run --invoke 'FUNCTION(ARGS)' {where}` calls a function of it",
            )
        return "library", None
    short = manifest.package.name.rpartition("/")[2]
    if len(commands) == 1:
        (short,) = commands
    if short not in commands:
        hint = "\n".join(f"`{where}#{one}` names one of them" for one in commands) or None
        raise UsageError(f"`{where}` has {len(commands) or 'no'} commands, and none was named", hint=hint)
    return f"command.{short}", commands[short]
