"""Programs of others that test a server, built from the Go modules beside this file, which pin them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.guests.build import cached

__all__ = ["go_program"]


def go_program(name: str, package: str = ".") -> Path:
    """The program of a package, which the module in the folder of that name builds or depends on."""
    module = Path(__file__).with_name(name)

    def build(output: Path) -> None:
        command = ["go", "build", "-C", str(module), "-trimpath", "-o", str(output), package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\nhint: https://go.dev/dl has Go, 1.26 or later"

    return cached(name, build, *(file.read_bytes() for file in sorted(module.iterdir())))
