"""Core WebAssembly that copies a value of any WIT type through memory, part by part.

One function per type and direction: ``store`` writes flat values to memory, ``copy`` goes from memory to
memory, ``clone`` copies the elements of a list to a new place. The code follows ``wit_types`` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tests.guests.wit_types import (
    Core,
    Enum,
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
    alignment,
    cases,
    discriminant_size,
    fields,
    flatten,
    offsets,
    payload_offset,
    size,
)

__all__ = ["Copier", "Encoding", "allocate"]

Encoding = Literal["utf8", "utf16", "latin1+utf16"]
_Body = Callable[[Wit], str]

_STRING = Prim("string")

# How many bytes a string of the length at hand has, by encoding; the last one marks UTF-16 in the top bit.
_STRING_BYTES: dict[Encoding, str] = {
    "utf8": "(local.get $count)",
    "utf16": "(i32.shl (local.get $count) (i32.const 1))",
    "latin1+utf16": "(select (i32.shl (local.get $count) (i32.const 1)) (local.get $count)"
    " (i32.lt_s (local.get $count) (i32.const 0)))",
}

# From the joined type of a flat value back to the type that one case has there.
_COERCIONS: dict[tuple[Core, Core], str] = {
    ("i32", "f32"): "(f32.reinterpret_i32 {})",
    ("i64", "i32"): "(i32.wrap_i64 {})",
    ("i64", "f32"): "(f32.reinterpret_i32 (i32.wrap_i64 {}))",
    ("i64", "f64"): "(f64.reinterpret_i64 {})",
}

# The infix of loads and stores narrower than their core type.
_NARROW = {1: "8", 2: "16"}


def allocate(wit: Wit) -> str:
    """An expression: the address of new memory for one ``wit``."""
    return f"(call $realloc (i32.const 0) (i32.const 0) (i32.const {alignment(wit)}) (i32.const {size(wit)}))"


class Copier:
    """The functions that copying needs, made as they are asked for."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._names: dict[tuple[str, Wit], str] = {}
        self.functions: list[str] = []

    def store(self, wit: Wit, to: str, flat: list[str]) -> str:
        """A call that writes the flat values of ``wit`` to the address ``to``."""
        params = " ".join(flatten(wit))
        name = self._function("store", wit, f"(param $to i32) (param {params})", self._store_body)
        return f"(call {name} {to} {' '.join(flat)})"

    def copy(self, wit: Wit, start: str, to: str) -> str:
        """A call that copies a ``wit`` in memory from the address ``start`` to the address ``to``."""
        name = self._function("copy", wit, "(param $from i32) (param $to i32)", self._copy_body)
        return f"(call {name} {start} {to})"

    def clone(self, wit: Wit, start: str, count: str) -> str:
        """A call that copies the ``count`` elements of a list or string to a new place and returns that."""
        signature = "(param $from i32) (param $count i32) (result i32)"
        name = self._function("clone", wit, signature, self._clone_body)
        return f"(call {name} {start} {count})"

    def _function(self, what: str, wit: Wit, signature: str, body: _Body) -> str:
        key = (what, wit)
        if key not in self._names:
            self._names[key] = f"${what}{len(self._names)}"
            self.functions.append(f"    (func {self._names[key]} {signature}\n      {body(wit)})")
        return self._names[key]

    def _store_body(self, wit: Wit) -> str:
        flat = [f"(local.get {at + 1})" for at in range(len(flatten(wit)))]
        match wit:
            case Prim(name="string") | List() | Map():
                return self._store_list(self.clone(wit, *flat), flat[1])
            case Prim() | Flags():
                return f"({_access(wit, 'store')} (local.get $to) {flat[0]})"
            case Record() | Tuple():
                calls = []
                for part, offset in zip(fields(wit), offsets(wit), strict=True):
                    calls.append(self.store(part, _plus("$to", offset), flat[: len(flatten(part))]))
                    flat = flat[len(flatten(part)) :]
                return "\n      ".join(calls)
            case _:
                return self._store_variant(wit, flat)

    def _store_variant(self, wit: Variant | Enum | Option | Result, flat: list[str]) -> str:
        joined = flatten(wit)[1:]
        calls = [f"({_discriminant(wit, 'store')} (local.get $to) {flat[0]})"]
        for number, case in enumerate(cases(wit)):
            if case is None:
                continue
            values = [
                _COERCIONS.get((have, want), "{}").format(value)
                for have, want, value in zip(joined, flatten(case), flat[1:], strict=False)
            ]
            calls.append(_when(flat[0], number, self.store(case, _plus("$to", payload_offset(wit)), values)))
        return "\n      ".join(calls)

    def _copy_body(self, wit: Wit) -> str:
        match wit:
            case Prim(name="string") | List() | Map():
                count = "(i32.load offset=4 (local.get $from))"
                return self._store_list(self.clone(wit, "(i32.load (local.get $from))", count), count)
            case Prim() | Flags():
                return f"({_access(wit, 'store')} (local.get $to) ({_access(wit, 'load')} (local.get $from)))"
            case Record() | Tuple():
                return "\n      ".join(
                    self.copy(part, _plus("$from", offset), _plus("$to", offset))
                    for part, offset in zip(fields(wit), offsets(wit), strict=True)
                )
            case _:
                return self._copy_variant(wit)

    def _copy_variant(self, wit: Variant | Enum | Option | Result) -> str:
        discriminant = f"({_discriminant(wit, 'load')} (local.get $from))"
        payload = payload_offset(wit)
        calls = [f"({_discriminant(wit, 'store')} (local.get $to) {discriminant})"]
        for number, case in enumerate(cases(wit)):
            if case is not None:
                copying = self.copy(case, _plus("$from", payload), _plus("$to", payload))
                calls.append(_when(discriminant, number, copying))
        return "\n      ".join(calls)

    @staticmethod
    def _store_list(start: str, count: str) -> str:
        return f"(i32.store (local.get $to) {start}) (i32.store offset=4 (local.get $to) {count})"

    def _clone_body(self, wit: Wit) -> str:
        element = _element(wit)
        if element is None:
            align, length = (1 if self._encoding == "utf8" else 2), _STRING_BYTES[self._encoding]
        else:
            align, length = alignment(element), f"(i32.mul (local.get $count) (i32.const {size(element)}))"
        new = f"(call $realloc (i32.const 0) (i32.const 0) (i32.const {align}) (local.get $bytes))"
        start = f"(local $bytes i32) (local $at i32) (local $to i32)\n      (local.set $bytes {length})"
        if element is None or (isinstance(element, Prim) and element != _STRING):
            copying = "(memory.copy (local.get $to) (local.get $from) (local.get $bytes))"
        else:
            one = self.copy(element, _sum("$from", "$at"), _sum("$to", "$at"))
            copying = (
                f"(loop $next (if (i32.lt_u (local.get $at) (local.get $bytes)) (then\n        {one}\n"
                f"        (local.set $at (i32.add (local.get $at) (i32.const {size(element)}))) (br $next))))"
            )
        return f"{start}\n      (local.set $to {new})\n      {copying}\n      (local.get $to)"


def _element(wit: Wit) -> Wit | None:
    match wit:
        case List():
            return wit.element
        case Map():
            return Tuple((wit.key, wit.value))
        case _:
            return None


def _access(wit: Prim | Flags, what: Literal["load", "store"]) -> str:
    core = flatten(wit)[0]
    return _sized(core, size(wit), what)


def _discriminant(wit: Variant | Enum | Option | Result, what: Literal["load", "store"]) -> str:
    return _sized("i32", discriminant_size(len(cases(wit))), what)


def _sized(core: Core, width: int, what: Literal["load", "store"]) -> str:
    narrow = _NARROW.get(width, "")
    return f"{core}.{what}{narrow}{'_u' if narrow and what == 'load' else ''}"


def _when(discriminant: str, number: int, then: str) -> str:
    return f"(if (i32.eq {discriminant} (i32.const {number})) (then {then}))"


def _plus(local: str, offset: int) -> str:
    return f"(i32.add (local.get {local}) (i32.const {offset}))" if offset else f"(local.get {local})"


def _sum(left: str, right: str) -> str:
    return f"(i32.add (local.get {left}) (local.get {right}))"
