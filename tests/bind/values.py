"""Values for the types of an interface, at random, as objects of the generated classes of Python."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import wherry
from wherry.wit import model
from wherry.wit.python_types import can_be_none

if TYPE_CHECKING:
    from random import Random

    from wherry.bind.python.spelling import Spelling
    from wherry.wit.model import Type

__all__ = ["Values"]

_TEXTS = ["", "a", "Grüße", "世界", "🎉\0", "line\nline", "x" * 300]
_EXACT = 53
_CHARS = "aß世🎉\0\ud7ff\ue000\U0010ffff"


class Values:
    """Makes values; ``package`` is what was generated for the library that ``spelling`` names."""

    def __init__(self, spelling: Spelling, package: Any, random: Random) -> None:
        self._spelling = spelling
        self._world = spelling.world
        self._package = package
        self._random = random

    def value(self, used: Type | None, depth: int = 0) -> Any:
        """A value of a type."""
        if used is None:
            return None
        if isinstance(used, str):
            return self._primitive(used)
        place = self._spelling.canonical(used)
        definition = self._world.types[place]
        match definition:
            case model.Alias(target=target):
                return self.value(target, depth)
            case model.Record() | model.Variant() | model.Enum() | model.Flags():
                return self._named(place, definition, depth)
            case _:
                return self._unnamed(definition, depth)

    def _primitive(self, name: str) -> Any:
        random = self._random
        match name:
            case "bool":
                return random.random() < 0.5
            case "f32":
                return struct.unpack("f", struct.pack("f", random.uniform(-1e30, 1e30)))[0]
            case "f64":
                return random.choice([0.5, 1e300, -1e-300, float("inf"), random.uniform(-1, 1)])
            case "char":
                return random.choice(_CHARS)
            case "string":
                return random.choice(_TEXTS)
            case _:
                # Guests in JavaScript take whole numbers that its own numbers are exact for.
                bits = min(int(name[1:]), _EXACT)
                least = 0 if name[0] == "u" else -(1 << (bits - 1))
                return random.choice([least, least + (1 << bits) - 1, random.randrange(1 << bits) + least])

    def _class(self, place: int, name: str | None = None) -> Any:
        module = self._spelling.module_of(place)
        found = self._package if module.name == "__init__" else getattr(self._package, module.name)
        return getattr(found, name or module.classes[place])

    def _named(self, place: int, definition: model.TypeDef, depth: int) -> Any:
        match definition:
            case model.Record(fields=fields):
                return self._class(place)(*(self.value(field.type, depth + 1) for field in fields))
            case model.Variant(cases=cases):
                at = self._random.randrange(len(cases))
                made = self._class(place, self._spelling.module_of(place).cases[place][at])
                payload = cases[at].payload
                return made() if payload is None else made(self.value(payload, depth + 1))
            case model.Enum():
                return self._random.choice(list(self._class(place)))
            case model.Flags(flags=names):
                return self._class(place)(self._random.randrange(1 << len(names)))
        raise AssertionError(definition)

    def _unnamed(self, definition: model.TypeDef, depth: int) -> Any:
        random = self._random
        many = range(random.randrange(max(1, 5 - depth)))
        match definition:
            case model.List(element=element) if self._world.definition(element) == "u8":
                return random.randbytes(random.randrange(40))
            case model.List(element=element):
                return [self.value(element, depth + 1) for _ in many]
            case model.Map(key=key, value=value):
                return {self.value(key, depth + 1): self.value(value, depth + 1) for _ in many}
            case model.Tuple(elements=elements):
                return tuple(self.value(one, depth + 1) for one in elements)
            case model.Option(payload=payload):
                if random.random() < 0.3:
                    return None
                inner = self.value(payload, depth + 1)
                return wherry.Some(inner) if can_be_none(self._world, payload) else inner
            case model.Result(ok=ok, err=err):
                if random.random() < 0.5:
                    return wherry.Ok(self.value(ok, depth + 1))
                return wherry.Err(self.value(err, depth + 1))
        raise AssertionError(definition)
