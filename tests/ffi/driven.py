"""The program ``c/driver.c`` at the other end of a pipe: calls through libwherry, bytes in and bytes out."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Driver", "RefusedError"]


@dataclass(frozen=True)
class RefusedError(Exception):
    """An error of the library: its status, its message and its hint."""

    status: int
    message: str
    hint: str


class Driver:
    """One instance in a process of its own."""

    def __init__(self, program: Path, component: Path) -> None:
        """Starts the program on a component."""
        self._process = subprocess.Popen(
            [program, component], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, name: str, arguments: bytes, interface: str = "-") -> bytes:
        """Calls a function; raises `RefusedError` for an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"call {interface} {name} {arguments.hex() or '-'}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().rstrip("\n")
        what, _, rest = answer.partition(" ")
        if what == "ok":
            return bytes.fromhex(rest)
        assert what == "error", f"the driver ended with {self._process.wait()}"
        status, _, words = rest.partition(" ")
        message, _, hint = words.partition("\t")
        raise RefusedError(int(status), message, hint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        assert self._process.returncode == 0
