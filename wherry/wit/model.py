"""What a component or core module imports and exports: the records of ``crates/wherry-tools/src/model.rs``.

``read`` makes them from a file. Types live in one list, ``World.types``, and refer to each other by place in
it; ``World.definition`` follows names that stand for other types. Start reading at ``World``.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from wherry import _native

Primitive: TypeAlias = Literal[
    "bool",
    "u8",
    "u16",
    "u32",
    "u64",
    "s8",
    "s16",
    "s32",
    "s64",
    "f32",
    "f64",
    "char",
    "string",
    "error-context",
]
"""A type that needs no definition."""

Type: TypeAlias = int | Primitive
"""A type where it is used: a place in ``World.types``, or a primitive."""


class Named(msgspec.Struct, frozen=True):
    """A field of a record, a parameter, or a name that an interface gives to a type."""

    name: str
    type: Type


class Case(msgspec.Struct, frozen=True):
    """A case of a variant, with the type of its payload if it has one."""

    name: str
    payload: Type | None


class Definition(msgspec.Struct, frozen=True, tag_field="kind"):
    """What all types have: a name in WIT and the interface that defines it, or ``None`` for both."""

    name: str | None
    owner: str | None


class Record(Definition, frozen=True, tag="record"):
    """Fields with names."""

    fields: tuple[Named, ...]


class Variant(Definition, frozen=True, tag="variant"):
    """One of several cases, with or without a payload."""

    cases: tuple[Case, ...]


class Enum(Definition, frozen=True, tag="enum"):
    """One of several names."""

    cases: tuple[str, ...]


class Flags(Definition, frozen=True, tag="flags"):
    """Any number of several names."""

    flags: tuple[str, ...]


class Option(Definition, frozen=True, tag="option"):
    """A value or nothing."""

    payload: Type


class Result(Definition, frozen=True, tag="result"):
    """A success or a failure, either with or without a value."""

    ok: Type | None
    err: Type | None


class List(Definition, frozen=True, tag="list"):
    """Any number of values of one type."""

    element: Type


class FixedList(Definition, frozen=True, tag="fixed-list"):
    """``length`` values of one type."""

    element: Type
    length: int


class Map(Definition, frozen=True, tag="map"):
    """Keys, each with a value."""

    key: Type
    value: Type


class Tuple(Definition, frozen=True, tag="tuple"):
    """Values of several types in order."""

    elements: tuple[Type, ...]


class Resource(Definition, frozen=True, tag="resource"):
    """Something that only its owner can look into."""


class Own(Definition, frozen=True, tag="own"):
    """A handle that hands over the resource at this place."""

    resource: int


class Borrow(Definition, frozen=True, tag="borrow"):
    """A handle that lends the resource at this place for one call."""

    resource: int


class Stream(Definition, frozen=True, tag="stream"):
    """Values that arrive over time."""

    payload: Type | None


class Future(Definition, frozen=True, tag="future"):
    """One value that arrives later."""

    payload: Type | None


class Alias(Definition, frozen=True, tag="alias"):
    """Another name for a type."""

    target: Type


TypeDef: TypeAlias = (
    Record
    | Variant
    | Enum
    | Flags
    | Option
    | Result
    | List
    | FixedList
    | Map
    | Tuple
    | Resource
    | Own
    | Borrow
    | Stream
    | Future
    | Alias
)
"""A type with a definition."""


class Function(msgspec.Struct, frozen=True, tag_field="sort", tag="function", rename={"is_async": "async"}):
    """A function, method, static function or constructor.

    ``name`` is as the component has it, ``[method]image.resize``; ``item`` is ``resize``; ``resource`` is the
    place of ``image``. The first parameter of a method is the resource itself.
    """

    name: str
    item: str
    kind: Literal["free", "method", "static", "constructor"]
    resource: int | None
    is_async: bool
    params: tuple[Named, ...]
    result: Type | None


class Interface(msgspec.Struct, frozen=True, tag_field="sort", tag="interface"):
    """Functions and types under one name, such as ``wasi:cli/run@0.2.0``."""

    name: str
    functions: tuple[Function, ...]
    types: tuple[Named, ...]


class WorldType(msgspec.Struct, frozen=True, tag_field="sort", tag="type"):
    """A type of the component itself: its name and its place."""

    name: str
    type: int


class Other(msgspec.Struct, frozen=True, tag_field="sort", tag="other"):
    """A module, component or value, which WIT has no words for."""

    name: str
    kind: Literal["module", "component", "value"]


Item: TypeAlias = Interface | Function | WorldType | Other
"""One import or export of a component."""


class World(msgspec.Struct, frozen=True, tag_field="form", tag="component"):
    """What a component imports and exports, in the order of the file, and every type that this mentions.

    ``docs`` is what the author's interface file says, as far as the component has it: of the world under the
    empty name, of an interface under its name, of a function or type under ``INTERFACE#ITEM``, and of a
    field, case or flag under ``INTERFACE#ITEM.MEMBER``. Items of the world itself begin with ``#``.
    """

    imports: tuple[Item, ...]
    exports: tuple[Item, ...]
    types: tuple[TypeDef, ...]
    docs: dict[str, str] = {}

    def definition(self, used: Type) -> TypeDef | Primitive:
        """What ``used`` is once aliases are followed; its name is that of the definition."""
        while isinstance(used, int):
            found = self.types[used]
            if not isinstance(found, Alias):
                return found
            used = found.target
        return used


class CoreImport(msgspec.Struct, frozen=True):
    """An import of a core module under its two names; ``params`` and ``results`` are those of a function."""

    module: str
    name: str
    kind: Literal["function", "memory", "table", "global", "tag"]
    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


class CoreExport(msgspec.Struct, frozen=True):
    """An export of a core module; ``params`` and ``results`` are those of a function."""

    name: str
    kind: Literal["function", "memory", "table", "global", "tag"]
    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


class Core(msgspec.Struct, frozen=True, tag_field="form", tag="module"):
    """What a core module imports and exports, in the order of the file."""

    imports: tuple[CoreImport, ...]
    exports: tuple[CoreExport, ...]


class Package(msgspec.Struct, frozen=True, tag_field="form", tag="package"):
    """A WIT package in binary form: the names of its interfaces and worlds."""

    names: tuple[str, ...]


Model: TypeAlias = World | Core | Package
"""The interface of a file."""


def read(data: bytes, name: str = "<bytes>") -> Model:
    """The interface of the component or core module in ``data``, which may be in the text format.

    ``name`` is for messages.

    Raises:
        LoadError: ``data`` is something else, malformed, or larger than anything that is not hostile.

    """
    found: Model = msgspec.json.decode(_native.wit_model(data, name), type=Model)
    return found
