"""What the name of a module leads to, worked out: package, version, permissions, bindings.

The result is remembered by ``_finder``. Start reading at ``resolve``.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import secrets
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry import _native, api
from wherry.artifact.manifest import Dependency
from wherry.artifact.reading import read_manifest
from wherry.bind import generate
from wherry.bind.python.project import write_modules, write_stubs
from wherry.bind.python.spelling import module_name
from wherry.errors import GrantError, HostIOError, NotFoundError, UsageError
from wherry.packages import _finder
from wherry.store.catalogue import Catalogue
from wherry.store.local import LocalStore
from wherry.store.permissions import Permissions, asked, lacking

if TYPE_CHECKING:
    from wherry.bind.library import Library
    from wherry.build.launch import Launch
    from wherry.packages._stored import Flags, Record

__all__ = ["resolve"]


def resolve(namespace: str, name: str) -> Record:
    """The record of ``wherry.packages.NAMESPACE.NAME``, whose bindings are there afterwards.

    Raises:
        ModuleNotFoundError: There is no such package.
        GrantError: It asks for what nobody has agreed to.
        WherryError: It is refused, or has nothing that Python can call.

    """
    stamped = _finder.stamp()
    source, lasting = _source(namespace, name)
    try:
        found = api.find(source, place="library")
    except NotFoundError as error:
        raise ModuleNotFoundError(str(error)) from error
    if found is None:
        raise ModuleNotFoundError(f"there is no package `{source}`")
    agreed = _agreed(source, found)
    library = generate.library_of(found)
    folder = _bindings(library, name)
    own = tuple(zip(found.flags[::2], found.flags[1::2], strict=True))
    record: Record = (library.digest, str(folder), str(found.component), source, own, agreed)
    if lasting:
        try:
            _finder.remember(namespace, name, stamped, record)
        except OSError as error:
            raise _unwritable(error) from error
    return record


def _source(namespace: str, name: str) -> tuple[str, bool]:
    """The package that is meant, as people name it; whether it stays as it is, which a project does not."""
    file = _finder.project_file()
    if file is not None:
        folder = Path(file).parent
        for package, said in _pins(Path(file)).items():
            if _module_of(package) == (namespace, name):
                if said.path is not None:
                    return str(folder / said.path), False
                if said.digest is not None:
                    return f"{package}@{said.digest}", True
                return f"{package}@{said.version}" if said.version is not None else package, True
    with Catalogue() as store:
        for known in store.index().names():
            if _module_of(known) == (namespace, name):
                return known, True
    return f"{namespace}/{name}".replace("_", "-"), True


def _pins(file: Path) -> dict[str, Dependency]:
    """``[dependencies]`` of a ``wherry.toml``, whether or not that is of a package too."""
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8")).get("dependencies", {})
        found = msgspec.convert(said, dict[str, str | Dependency])
    except (ValueError, msgspec.ValidationError) as error:
        read_manifest(file)  # says where, if it is of a package
        raise UsageError(f"`{file}`: `[dependencies]` cannot be read: {error}") from error
    return {name: Dependency(version=one) if isinstance(one, str) else one for name, one in found.items()}


def _module_of(package: str) -> tuple[str, ...]:
    """Where a package is imported from: ``acme/my-tool`` is ``acme``, ``my_tool``."""
    return tuple(module_name(part) for part in package.split("/"))


def _agreed(source: str, found: Launch) -> Flags:
    """The flags that a person agreed to.

    What only the user can say, such as which folder, is no reason to refuse the import: a library that is
    opened with a policy of its own has it.
    """
    if found.manifest is None:
        return ()
    wanted = [one for one in asked(found.manifest.needs) if not one.open]
    if not wanted:
        return ()
    with LocalStore() as store:
        agreed = Permissions(store).of(found.subject)
    missing = lacking(wanted, agreed)
    if missing:
        words = [f"`{source}` asks for what nobody has agreed to:", *(f"  {one.words}" for one in missing)]
        raise GrantError("\n".join(words), hint=f"`wherry permissions allow {source}` grants it")
    allowed = agreed.flags if agreed is not None else ()
    return tuple(one.flag for one in wanted if one.flag in allowed)


def _bindings(library: Library, name: str) -> Path:
    """The folder with the modules for a library, which are written now if they were not before."""
    folder = Path(_finder.cache_folder())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Packages may have the same component, and names and versions of their own, which stand in the modules.
    said = "\0".join((library.name, library.version or "", library.description or ""))
    known = f"{library.digest}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    target = folder / f"{_native.about()[0]}.{_finder.FORM}-{known}"
    if (target / name).is_dir():
        return _checked(target)
    refused = generate.refusals(library, "python")
    if refused is not None:
        raise refused
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        partial.mkdir(mode=0o700)
        _write(partial / name, write_modules(library, stored=True))
        compileall.compile_dir(str(partial / name), quiet=2, stripdir=str(partial), prependdir=str(target))
        with_stubs = write_stubs(library)
        try:
            partial.rename(target)
        except OSError:
            if not (target / name).is_dir():
                raise
        typings = Path(_finder.cache_folder()).parent / "typings"
        for path, data in with_stubs.items():
            _replace(typings / path, data)
    except OSError as error:
        raise _unwritable(error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _checked(target)


def _checked(target: Path) -> Path:
    """The folder, unless somebody else can write to it: its modules run outside any sandbox."""
    if _finder.is_own(str(target)):
        return target
    what = f"others can write to `{target.parent}`, from which code would be run"
    raise HostIOError(what, hint=f"`chmod -R go-w {target.parent}` takes that from them")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def _replace(path: Path, data: bytes) -> None:
    """Writes a stub whole: an editor may read it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _unwritable(error: OSError) -> HostIOError:
    what = f"bindings cannot be kept: `{error.filename}`: {(error.strerror or str(error)).lower()}"
    return HostIOError(what, hint="`XDG_CACHE_HOME` names another cache")
