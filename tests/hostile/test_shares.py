"""What the host keeps for a guest has shares of the guest's memory limit: handles, fields of requests.

Each share is met by one guest with just enough and by one with more; a larger limit, or a guest that wants
less, is the control.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import python_command
from tests.hostile.footprint import growth

if TYPE_CHECKING:
    from pathlib import Path

# One handle for each KiB.
HANDLE = 1 << 10
MANY = 4_096
ALLOWED = 1 << 20


def handles(count: int) -> bytes:
    """A command that makes so many handles to a resource of its own, and drops none."""
    return f"""(component
      (type $thing (resource (rep i32)))
      (core func $new (canon resource.new $thing))
      (core module $module
        (import "" "new" (func $new (param i32) (result i32)))
        (func (export "run") (result i32)
          (local $made i32)
          (loop $on
            (drop (call $new (i32.const 1)))
            (local.set $made (i32.add (local.get $made) (i32.const 1)))
            (br_if $on (i32.lt_u (local.get $made) (i32.const {count}))))
          (i32.const 0)))
      (core instance $main (instantiate $module (with "" (instance (export "new" (func $new))))))
      (func $run (result (result)) (canon lift (core func $main "run")))
      (instance $exported (export "run" (func $run)))
      (export "wasi:cli/run@0.2.6" (instance $exported)))""".encode()


class TestHandles:
    """Handles of components, which no interface counts."""

    limits = wherry.Limits(memory=MANY * HANDLE)

    def test_in_python(self) -> None:
        """To the last one, and one more with more memory."""
        for count in (MANY - 1, MANY):
            assert wherry.run(handles(count), limits=self.limits).returncode == 0
        with pytest.raises(wherry.MemoryLimitError, match="handles than its memory limit of 4MiB") as struck:
            wherry.run(handles(MANY + 1), limits=self.limits)
        assert "--memory" in (struck.value.hint or "")
        more = wherry.Limits(memory=(MANY + 1) * HANDLE)
        assert wherry.run(handles(MANY + 1), limits=more).returncode == 0

    def test_in_a_terminal(self, tmp_path: Path) -> None:
        """The same, with the exit code of the memory limit."""
        file = tmp_path / "guest.wat"

        def typed(count: int, memory: int) -> int:
            file.write_bytes(handles(count))
            command = [sys.executable, "-m", "wherry", "run", "--memory", str(memory), str(file)]
            return subprocess.run(command, check=False, capture_output=True).returncode

        assert typed(MANY, MANY * HANDLE) == 0
        assert typed(MANY + 1, MANY * HANDLE) == 137
        assert typed(MANY + 1, (MANY + 1) * HANDLE) == 0

    def test_nothing_is_left_behind(self) -> None:
        """Handles of a guest that was ended go with it."""
        guest = wherry.load(handles(1_000_000))

        def struck() -> None:
            with pytest.raises(wherry.MemoryLimitError):
                wherry.run(guest, limits=self.limits)

        grown = growth(struck, 30)
        assert grown.memory < ALLOWED
        assert max(grown[1:]) <= 0


@pytest.mark.parametrize("generation", ["02", "03"])
def test_fields_of_requests(generation: str) -> None:
    """A field that no server would take is refused before anything is sent; a large one is not granted."""

    def asked(size: int) -> wherry.Completed:
        words = f"http GET http://127.0.0.1:1/ 0 a={'x' * size}"
        return wherry.run(python_command(f"network_{generation}"), words, capture=True, check=False)

    assert (asked(100_000).stdout or b"").decode() == "http-request-denied\n"
    if generation == "03":
        assert (asked(140_000).stdout or b"").decode() == "size-exceeded\n"
    else:
        # The interface has no error for it.
        with pytest.raises(wherry.Trap, match="size of fields exceeds limit"):
            asked(140_000)
