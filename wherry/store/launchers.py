"""Commands of packages on the PATH: small programs that start the core with the name of a package.

A launcher names a digest, so that what it runs changes only when somebody says so: ``install`` and
``upgrade`` write it, ``uninstall`` takes it away. It is a program in Python, and hands its arguments on as
they are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.artifact.refusals import host_error
from wherry.errors import HostIOError, NotFoundError, UsageError
from wherry.store.dependencies import resolve_package
from wherry.store.references import read_reference

if TYPE_CHECKING:
    from wherry.artifact.manifest import Manifest
    from wherry.store.catalogue import Package
    from wherry.store.local import LocalStore

__all__ = ["Installed", "Launchers"]

_MOST_SHEBANG = 120
"""Bytes of a first line that every system reads (Linux: 255, older ones 127)."""

_LAUNCHER = """{first}
# Made by `wherry install`; `wherry uninstall {reference}` takes it away.
import sys

from wherry.cli.start import launch

sys.exit(launch({target!r}))
"""
_MARK = "# Made by `wherry install`"
_MODULES = (".py", ".pyc", ".so")
"""How names end that Python takes for modules, where it looks beside the program that it starts."""


@dataclass(frozen=True)
class Installed:
    """A command on the PATH: its file, the reference it was installed by, and the package that it runs."""

    file: str
    command: str
    reference: str
    digest: str


class Launchers:
    """The commands that packages put on the PATH, all in one folder: ``WHERRY_BIN``, or ``~/.local/bin``."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.folder = Path(os.environ.get("WHERRY_BIN") or Path.home() / ".local/bin").absolute()

    def install(self, reference: str, *, force: bool = False) -> list[Installed]:
        """Puts the commands of a package on the PATH, or the one that ``reference`` names.

        Raises:
            NotFoundError: There is no such package or command.
            DependencyError: It cannot have what it uses.
            UsageError: It has no commands, or another file is in the way and ``force`` is not said.
            HostIOError: The folder cannot be written.

        """
        wanted = read_reference(reference)
        package = self._store.find(wanted)
        resolve_package(self._store, package)  # what cannot run is said now, not at the first run
        commands = _commands(self._store.artifact(package).manifest, wanted.command, reference)
        for command in commands:
            self._check_way(command, package, force=force)
        found = []
        for command in commands:
            installed = Installed(str(self.folder / command), command, reference, package.digest)
            self._put(installed)
            found.append(installed)
        return found

    def all(self) -> list[Installed]:
        """What is installed, by file."""
        return [Installed(*row) for row in self._store.index().installed()]

    def upgrade(self, name: str | None = None) -> list[tuple[Installed, Installed]]:
        """Lets each launcher, or those of one package, run what its reference means by now.

        Those that changed are given, before and after. One whose reference means nothing any more goes on
        running what it ran, and a file that somebody has put in the place of one is left alone.

        Raises:
            NotFoundError: Nothing of that name is installed.

        """
        changed = []
        for before in self.all() if name is None else self._of(name):
            try:
                digest = self._store.find(read_reference(before.reference)).digest
            except NotFoundError:
                continue
            if digest != before.digest and _is_ours(Path(before.file)):
                after = Installed(before.file, before.command, before.reference, digest)
                self._put(after)
                changed.append((before, after))
        return changed

    def uninstall(self, name: str) -> list[Installed]:
        """Takes away the launchers of a package, by the reference it was installed by or its name.

        Raises:
            NotFoundError: Nothing of that name is installed.

        """
        found = self._of(name)
        for one in found:
            file = Path(one.file)
            try:
                if _is_ours(file):
                    file.unlink()
            except OSError as error:
                raise host_error(file, error) from error
            self._store.index(make=True).uninstall(one.file)
        return found

    def _of(self, name: str) -> list[Installed]:
        """The launchers of a package."""
        wanted = read_reference(name)
        found = [one for one in self.all() if _is_of(one, wanted.name, name)]
        if not found:
            raise NotFoundError(f"nothing of `{name}` is installed", hint="`wherry install` lists what is")
        return found

    def _check_way(self, command: str, package: Package, *, force: bool) -> None:
        """Refuses to write over what is not a launcher of the same package."""
        file = self.folder / command
        if force or not os.path.lexists(file):
            return
        if not _is_ours(file):
            raise UsageError(
                f"`{file}` is there already, and not made by Wherry", hint="`--force` writes over it"
            )
        others = [one for one in self.all() if one.file == str(file) and _name(one) != package.name]
        if others:
            raise UsageError(
                f"`{command}` is installed by `{others[0].reference}` already",
                hint=f"`wherry uninstall {others[0].reference}` takes that away; `--force` writes over it",
            )

    def _put(self, installed: Installed) -> None:
        """Notes a launcher, which keeps its package, and writes it: no file is there that is not noted."""
        before = next((one for one in self.all() if one.file == installed.file), None)
        index = self._store.index(make=True)
        index.install(installed.file, installed.command, installed.reference, installed.digest)
        try:
            self._write(installed)
        except HostIOError:
            index.uninstall(installed.file)
            if before is not None:
                index.install(before.file, before.command, before.reference, before.digest)
            raise

    def _write(self, installed: Installed) -> None:
        """Writes a launcher, whole or not at all."""
        name = _name(installed)
        text = _LAUNCHER.format(
            first=_first_line(),
            reference=installed.reference,
            target=f"{name}@{installed.digest}#{installed.command}",
        )
        file = Path(installed.file)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened, partial = tempfile.mkstemp(dir=self.folder, prefix=".wherry-")
        except OSError as error:
            raise host_error(file, error) from error
        try:
            with open(opened, "w", encoding="utf-8") as writing:  # noqa: PTH123 - it is open already
                writing.write(text)
                os.fchmod(writing.fileno(), 0o755)
            Path(partial).replace(file)
        except OSError as error:
            Path(partial).unlink(missing_ok=True)
            raise host_error(file, error) from error


def _commands(manifest: Manifest | None, command: str | None, reference: str) -> list[str]:
    offered = manifest.commands() if manifest is not None else []
    if command is not None and command not in offered:
        names = ", ".join(f"`{one}`" for one in offered) or "none"
        raise NotFoundError(
            f"`{reference}`: there is no command `{command}`", hint=f"its commands are: {names}"
        )
    if not offered:
        raise UsageError(f"`{reference}` has no commands to install")
    chosen = offered if command is None else [command]
    for one in chosen:
        if one.endswith(_MODULES):
            raise UsageError(
                f"`{reference}`: a command that is called `{one}` cannot be installed",
                hint="other programs in that folder that are written in Python would import it",
            )
    return chosen


def _name(installed: Installed) -> str | None:
    return read_reference(installed.reference).name


def _is_of(installed: Installed, name: str | None, said: str) -> bool:
    return installed.reference == said or (name is not None and said == name == _name(installed))


def _is_ours(file: Path) -> bool:
    """Whether a file is a launcher that was written here; a link to one is not."""
    try:
        return not file.is_symlink() and _MARK in file.read_text(encoding="utf-8", errors="replace")[:1000]
    except OSError:
        return False


def _first_line() -> str:
    """What starts this Python, where its path has spaces or is long too."""
    python = sys.executable
    # `-P`: what lies beside the launcher is not imported.
    if len(os.fsencode(python)) <= _MOST_SHEBANG and not any(char.isspace() for char in python):
        return f"#!{python} -P"
    # A shell reads the second line as a command, Python as a text in quotes.
    quoted = python.replace("'", "'\"'\"'")
    return f"#!/bin/sh\n'''exec' '{quoted}' -P \"$0\" \"$@\"\n' '''"
