"""Packages that are run from a file: kept for the next run, tidied, and never taken from under a guest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import text
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.layout import write_archive
from wherry.artifact.pack import pack
from wherry.artifact.unpack import PARTIAL
from wherry.build.launch import launch
from wherry.runtime.cache import Cleared
from wherry.store import unpacked
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 100_000
_FOREVER = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00!")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop (br 0))))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WHERRY_CACHE_DIR", str(tmp_path / "cache" / "code"))
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    return tmp_path / "cache" / "wherry" / "packages"


def packed(folder: Path, name: str, source: str | None = None) -> Path:
    """A packed file with one command and a file of some size."""
    project = folder / name
    project.mkdir()
    (project / "tool.wat").write_text(source or text("hello").read_text())
    (project / "data").write_bytes(name.encode() * (SIZE // len(name)))
    manifest = (
        f'[package]\nname = "acme/{name}"\nversion = "1.0.0"\n\n[command.{name}]\ncomponent = "tool.wat"\n'
    )
    (project / "wherry.toml").write_text(f'{manifest}\n[files]\n"/data" = "data"\n')
    blobs = MemoryBlobs()
    file = folder / f"{name}.oci.tar"
    write_archive(file, blobs, [pack(project, blobs)])
    return file


def run(file: Path) -> str:
    """Runs it in a process of its own: the digest that it has."""
    done = subprocess.run([sys.executable, "-m", "wherry", "run", file], check=True, capture_output=True)
    assert done.stdout == b"hello\n"
    return unpacked.ls()[0].source


def aged(cache: Path, digest: str, seconds: float) -> None:
    """As if it had not been used for some time."""
    then = time.time() - seconds
    os.utime(cache / f"sha256-{digest}", (then, then))


def command(*words: str) -> str:
    """What ``wherry cache`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "wherry", "cache", *words], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_looking_makes_nothing(cache: Path) -> None:
    """A cache that nobody used is empty, and stays away."""
    assert (unpacked.ls(), unpacked.prune(0).files, unpacked.clear().files) == ([], 0, 0)
    assert not cache.exists()


def test_what_was_run_from_a_file_is_listed(tmp_path: Path) -> None:
    """With its name, digest and size, in the text and in the JSON, beside compiled code."""
    digest = run(packed(tmp_path, "one"))
    (entry,) = unpacked.ls()
    assert (entry.name, entry.form) == ("acme/one@1.0.0", "package")
    assert SIZE < entry.size < 2 * SIZE
    (line,) = [line for line in command("ls").splitlines() if "acme/one@1.0.0" in line]
    assert line.startswith(f"{digest[:12]}  unpacked")
    listed = json.loads(command("ls", "--format", "json"))
    assert sorted(one["form"] for one in listed) == ["module", "package"]


def test_what_was_not_used_for_longest_goes_first(cache: Path, tmp_path: Path) -> None:
    """Until the rest fits; a run counts as use."""
    files = [packed(tmp_path, name) for name in ("one", "two", "three")]
    digests = [run(file) for file in files]
    for age, digest in zip((3000, 5000, 4000), digests, strict=True):
        aged(cache, digest, age)
    assert run(files[1]) == digests[1]
    cleared = unpacked.prune(int(2.5 * SIZE))
    assert [one.name for one in unpacked.ls()] == ["acme/two@1.0.0", "acme/one@1.0.0"]
    assert (cleared.files, cleared.bytes // SIZE) == (3, 1)
    assert command("prune", "--size", "1MiB").startswith("removed 0 files")
    assert command("prune", "--size", "1").startswith("removed 7 files"), "with the code of all three"
    assert unpacked.ls() == []


def test_a_new_one_makes_room_by_itself(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the settings say holds without anybody tidying; one that is larger than that runs all the same."""
    monkeypatch.setenv("WHERRY_CACHE_SIZE", str(int(1.5 * SIZE)))
    aged(cache, run(packed(tmp_path, "one")), 5000)
    run(packed(tmp_path, "two"))
    assert [one.name for one in unpacked.ls()] == ["acme/two@1.0.0"]
    monkeypatch.setenv("WHERRY_CACHE_SIZE", "10")
    run(packed(tmp_path, "three"))


def test_what_runs_stays(tmp_path: Path) -> None:
    """A guest in another process keeps its package; when it has ended, the package can go."""
    file = packed(tmp_path, "one", _FOREVER)
    running = subprocess.Popen([sys.executable, "-m", "wherry", "run", file], stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.read(1) == b"!"
        assert (unpacked.prune(0).files, unpacked.clear().files) == (0, 0)
        assert len(unpacked.ls()) == 1
    finally:
        running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()
    assert unpacked.prune(0).files == 3


def test_what_a_component_was_loaded_from_stays(tmp_path: Path) -> None:
    """In Python a package is held as long as the process, as instances may be made at any time."""
    component = wherry.load(str(packed(tmp_path, "one")))
    assert unpacked.clear().files == 0
    assert wherry.run(component, capture=True).stdout == b"hello\n"


def test_what_was_taken_away_meanwhile_is_unpacked_again(cache: Path, tmp_path: Path) -> None:
    """Whoever deletes the folder by hand loses nothing, in the same process either."""
    file = packed(tmp_path, "one")
    with LocalStore(tmp_path / "store") as store:
        first = launch(store, str(file), lambda *_: None, place="command")
        moved = first.component.parent
        moved.rename(cache / "elsewhere")
        again = launch(store, str(file), lambda *_: None, place="command")
    assert again.component == first.component
    assert first.component.is_file()
    assert unpacked.clear().files == 0


def test_what_was_left_unfinished_goes(cache: Path, tmp_path: Path) -> None:
    """The folder of a process that was killed while it unpacked, and not that of one that still may."""
    run(packed(tmp_path, "one"))
    for name, age in (("old", 7200), ("new", 60)):
        folder = cache / f"{PARTIAL}{name}"
        folder.mkdir()
        (folder / "file").write_text("x")
        os.utime(folder, (time.time() - age,) * 2)
    assert unpacked.prune() == Cleared(1, 1)
    assert min(one.name for one in cache.iterdir()) == f"{PARTIAL}new"


def test_a_cache_that_cannot_be_written_says_what_to_do(cache: Path, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    file = packed(tmp_path, "one")
    cache.parent.mkdir(parents=True)
    cache.write_text("")
    done = subprocess.run([sys.executable, "-m", "wherry", "run", file], check=False, capture_output=True)
    assert done.returncode == 126
    assert b"Traceback" not in done.stderr
    assert b"`wherry load` takes the package into the store" in done.stderr


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_many_run_while_others_tidy(rounds: int, tmp_path: Path) -> None:
    """Each run sees its whole package, however often it is taken away between."""
    file = packed(tmp_path, "one")
    script = "import time\nfrom wherry.store import unpacked\nwhile not time.sleep(0.002): unpacked.clear()\n"
    tidying = subprocess.Popen([sys.executable, "-c", script])
    try:
        for _ in range(rounds):
            runs = [
                subprocess.Popen([sys.executable, "-m", "wherry", "run", file], stdout=subprocess.PIPE)
                for _ in range(2)
            ]
            assert [one.communicate()[0] for one in runs] == [b"hello\n"] * 2
    finally:
        tidying.kill()
        tidying.wait()
