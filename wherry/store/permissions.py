"""What a package asks for, in plain words, and what somebody has agreed to.

Asking grants nothing. ``asked`` reads the ``[needs]`` of a manifest; ``Permissions`` remembers for each
digest which flags were agreed to, so that the next version gets no more than that. Who asks people, and how,
is the business of the command line.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from wherry import _native

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wherry.artifact.manifest import Needs
    from wherry.store.local import LocalStore

__all__ = ["Agreement", "Asked", "Permissions", "asked", "lacking", "unanswered"]

_ALWAYS = frozenset({"clock", "random"})
"""What every guest has unless it is withheld: nobody has to agree to it."""


@dataclass(frozen=True)
class Asked:
    """One thing that a package asks for.

    ``flag`` grants it, as words. ``words`` say what it is, ``why`` what for, as its author has it. Where it
    is ``open``, the flag holds a word in capitals for what only the user can say, such as which folder.
    """

    flag: tuple[str, ...]
    words: str
    why: str | None = None
    optional: bool = False
    open: bool = False


@dataclass(frozen=True)
class Agreement:
    """What somebody agreed to: the flags of a package, and when, in seconds since 1970."""

    subject: str
    name: str
    version: str
    flags: tuple[tuple[str, ...], ...]
    agreed: float


def asked(wanted: Needs) -> list[Asked]:
    """What a package asks for that is not granted to everybody, limits last."""
    found = []
    for key, need in wanted.asked():
        if key in _ALWAYS:
            continue
        flags: list[tuple[str, ...]] = [(f"--{key}", value) for value in need.flags()] or [(f"--{key}",)]
        found += [Asked(flag, need.words(), need.why, need.optional, need.open) for flag in flags]
    limits = msgspec.to_builtins(wanted.limits) if wanted.limits is not None else {}
    for name, value in limits.items():
        if value is not None:
            found.append(Asked((f"--{name}", str(value)), f"use {name.replace('-', ' ')} up to {value}"))
    return found


def unanswered(wanted: Iterable[Asked], words: Sequence[str]) -> list[Asked]:
    """What is not among the flags that somebody typed.

    A flag that is typed with its very value answers, and so does one for the same folder, name or limit with
    another value: what the user says of it holds.
    """
    typed = set(itertools.pairwise([*words, ""]))
    typed |= {(flag, value) for flag, _, value in (word.partition("=") for word in words)}
    known = {(flag, _subject(flag, value)) for flag, value in typed}
    return [one for one in wanted if (one.flag[0], _subject(one.flag[0], (*one.flag, "")[1])) not in known]


def lacking(wanted: Iterable[Asked], agreed: Agreement | None) -> list[Asked]:
    """What nobody has agreed to and the package does not do without."""
    flags = agreed.flags if agreed is not None else ()
    return [one for one in wanted if one.flag not in flags and not one.optional]


class Permissions:
    """What was agreed to, on this machine.

    ``count`` says whether it does: nobody but this user, and root, can have written it.
    """

    def __init__(self, store: LocalStore) -> None:
        self._index = store.index
        self.count = _native.is_witness(store.path) or not store.path.exists()

    def agree(self, subject: str, name: str, version: str, flags: Iterable[tuple[str, ...]]) -> None:
        """Remembers that a package may have what ``flags`` grant; ``subject`` is its digest."""
        self._index(make=True).agree(subject, name, version, json.dumps(list(flags)), time.time())

    def of(self, subject: str) -> Agreement | None:
        """What was agreed to for a package, if that counts."""
        return next((one for one in self._counting() if one.subject == subject), None)

    def before(self, name: str) -> Agreement | None:
        """What was agreed to last for any version of a name, if that counts."""
        found = [one for one in self._counting() if one.name == name]
        return max(found, key=lambda one: one.agreed, default=None)

    def all(self) -> list[Agreement]:
        """Everything that was agreed to, by name."""
        return [
            Agreement(subject, name, version, tuple(tuple(flag) for flag in json.loads(flags)), agreed)
            for subject, name, version, flags, agreed in self._index().agreements()
        ]

    def _counting(self) -> list[Agreement]:
        return self.all() if self.count else []

    def revoke(self, agreement: Agreement) -> None:
        """Takes an agreement back: the next run asks again."""
        self._index(make=True).disagree(agreement.subject)


def _subject(flag: str, value: str) -> str:
    """What a flag is about, whatever it says of it: the guest's folder, a name, an address, or nothing."""
    if flag in {"--dir", "-v"}:
        return (value.partition("::")[2] or value).removesuffix(":ro")
    if flag in {"--env", "--config", "-e"}:
        return value.partition("=")[0]
    if flag == "--secret":
        return value.partition("@")[0]
    if flag.startswith("--allow-"):
        return value if flag != "--allow-dns" else ""
    return ""
