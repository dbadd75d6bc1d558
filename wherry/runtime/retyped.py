"""Values whose type the core cannot tell from another one, turned into the class that was meant.

Types of one library whose members have the same names come out of a guest as objects of one class.
``wherry bind`` writes a plan for what mentions such a type: its kind, its classes, the plans of its parts,
with ``None`` where a part is right as it is. Only functions that have such types pay for this.
"""

from __future__ import annotations

from functools import partial

from wherry.runtime.values import Err, Ok, Some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    Plan = tuple[str, tuple[Any, ...], tuple[Any, ...]]

__all__ = ["returning", "retyped", "succeeding", "taking"]


def returning(function: Callable[..., object], plan: Plan) -> Callable[..., object]:
    """The function, with what it returns turned by ``plan``."""

    def call(*arguments: object) -> object:
        return retyped(function(*arguments), plan)

    return call


def taking(function: Callable[..., object], plans: Sequence[Plan | None]) -> Callable[..., object]:
    """The function, with its arguments turned by ``plans``."""

    def call(*arguments: object) -> object:
        return function(*(retyped(one, plan) for one, plan in zip(arguments, plans, strict=True)))

    return call


def succeeding(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with what it gives back as the good case of a ``result``, be it one itself."""

    def call(*arguments: object) -> object:
        found = function(*arguments)
        return _awaited(found) if hasattr(found, "__await__") else Ok(found)

    return call


async def _awaited(found: Awaitable[object]) -> Ok[object]:
    return Ok(await found)


def retyped(value: Any, plan: Plan | None) -> Any:  # noqa: C901, PLR0911 - a match over the kinds of types
    """``value`` with objects of the classes of ``plan``."""
    if plan is None:
        return value
    kind, classes, parts = plan
    match kind:
        case "record":
            fields = type(value).__match_args__
            values = (retyped(getattr(value, name), part) for name, part in zip(fields, parts, strict=True))
            return classes[0](*values)
        case "variant":
            return _case(value, classes, parts)
        case "enum":
            return classes[0](value.value)
        case "flags":
            return classes[0](value.value)
        case "list" | "fixedlist":
            return [retyped(one, parts[0]) for one in value]
        case "tuple":
            return tuple(retyped(one, part) for one, part in zip(value, parts, strict=True))
        case "map":
            return {retyped(key, parts[0]): retyped(one, parts[1]) for key, one in value.items()}
        case "option":
            if isinstance(value, Some):
                return Some(retyped(value.value, parts[0]))
            return None if value is None else retyped(value, parts[0])
        case "stream" | "future":
            return value.turned(partial(retyped, plan=parts[0]))
        case _:
            part = parts[0] if isinstance(value, Ok) else parts[1]
            return (Ok if isinstance(value, Ok) else Err)(retyped(value.value, part))


def _case(value: Any, classes: tuple[Any, ...], parts: tuple[Any, ...]) -> Any:
    """The case of a variant: its class knows which it is."""
    index = type(value)._index  # noqa: SLF001 - of generated classes
    if not type(value).__match_args__:
        return classes[index]()
    return classes[index](retyped(value.value, parts[index]))
