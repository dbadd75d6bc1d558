"""Twenty people at one store, as they type: packing, running, installing, pruning; some are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.artifact.projects import hello, project
from tests.store.test_disks import FILES, MANIFEST, ROOT, honest
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = 20
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


class Place(NamedTuple):
    """A store with launchers and packed files beside it."""

    folder: Path

    def started(self, *words: str | Path) -> subprocess.Popen[str]:
        """A command line on its way."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WHERRY_STORE": str(self.folder / "store"),
            "WHERRY_BIN": str(self.folder / "bin"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
        }
        command = words if words[0] == "hello" else (sys.executable, "-m", "wherry", *words)
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def said(self, *words: str | Path) -> tuple[int, str, str]:
        """What comes of a command line."""
        process = self.started(*words)
        out, err = process.communicate()
        return process.returncode, out, err

    def lines(self, chance: random.Random) -> list[str]:
        """Something that somebody might type."""
        version = chance.choice(VERSIONS)
        return chance.choice(
            [
                ["load", str(self.folder / f"{version}.tar")],
                [
                    "pack",
                    str(self.folder / version),
                    "-o",
                    str(self.folder / f"again-{os.getpid()}-{version}.tar"),
                ],
                ["pack", str(self.folder / version)],
                ["run", "acme/hello"],
                ["run", f"acme/hello@{version}"],
                ["run", str(self.folder / f"{version}.tar")],
                ["install", f"acme/hello@{version}", "--force"],
                ["upgrade"],
                ["uninstall", "acme/hello"],
                ["tag", f"acme/hello@{version}", "acme/hello@mine"],
                ["remove", f"acme/hello@{version}"],
                ["prune"],
                ["list"],
                ["show", "acme/hello"],
                ["verify-store"],
                ["save", "acme/hello", "-o", str(self.folder / f"saved-{chance.random()}.tar")],
            ]
        )

    def is_whole(self) -> None:
        """The store is whole, nothing is left over, and all goes on."""
        with LocalStore(self.folder / "store") as store:
            assert store.verify() == []
            store.prune()
            used = {digest.removeprefix("sha256:") for digest, _ in store.index().parts()}
            assert {blob.name for blob in (store.path / "blobs/sha256").iterdir()} == used
            files = {folder.name for folder in (store.path / "files").glob("*")}
            assert files <= {package.digest.removeprefix("sha256:") for package in store.packages()}
        for words in (["load", self.folder / "1.2.0.tar"], ["install", "acme/hello", "--force"], ["hello"]):
            code, out, err = self.said(*words)
            assert code == 0, (words, err)
        assert out == "hello\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Three versions of a package with files, packed, and the first of them in the store."""
    found = Place(tmp_path)
    for version in VERSIONS:
        folder = project(tmp_path / version, MANIFEST.format(name="hello", version=version) + FILES)
        (folder / "hello.wasm").write_bytes(hello())
        assert found.said("pack", folder, "-o", tmp_path / f"{version}.tar")[0] == 0
    assert found.said("load", tmp_path / "1.0.0.tar")[0] == 0
    return found


def storm(place: Place, rounds: int, seed: int) -> None:
    """All at once, round after round; what each of them is told is right, or an honest error."""
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        running = [(words, place.started(*words)) for words in (place.lines(chance) for _ in range(PEOPLE))]
        for words, process in running:
            out, err = process.communicate()
            assert honest(process.returncode, err), (words, process.returncode, err)
            assert process.returncode in {0, 1, 125, 126, 127}, (words, err)
            assert process.returncode or words[0] != "run" or out == "hello\n", (words, out)
            assert words[0] not in {"list", "load", "pack", "prune"} or process.returncode == 0, (words, err)
    place.is_whole()


def test_twenty_people(place: Place) -> None:
    """One round of each doing one thing."""
    storm(place, 1, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_people_for_a_while(place: Place) -> None:
    """A long one."""
    storm(place, 20, 2)


def test_killed_while_typing(place: Place) -> None:
    """Whoever is killed at any moment leaves a whole store, and no launcher that is half."""
    chance = random.Random(3)  # noqa: S311 - moments, no secrets
    for _ in range(10):
        running = [place.started(*place.lines(chance)) for _ in range(2)]
        time.sleep(chance.uniform(0.1, 0.5))
        for process in running:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    for launcher in (place.folder / "bin").glob("[!.]*"):
        assert launcher.read_text().endswith(")\n")
    place.is_whole()
