"""What the command line says to people, all of it on stderr: errors, hints, warnings, progress.

A message says what failed, on what and why; a blank line and ``hint:`` say what to do. Nothing is imported at
the top, as ``wherry run`` loads this module only when it has something to say.
"""

from __future__ import annotations

import os
import sys

from wherry.errors import BuildError, InternalError, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "INTERRUPTED",
    "ago",
    "colourful",
    "compiler",
    "fail",
    "hint",
    "long_work",
    "on_terminal",
    "printable",
    "progress",
    "readable_size",
    "report",
    "say",
    "table",
    "warn",
]

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT, as in a shell."""

_MOST_FRAMES = 32

_UNITS = ("bytes", "KiB", "MiB", "GiB")
_STEP = 1024
_EXACT = 10  # below it, a size is written with one decimal

_CLEAR = "\r\x1b[2K"
"""Back to the start of the line, which is emptied."""


def fail(error: BaseException, *, debug: bool, running: bool) -> int:
    """Report ``error`` and return the exit code for it.

    ``debug`` adds the traceback. ``running`` says that the command was to run a guest, whose exit codes are
    those of the guest and of Docker's ``run``; the codes of other commands are 1, 2 and 70.
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if debug:
        import traceback

        traceback.print_exception(error)
    known = error if isinstance(error, WherryError) else _fault(error)
    report(known)
    return known.exit_code if running else known.command_exit_code


def report(error: WherryError) -> None:
    """Write what a compiler said, an error, the guest's stack if it has one, and the hint."""
    compiler(error)
    lines = [f"{_painted('error:', '1;31')} {error.message}", *_stack(error)]
    if error.hint is not None:
        lines += ["", *_hints(error.hint.split("\n"))]
    _say(lines)


def compiler(error: WherryError) -> None:
    """Write what a compiler said as it failed."""
    if isinstance(error, BuildError) and error.output:
        _say([error.output.rstrip("\n")])


def hint(texts: list[str]) -> None:
    """Write hints after a guest that failed without a message of ours."""
    _say(_hints(texts))


def warn(message: str) -> None:
    """Write a warning."""
    _say([f"{_painted('warning:', '1;33')} {message}"])


def say(line: str) -> None:
    """Write what someone asked to be told."""
    _say([line])


def progress(what: str, seconds: float | None) -> None:
    """Show on a terminal for how long ``what`` has been going on; ``None`` clears the line again."""
    if not on_terminal():
        return
    line = "" if seconds is None else f"{what}, {seconds:.0f} s"
    try:
        sys.stderr.write(f"{_CLEAR}{line}")
        sys.stderr.flush()
    except OSError:
        return


def long_work() -> Callable[[str, float | None], None]:
    """What shows on a terminal as ``progress`` does, and elsewhere says once what is being done."""
    said: set[str] = set()

    def tell(what: str, seconds: float | None) -> None:
        if on_terminal():
            progress(what, seconds)
        elif seconds is not None and what not in said:
            said.add(what)
            say(what)

    return tell


def readable_size(size: int) -> str:
    """A size as a person reads it: ``365 KiB``."""
    step = 0
    while size >= _STEP ** (step + 1) and step < len(_UNITS) - 1:
        step += 1
    value = size / _STEP**step
    return f"{value:.{1 if step and value < _EXACT else 0}f} {_UNITS[step]}"


def printable(line: str) -> str:
    """``line`` with what a terminal would act on spelled out: it may come from a stranger."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def ago(moment: float) -> str:
    """How long a moment, in seconds since 1970, is past."""
    import time

    seconds = time.time() - moment
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "now"


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines in which the columns stand below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _fault(error: BaseException) -> InternalError:
    """An exception that nobody foresaw, as a fault of ours."""
    return InternalError(
        f"a fault in Wherry: {type(error).__name__}: {error}",
        hint="run it again with `WHERRY_DEBUG=1` and report what it prints",
    )


def _stack(error: WherryError) -> list[str]:
    """The guest's stack, innermost function first, where anything is known of it."""
    frames = getattr(error, "frames", ())
    if not any(function or module or file for function, module, file, _ in frames):
        return []
    lines = []
    for function, module, file, line in frames[:_MOST_FRAMES]:
        place = f" ({file}:{line})" if file is not None else f" in {module}" if module is not None else ""
        lines.append(f"  at {function or '(no name)'}{place}")
    if len(frames) > _MOST_FRAMES:
        lines.append(f"  and {len(frames) - _MOST_FRAMES} more")
    return lines


def _hints(texts: list[str]) -> list[str]:
    """Each hint on a line of its own."""
    return [f"{_painted('hint:', '1;36')} {text}" for text in texts]


def _say(lines: list[str]) -> None:
    """Write to stderr, if there is one and someone still reads it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    except OSError:
        return


def on_terminal() -> bool:
    """Whether stderr is a terminal that understands more than lines."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def colourful() -> bool:
    """Whether colour is wanted: https://no-color.org and https://force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or on_terminal()


def _painted(text: str, colour: str) -> str:
    """``text`` in colour where colour is wanted."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colourful() else text
