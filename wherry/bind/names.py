"""Names of WIT as names of a host language, none of which falls on a keyword or on another.

WIT names are words with hyphens: ``get-URL2``. ``words`` takes them apart, and the functions below put them
together as languages have them. ``Names`` gives out the names of one scope of a generated file: the same name
twice, or one that the language keeps for itself, becomes another, by one rule for all languages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Key = TypeVar("Key")

__all__ = ["Names", "camel_case", "distinct", "pascal_case", "screaming_case", "snake_case", "words"]


def words(name: str) -> list[str]:
    """The words of a name: ``get-URL2`` is ``get`` and ``URL2``."""
    return name.split("-")


def snake_case(name: str) -> str:
    """``get-URL2`` is ``get_url2``."""
    return "_".join(word.lower() for word in words(name))


def screaming_case(name: str) -> str:
    """``get-URL2`` is ``GET_URL2``."""
    return snake_case(name).upper()


def pascal_case(name: str) -> str:
    """``get-URL2`` is ``GetURL2``: capitals in WIT stay."""
    return "".join(word[:1].upper() + word[1:] for word in words(name))


def camel_case(name: str) -> str:
    """``get-URL2`` is ``getURL2``, and ``URL`` is ``url``."""
    first, *rest = words(name)
    return first.lower() + "".join(word[:1].upper() + word[1:] for word in rest)


class Names:
    """The names of one scope of a generated file.

    ``reserved`` are those that nothing may have: keywords, and what the file itself needs. With ``fold``,
    names are the same where it gives the same, such as ``str.lower`` for file systems that ignore case.
    """

    def __init__(self, reserved: Iterable[str] = (), fold: Callable[[str], str] = str) -> None:
        self._fold = fold
        self._taken = {fold(name) for name in reserved}

    def take(self, *wanted: str) -> str:
        """The first of ``wanted`` that is free; the last one with underscores behind it, if none is."""
        for name in wanted:
            if self._fold(name) not in self._taken:
                break
        else:
            name = wanted[-1]
            while self._fold(name) in self._taken:
                name += "_"
        self._taken.add(self._fold(name))
        return name

    def __contains__(self, name: str) -> bool:
        return self._fold(name) in self._taken


def distinct(wanted: Mapping[Key, Sequence[str]], reserved: Iterable[str] = ()) -> dict[Key, str]:
    """A name for each key: the first of its ``wanted`` that no other key wants as much.

    Names do not depend on the order of the keys: where two want the same, both take their next one, and what
    is left to chance in the end is numbered. ``codec`` of two packages becomes ``images_codec`` and
    ``sounds_codec``, whichever comes first.
    """
    kept = set(reserved)
    level = dict.fromkeys(wanted, 0)
    while True:
        claims: dict[str, list[Key]] = {}
        for key, names in wanted.items():
            claims.setdefault(names[level[key]], []).append(key)
        clashing = [
            key
            for name, keys in claims.items()
            if len(keys) > 1 or name in kept
            for key in keys
            if level[key] + 1 < len(wanted[key])
        ]
        if not clashing:
            break
        for key in clashing:
            level[key] += 1
    scope = Names(kept)
    return {key: scope.take(choices[level[key]]) for key, choices in wanted.items()}
