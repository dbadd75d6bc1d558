"""Types and functions of WIT as a Python programmer would annotate them, by the table in ``wherry.wit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.wit import model
from wherry.wit.names import pascal_case, snake_case

if TYPE_CHECKING:
    from wherry.wit.model import Function, Type, TypeDef, World

_PRIMITIVES = {
    "bool": "bool",
    **dict.fromkeys(("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"), "int"),
    "f32": "float",
    "f64": "float",
    "char": "str",
    "string": "str",
    "error-context": "ErrorContext",
}


_MOST_PARTS = 1_000
"""How many types one signature spells out; nobody reads more, and types that repeat each other never end."""


def signature(world: World, function: Function) -> str:
    """How ``function`` is called from Python: ``resize(width: int) -> Image``.

    Functions of a resource carry its class, ``Image.resize(...)``; a constructor is the class itself. A
    ``result`` is written as what a success returns, as a failure is raised. A function that WIT declares
    ``async`` is written with ``async``. What is longer than anyone reads ends in ``...``.
    """
    writer = _Writer(world)
    owner = None if function.resource is None else _class(world.definition(function.resource))
    params = function.params[1:] if function.kind == "method" else function.params
    listed = ", ".join(f"{snake_case(param.name)}: {writer.used(param.type)}" for param in params)
    prefix = "async " if function.is_async else ""
    if function.kind == "constructor":
        return f"{prefix}{owner or 'Resource'}({listed})"
    path = snake_case(function.item) if owner is None else f"{owner}.{snake_case(function.item)}"
    return f"{prefix}{path}({listed}) -> {writer.returned(function.result)}"


def annotation(world: World, used: Type) -> str:
    """The annotation for values of type ``used``, such as ``list[Point] | None``."""
    return _Writer(world).used(used)


def can_be_none(world: World, used: Type) -> bool:
    """Whether ``None`` is a value of type ``used``, so that an option of it needs ``Some``."""
    return isinstance(world.definition(used), model.Option)


class _Writer:
    """Writes the types of one signature, up to a bound."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.room = _MOST_PARTS

    def used(self, used: Type) -> str:
        self.room -= 1
        if self.room < 0:
            return "..."
        definition = self.world.definition(used)
        return _PRIMITIVES[definition] if isinstance(definition, str) else self.defined(definition)

    def defined(self, definition: TypeDef) -> str:  # noqa: PLR0911 - a match over the WIT types
        match definition:
            case model.List(element=element) if self.world.definition(element) == "u8":
                return "bytes"
            case model.List(element=element) | model.FixedList(element=element):
                return f"list[{self.used(element)}]"
            case model.Tuple(elements=elements):
                return f"tuple[{self.listed(elements)}]"
            case model.Map(key=key, value=value):
                return f"dict[{self.listed((key, value))}]"
            case model.Option(payload=payload):
                inner = self.used(payload)
                return f"Some[{inner}] | None" if can_be_none(self.world, payload) else f"{inner} | None"
            case model.Result(ok=ok, err=err):
                return f"Ok[{self.optional(ok)}] | Err[{self.optional(err)}]"
            case model.Stream(payload=payload) if (
                payload is not None and self.world.definition(payload) == "u8"
            ):
                return "Stream[bytes]"
            case model.Stream(payload=payload):
                return f"Stream[{self.optional(payload)}]"
            case model.Future(payload=payload):
                return f"Future[{self.optional(payload)}]"
            case _:
                return self.named(definition)

    def named(self, definition: TypeDef) -> str:
        match definition:
            case model.Enum():
                return "str"
            case model.Flags():
                return "frozenset[str]"
            case model.Variant():
                return "Variant"
            case model.Own(resource=resource) | model.Borrow(resource=resource):
                return _class(self.world.definition(resource))
            case _:
                return _class(definition)

    def listed(self, elements: tuple[Type, ...]) -> str:
        shown = [self.used(element) for element in elements[: max(self.room, 0) + 1]]
        return ", ".join(shown) or "()"

    def optional(self, used: Type | None) -> str:
        return "None" if used is None else self.used(used)

    def returned(self, result: Type | None) -> str:
        """What a call returns: of a result the success, as a failure is raised."""
        definition = None if result is None else self.world.definition(result)
        return self.optional(definition.ok if isinstance(definition, model.Result) else result)


def _class(definition: TypeDef | str) -> str:
    """The name of the class for a record or resource."""
    name = None if isinstance(definition, str) else definition.name
    return "Resource" if name is None else pascal_case(name)
