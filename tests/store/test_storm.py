"""Many processes on one store, killed at any moment, and disks that fail: nothing is lost or half."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import SMALLEST, project
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.errors import HostIOError, NotFoundError
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact import oci

PROCESSES = 20
VERSIONS = 5
FORKED = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[MemoryBlobs, oci.Descriptor]]:
    """One package in several versions, which share their component."""
    packed = []
    for number in range(VERSIONS):
        folder = project(tmp_path_factory.mktemp("project"), SMALLEST.replace("1.0.0", f"1.0.{number}"))
        blobs = MemoryBlobs()
        packed.append((blobs, pack(folder, blobs)))
    return packed


def disturb(path: Path, packages: list[tuple[MemoryBlobs, oci.Descriptor]], seed: int, rounds: int) -> None:
    """Puts in, looks, removes and prunes in an order of its own; each answer is right or an honest error."""
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    with LocalStore(path) as store:
        for _ in range(rounds):
            number = chance.randrange(VERSIONS)
            blobs, descriptor = packages[number]
            match chance.randrange(6):
                case 0 | 1 | 2:
                    assert store.put(blobs, descriptor).digest == descriptor.digest
                case 3:
                    assert {package.name for package in store.packages()} <= {"acme/add"}
                case 4:
                    store.prune()
                case _:
                    try:
                        found = store.find(f"acme/add@1.0.{number}")
                        assert found.digest == descriptor.digest
                        store.remove(found.digest)
                    except NotFoundError:
                        continue


def test_twenty_at_once(tmp_path: Path, packages: list[tuple[MemoryBlobs, oci.Descriptor]]) -> None:
    """None of them fails, and what is there afterwards is whole."""
    path = tmp_path / "store"
    busy = [FORKED.Process(target=disturb, args=(path, packages, seed, 5)) for seed in range(PROCESSES)]
    for process in busy:
        process.start()
    for process in busy:
        process.join()
    assert [process.exitcode for process in busy] == [0] * PROCESSES
    with LocalStore(path) as store:
        assert store.verify() == []
        store.prune()
        used = {digest for digest, _ in store.index().parts()}
        assert {f"sha256:{blob.name}" for blob in (path / "blobs/sha256").iterdir()} == used
        for blobs, descriptor in packages:
            store.put(blobs, descriptor)
        assert len(store.packages()) == VERSIONS
        assert store.verify() == []


def test_killed_at_any_moment(tmp_path: Path, packages: list[tuple[MemoryBlobs, oci.Descriptor]]) -> None:
    """A storm of ``kill -9``: the next process finds a whole store, and nothing is locked."""
    path = tmp_path / "store"
    chance = random.Random(5)  # noqa: S311 - moments, no secrets
    for seed in range(12):
        process = FORKED.Process(target=disturb, args=(path, packages, seed, 1000))
        process.start()
        time.sleep(chance.uniform(0.01, 0.25))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        with LocalStore(path) as store:
            assert store.verify() == []
    with LocalStore(path) as store:
        store.prune()
        used = {digest for digest, _ in store.index().parts()}
        assert {f"sha256:{blob.name}" for blob in (path / "blobs/sha256").iterdir()} == used
        assert store.put(*packages[0]).version == "1.0.0"


def _put_on_a_full_disk(path: Path, package: tuple[MemoryBlobs, oci.Descriptor], room: int) -> None:
    """What is written stops after ``room`` bytes in any file, which is how a quota ends."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    with LocalStore(path) as store, pytest.raises(HostIOError):
        store.put(*package)


@pytest.mark.parametrize("room", [0, 100, 600, 4096, 8192])
def test_a_full_disk(tmp_path: Path, packages: list[tuple[MemoryBlobs, oci.Descriptor]], room: int) -> None:
    """The error is honest, what was there is there, and with room again all goes on."""
    path = tmp_path / "store"
    with LocalStore(path) as store:
        kept = store.put(*packages[0]).digest
    process = FORKED.Process(target=_put_on_a_full_disk, args=(path, packages[1], room))
    process.start()
    process.join()
    assert process.exitcode == 0
    with LocalStore(path) as store:
        assert [package.digest for package in store.packages()] == [kept]
        assert store.verify() == []
        assert store.put(*packages[1]).version == "1.0.1"


def _look_without_rights(path: Path) -> None:
    """As somebody else, who may read the store and not write it."""
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    with LocalStore(path) as store:
        assert store.find("acme/add").version == "1.0.0"
        assert len(store.packages()) == 1
        assert store.verify() == []
        with pytest.raises(HostIOError):
            store.tag("acme/add", "acme/add@mine")
        with pytest.raises(HostIOError):
            store.remove("acme/add")


@pytest.fixture
def reached_by_all() -> Iterator[Path]:
    """A folder that everybody can look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_store_that_may_only_be_read(
    reached_by_all: Path, packages: list[tuple[MemoryBlobs, oci.Descriptor]]
) -> None:
    """Looking works, and changing is an honest error."""
    path = reached_by_all / "store"
    with LocalStore(path) as store:
        store.put(*packages[0])
    process = FORKED.Process(target=_look_without_rights, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0
