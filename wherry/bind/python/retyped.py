"""Types whose members have the same names: what comes out of a guest is of one class for all of them.

The core tells types apart by the names of their members alone. Where two types of a library share these,
values are turned into the class that was meant, after they came out: ``wherry.runtime.retyped`` does so by a
plan that is written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.library import places_of
from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.bind.python.spelling import Spelling
    from wherry.wit.model import Type

__all__ = ["Ambiguous"]


class Ambiguous:
    """The types of a library that the core does not tell apart."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._world = spelling.world
        alike: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for module in spelling.modules:
            for place in module.classes:
                key = _key(self._world.types[place])
                if key is not None:
                    alike.setdefault(key, []).append(place)
        self._places = {place for places in alike.values() if len(places) > 1 for place in places}

    def plan(self, used: Type | None, imported: Callable[[str, str], str]) -> str | None:  # noqa: PLR0911 - a match over the WIT types
        """The plan for values of a type, as source; ``None`` where they are right as they are."""
        if not self._places or not isinstance(used, int):
            return None
        place = self._spelling.canonical(used)
        definition = self._world.types[place]
        parts = [self.plan(one, imported) for one in places_of(definition)]
        if place not in self._places and not any(parts):
            return None
        inner = "".join(f"{part}, " for part in parts)
        match definition:
            case model.Record():
                return f"('record', ({self._class(place, imported)},), ({inner}))"
            case model.Variant():
                module = self._spelling.module_of(place)
                classes = [imported(f".{module.name}", one) for one in module.cases[place]]
                return f"('variant', ({''.join(f'{one}, ' for one in classes)}), ({inner}))"
            case model.Enum():
                return f"('enum', ({self._class(place, imported)},), ())"
            case model.Flags():
                return f"('flags', ({self._class(place, imported)},), ())"
            case model.Alias(target=target):
                return self.plan(target, imported)
            case _:
                return f"('{type(definition).__name__.lower()}', (), ({inner}))"

    def _class(self, place: int, imported: Callable[[str, str], str]) -> str:
        module = self._spelling.module_of(place)
        return imported(f".{module.name}", module.classes[place])


def _key(definition: model.TypeDef) -> tuple[str, tuple[str, ...]] | None:
    match definition:
        case model.Record(fields=fields):
            return "record", tuple(one.name for one in fields)
        case model.Variant(cases=cases):
            return "variant", tuple(one.name for one in cases)
        case model.Enum(cases=names):
            return "enum", names
        case model.Flags(flags=names):
            return "flags", names
        case _:
            return None
