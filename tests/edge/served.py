"""A server in a process of its own, as a person starts it: what it holds and says is its own."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Served", "serving"]


class Served(NamedTuple):
    """A server in a process of its own."""

    url: str
    address: tuple[str, int]
    process: int
    errors: Path
    """What it prints on standard error."""

    def held(self) -> int:
        """Bytes of its memory."""
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * 4096


@contextmanager
def serving(target: Path, *flags: str, before: str = "") -> Iterator[Served]:
    """``wherry serve`` of this target, behind a command of the shell; it has to end well."""
    command = [sys.executable, "-m", "wherry", "serve", str(target), "--addr", "127.0.0.1:0", *flags]
    if before:
        command = ["sh", "-c", f'{before} && exec "$0" "$@"', *command]
    with NamedTemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"https?://([\d.]+):(\d+)", said)
            assert found is not None, said + Path(errors.name).read_text()
            yield Served(found[0], (found[1], int(found[2])), process.pid, Path(errors.name))
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.communicate()
