"""WIT types as small Python values, with the memory layout and flattening of the canonical ABI.

The layout is written from the component model's specification (``CanonicalABI.md``: alignment, size,
flattening) and shares nothing with the engine, so that guests built from it check the engine's layout. Start
at ``Wit``; ``echo`` turns a type into a guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "MAX_FLAT_PARAMS",
    "MAX_FLAT_RESULTS",
    "Core",
    "Enum",
    "Field",
    "Flags",
    "List",
    "Map",
    "Option",
    "Prim",
    "Record",
    "Result",
    "Tuple",
    "Variant",
    "Wit",
    "alignment",
    "cases",
    "discriminant_size",
    "fields",
    "flatten",
    "join",
    "offsets",
    "payload_offset",
    "size",
]

MAX_FLAT_PARAMS = 16
MAX_FLAT_RESULTS = 1

Core = Literal["i32", "i64", "f32", "f64"]


@dataclass(frozen=True)
class Prim:
    """A type without parts: ``bool``, ``u8`` to ``s64``, ``f32``, ``f64``, ``char`` or ``string``."""

    name: str


@dataclass(frozen=True)
class List:
    """``list<element>``."""

    element: Wit


@dataclass(frozen=True)
class Map:
    """``map<key, value>``: a list of pairs in memory."""

    key: Wit
    value: Wit


@dataclass(frozen=True)
class Field:
    """A named part of a record, or a case of a variant, which may lack a type."""

    name: str
    type: Wit | None


@dataclass(frozen=True)
class Record:
    """``record { name: type, … }``."""

    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Tuple:
    """``tuple<…>``."""

    items: tuple[Wit, ...]


@dataclass(frozen=True)
class Variant:
    """``variant { name, name(type), … }``."""

    cases: tuple[Field, ...]


@dataclass(frozen=True)
class Enum:
    """``enum { name, … }``."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Flags:
    """``flags { name, … }``, 32 at most."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """``option<type>``."""

    type: Wit


@dataclass(frozen=True)
class Result:
    """``result<ok, err>``; either may be absent."""

    ok: Wit | None
    err: Wit | None


Wit = Prim | List | Map | Record | Tuple | Variant | Enum | Flags | Option | Result

_PRIMITIVES: dict[str, tuple[int, tuple[Core, ...]]] = {
    "bool": (1, ("i32",)),
    "u8": (1, ("i32",)),
    "s8": (1, ("i32",)),
    "u16": (2, ("i32",)),
    "s16": (2, ("i32",)),
    "u32": (4, ("i32",)),
    "s32": (4, ("i32",)),
    "u64": (8, ("i64",)),
    "s64": (8, ("i64",)),
    "f32": (4, ("f32",)),
    "f64": (8, ("f64",)),
    "char": (4, ("i32",)),
}

_POINTER_AND_LENGTH: tuple[Core, ...] = ("i32", "i32")


def fields(wit: Record | Tuple) -> tuple[Wit, ...]:
    """The types of the parts of a record or tuple, in order."""
    if isinstance(wit, Tuple):
        return wit.items
    return tuple(field.type for field in wit.fields if field.type is not None)


def cases(wit: Variant | Enum | Option | Result) -> tuple[Wit | None, ...]:
    """The payload of each case; option, result and enum are variants in the canonical ABI."""
    match wit:
        case Variant():
            return tuple(case.type for case in wit.cases)
        case Enum():
            return (None,) * len(wit.names)
        case Option():
            return (None, wit.type)
        case Result():
            return (wit.ok, wit.err)


def discriminant_size(count: int) -> int:
    """Bytes of the discriminant of a variant with ``count`` cases."""
    return 1 if count <= 1 << 8 else 2 if count <= 1 << 16 else 4


def _flags_size(count: int) -> int:
    return 1 if count <= 8 else 2 if count <= 16 else 4


def _align_to(offset: int, align: int) -> int:
    return -(-offset // align) * align


def alignment(wit: Wit) -> int:
    """The alignment of ``wit`` in memory, in bytes."""
    match wit:
        case Prim(name="string") | List() | Map():
            return 4
        case Prim():
            return _PRIMITIVES[wit.name][0]
        case Flags():
            return _flags_size(len(wit.names))
        case Record() | Tuple():
            return max(alignment(part) for part in fields(wit))
        case _:
            return max(discriminant_size(len(cases(wit))), _payload_alignment(wit))


def _payload_alignment(wit: Variant | Enum | Option | Result) -> int:
    return max((alignment(case) for case in cases(wit) if case is not None), default=1)


def payload_offset(wit: Variant | Enum | Option | Result) -> int:
    """Where the payload of a variant starts, the same for each of its cases."""
    return _align_to(discriminant_size(len(cases(wit))), _payload_alignment(wit))


def offsets(wit: Record | Tuple) -> tuple[int, ...]:
    """Where each part of a record or tuple starts."""
    found = []
    offset = 0
    for part in fields(wit):
        offset = _align_to(offset, alignment(part))
        found.append(offset)
        offset += size(part)
    return tuple(found)


def size(wit: Wit) -> int:
    """The size of ``wit`` in memory, a multiple of its alignment."""
    match wit:
        case Prim(name="string") | List() | Map():
            return 8
        case Prim():
            return _PRIMITIVES[wit.name][0]
        case Flags():
            return _flags_size(len(wit.names))
        case Record() | Tuple():
            end = offsets(wit)[-1] + size(fields(wit)[-1])
            return _align_to(end, alignment(wit))
        case _:
            payload = max((size(case) for case in cases(wit) if case is not None), default=0)
            return _align_to(payload_offset(wit) + payload, alignment(wit))


def join(left: Core, right: Core) -> Core:
    """The core type that holds either of two flat values at the same place of two cases."""
    if left == right:
        return left
    return "i32" if {left, right} == {"i32", "f32"} else "i64"


def flatten(wit: Wit) -> tuple[Core, ...]:
    """The core values that stand for ``wit`` in the signature of a core function."""
    match wit:
        case Prim(name="string") | List() | Map():
            return _POINTER_AND_LENGTH
        case Prim():
            return _PRIMITIVES[wit.name][1]
        case Flags():
            return ("i32",)
        case Record() | Tuple():
            return tuple(core for part in fields(wit) for core in flatten(part))
        case _:
            return ("i32", *_flatten_cases(cases(wit)))


def _flatten_cases(payloads: tuple[Wit | None, ...]) -> tuple[Core, ...]:
    joined: list[Core] = []
    for payload in payloads:
        for at, core in enumerate(flatten(payload) if payload is not None else ()):
            if at < len(joined):
                joined[at] = join(joined[at], core)
            else:
                joined.append(core)
    return tuple(joined)
