"""Values for the types of an interface, at random by a seed, as expressions of JavaScript."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from wherry.bind.typescript.spelling import camel
from wherry.wit import model

if TYPE_CHECKING:
    from random import Random

    from wherry.bind.library import Library
    from wherry.wit.model import Type

__all__ = ["Expressions"]

_TEXTS = ["", "a", "Grüße", "世界", "🎉\0", "line\nline", "x" * 300]
_CHARS = "aß世🎉\0\ud7ff\ue000\U0010ffff"
_ARRAYS = {"u8": "Uint8Array", "u16": "Uint16Array", "u64": "BigUint64Array", "f32": "Float32Array"}
_ABSENT = 0.3
_EXACT = 53


class Expressions:
    """Makes expressions for values of the types of a library."""

    def __init__(self, library: Library, random: Random) -> None:
        self._library = library
        self._random = random

    def value(self, used: Type | None, depth: int = 0) -> str:  # noqa: C901 - a match over the types
        """An expression for a value of a type."""
        random = self._random
        if used is None:
            return "undefined"
        definition = self._library.definition(used)
        if isinstance(definition, str):
            return self._primitive(definition)
        many = range(random.randrange(max(1, 5 - depth)))
        match definition:
            case model.Record(fields=fields):
                parts = (f'"{camel(one.name)}": {self.value(one.type, depth + 1)}' for one in fields)
                return f"{{{', '.join(parts)}}}"
            case model.Variant(cases=cases):
                case = random.choice(cases)
                payload = "" if case.payload is None else f", val: {self.value(case.payload, depth + 1)}"
                return f'{{tag: "{case.name}"{payload}}}'
            case model.Enum(cases=names):
                return f'"{random.choice(names)}"'
            case model.Flags(flags=names):
                parts = (f'"{camel(name)}": {self._primitive("bool")}' for name in names)
                return f"{{{', '.join(parts)}}}"
            case model.List(element=element):
                name = self._library.definition(element)
                values = ", ".join(self.value(element, depth + 1) for _ in many)
                array = _ARRAYS.get(name) if isinstance(name, str) else None
                return f"[{values}]" if array is None else f"new {array}([{values}])"
            case model.Tuple(elements=elements):
                return f"[{', '.join(self.value(one, depth + 1) for one in elements)}]"
            case model.Option(payload=payload):
                return self._option(payload, depth)
            case model.Result(ok=ok, err=err):
                tag, part = random.choice([("ok", ok), ("err", err)])
                return f'{{tag: "{tag}", val: {self.value(part, depth + 1)}}}'
        raise AssertionError(definition)

    def _option(self, payload: Type, depth: int) -> str:
        absent = self._random.random() < _ABSENT
        nested = self._is_optional(payload)
        if absent:
            return '{tag: "none"}' if nested else "undefined"
        inner = self.value(payload, depth + 1)
        return f'{{tag: "some", val: {inner}}}' if nested else inner

    def _is_optional(self, used: Type) -> bool:
        """Whether `undefined` stands for nothing, so that an option around it needs a tag."""
        found = self._library.definition(used)
        return isinstance(found, model.Option) and not self._is_optional(found.payload)

    def _primitive(self, name: str) -> str:
        random = self._random
        match name:
            case "bool":
                return random.choice(["true", "false"])
            case "f32":
                return repr(struct.unpack("f", struct.pack("f", random.uniform(-1e30, 1e30)))[0])
            case "f64":
                return random.choice(["0.5", "1e300", "-1e-300", "Infinity", repr(random.uniform(-1, 1))])
            case "char":
                return json.dumps(random.choice(_CHARS))
            case "string":
                return json.dumps(random.choice(_TEXTS))
            case _:
                # Guests in JavaScript take whole numbers that its own numbers are exact for.
                bits = min(int(name[1:]), _EXACT)
                least = 0 if name[0] == "u" else -(1 << (bits - 1))
                value = random.choice([least, least + (1 << bits) - 1, random.randrange(1 << bits) + least])
                return f"{value}n" if bits == _EXACT else str(value)
