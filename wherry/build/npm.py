"""What ``package.json`` and ``package-lock.json`` ask for, held against ``node_modules``.

Packages are the user's to install, by npm: builds fetch nothing into a project. A package that is missing, or
that has another version than the lock file says, would be found out late, or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from wherry.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_installed"]

_T = TypeVar("_T")


class _Package(msgspec.Struct):
    """A package as a lock file has it."""

    version: str = ""
    dev: bool = False
    optional: bool = False


class _Lock(msgspec.Struct):
    """A lock file: packages by the folders that they are in."""

    packages: dict[str, _Package] = {}


class _Manifest(msgspec.Struct):
    """What is used of ``package.json``."""

    dependencies: dict[str, str] = {}


def check_installed(folder: Path) -> None:
    """Whether the packages that a project depends on are there, in the versions of its lock file.

    Raises:
        BuildError: One is not, or a file of npm cannot be read.

    """
    manifest = folder / "package.json"
    if not manifest.is_file():
        return
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    hint = f"`npm {'ci' if lock.is_file() else 'install'}` in `{folder.name}` installs what it says"
    for name in _read(manifest, _Manifest).dependencies:
        # As Node looks for it: workspaces have their packages further up.
        if not any((parent / "node_modules" / name).is_dir() for parent in (folder, *folder.parents)):
            raise BuildError(f"`{name}`, which `package.json` asks for, is not installed", hint=hint)
    if not lock.is_file() or not installed.is_file():
        return
    there = _read(installed, _Lock).packages
    for place, wanted in _read(lock, _Lock).packages.items():
        found = there.get(place)
        if not place or wanted.dev or wanted.optional or (found and found.version == wanted.version):
            continue
        name, has = place.rpartition("node_modules/")[2], found.version if found else "none"
        what = f"`package-lock.json` has `{name}` {wanted.version}, and `node_modules` {has}"
        raise BuildError(what, hint=hint)


def _read(path: Path, record: type[_T]) -> _T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=record)
    except msgspec.MsgspecError as error:
        raise BuildError(f"`{path.name}`: {error}") from error
