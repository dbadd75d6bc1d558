"""What all tests share: a cache of their own, the command line as a user types it, and the demo run once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
# The environment's own: another `wherry` or `python3` on the PATH is not what is tested.
BIN = Path(sys.executable).parent


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """Nothing of the user's leaks in: no ``WHERRY_*`` variable, no colours, no terminal's width."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WHERRY_")]:
            patch.delenv(name)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "100")
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        # A shell starts what runs in the background deaf to Ctrl-C, and commands under test inherit that.
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, heard)


@dataclass(frozen=True)
class Demo:
    """One run of ``make demo``: the folder with its programs and pictures, and what it printed."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, run once for all tests that look at it or use its programs.

    It is typed as ``make demo`` types it, and its folder has the name that users see: what a command takes
    ``build/demo/site`` for hangs on that.
    """
    folder = tmp_path_factory.mktemp("demo")
    (folder / "examples").symlink_to(ROOT / "examples")
    command = [sys.executable, "examples/demo/demo.py"]
    done = subprocess.run(
        command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return Demo(folder / "build" / "demo", done.stdout)
