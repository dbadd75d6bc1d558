"""Encoded values, written from ``docs/encoding.md`` alone: what the library and the vectors are held against.

Values are plain Python in the form that ``vectors.json`` has them: records and cases as mappings, options as
None or ``{"some": …}``, numbers that JSON loses as text, resources, streams and futures as the numbers that
stand for them. ``parsed`` reads a type as it is written there.
Start at ``encode``.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, TypeVar, cast

from tests.guests.wit_types import (
    Enum,
    Field,
    Flags,
    List,
    Map,
    Option,
    Prim,
    Record,
    Result,
    Tuple,
    Variant,
    Wit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["arguments", "encode", "parsed"]

_Part = TypeVar("_Part")

_NUMBERS = ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char"]
_HANDLES = ["own", "borrow", "stream", "future"]
_TAGS = {
    name: tag
    for names, first in ((_NUMBERS, 0x01), (_HANDLES, 0x20))
    for tag, name in enumerate(names, first)
}
_FORMATS = dict(zip(_NUMBERS, "?bBhHiIqQfdI", strict=True)) | dict.fromkeys(_HANDLES, "Q")


def arguments(*values: bytes) -> bytes:
    """The encoded tuple of encoded arguments."""
    return _headed(0x14, len(values)) + b"".join(values)


def encode(wit: Wit, value: object) -> bytes:
    """The encoding of a value."""
    match wit:
        case Prim("string"):
            data = str(value).encode()
            return _headed(0x10, len(data)) + data
        case Prim():
            return bytes([_TAGS[wit.name]]) + _number(wit.name, value)
        case List(Prim(name)) if name in _NUMBERS:
            items = cast("Sequence[object]", value)
            return _headed(0x40 + _TAGS[name], len(items)) + b"".join(_number(name, item) for item in items)
        case List():
            items = cast("Sequence[object]", value)
            return _headed(0x11, len(items)) + b"".join(encode(wit.element, item) for item in items)
        case Map():
            pairs = cast("Sequence[tuple[object, object]]", value)
            entries = [encode(wit.key, key) + encode(wit.value, value) for key, value in pairs]
            return _headed(0x12, len(pairs)) + b"".join(entries)
        case Record():
            fields = cast("Mapping[str, object]", value)
            parts = [encode(_type(field), fields[field.name]) for field in wit.fields]
            return _headed(0x13, len(parts)) + b"".join(parts)
        case Tuple():
            parts = list(map(encode, wit.items, cast("Sequence[object]", value)))
            return _headed(0x14, len(parts)) + b"".join(parts)
        case Enum():
            return _headed(0x17, wit.names.index(str(value)))
        case Flags():
            return _headed(0x18, sum(1 << wit.names.index(name) for name in cast("Sequence[str]", value)))
        case _:
            return _case(wit, cast("Mapping[str, object] | None", value))


def _case(wit: Variant | Option | Result, value: Mapping[str, object] | None) -> bytes:
    if value is None:
        return b"\x19"
    ((name, payload),) = value.items()
    match wit:
        case Variant():
            place = [case.name for case in wit.cases].index(name)
            inner = wit.cases[place].type
            if inner is None:
                return _headed(0x15, place)
            return _headed(0x16, place) + encode(inner, payload)
        case Option():
            return b"\x1a" + encode(wit.type, payload)
        case Result():
            tag, inner = (0x1B, wit.ok) if name == "ok" else (0x1D, wit.err)
            return bytes([tag]) if inner is None else bytes([tag + 1]) + encode(inner, payload)


def _number(name: str, value: object) -> bytes:
    if name == "char":
        value = ord(cast("str", value))
    elif isinstance(value, str):
        value = float(value) if name in {"f32", "f64"} else int(value)
    return struct.pack("<" + _FORMATS[name], value)


def _headed(tag: int, count: int) -> bytes:
    return struct.pack("<BI", tag, count)


def _type(field: Field) -> Wit:
    assert field.type is not None
    return field.type


def parsed(text: str) -> Wit:
    """A type as WIT writes it, with the definition of a named type where it is used."""
    tokens = re.findall(r"[\w-]+|[^\w\s]", text)
    wit = _parse(tokens)
    assert not tokens, text
    assert wit is not None, text
    return wit


def _parse(tokens: list[str]) -> Wit | None:
    word = tokens.pop(0)
    match word:
        case "_":
            return None
        case "record" | "variant" | "enum" | "flags":
            return _named(word, tokens)
        case "list" | "option" | "tuple" | "map" | "result":
            return _compound(word, _parts(tokens))
        case "own" | "borrow" | "stream" | "future":
            _parts(tokens)  # a handle is written alike, whatever it is to
            return Prim(word)
        case _:
            return Prim(word)


def _parts(tokens: list[str]) -> list[Wit | None]:
    return _between(tokens, "<", ">", _parse) if tokens[:1] == ["<"] else []


def _compound(word: str, parts: list[Wit | None]) -> Wit:
    if word == "result":
        ok, err, *_ = [*parts, None, None]
        return Result(ok, err)
    whole = [part for part in parts if part is not None]
    match word:
        case "list":
            return List(*whole)
        case "option":
            return Option(*whole)
        case "map":
            return Map(*whole)
        case _:
            return Tuple(tuple(whole))


def _named(word: str, tokens: list[str]) -> Wit:
    fields = _between(tokens, "{", "}", _field)
    names = tuple(field.name for field in fields)
    match word:
        case "record":
            return Record(tuple(fields))
        case "variant":
            return Variant(tuple(fields))
        case "enum":
            return Enum(names)
        case _:
            return Flags(names)


def _field(tokens: list[str]) -> Field:
    name = tokens.pop(0)
    if tokens[0] == ":":
        tokens.pop(0)
        return Field(name, _parse(tokens))
    if tokens[0] == "(":
        tokens.pop(0)
        inner = _parse(tokens)
        tokens.pop(0)
        return Field(name, inner)
    return Field(name, None)


def _between(tokens: list[str], start: str, end: str, part: Callable[[list[str]], _Part]) -> list[_Part]:
    assert tokens.pop(0) == start
    parts = []
    while tokens[0] != end:
        parts.append(part(tokens))
        if tokens[0] == ",":
            tokens.pop(0)
    tokens.pop(0)
    return parts
