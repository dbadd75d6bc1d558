"""Commands of packages on the PATH behave as native programs do."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import c_command
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.errors import HostIOError, NotFoundError, UsageError
from wherry.store.launchers import Launchers
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = """[package]
name = "acme/tools"
version = "{version}"

[command.echoing]
component = "environment.wasm"

[command.ending]
component = "exit.wasm"

[command.copying]
component = "cat.wasm"
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """A store with a package of three commands, and a folder for launchers."""
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("WHERRY_BIN", str(tmp_path / "bin"))
    with LocalStore() as opened:
        put(opened, tmp_path, "1.0.0")
        yield opened


def put(store: LocalStore, folder: Path, version: str) -> str:
    """Puts a version of the package in: its digest."""
    project = folder / version
    project.mkdir()
    for name in ("environment", "exit", "cat"):
        shutil.copy(c_command(name), project / f"{name}.wasm")
    (project / "wherry.toml").write_text(MANIFEST.format(version=version))
    blobs = MemoryBlobs()
    return store.put(blobs, pack(project, blobs)).digest


def launched(name: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Starts a launcher as a shell would, found on the PATH."""
    environment = {**os.environ, "PATH": f"{os.environ['WHERRY_BIN']}:{os.environ['PATH']}"}
    return subprocess.run([name, *words], env=environment, check=False, input=stdin, capture_output=True)


def test_all_commands_of_a_package(store: LocalStore) -> None:
    """Arguments, streams and exit codes go through as they are; a command goes by its own name."""
    installed = Launchers(store).install("acme/tools")
    assert sorted(one.command for one in installed) == ["copying", "echoing", "ending"]
    odd = ["--help", "a b", "", "'", '"', "$HOME", "*", "new\nline", "--", "ü"]
    plain = wherry.run(c_command("environment"), *odd, capture=True)
    said = launched("echoing", *odd)
    assert said.stdout.splitlines()[1:] == plain.stdout.splitlines()[1:]
    assert said.stdout.splitlines()[0] == b"echoing"
    assert launched("ending", "7").returncode == 7
    everything = bytes(range(256)) * 100
    assert launched("copying", stdin=everything).stdout == everything


def test_one_command(store: LocalStore) -> None:
    """And what is there no command of."""
    launchers = Launchers(store)
    (one,) = launchers.install("acme/tools@1#ending")
    assert [file.name for file in launchers.folder.iterdir()] == ["ending"]
    assert launched("ending", "3").returncode == 3
    assert one.reference == "acme/tools@1#ending"
    with pytest.raises(NotFoundError, match="no command `nothing`"):
        launchers.install("acme/tools#nothing")


def test_a_newer_version(store: LocalStore, tmp_path: Path) -> None:
    """A launcher runs what it was installed from until it is upgraded, even when that lost its name."""
    launchers = Launchers(store)
    first = launchers.install("acme/tools")[0].digest
    Launchers(store).install("acme/tools@1.0#ending", force=True)
    second = put(store, tmp_path, "2.0.0")
    store.remove("acme/tools@1.0.0")
    store.prune()
    assert launched("ending", "5").returncode == 5
    changed = launchers.upgrade()
    assert {(before.digest, after.digest) for before, after in changed} == {(first, second)}
    assert sorted(after.command for _, after in changed) == ["copying", "echoing"]
    assert launched("ending", "5").returncode == 5
    launchers.uninstall("acme/tools@1.0#ending")
    assert store.prune().packages == (first,)
    assert launched("copying", stdin=b"x").stdout == b"x"


def test_taking_away(store: LocalStore) -> None:
    """A package that is installed stays until its commands are gone."""
    launchers = Launchers(store)
    digest = launchers.install("acme/tools")[0].digest
    with pytest.raises(UsageError, match="is installed"):
        store.remove(digest)
    assert len(launchers.uninstall("acme/tools")) == 3
    assert list(launchers.folder.iterdir()) == []
    assert store.remove(digest).packages == (digest,)
    with pytest.raises(NotFoundError):
        launchers.uninstall("acme/tools")


def test_a_file_in_the_way(store: LocalStore, tmp_path: Path) -> None:
    """What is not ours is left alone unless it is said, and so is what a link leads to."""
    launchers = Launchers(store)
    launchers.folder.mkdir()
    (launchers.folder / "ending").write_text("mine")
    with pytest.raises(UsageError, match="not made by Wherry"):
        launchers.install("acme/tools")
    assert [file.name for file in launchers.folder.iterdir()] == ["ending"]
    launchers.install("acme/tools", force=True)
    assert launched("ending", "4").returncode == 4
    (tmp_path / "target").write_text("keep")
    (launchers.folder / "ending").unlink()
    (launchers.folder / "ending").symlink_to(tmp_path / "target")
    launchers.install("acme/tools", force=True)
    assert (tmp_path / "target").read_text() == "keep"


def test_a_python_in_a_folder_with_a_long_name(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line of a program can hold neither spaces nor much: a shell starts it then."""
    folder = tmp_path / f"it's a {'long ' * 30}name"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    Launchers(store).install("acme/tools#ending")
    assert launched("ending", "6").returncode == 6


def test_a_name_that_python_would_import(store: LocalStore, tmp_path: Path) -> None:
    """No package puts modules beside the programs of others, and a launcher imports none that lie there."""
    project = tmp_path / "module"
    project.mkdir()
    shutil.copy(c_command("exit"), project / "exit.wasm")
    (project / "wherry.toml").write_text(
        '[package]\nname = "acme/module"\nversion = "1.0.0"\n\n'
        '[command."json.py"]\ncomponent = "exit.wasm"\n[command.plain]\ncomponent = "exit.wasm"\n'
    )
    blobs = MemoryBlobs()
    store.put(blobs, pack(project, blobs))
    launchers = Launchers(store)
    with pytest.raises(UsageError, match=r"`json\.py` cannot be installed"):
        launchers.install("acme/module")
    assert not launchers.folder.exists()
    launchers.install("acme/module#plain")
    (launchers.folder / "wherry.py").write_text("raise SystemExit(99)")
    assert launched("plain", "7").returncode == 7


def test_a_file_of_ones_own_in_the_place_of_a_launcher(store: LocalStore, tmp_path: Path) -> None:
    """Upgrading and uninstalling leave it alone."""
    launchers = Launchers(store)
    launchers.install("acme/tools#ending")
    (launchers.folder / "ending").write_text("mine")
    put(store, tmp_path, "2.0.0")
    assert launchers.upgrade() == []
    launchers.uninstall("acme/tools#ending")
    assert (launchers.folder / "ending").read_text() == "mine"


def test_a_launcher_that_cannot_be_written(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was installed stays as it was, nothing lies about, and the store knows what is there."""
    launchers = Launchers(store)
    before = launchers.install("acme/tools#ending")
    text = (launchers.folder / "ending").read_text()
    put(store, tmp_path, "2.0.0")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fchmod", full)
    for attempt in (launchers.upgrade, lambda: launchers.install("acme/tools#copying")):
        with pytest.raises(HostIOError, match="no space left"):
            attempt()
    assert launchers.all() == before
    assert [file.name for file in launchers.folder.iterdir()] == ["ending"]
    assert (launchers.folder / "ending").read_text() == text
