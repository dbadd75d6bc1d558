"""Programs of Debian for tests, fetched where they are first wanted: kept in the cache, and not installed.

apt gets lists of its own, so that nobody has to be root and the machine need not know the packages; it checks
the signatures. Start reading at :func:`unpack`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import cached

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["command", "unpack"]


def unpack(folder: Path, places: Mapping[str, Path], architecture: str | None = None) -> None:
    """Unpacks packages, each into its place; ``folder`` is there and gets the lists while it lasts."""
    apt = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    own = {"State": apt / "state", "State::status": apt / "status", "Cache": apt / "cache"}
    options = [f"-oDir::{name}={path}" for name, path in own.items()]
    if architecture is not None:
        options.append(f"-oAPT::Architectures::={architecture}")
    for words in (("update",), ("download", *places)):
        _apt(apt, [*options, *words])
    for package, place in places.items():
        (archive,) = apt.glob(f"{package.partition(':')[0]}_*.deb")
        subprocess.run(["dpkg", "-x", archive, place], check=True)
    shutil.rmtree(apt)


def _apt(folder: Path, words: list[str]) -> None:
    done = subprocess.run(
        ["env", "--chdir", folder, "apt-get", "--quiet", *words], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"nothing comes from Debian: `apt-get {words[-1]}`: {done.stderr.decode().strip()}")


def command(program: str, packages: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """A program that the machine has, or that is in ``packages``: its words and its environment."""
    found = shutil.which(program)
    if found is not None:
        return [found], dict(os.environ)

    def fetch(folder: Path) -> None:
        folder.mkdir()
        unpack(folder, dict.fromkeys(packages, folder))

    root = cached(program, fetch, *packages)
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu*"))
    (path,) = (place for name in ("bin", "sbin") if (place := root / "usr" / name / program).exists())
    return [str(path)], {**os.environ, "LD_LIBRARY_PATH": libraries}
