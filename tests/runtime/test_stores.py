"""``wasi:config`` and ``wasi:keyvalue``: what a guest is told, and what it keeps."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import python_stores

if TYPE_CHECKING:
    from pathlib import Path


# In a process of its own: locks of SQLite do not hold between two copies of it in one process.
_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
input()
"""


@pytest.fixture(scope="module")
def guest() -> wherry.Component:
    """A command that does what its arguments say, compiled once."""
    return wherry.load(python_stores())


def spoken(*phrases: str) -> list[str]:
    """Phrases as words."""
    return [word for phrase in phrases for word in phrase.split(" ")]


def said(
    guest: wherry.Component,
    *phrases: str,
    policy: wherry.Policy | None = None,
    limits: wherry.Limits | None = None,
) -> list[str]:
    """The lines that the guest prints when it is told these phrases."""
    done = wherry.run(guest, *spoken(*phrases), capture=True, policy=policy, limits=limits)
    assert done.returncode == 0, done.stderr
    assert done.stdout is not None
    return str(done.stdout, "utf-8").splitlines()


def running(kv: Path) -> list[str]:
    """The guest in a process of its own, with this store."""
    return [sys.executable, "-m", "wherry", "run", "--kv", str(kv), str(python_stores())]


class TestConfiguration:
    """Values by name."""

    def test_nothing_is_there_unless_granted(
        self, guest: wherry.Component, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even under the name of a variable of the host."""
        monkeypatch.setenv("TOKEN", "of the host")
        assert said(guest, "get", "TOKEN", "all") == ["None", "[]"]

    def test_what_is_granted_is_answered(self, guest: wherry.Component) -> None:
        """Values and secrets alike, and names are compared letter by letter."""
        policy = wherry.Policy(config={"a.b": "1", "empty": ""}, secrets={"TOKEN": "c2VjcmV0"})
        words = ("get", "a.b", "get", "A.B", "get", "empty", "get", "TOKEN", "all")
        assert said(guest, *words, policy=policy) == [
            "1",
            "None",
            "",
            "c2VjcmV0",
            "[('TOKEN', 'c2VjcmV0'), ('a.b', '1'), ('empty', '')]",
        ]


class TestMemory:
    """A store that ends with the guest."""

    def test_what_is_set_is_there(self, guest: wherry.Component) -> None:
        """Every function of the interface, as it is documented there."""
        words = (
            "put k v read k has k has no keys read no delete k has k add n 5 add n 2 read n put w x add w 1"
        )
        assert said(guest, words) == [
            *("None", "b'v'", "True", "False", "['k']", "None", "None", "False"),
            *("5", "7", "b'7'", "None", "Error_Other the value is not a number"),
        ]

    def test_batches(self, guest: wherry.Component) -> None:
        """Several keys in one call, in the order they were asked for."""
        words = "batch x=1,y=2 batch y,z,x drop x,z keys"
        assert said(guest, words) == ["None", "[('y', b'2'), None, ('x', b'1')]", "None", "['y']"]

    def test_stores_are_apart_and_stay_while_the_guest_runs(self, guest: wherry.Component) -> None:
        """A name opens the same store each time, and no other."""
        assert said(guest, "put k 1", "open other", "read k put k 2", "open ", "read k") == [
            *("None", "open", "None", "None", "open", "b'1'"),
        ]

    def test_nothing_stays(self, guest: wherry.Component) -> None:
        """The next guest begins with nothing."""
        assert said(guest, "put k 1 keys") == ["None", "['k']"]
        assert said(guest, "keys") == ["[]"]

    def test_it_counts_as_memory(self, guest: wherry.Component) -> None:
        """Writes past the memory limit fail in the guest, which is not ended; below it they do not."""
        flood = ("flood", "30", "4000000", "has", "29")
        assert said(guest, *flood, limits=wherry.Limits(memory="256MiB")) == ["30", "True"]
        full, last = said(guest, *flood, limits=wherry.Limits(memory="128MiB"))
        assert (full, last) == ("Error_Other the store is full", "False")

    def test_open_stores_count_as_handles(self, guest: wherry.Component) -> None:
        """One more than there may be is an error of the interface."""
        assert said(guest, "leak", "900") == ["900"]
        assert said(guest, "leak", "1100") == ["Error_Other too many open handles"]


class TestFile:
    """A store in a SQLite file."""

    def test_it_is_kept(self, guest: wherry.Component, tmp_path: Path) -> None:
        """The next run, in another process, finds it."""
        policy = wherry.Policy(kv=str(tmp_path / "kv.db"))
        assert said(guest, "put k v open other add n 3", policy=policy)[0] == "None"
        done = subprocess.run(
            [*running(tmp_path / "kv.db"), *spoken("read k keys open other read n")],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines() == ["b'v'", "['k']", "open", "b'3'"]

    def test_several_at_once_lose_nothing(self, guest: wherry.Component, tmp_path: Path) -> None:
        """Threads of this process and other processes count in one file."""
        path = tmp_path / "kv.db"
        adding = ["add", "n", "1"] * 20
        command = [*running(path), *adding]
        with ThreadPoolExecutor(4) as pool:
            others = [pool.submit(subprocess.check_output, command) for _ in range(2)]
            mine = [pool.submit(said, guest, *adding, policy=wherry.Policy(kv=str(path))) for _ in range(2)]
        assert all(done.result() for done in others)
        assert all(done.result() for done in mine)
        assert said(guest, "read", "n", policy=wherry.Policy(kv=str(path))) == ["b'80'"]

    def test_a_guest_that_waits_for_another_process_is_ended_on_time(
        self, guest: wherry.Component, tmp_path: Path
    ) -> None:
        """The deadline reaches a guest whose store someone else holds; without the other it gets through."""
        policy = wherry.Policy(kv=str(tmp_path / "kv.db"))
        assert said(guest, "put", "k", "1", policy=policy) == ["None"]
        command = [sys.executable, "-c", _HOLD, str(tmp_path / "kv.db")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(wherry.TimeLimitError):
                wherry.run(guest, "add", "n", "1", policy=policy, timeout=0.3)
            other.communicate("release\n")
        assert said(guest, "put", "n", "1", "add", "n", "1", policy=policy)[-1] == "2"

    def test_bytes_written_are_bounded(self, guest: wherry.Component, tmp_path: Path) -> None:
        """Up to the limit and not one more, names included; the guest hears of it by an error."""
        policy, limits = wherry.Policy(kv=str(tmp_path / "kv.db")), wherry.Limits(write=1000)
        at, above = ("fill", "a", "999"), ("fill", "a", "1000")
        assert said(guest, *at, policy=policy, limits=limits) == ["None"]
        refused = "Error_Other the limit of bytes written is reached"
        assert said(guest, *at, "put", "b", "", "delete", "a", policy=policy, limits=limits) == [
            "None",
            refused,
            "None",
        ]
        assert said(guest, *above, policy=policy, limits=limits) == [refused]

    def test_the_file_of_another_program_is_refused(self, guest: wherry.Component, tmp_path: Path) -> None:
        """Before the guest runs, and the file stays as it was."""
        with sqlite3.connect(tmp_path / "theirs.db") as theirs:
            theirs.execute("CREATE TABLE t (x)")
        before = (tmp_path / "theirs.db").read_bytes()
        with pytest.raises(wherry.GrantError, match="the database of another program"):
            said(guest, "put", "k", "v", policy=wherry.Policy(kv=str(tmp_path / "theirs.db")))
        assert (tmp_path / "theirs.db").read_bytes() == before


ENDINGS = {
    "its end": ("1h", ["put", "a", "b"], 0),
    "a trap": ("1h", ["put", "a", "b", "crash"], 134),
    "its time": ("400ms", ["put", "a", "b", "flood", "100000000", "10"], 124),
}


class TestWhatIsLeft:
    """Of a run nothing stays but the file, whatever ended it."""

    @pytest.mark.parametrize(("timeout", "words", "code"), ENDINGS.values(), ids=ENDINGS.keys())
    def test_in_a_terminal(
        self, guest: wherry.Component, tmp_path: Path, timeout: str, words: list[str], code: int
    ) -> None:
        """SQLite's own files beside it are gone, and what was written is there."""
        kv = tmp_path / "kv"
        command = running(kv)
        command.insert(command.index("run") + 1, f"--timeout={timeout}")
        done = subprocess.run([*command, *words], check=False, capture_output=True)
        assert done.returncode == code, done.stderr
        assert list(tmp_path.iterdir()) == [kv]
        assert said(guest, "has a", policy=wherry.Policy(kv=kv)) == ["True"]

    def test_in_python(self, guest: wherry.Component, tmp_path: Path) -> None:
        """The same, where the guest goes while the process stays."""
        kv = tmp_path / "kv"
        policy = wherry.Policy(kv=kv)
        said(guest, "put a b", policy=policy)
        assert list(tmp_path.iterdir()) == [kv]
        with pytest.raises(wherry.TimeLimitError):
            said(guest, "flood 100000000 10", policy=policy, limits=wherry.Limits(timeout="300ms"))
        deadline = time.monotonic() + 10
        while list(tmp_path.iterdir()) != [kv]:
            assert time.monotonic() < deadline
        assert said(guest, "has a", policy=policy) == ["True"]

    def test_a_process_that_was_killed_loses_nothing(self, guest: wherry.Component, tmp_path: Path) -> None:
        """What it left beside the file is taken in by the next, which leaves nothing."""
        kv = tmp_path / "kv"
        command = [*running(kv), "put", "a", "b", "flood", "100000000", "10"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
            assert killed.stdout is not None
            killed.stdout.readline()
            killed.kill()
        assert len(list(tmp_path.iterdir())) > 1
        assert said(guest, "has a", policy=wherry.Policy(kv=kv)) == ["True"]
        assert list(tmp_path.iterdir()) == [kv]
