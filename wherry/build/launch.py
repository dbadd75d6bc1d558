"""From a project or package to what is run: ``wherry run .``, ``run thumbs.oci.tar`` and ``run acme/thumbs``.

``launch`` takes the text that names a project, which is built if need be, a packed file, or a package in the
store. It says which component runs, with which files and arguments, and what the package asks for, which
grants nothing. A command of another package that this one uses is run as that package: with the files and
needs that it has itself, and nothing of what the package has that uses it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wherry.artifact.layout import LayoutArchive
from wherry.artifact.paths import on_disk
from wherry.artifact.read import read_artifact
from wherry.build.locate import find_project
from wherry.build.runnable import FileShelf, RunnablePackage, RunnableProject, StoreShelf, chosen
from wherry.errors import NotFoundError, UsageError
from wherry.store.location import is_path
from wherry.store.references import read_reference
from wherry.store.wanted import Chosen, wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.manifest import Http, Manifest
    from wherry.artifact.read import Artifact
    from wherry.build.project import Kind
    from wherry.build.runnable import Runnable, Shelf
    from wherry.build.tools import Progress
    from wherry.store.local import LocalStore
    from wherry.store.references import Reference
    from wherry.store.wanted import Resolved

__all__ = ["Launch", "launch", "launch_project"]

_MOST_TOGETHER = 500
"""The most packages in one file of which one is what is run and the others are what it uses."""


@dataclass(frozen=True)
class Launch:
    """What is run: the component, flags that go before it, arguments that come before those of the user.

    ``name`` is what the guest is told that it is called. ``subject`` is what people agree about, a digest or
    the folder of a project, and ``manifest`` says what it asks for; a package of another tool has none.
    ``static`` is the folder of the files that are served, with the digest of their package if it has one.
    """

    component: Path
    name: str
    subject: str
    manifest: Manifest | None = None
    flags: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    static: tuple[Path, str | None] | None = None


@dataclass(frozen=True)
class _Way:
    """How somebody named a package, and how what it uses is found."""

    shelf: Shelf
    where: str
    command: str | None
    place: Kind
    progress: Progress
    colour: bool = False

    def launch(self, package: Chosen, part: Runnable) -> Launch:
        """What is run of a package."""
        if part.manifest is None:
            return Launch(part.component(None), _short(package.name), part.subject)
        manifest = part.manifest
        resolved = self._resolved(package, manifest)
        where, command, static = self.where, self.command, None
        if command is None and self.place == "http" and manifest.http is not None:
            command = manifest.http.command
            static = _static(manifest.http, part)
        while resolved is not None and command in manifest.borrowed():
            one = resolved.of(manifest.borrowed()[command])
            part, manifest, where = *self._used(one, manifest, command), one.reference
        place = _choose(manifest, command, where, self.place)
        files = [*part.files(), *(self._lent(resolved, manifest) if resolved is not None else ())]
        return replace(_launch(part.component(place), part.subject, manifest, files, place), static=static)

    def _resolved(self, package: Chosen, manifest: Manifest) -> Resolved | None:
        if not manifest.dependencies:
            return None
        from wherry.store.resolve import resolve

        return resolve(package, manifest, self.shelf)

    def _used(self, package: Chosen, user: Manifest, command: str | None = None) -> tuple[Runnable, Manifest]:
        """A package that another one uses, for a command or for its files."""
        part = self._runnable(package)
        manifest = part.manifest
        if manifest is None:
            raise NotFoundError(f"`{package.reference}` is of another tool, and does not say what it offers")
        if command is not None and command not in manifest.commands():
            names = ", ".join(f"`{one}`" for one in manifest.commands()) or "none"
            raise NotFoundError(
                f"`{package.reference}` has no command `{command}`, which `{user.reference}` uses",
                hint=f"its commands are: {names}",
            )
        return part, manifest

    def _lent(self, resolved: Resolved, user: Manifest) -> Iterator[tuple[Path, str]]:
        """The files of other packages, where ``user`` wants to see them."""
        for name, wanted in user.uses():
            if wanted.files is not None:
                package = resolved.of(name)
                part, manifest = self._used(package, user)
                if not manifest.files:
                    raise NotFoundError(f"`{package.reference}` has no files, which `{user.reference}` uses")
                yield from ((path, f"{wanted.files.rstrip('/')}{guest}") for path, guest in part.files())

    def _runnable(self, package: Chosen) -> Runnable:
        if package.folder is not None:
            return RunnableProject(package.folder, self.progress, colour=self.colour)
        return self.shelf.runnable(package.digest or "")


def launch(
    store: LocalStore, target: str, progress: Progress, *, place: Kind, colour: bool = False
) -> Launch:
    """Finds what a text names: the folder of a project, a packed file, or a package in the store.

    It is the command that is named or the only one, or the library if a function is called.

    Raises:
        NotFoundError: There is no such thing; where a file has the name of a package, the hint says so.
        UsageError: There is no such command, or there are several and none was named.
        DependencyError: It cannot have what it uses.
        BuildError: It does not build.
        ArtifactError: It is refused.

    """
    shelf = StoreShelf(store)
    if is_path(target) or _is_folder(target):
        path, _, command = target.partition("#")
        if Path(path).is_dir():
            folder = find_project(path)
            return launch_project(store, folder, command or None, progress, place=place, colour=colour)
        return _of_file(_Way(shelf, path, command or None, place, progress), shelf)
    try:
        reference = read_reference(target)
        where = str(reference.without_command())
        return _of_package(_Way(shelf, where, reference.command, place, progress), store, reference)
    except (NotFoundError, UsageError) as error:
        if not os.path.lexists(target):
            raise
        raise type(error)(error.message, hint=f"`./{target}` is the file of that name") from error


def _is_folder(target: str) -> bool:
    """Whether a text is no name of a package, and a folder is called so."""
    if not Path(target.partition("#")[0]).is_dir():
        return False
    try:
        read_reference(target)
    except UsageError:
        return True
    return False


def launch_project(
    store: LocalStore,
    folder: str | os.PathLike[str],
    command: str | None,
    progress: Progress,
    *,
    place: Kind,
    colour: bool = False,
) -> Launch:
    """The same for the project in a folder, and its command by name."""
    way = _Way(StoreShelf(store), str(folder), command, place, progress, colour)
    part = RunnableProject(folder, progress, colour=colour)
    said = part.manifest.package
    return way.launch(Chosen(said.name, said.version, folder=Path(os.path.realpath(folder))), part)


def _of_file(way: _Way, store: StoreShelf) -> Launch:
    """The package in a file; of several the one that uses the others."""
    path = Path(way.where)
    with contextlib.closing(LayoutArchive(path)) as layout:
        described = layout.index()
        if len(described) > _MOST_TOGETHER:
            layout.only()
        artifacts = {one.digest: read_artifact(layout, one) for one in described}
        first = _first(list(artifacts.values()))
        if first is None:
            layout.only()
            raise UsageError(f"`{path}` holds no package")
        shelf = FileShelf(layout, artifacts.values(), store)
        package = chosen(first)
        if first.manifest is None:
            package = Chosen(path.name.partition(".")[0], "", first.digest)
        return replace(way, shelf=shelf).launch(package, shelf.runnable(first.digest))


def _first(artifacts: list[Artifact]) -> Artifact | None:
    """The one package that no other of them uses."""
    used = [
        wanted for one in artifacts if one.manifest is not None for wanted in wants(chosen(one), one.manifest)
    ]
    found = (
        artifacts
        if len(artifacts) == 1
        else [
            one
            for one in artifacts
            if not any(wanted.name == chosen(one).name and wanted.fits(chosen(one)) for wanted in used)
        ]
    )
    return found[0] if len(found) == 1 else None


def _of_package(way: _Way, store: LocalStore, reference: Reference) -> Launch:
    """A package in the store."""
    package = store.find(reference)
    part = way.shelf.runnable(package.digest)
    name = package.name or reference.name or package.reference
    return way.launch(Chosen(name, package.version or "", package.digest), part)


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


def _static(http: Http, part: Runnable) -> tuple[Path, str | None] | None:
    """The folder of the files that are served, where it is unpacked or, of a project, where it stands."""
    if http.static is None:
        return None
    wanted, packed = PurePosixPath(http.static), isinstance(part, RunnablePackage)
    for host, guest in part.files():
        if wanted.is_relative_to(guest):
            folder = host / on_disk(str(wanted.relative_to(guest)))
            return folder, part.subject if packed else None
        if packed and PurePosixPath(guest).is_relative_to(wanted):
            return host.parents[len(PurePosixPath(guest).relative_to(wanted).parts) - 1], part.subject
    raise UsageError(
        f"`static` of `[http]` is `{http.static}`, which is no folder of `[files]` or in one",
        hint=f'`"{http.static}" = "FOLDER"` in `[files]` puts one there',
    )


def _choose(manifest: Manifest, name: str | None, where: str, wanted: Kind) -> str:
    """The place that is meant."""
    if name is not None:
        if name not in manifest.command:
            names = ", ".join(f"`{one}`" for one in manifest.commands()) or "none"
            raise NotFoundError(f"`{where}` has no command `{name}`", hint=f"its commands are: {names}")
        return f"command.{name}"
    if wanted == "http" and manifest.http is None:
        what = f"`{where}` has no `[http]`, and so answers no requests"
        raise UsageError(what, hint=_as_cgi(manifest, where))
    if wanted == "http" or (wanted == "library" and manifest.library is not None):
        return wanted
    if manifest.command:
        return _command(manifest, where)
    if wanted == "library":
        # Whoever looks at the package, and does not run it, means what there is.
        return "http"
    if manifest.library is not None:
        raise UsageError(
            f"`{where}` is a library: there is nothing to run",
            hint=f"`wherry run --invoke 'FUNCTION(ARGS)' {where}` calls a function of it",
        )
    what = f"`{where}` answers HTTP requests: there is nothing to run"
    raise UsageError(what, hint=f"`wherry serve {where}` serves it")


def _command(manifest: Manifest, where: str) -> str:
    """The command that is meant where none is named: the only one, or that named like the package."""
    commands = manifest.command
    short = _short(manifest.package.name)
    if len(commands) == 1:
        (short,) = commands
    if short not in commands:
        hint = "\n".join(f"`{where}#{one}` names one of them" for one in commands) or None
        raise UsageError(f"`{where}` has {len(commands) or 'no'} commands, and none was named", hint=hint)
    return f"command.{short}"


def _as_cgi(manifest: Manifest, where: str) -> str | None:
    """What to do with a package that has commands alone."""
    return (
        "\n".join(f"`wherry serve {where}#{one}` asks that command, as CGI" for one in manifest.commands())
        or None
    )


def _short(name: str) -> str:
    """A package's name without its namespace."""
    return name.rpartition("/")[2]
