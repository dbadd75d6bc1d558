"""While a guest works in a folder, somebody puts a link to elsewhere in its place, again and again.

A path that was looked at is another one by the time it is used, if it is used by its name. Whatever the guest
does then, it does in its folder or not at all: nothing outside is read, made, changed, renamed or removed.
"""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.hostile.commands import GENERATIONS
from tests.hostile.test_files import guest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = {"0.1": 600, "0.2": 250, "0.3": 150}
"""How often a guest does all it can; about a second."""

CHANGES = 11
"""How much a guest changes each time, if nobody is in its way."""

_HERE, _EXCHANGE = -100, 2


@dataclass(frozen=True)
class Race:
    """A guest works in ``sub`` and moves files to ``out`` and back; one of the two is swapped.

    The link leads to ``secret`` beside all grants, or to ``kept``, which may be read and not written.
    """

    grants: tuple[str, ...]
    swapped: str
    to: str


RACES = {
    "one grant": Race((".",), "sub", "../secret"),
    "one grant, the other end of a rename": Race((".",), "out", "../secret"),
    "grants inside one another": Race((".", "kept:ro"), "sub", "../secret"),
    "grants inside one another, the other end of a rename": Race((".", "kept:ro"), "out", "../secret"),
    "into a grant that is read-only": Race((".", "kept:ro"), "sub", "kept"),
    "a rename into a grant that is read-only": Race((".", "kept:ro"), "out", "kept"),
    "a rename between two grants": Race(("sub", "out", "kept:ro"), "out/deep", "../kept"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what is granted, and a secret beside it."""
    folder = tmp_path / "here"
    for name in ("sub", "out/deep", "kept"):
        (folder / name).mkdir(parents=True)
    (folder / "sub" / "file").write_text("granted\n")
    (folder / "kept" / "file").write_text("kept\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("outside\n")
    # Were a path followed, these would be changed.
    for beside in (folder / "kept", tmp_path / "secret"):
        for name in ("made", "moved", "linked", "back", "link"):
            (beside / name).write_text("kept\n")
        (beside / "deep").mkdir()
    monkeypatch.chdir(folder)
    return folder


def picture(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """All that there is in a folder, as far as anybody could change it."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        stat = path.lstat()
        contents = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (stat.st_ino, stat.st_mtime_ns, stat.st_nlink, contents)
    return found


@contextmanager
def swapping(folder: Path, to: str) -> Iterator[list[int]]:
    """The folder and a link to elsewhere change places all the time; gives how often they did."""
    link = folder.with_name("link-in-its-place")
    link.symlink_to(to)
    libc = ctypes.CDLL(None, use_errno=True)
    one, other = os.fsencode(folder), os.fsencode(link)
    ended, turns = threading.Event(), [0]

    def swap() -> None:
        while not ended.is_set():
            assert libc.renameat2(_HERE, one, _HERE, other, _EXCHANGE) == 0
            turns[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield turns
    finally:
        ended.set()
        thread.join()
        if folder.is_symlink():
            libc.renameat2(_HERE, one, _HERE, other, _EXCHANGE)
        link.unlink()


def race(generation: str, grants: tuple[str, ...], other: str) -> tuple[int, int]:
    """How often the guest could read, and how often it could change something."""
    words = ("race", "sub", other, str(TIMES[generation]))
    policy = wherry.Policy(dirs=list(grants))
    done = wherry.run(guest(generation), *words, policy=policy, capture=True, check=False)
    assert done.stdout is not None
    assert done.returncode == 0, done.stdout
    reads, changes = done.stdout.split()[:2]
    return int(reads), int(changes)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", RACES.values(), ids=RACES)
def test_nobody_is_led_astray(generation: str, case: Race, here: Path, tmp_path: Path) -> None:
    """What was not granted is as it was, though the guest got through often enough to be led there."""
    other = case.swapped if case.swapped.startswith("out") else "out"
    kept = {name: picture(folder) for name, folder in guarded(here, tmp_path).items()}
    with swapping(here / case.swapped, case.to) as turns:
        reads, changes = race(generation, case.grants, other)
    assert {name: picture(folder) for name, folder in guarded(here, tmp_path).items()} == kept
    times = TIMES[generation]
    assert turns[0] > times / 10
    assert reads > 0
    # It was in its way, and not always.
    assert 0 < changes < CHANGES * times


def guarded(here: Path, tmp_path: Path) -> dict[str, Path]:
    """What no guest may change."""
    return {"kept": here / "kept", "secret": tmp_path / "secret"}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_same_without_a_race(generation: str, here: Path, tmp_path: Path) -> None:
    """The control: each step succeeds, and what was out of reach is there to be read by others."""
    times = TIMES[generation]
    assert race(generation, (".",), "out") == (times, CHANGES * times)
    assert (tmp_path / "secret" / "file").read_text() == "outside\n"
    # The link does lead there: who may follow it reads the secret, and says so.
    (here / "sub").rename(here / "aside")
    (here / "sub").symlink_to("../secret")
    policy = wherry.Policy(dirs=["..::/w"])
    words = ("race", "/w/here/sub", "/w/here/out", "1")
    done = wherry.run(guest(generation), *words, policy=policy, capture=True, check=False)
    assert done.returncode == 1
