"""What of a library does not cross to a host language: the walk over its functions and their types.

Languages say what they have no form for, and in which words;
that resources of WASI stay inside holds for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function, TypeDef

__all__ = ["obstacles", "piped", "place_of", "untyped"]


def untyped(library: Library) -> list[tuple[str, str]]:
    """Imports and exports without a type in WIT: the name of each, and why it cannot be expressed."""
    items = (*library.world.imports, *library.world.exports)
    return [(one.name, f"a {one.kind} has no type in WIT") for one in items if isinstance(one, model.Other)]


def place_of(scope: Scope, function: Function) -> str:
    """Where a function stands, in words."""
    return f"`{function.name}`" + (f" of `{scope.name}`" if scope.name is not None else "")


def piped(definition: TypeDef) -> str | None:
    """A stream or future in words; ``None`` for any other type."""
    pipe = isinstance(definition, model.Stream | model.Future)
    return f"a `{type(definition).__name__.lower()}`" if pipe else None


def obstacles(
    library: Library,
    function: Function,
    missing: Callable[[str], str],
    more: Callable[[TypeDef], list[str]] = lambda _: [],
) -> set[str]:
    """Why a function cannot be expressed, as far as its types are the reason.

    ``missing`` says of a kind of type, in words, that it does not cross; ``more`` has what the language
    refuses besides, of one type that the function uses.
    """
    found = set()
    for used in (function.result, *(param.type for param in function.params)):
        if used == "error-context":
            found.add(missing("an `error-context`"))
        if not isinstance(used, int):
            continue
        for place in library.uses(used):
            definition = library.world.types[place]
            if (
                isinstance(definition, model.Resource)
                and (home := library.home(library.place(place))).is_wasi
            ):
                found.add(f"`{definition.name}` of `{home.name}` is a resource of WASI, which stays inside")
            if isinstance(definition, model.FixedList):
                found.add("a list of fixed length is of a proposal that Wherry does not run: use a `tuple`")
            found.update(more(definition))
    return found
