"""What code may do here, in plain words: ``wherry.runtime.policy``.

``explain`` reads a program, which asks, or a policy, which grants; ``diff`` says what one asks or grants
beyond the other. ``Explanation`` and ``Difference`` are also the schemas of ``wherry policy explain`` and
``wherry policy diff`` with ``--format json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from wherry import _native
from wherry.runtime.inspect import Need, inspect

if TYPE_CHECKING:
    import os

__all__ = ["Ask", "Difference", "Explanation", "Grant", "diff", "explain"]

_BY_DEFAULT = {
    "files": "no file",
    "network": "no address",
    "lookup": "no name",
    "http": "each request is refused",
    "environment": "its arguments, and no variable",
    "config": "no value",
    "keyvalue": "a store in memory, which ends with it",
    "stdin": "the terminal's; in Python nothing",
    "output": "granted",
    "terminal": "granted",
    "clock": "the clock of this machine",
    "random": "the randomness of this machine",
    "exit": "granted",
    "host": "nothing, so it does not start; in Python they can be given",
}

_FLAGS = {
    "files": ("dir",),
    "network": ("allow-net", "allow-listen"),
    "lookup": ("allow-dns", "allow-net", "allow-http"),
    "http": ("allow-http",),
    "environment": ("env", "env-file"),
    "config": ("config", "secret"),
    "keyvalue": ("kv",),
}


class Ask(msgspec.Struct, frozen=True):
    """Something that a program asks for.

    ``id``, ``words`` and ``flag`` are those of ``wherry.inspect``; ``by_default`` says what it gets when
    nothing is granted.
    """

    id: str
    words: str
    flag: str | None
    by_default: str


class Grant(msgspec.Struct, frozen=True):
    """Something that a policy grants, or a limit that it sets.

    ``flag`` and ``value`` are what it says, ``words`` what that means, and ``warning`` what to think of, or
    ``None``. Values of variables and of configuration are left out: ``value`` is the name.
    """

    flag: str
    value: str
    words: str
    warning: str | None


class Explanation(msgspec.Struct, frozen=True):
    """What a program asks (``kind`` is ``program``) or what a policy grants (``policy``)."""

    name: str
    kind: Literal["program", "policy"]
    asks: tuple[Ask, ...] = ()
    grants: tuple[Grant, ...] = ()
    limits: tuple[Grant, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """What each of two files asks or grants beyond the other, in plain words."""

    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]


class _Granted(msgspec.Struct, frozen=True):
    grants: tuple[Grant, ...]
    limits: tuple[Grant, ...]


def explain(file: str | os.PathLike[str], *, name: str | None = None) -> Explanation:
    """What the code in ``file`` asks, or what the policy in it (``.toml``) grants here.

    ``name`` is what a program is called, in place of the path.

    Raises what ``wherry.inspect`` raises for a program; :class:`~wherry.errors.UsageError` for what is no
    policy, and :class:`~wherry.errors.GrantError` when there is none. What a policy grants and this machine
    has not is a warning.
    """
    path = Path(file)
    if _is_policy(path):
        granted = msgspec.json.decode(_native.explain_policy(str(path)), type=_Granted)
        return Explanation(str(path), "policy", grants=granted.grants, limits=granted.limits)
    return Explanation(name or str(path), "program", asks=tuple(_ask(need) for need in inspect(path).needs))


def diff(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Difference:
    """What each of two programs or policies asks or grants beyond the other.

    Of two policies, what is covered by a wider grant of the other is not beyond it. A policy and a program
    are compared by what sorts of things the one grants and the other asks for.

    Raises what :func:`explain` raises, and :class:`~wherry.errors.GrantError` when one of two policies cannot
    be granted here.
    """
    one, other = Path(first), Path(second)
    if _is_policy(one) and _is_policy(other):
        return Difference(_beyond(other, one), _beyond(one, other))
    mine, theirs = explain(one), explain(other)
    return Difference(_without(mine, theirs), _without(theirs, mine))


def _is_policy(path: Path) -> bool:
    return path.suffix == ".toml"


def _ask(need: Need) -> Ask:
    return Ask(need.id, need.words, need.flag, _BY_DEFAULT.get(need.id, "nothing"))


def _beyond(policy: Path, other: Path) -> tuple[str, ...]:
    lines = msgspec.json.decode(_native.policy_beyond(str(policy), str(other)), type=tuple[Grant, ...])
    return tuple(line.words for line in lines)


def _without(mine: Explanation, theirs: Explanation) -> tuple[str, ...]:
    """What one asks or grants that the other does not."""
    granted = {grant.flag for grant in theirs.grants}
    asked = {ask.id for ask in theirs.asks}
    wanted = {flag for ask in theirs.asks for flag in _FLAGS.get(ask.id, ())}
    if mine.kind == "policy":
        return tuple(grant.words for grant in mine.grants if grant.flag not in wanted)
    if theirs.kind == "program":
        return tuple(ask.words for ask in mine.asks if ask.id not in asked)
    needed = [ask for ask in mine.asks if ask.flag is not None or ask.id == "host"]
    return tuple(ask.words for ask in needed if not granted & set(_FLAGS.get(ask.id, ())))
