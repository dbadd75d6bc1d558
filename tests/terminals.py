"""A terminal to type in, for tests of what only a person at one sees."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DEADLINE",
    "QUESTION",
    "WHERRY",
    "Typed",
    "on_terminal",
    "read_until",
    "said_at_ctrl_c",
    "shown",
    "typed",
]

WHERRY = [sys.executable, "-m", "wherry"]
QUESTION = b"Allow it? [y/N] "
DEADLINE = 60.0
"""Seconds after which a test has failed."""
ROOT = Path(__file__).parents[1]
KEYS = {"\x03", "\x04"}
"""Ctrl-C and Ctrl-D: nobody ends a line after them."""


class Typed(NamedTuple):
    """What came of a command line: its exit code, and all that it wrote."""

    code: int
    text: str


@contextmanager
def on_terminal(
    *words: str | Path, folder: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """``wherry`` with these words, its three streams one terminal; with the descriptor of the other side."""
    ours, theirs = pty.openpty()
    # A session of its own, with this terminal as the one that its Ctrl-C comes from.
    command = ["setsid", "--ctty", *WHERRY, *words]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    """What a terminal shows up to and including ``wanted``."""
    shown = b""
    deadline = time.monotonic() + DEADLINE
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([descriptor], [], [], 0.1)[0]:
            shown += os.read(descriptor, 4096)
    return shown


def typed(*words: str | Path, answer: str | None = None) -> Typed:
    """Types ``wherry`` where nobody can be asked; with ``answer`` on a terminal, at the question."""
    if answer is None:
        done = subprocess.run(
            [*WHERRY, *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Typed(done.returncode, done.stdout.decode())
    keys = answer if answer in KEYS else f"{answer}\n"
    with on_terminal(*words) as (process, terminal):
        seen = b""
        while piece := shown(terminal):
            seen += piece
            if seen.endswith(QUESTION):
                os.write(terminal, keys.encode())
        return Typed(process.wait(DEADLINE), seen.decode().replace("\r\n", "\n"))


def shown(terminal: int) -> bytes:
    """What the other side wrote; nothing when it has gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def said_at_ctrl_c(program: str, within: float) -> str:
    """What a program in Python says after Ctrl-C, which comes when it said ``ready``, and ends in time."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=within)[0]
    assert process.returncode == 0
    return said
