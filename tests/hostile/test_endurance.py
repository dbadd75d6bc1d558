"""A thousand hostile runs in one process leave it with what the first hundred did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.hostile.footprint import Footprint

ROOT = Path(__file__).parent.parent.parent
SPREAD = 0.05


RUNS = 1_000


def test_a_thousand_hostile_runs_leave_nothing() -> None:
    """Loops, memory bombs, floods, recursion, traps, handles without end and what is too large to compile.

    None ends well; memory stays within five parts of a hundred, and threads, files and sockets are no more.
    """
    command = [sys.executable, "-m", "tests.hostile.endurance", str(RUNS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = (Footprint(*map(int, line.split())) for line in done.stdout.splitlines())
    assert last.memory <= first.memory * (1 + SPREAD)
    assert last.threads <= first.threads
    assert last.files <= first.files
    assert last.sockets <= first.sockets
