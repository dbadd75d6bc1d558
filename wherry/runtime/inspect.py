"""What a file tells of itself without being run: ``wherry.inspect``.

``Inspection`` is also the schema of ``wherry inspect --format json``: one object, whose members are the
attributes of the classes here under the same names. Members may be added later; none is removed, and none
changes its meaning, without a new major version of Wherry.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from wherry import _native
from wherry.errors import HostIOError, NotFoundError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from wherry.wit.model import Item, World

__all__ = [
    "Entry",
    "Group",
    "Inspection",
    "Need",
    "Obstacle",
    "Part",
    "Place",
    "Producer",
    "Section",
    "Served",
    "TypeEntry",
    "inspect",
    "wit_text",
]


class Place(msgspec.Struct, frozen=True):
    """Whether the file fits a place, and why or why not."""

    name: Literal["command", "library", "http", "browser", "step", "contract"]
    fits: bool
    why: str


class Need(msgspec.Struct, frozen=True):
    """Something outside the sandbox that the file uses.

    ``id`` is a stable name: ``files``, ``network``, ``lookup``, ``http``, ``environment``, ``config``,
    ``keyvalue``, ``stdin``, ``output``, ``terminal``, ``clock``, ``random``, ``exit`` or ``host``; ``words``
    says it in plain words. ``flag`` is the flag that grants it, or ``None`` where there is none. ``imports``
    names the imports that say so.
    """

    id: str
    words: str
    flag: str | None
    imports: tuple[str, ...]


class Entry(msgspec.Struct, frozen=True):
    """One function; of a core module also one memory, table, global or tag.

    ``name`` is as the file has it (``[method]image.resize``), ``signature`` the whole on one line in the
    manner of WIT, and ``python`` how it is called from Python, or ``None`` for what is no typed function.
    """

    name: str
    kind: Literal[
        "function",
        "method",
        "static",
        "constructor",
        "memory",
        "table",
        "global",
        "tag",
        "module",
        "component",
        "value",
    ]
    signature: str
    python: str | None = None


class TypeEntry(msgspec.Struct, frozen=True):
    """A type that an interface names, with its definition on one line in the manner of WIT."""

    name: str
    definition: str


class Group(msgspec.Struct, frozen=True):
    """What is imported or exported under one name.

    ``name`` is that of the interface, or the module name of imports of a core module; ``None`` for what
    stands by itself.
    """

    name: str | None
    entries: tuple[Entry, ...]
    types: tuple[TypeEntry, ...]


class Producer(msgspec.Struct, frozen=True):
    """A language, tool or library that had a part in the file, by its own word.

    ``field`` is ``language``, ``processed-by`` or ``sdk``; ``version`` may be empty.
    """

    field: str
    name: str
    version: str


class Section(msgspec.Struct, frozen=True):
    """How many bytes are taken by ``name``: ``code``, ``data``, ``names``, ``debug info`` and so on."""

    name: str
    size: int


class Part(msgspec.Struct, frozen=True):
    """The file itself or a module or component nested in it, ``depth`` components deep.

    ``size`` is in bytes with all that is nested in it; ``functions`` and ``sections`` are its own alone.
    """

    form: Literal["module", "component"]
    name: str | None
    depth: int
    size: int
    functions: int
    sections: tuple[Section, ...]


class Obstacle(msgspec.Struct, frozen=True):
    """Why the engine refuses the file whatever is granted, and what to do about it."""

    message: str
    hint: str | None


class Served(msgspec.Struct, frozen=True):
    """How a server starts the file for each request.

    One that is ``prepared`` starts with the memory that the last one had, put back to what it was at first.
    ``why`` says why another is not.
    """

    prepared: bool
    why: str | None


class Inspection(msgspec.Struct, frozen=True):
    """What a file tells of itself.

    ``digest`` is ``sha256:`` and the hexadecimal digest of the file as it is. ``text`` says that it is in the
    text format; sizes, all in bytes, are then those of the binary form. ``form`` is ``package`` for a WIT
    package in binary form, which has no code. ``kind`` is ``command`` for a program with a main function,
    ``reactor`` for a core module that is set up once and then called, and else ``library``. ``wasi`` lists
    the generations of WASI it stands on, oldest first: ``unstable``, ``0.1``, ``0.2``, ``0.3``. ``places``
    holds all six places, ``sections`` is sorted by size, and the first of ``parts`` is the file itself.
    ``served`` is ``None`` for what answers no requests, neither as HTTP nor as a command.
    """

    name: str
    digest: str
    text: bool
    form: Literal["component", "module", "package"]
    kind: Literal["command", "reactor", "library"] | None
    wasi: tuple[str, ...]
    obstacle: Obstacle | None
    places: tuple[Place, ...]
    needs: tuple[Need, ...]
    imports: tuple[Group, ...]
    exports: tuple[Group, ...]
    producers: tuple[Producer, ...]
    size: int
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    served: Served | None

    def fits(self, place: str) -> bool:
        """Whether the file fits ``place``, such as ``"command"``."""
        return any(found.fits for found in self.places if found.name == place)


def inspect(source: str | os.PathLike[str] | Buffer, *, name: str | None = None) -> Inspection:
    """What the component or core module in ``source``, a path or the bytes themselves, tells of itself.

    The file is read but not compiled, and its code is not validated. It may be in the text format. ``name``
    is what it is called, in place of the path.

    Raises:
        NotFoundError: There is no such file.
        LoadError: It is no WebAssembly, damaged, or larger than anything that is not hostile.

    """
    data, name = _read(source, name)
    found = msgspec.json.decode(_native.inspect(data, name))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    inspection = msgspec.convert(found | {"name": name, "digest": digest}, Inspection)
    if inspection.form != "component":
        return inspection
    from wherry.wit import model

    world = model.read(data, name)
    return _with_python(inspection, world) if isinstance(world, model.World) else inspection


def wit_text(source: str | os.PathLike[str] | Buffer, *, name: str | None = None) -> str:
    """The interface of ``source``, a path or the bytes themselves, as WIT text; ``name`` is for messages.

    A core module has no WIT; its imports and exports are listed in the same manner.

    Raises:
        NotFoundError: There is no such file.
        LoadError: It is no WebAssembly, damaged, or larger than anything that is not hostile.
        UsageError: It is a component with an interface that WIT has no words for.

    """
    return _native.wit_text(*_read(source, name))


def _read(source: str | os.PathLike[str] | Buffer, name: str | None) -> tuple[bytes, str]:
    """The bytes, and a name for messages."""
    if not isinstance(source, str | os.PathLike):
        return bytes(source), name or "<bytes>"
    path = Path(source)
    try:
        return path.read_bytes(), name or str(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"`{path}`: no such file or directory") from error
    except OSError as error:
        raise HostIOError(f"`{path}`: {(error.strerror or str(error)).lower()}") from error


def _with_python(inspection: Inspection, world: World) -> Inspection:
    """The same with how each function is called from Python."""
    return msgspec.structs.replace(
        inspection,
        imports=_annotated(inspection.imports, world, world.imports),
        exports=_annotated(inspection.exports, world, world.exports),
    )


def _annotated(groups: tuple[Group, ...], world: World, items: tuple[Item, ...]) -> tuple[Group, ...]:
    from wherry.wit.model import Function, Interface
    from wherry.wit.python_types import signature

    # The core reads both from the same bytes: interface and name are a key.
    calls: dict[tuple[str | None, str], str] = {}
    for item in items:
        if isinstance(item, Interface):
            calls |= {(item.name, function.name): signature(world, function) for function in item.functions}
        elif isinstance(item, Function):
            calls[None, item.name] = signature(world, item)
    return tuple(
        msgspec.structs.replace(
            group,
            entries=tuple(
                msgspec.structs.replace(entry, python=calls.get((group.name, entry.name)))
                for entry in group.entries
            ),
        )
        for group in groups
    )
