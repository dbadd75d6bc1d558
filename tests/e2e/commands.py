"""``wherry`` as it is typed, for the tests of deterministic runs and their receipts."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STDIN", "cli"]

STDIN = bytes(range(256)) * 50


def cli(*words: str | Path, stdin: bytes = STDIN, **env: str) -> subprocess.CompletedProcess[bytes]:
    """``wherry`` with these words."""
    command = [sys.executable, "-m", "wherry", *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=300, env=os.environ | env
    )
