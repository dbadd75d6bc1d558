"""Asks, once for each package, whether it may have what it asks for.

Without a terminal nobody is asked: the run is refused, and the flags that would grant it are printed. What
was agreed to is remembered for the digest of the package alone, or for the folder of a project.
"""

from __future__ import annotations

import sys
import termios
from typing import TYPE_CHECKING

from wherry.cli import output
from wherry.errors import GrantError
from wherry.store.permissions import Permissions, asked, lacking, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wherry.build.launch import Launch
    from wherry.store.local import LocalStore
    from wherry.store.permissions import Agreement, Asked

__all__ = ["granted", "settled"]

_OWN_POLICY = frozenset({"--policy", "--learn"})
"""Who hands in a policy says all of what is granted."""


def granted(
    store: LocalStore, launch: Launch, words: Sequence[str], target: str, *, command: str = "run"
) -> list[str]:
    """The flags for what somebody has agreed to, now or before.

    ``words`` are flags that were typed to ``wherry COMMAND``, and ``target`` is the name of the package or
    project behind them.

    Raises:
        GrantError: Nobody agreed.

    """
    if launch.manifest is None or _OWN_POLICY & {word.partition("=")[0] for word in words}:
        return []
    wanted = unanswered(asked(launch.manifest.needs), words)
    if not wanted:
        return []
    permissions = Permissions(store)
    if not permissions.count:
        output.warn(f"others can write to `{store.path}`: what was agreed to there does not count")
    agreed = permissions.of(launch.subject)
    allowed = set(agreed.flags) if agreed is not None else set()
    missing = lacking(wanted, agreed)
    open_ones = [one for one in missing if one.open]
    reference = launch.manifest.reference
    if open_ones:
        raise _refused(command, target, f"`{reference}` needs to be told:", open_ones)
    if missing or agreed is None:
        package = launch.manifest.package
        if not (sys.stdin is not None and sys.stdin.isatty() and output.on_terminal()):
            if not missing:
                return []
            raise _refused(command, target, f"`{reference}` asks for what nobody has agreed to:", missing)
        before = agreed or permissions.before(package.name)
        if not _ask(reference, wanted, before):
            raise _not_run(f"`{reference}` was not allowed what it asks for")
        flags = [one.flag for one in wanted if not one.open]
        permissions.agree(launch.subject, package.name, package.version, flags)
        allowed = set(flags)
    return [word for one in wanted if one.flag in allowed for word in one.flag]


def settled(store: LocalStore, launch: Launch) -> bool:
    """Whether nobody will be asked at the next run, on a terminal or not."""
    if launch.manifest is None or not asked(launch.manifest.needs):
        return True
    return Permissions(store).of(launch.subject) is not None


def _ask(reference: str, wanted: list[Asked], before: Agreement | None) -> bool:
    """Says what a package asks for, what of it is new, and reads the answer."""
    known = set(before.flags) if before is not None else set()
    old = [one for one in wanted if one.flag in known]
    new = [one for one in wanted if one.flag not in known and not one.open]
    lines = []
    if before is not None and old:
        lines += [f"{reference} asks for what {before.version} was allowed:", *_lines(old)]
    if new:
        lines += ["now also:" if lines else f"{reference} asks to", *_lines(new)]
    for line in lines:
        output.say(line)
    # What was typed before the question was there is no answer to it.
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    sys.stderr.write("Allow it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _lines(wanted: list[Asked]) -> Iterator[str]:
    for one in wanted:
        # Without rows of spaces, by which a long line would go on where another seems to begin.
        why = f": {' '.join(one.why.split())}" if one.why is not None else ""
        optional = " (optional)" if one.optional else ""
        yield output.printable(f"  {one.words}{optional}{why}")


def _refused(command: str, target: str, what: str, wanted: list[Asked]) -> GrantError:
    """The refusal, with the flags as they are typed."""
    from shlex import join, quote

    flags = " ".join(join(one.flag) for one in wanted)
    message = "\n".join([what, *_lines(wanted)])
    return _not_run(message, hint=output.printable(f"wherry {command} {flags} {quote(target)}"))


def _not_run(message: str, hint: str | None = None) -> GrantError:
    """It could have been started and was refused: 126, as a shell has it for a file without the right."""
    error = GrantError(message, hint=hint)
    error.exit_code = 126
    return error
