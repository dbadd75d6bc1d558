"""Why nothing fits, in plain words: the fewest lines of ``[dependencies]`` that cannot all be met.

Of all that was wanted it leaves out one after the other as long as nothing fits without it either. What is
left is the reason, and each line of it is part of the reason.
"""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from wherry.errors import DependencyError
from wherry.store.resolve import solution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wherry.store.resolve import World
    from wherry.store.wanted import Chosen, Wanted

__all__ = ["explained"]

_MOST_LINES = 20
_MOST_VERSIONS = 5
_ROUNDS = (100, 1000)
_MOST_ROUNDS = 5000
"""How much is tried to leave lines out; where that is not enough, there are more than people read anyway."""


def explained(world: World) -> DependencyError:
    """The error for what cannot be resolved."""
    reason = _reason(world)
    lines = list(_lines(world, reason))
    if len(lines) == 1:
        message = lines[0].replace(" (there is ", ", and there is ").removesuffix(")")
    else:
        shown = lines[:_MOST_LINES]
        if len(lines) > len(shown):
            shown.append(f"and {len(lines) - len(shown)} more")
        message = "\n  ".join([f"`{world.package.reference}` cannot have all that it uses:", *shown])
    error = DependencyError(message, hint="\n".join(_hints(world, reason)))
    error.wants = tuple((one.by.reference, one.name, one.said) for one in reason if one.by is not None)
    return error


def _reason(world: World) -> list[Wanted]:
    """The fewest wants that do not go together, from the package on."""
    left = world.wants()
    in_the_way = [one for one in left if one.name in world.troubled]
    if _is_reason(world, in_the_way):
        left = in_the_way
    until = world.rounds + _MOST_ROUNDS
    for one in tuple(left):
        if world.rounds > until:
            break
        rest = [other for other in left if other is not one]
        if _is_reason(world, rest):
            left = rest
    order = {world.package.name: 0}
    for _ in left:
        for one in left:
            if one.by is not None and one.by.name in order:
                order.setdefault(one.name, len(order))
    return sorted(left, key=lambda one: order.get(one.by.name if one.by else "", len(order)))


def _is_reason(world: World, wants: list[Wanted]) -> bool:
    try:
        return solution(world, wants, attempts=_ROUNDS) is None
    except DependencyError:  # it takes too long to say: better a line too many
        return False


def _lines(world: World, reason: Sequence[Wanted]) -> Iterator[str]:
    """Who wants what, and at the last mention of a name which of it there are."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in reason:
        if one.by is not None:
            groups.setdefault((one.by.name, one.name, one.said), []).append(one.by.version)
    last = {name: (by, name, said) for by, name, said in groups}
    for (by, name, said), versions in groups.items():
        who = f"`{by}@{versions[0]}` wants" if len(versions) == 1 else f"`{by}` {_all(versions)} want"
        there = f" (there is {_there(world, name, reason)})" if last[name] == (by, name, said) else ""
        yield f"{who} `{name}` {said}{there}"


def _there(world: World, name: str, reason: Sequence[Wanted]) -> str:
    """Which packages of a name there are."""
    found = world.there(name, [one for one in reason if one.name == name])
    return _all([_shown(one) for one in found]) if found else "none"


def _shown(package: Chosen) -> str:
    if package.folder is None:
        return package.version
    return f"{package.version} in `{os.path.relpath(package.folder)}`"


def _all(words: Sequence[str]) -> str:
    """As in ``1.0.0, 1.1.0 and 2.0.0``."""
    shown = list(words[:_MOST_VERSIONS])
    if len(words) > len(shown):
        shown.append(f"{len(words) - len(shown)} more")
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]


def _hints(world: World, reason: Sequence[Wanted]) -> Iterator[str]:
    """What to do about it."""
    nowhere = sorted({one.by.reference for one in reason if one.nowhere and one.by is not None})
    if nowhere:
        yield f'the author of `{nowhere[0]}` has to say which version: `version = "…"` beside `path`'
        return
    names = list(dict.fromkeys(one.name for one in reason))
    known = [name for name in world.packages.names() if name not in {one.name for one in world.wants()}]
    missing = [name for name in names if not world.there(name, [one for one in reason if one.name == name])]
    for name in missing:
        # One that is wanted already is not what was meant.
        close = difflib.get_close_matches(name, known, n=1)
        if close:
            yield f"did you mean `{close[0]}`?"
    if missing:
        yield f"`wherry load FILE` brings {' and '.join(f'`{name}`' for name in missing)} in"
    else:
        yield "`wherry load FILE` brings other versions in; `[dependencies]` says which fit"
