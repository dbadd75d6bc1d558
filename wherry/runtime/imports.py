"""Host functions: from what the caller gives as ``imports`` to the list of callables that the core wants.

A function of an interface is looked up in a mapping or on an object, by its name in snake case or as WIT has
it. A resource is a class: its constructor makes one, methods are called on it, static functions are its
attributes.
"""

from __future__ import annotations

from collections.abc import Mapping

from wherry.errors import LinkError
from wherry.wit.names import pascal_case, snake_case

TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["host_functions"]

_MISSING = object()


def host_functions(
    program: str, wanted: list[tuple[str | None, str, list[str]]], imports: Mapping[str, object]
) -> list[Callable[..., object]]:
    """The callables for all that ``program`` imports beyond WASI, in the order of ``wanted``.

    Raises :class:`~wherry.errors.LinkError` with a list of all that is missing or cannot be called.
    """
    functions: list[Callable[..., object]] = []
    missing: list[str] = []
    for interface, name, params in wanted:
        function = _find(imports, interface, name)
        if callable(function):
            functions.append(function)
        else:
            spelled = f"{name}({', '.join(params)})"
            missing.append(spelled if interface is None else f"{spelled} of {interface}")
    if missing:
        lines = "".join(f"\n  {line}" for line in missing)
        raise LinkError(
            f"`{program}` imports functions that were not given:{lines}",
            hint='give them by name: `imports={"ns:pkg/interface": {"function": callable}}`',
        )
    return functions


def _find(imports: Mapping[str, object], interface: str | None, name: str) -> object:
    """What stands for one import."""
    scope: object = imports
    if interface is not None:
        scope = _member(imports, interface)
        if scope is _MISSING and "@" in interface:
            scope = _member(imports, interface.partition("@")[0])
        if scope is _MISSING:
            return _MISSING
    kind, resource, member = _parts(name)
    if resource is None:
        return _member(scope, member)
    made = _member(scope, resource)
    if made is _MISSING or kind == "constructor":
        return made
    return _method(member) if kind == "method" else _member(made, member)


def _parts(name: str) -> tuple[str, str | None, str]:
    """``[method]counter.increment`` as its kind, resource and member."""
    if not name.startswith("["):
        return "function", None, name
    kind, _, rest = name[1:].partition("]")
    resource, _, member = rest.partition(".")
    return kind, resource, member


def _method(member: str) -> Callable[..., Any]:
    """Calls a method of whatever object the guest passes as the resource."""
    attribute = snake_case(member)

    def call(resource: object, *arguments: object) -> Any:
        return getattr(resource, attribute)(*arguments)

    return call


def _member(scope: object, name: str) -> object:
    """A member of a mapping or object, under any spelling of its name."""
    for spelling in (name, snake_case(name), pascal_case(name)):
        if isinstance(scope, Mapping):
            if spelling in scope:
                return scope[spelling]
        elif (found := getattr(scope, spelling, _MISSING)) is not _MISSING:
            return found
    return _MISSING
