"""The command line as a user types it: a process, in a folder of its own, with nobody's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Typed:
    """What came of a command line; the folder that it was typed in reads ``<folder>``."""

    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        parts = [("stdout", self.stdout), ("stderr", self.stderr)]
        return "\n".join([f"exit code {self.code}", *(f"--- {name}\n{text}" for name, text in parts if text)])


@dataclass(frozen=True)
class Terminal:
    """A folder to type in."""

    folder: Path

    def __call__(self, *words: str | Path, **variables: str) -> Typed:
        """Type ``wherry`` and these words, with these variables besides the usual ones."""
        own = {"XDG_CONFIG_HOME": str(self.folder / "config"), "WHERRY_STORE": str(self.folder / "store")}
        environment = {**os.environ, **own, **variables}
        done = subprocess.run(
            [sys.executable, "-m", "wherry", *words],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return Typed(done.returncode, self.plain(done.stdout), self.plain(done.stderr))

    def plain(self, text: str) -> str:
        """``text`` without what is different each time."""
        return text.replace(str(self.folder), "<folder>")

    def project(self, text: str) -> None:
        """Write the settings of the project."""
        (self.folder / ".wherry.toml").write_text(text)

    def user(self, text: str) -> None:
        """Write the settings of the user."""
        file = self.folder / "config" / "wherry" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def wherry(tmp_path: Path) -> Terminal:
    """A terminal in an empty folder."""
    return Terminal(tmp_path)
