"""The front door: programs by path, and packages by name, from Python.

``wherry.load``, ``run``, ``start`` and ``inspect`` are those of ``wherry.runtime``, which knows files and
bytes, with one addition. A text may name a package in the store (``acme/thumbs``, ``acme/tools@1.2#resize``),
the folder of a project (``./thumbs``, which is built if need be) or a packed file (``thumbs.oci.tar``), as
for ``wherry run``. Nobody is asked here: what a person agreed to on a terminal holds where the caller grants
nothing.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from wherry import _native
from wherry.runtime import component, program
from wherry.runtime.component import Component, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Buffer

    from wherry._native import Limits, Policy
    from wherry.build.launch import Launch
    from wherry.build.project import Kind
    from wherry.build.tools import Progress
    from wherry.runtime.inspect import Inspection

    Program = str | os.PathLike[str] | bytes | Component

__all__ = ["find", "inspect", "load", "run", "start"]

_FILES = (".wasm", ".wat", ".cwasm")
"""How names of files end that are loaded as they are; nothing of the store is imported for them."""

_GRANTS = {
    "--dir": "dirs",
    "--env": "env",
    "--allow-net": "net",
    "--allow-http": "http",
    "--allow-listen": "listen",
    "--allow-dns": "dns",
    "--config": "config",
    "--secret": "secrets",
    "--workdir": "workdir",
}
"""The flags that grant what packages ask for, and their names in Python."""

_Rest = ParamSpec("_Rest")
_Result = TypeVar("_Result")


def _taking_names(
    function: Callable[Concatenate[Program, _Rest], _Result],
) -> Callable[Concatenate[Program, _Rest], _Result]:
    """The function, with packages, projects and packed files where it takes a program."""

    @wraps(function)
    def taking(program: Program, /, *args: _Rest.args, **options: _Rest.kwargs) -> _Result:
        return function(_component(program, place="command") or program, *args, **options)

    return taking


run = _taking_names(program.run)
start = _taking_names(program.start)


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | component.Readable,
    *,
    name: str | None = None,
    precompiled: bool = False,
    limits: Limits | None = None,
) -> Component:
    """Load a component or core module: a package by its name, or from a path, bytes or an open binary file.

    Of a package (``acme/thumbs``, ``./project``, ``packed.oci.tar``) it is the library, or the command where
    there is no library or one is named (``acme/tools#resize``). Its instances see its own files, and have
    what a person agreed to where no policy is given.

    What was compiled once comes out of the cache. ``name`` is what messages call bytes. With ``precompiled``
    the source is the output of ``wherry compile``; that is machine code which runs outside any sandbox, so it
    must come from someone you trust. ``limits`` says how large a source may be (``size``, ``functions``,
    ``body``, ``nesting``), and what compiling it may take (``compile_timeout``, ``compile_memory``).

    Raises a :class:`~wherry.errors.LoadError`: not found, not WebAssembly, made for another host, not valid,
    too large; and a :class:`~wherry.errors.PackageError` for a package that is refused or does not build.
    """
    found = _component(source, place="library", limits=limits)
    if found is not None:
        return found
    return component.load(source, name=name, precompiled=precompiled, limits=limits)


def inspect(source: str | os.PathLike[str] | Buffer) -> Inspection:
    """What a package, or the component or core module in a path or in bytes, tells of itself.

    The file is read but not compiled, and its code is not validated. It may be in the text format.

    >>> import wherry
    >>> add = wherry.inspect(b'(module (func (export "add") (param i32 i32) (result i32) i32.const 0))')
    >>> add.exports[0].entries[0].signature
    'add: func(i32, i32) -> i32'
    >>> [place.name for place in add.places if place.fits]
    ['library', 'browser', 'step']

    Raises:
        NotFoundError: There is no such package or file.
        LoadError: It is no WebAssembly, damaged, or larger than anything that is not hostile.

    """
    from wherry.runtime.inspect import inspect as read

    found = find(source, place="library") if isinstance(source, str) else None
    return read(source) if found is None else read(found.component, name=str(source))


def find(source: str, progress: Progress | None = None, *, place: Kind) -> Launch | None:
    """What a text names, if that is a package, a project or a packed file and not a file of WebAssembly.

    ``place`` says what it is wanted for: a command that is run, a library that is called, where there is one,
    or what answers HTTP. A project is built if need be; ``progress`` is told of it.

    Raises:
        NotFoundError: There is no such package, file or command.
        UsageError: It is no name, or does not say which of several commands.
        PackageError: It is refused, or does not build.

    """
    if source.endswith(_FILES):
        return None
    from wherry.store.location import names_package

    path, _, command = source.partition("#")
    if not (names_package(source) or command or path.endswith(".tar") or os.path.isdir(path)):  # noqa: PTH112
        return None
    from wherry.build.launch import launch
    from wherry.store.local import LocalStore

    with LocalStore() as store:
        return launch(store, source, progress or _quiet, place=place)


def _component(source: object, *, place: Kind, limits: Limits | None = None) -> Component | None:
    """The component of a package, project or packed file, if the source is one."""
    found = find(source, place=place) if isinstance(source, str) else None
    if found is None:
        return None
    return component.load(
        found.component, name=str(source), limits=limits, origin=origin_of(str(source), found)
    )


def origin_of(
    source: str, found: Launch, typed: Sequence[tuple[str, ...]] = (), *, command: str = "run"
) -> Origin:
    """What a package brings along: its files, and what was agreed to or ``typed`` as flags.

    ``wherry COMMAND`` is what would ask a person.
    """
    from wherry.store.local import LocalStore
    from wherry.store.permissions import Permissions, asked, lacking, unanswered

    own = list(zip(found.flags[::2], found.flags[1::2], strict=True))
    wanted = asked(found.manifest.needs) if found.manifest is not None else []
    wanted = unanswered(wanted, [word for flag in typed for word in flag])
    with LocalStore() as store:
        agreed = Permissions(store).of(found.subject) if wanted else None
    missing = lacking(wanted, agreed)
    allowed = agreed.flags if agreed is not None else ()
    flags = [*(one.flag for one in wanted if one.flag in allowed), *typed]
    words = [f"`{source}` asks for what nobody has agreed to:", *(f"  {one.words}" for one in missing)]
    return Origin(
        found.name,
        dict(own).get("--entry"),
        found.args,
        policy_of(own),
        None if missing else policy_of(flags),
        limits_of(flags),
        "\n".join(words),
        f"`wherry {command} {source}` asks on a terminal; "
        "here `policy=wherry.Policy(...)` says what is granted",
    )


def policy_of(flags: Iterable[tuple[str, ...]]) -> Policy:
    """What flags grant, as words; those for limits are not among it."""
    grants: dict[str, Any] = {}
    for flag, *value in flags:
        name = _GRANTS.get(flag)
        if name in {"dns", "workdir"}:
            grants[name] = value[0] if value else True
        elif name is not None:
            grants.setdefault(name, []).extend(value)
    return _native.Policy(**grants)


def limits_of(flags: Iterable[tuple[str, ...]]) -> Limits | None:
    """The limits among flags, as words, if there are any."""
    limits: dict[str, Any] = {}
    for flag, *value in flags:
        if flag not in _GRANTS and value:
            limits[flag.removeprefix("--").removeprefix("max-").replace("-", "_")] = value[0]
    return _native.Limits(**limits) if limits else None


def _quiet(what: str, seconds: float | None) -> None:
    """Nobody looks on while a project is built."""
