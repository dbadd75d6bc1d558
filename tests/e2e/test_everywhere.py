"""One digest for one package: whoever packs it, wherever, whenever and in whatever language, by typing it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.artifact.projects import FULL, project
from tests.debian import unpack
from tests.guests.build import c_command, cached
from tests.terminals import WHERRY

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
# Somebody else, who may look into the home folder that the tests, or Python, may be in.
SOMEBODY = (
    "setpriv",
    *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)
ROOT = Path(__file__).parents[2]
# One language whose letters have no UTF-8, and one whose capitals are others.
LANGUAGES = {"de_DE.ISO-8859-1": ("de_DE", "ISO-8859-1"), "tr_TR.UTF-8": ("tr_TR", "UTF-8")}
FILES_ALL_OVER = FULL + '"/Grüße" = "data/Grüße"\n'
MANIFEST = """[package]
name = "acme/files"
version = "1.0.0"
description = "Liest 日本"

[command.files]
component = "files.wasm"

[files]
"/Grüße" = "data/Grüße"
"""


@pytest.fixture(scope="module")
def locales() -> Path:
    """Languages that the machine may not have, compiled from Debian's sources of them."""

    def compile_(folder: Path) -> None:
        folder.mkdir()
        unpack(folder, {"locales": folder / "sources"})
        for name, (language, letters) in LANGUAGES.items():
            words = ["localedef", "--no-archive", "-i", language, "-f", letters, str(folder / name)]
            sources = {**os.environ, "I18NPATH": str(folder / "sources/usr/share/i18n")}
            done = subprocess.run(words, check=False, env=sources, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        shutil.rmtree(folder / "sources")

    return cached("locales", compile_, *LANGUAGES)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on another file system, which everybody can reach, as they cannot the folders of pytest."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def shuffled(source: Path, target: Path, seed: int) -> Path:
    """The same project, its files made one after the other in another order, with other rights and times."""
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    paths = sorted(source.rglob("*"))
    chance.shuffle(paths)
    target.mkdir(exist_ok=True)
    for path in paths:
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(chance.choice([0o400, 0o640, 0o755]))
        os.utime(copy, (chance.randrange(1 << 31),) * 2)
    return target


class Somebody(NamedTuple):
    """Who types: what stands before a command line, which rights new files lack, and the environment."""

    before: tuple[str, ...]
    umask: int
    environment: dict[str, str]

    def says(self, folder: Path, *words: str | Path) -> str:
        """What comes of a command line in a folder."""
        own = {"XDG_CACHE_HOME": str(folder / ".cache"), "WHERRY_STORE": str(folder / ".store")}
        done = subprocess.run(
            [*self.before, *words],
            cwd=folder,
            check=False,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **own, **self.environment},
            umask=self.umask,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("latin-1")

    def packs(self, folder: Path) -> str:
        """The digest of the project in a folder."""
        return self.says(folder, *WHERRY, "pack", "-o", "out.tar").split()[-1]


def speaking(language: str, locales: Path, **more: str) -> dict[str, str]:
    """An environment for a language."""
    modules = os.pathsep.join([str(ROOT), *sys.path])
    return {"PYTHONPATH": modules, "LOCPATH": str(locales), "LC_ALL": language, **more}


def test_one_digest_for_everybody(locales: Path, in_memory: Path, tmp_path: Path) -> None:
    """Two folders, file systems, users, umasks, clocks, time zones, languages and orders of files."""
    mine = project(tmp_path / "mine", FILES_ALL_OVER)
    theirs = shuffled(mine, in_memory / "their's, elsewhere", seed=1)
    somebody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        somebody = SOMEBODY
    library = shutil.copy(clock() / "usr/lib" / "libfaketime.so.1", in_memory)
    before = ("env", f"LD_PRELOAD={library}", "FAKETIME=@1999-12-31 23:59:59", "TZ=Pacific/Auckland")
    me = Somebody((), 0o022, speaking("C.UTF-8", locales, TZ="UTC", PYTHONHASHSEED="1"))
    other = Somebody((*somebody, *before), 0o077, speaking("tr_TR.UTF-8", locales, PYTHONHASHSEED="2"))
    told = [sys.executable, "-c", "import os, time; print(os.getuid(), time.localtime().tm_year)"]
    assert other.says(theirs, *told).split() == [str(NOBODY if somebody else os.getuid()), "1999"]
    assert mine.stat().st_dev != theirs.stat().st_dev
    assert me.packs(mine) == other.packs(theirs)


def clock() -> Path:
    """A folder with ``usr/lib/libfaketime.so.1``, by which a program has another time."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        unpack(folder, {"libfaketime": folder})
        (library,) = folder.glob("usr/lib/*/faketime/libfaketime.so.1")
        library.rename(folder / "usr/lib" / library.name)

    return cached("libfaketime", fetch)


@pytest.mark.parametrize("language", ["C", "POSIX", *LANGUAGES])
def test_names_are_what_their_bytes_say(language: str, locales: Path, tmp_path: Path) -> None:
    """A language whose letters are no UTF-8 changes neither what is packed nor what the guest sees."""
    folder = project(tmp_path / "project", MANIFEST)
    shutil.copy(c_command("files"), folder / "files.wasm")
    there = Somebody((), 0o022, speaking(language, locales))
    assert there.packs(folder) == Somebody((), 0o022, speaking("C.UTF-8", locales)).packs(folder)
    assert there.says(folder, *WHERRY, "run", "out.tar", "read", "/Grüße/日本.txt") == "unicode"
    there.says(folder, *WHERRY, "load", "out.tar")
    assert there.says(folder, *WHERRY, "run", "acme/files", "read", "/Grüße/日本.txt") == "unicode"
    assert there.says(folder, *WHERRY, "verify-store") == "1 whole, 0 damaged\n"
    assert "acme/files@1.0.0: " in there.says(folder, *WHERRY, "show", "acme/files")
