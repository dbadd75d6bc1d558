"""No path leads a guest out of what it was granted, for each generation of WASI, in a terminal and in Python.

A case is a list of operations of the guest ``paths`` that are refused. Its control is what differs when the
same operations get through: a wider grant, or a file that is no pipe.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import adapted, c_command, python_command
from tests.hostile.commands import GENERATIONS
from tests.hostile.footprint import growth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PLACES = ("terminal", "python")


@dataclass(frozen=True)
class Ended:
    """How a guest ended: what each operation came to, and the flags that would lift what was refused."""

    lines: list[str]
    lifts: list[str]
    said: str

    @property
    def results(self) -> list[str]:
        """How each operation went."""
        return [line.partition(": ")[2] for line in self.lines if re.match(r"[a-z-]+: ", line)]


def guest(generation: str) -> Path:
    """The guest ``paths`` for a generation of WASI."""
    return (
        c_command("paths") if generation == "0.1" else python_command(f"paths_{generation.replace('.', '')}")
    )


def in_terminal(
    generation: str, grants: Sequence[str], operations: Sequence[str], limits: Sequence[str] = ()
) -> Ended:
    """Run operations by ``wherry run``."""
    flags = [word for grant in grants for word in ("--dir", grant)]
    words = shlex.split(" -- ".join(operations))
    command = [sys.executable, "-m", "wherry", "run", *flags, *limits, str(guest(generation)), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode in {0, 1}, done.stderr
    lifts = re.findall(r"(?:allow|raise) it with (.*)", done.stderr)
    return Ended(done.stdout.splitlines(), [shlex.split(lift)[1] for lift in lifts], done.stderr)


def in_python(
    generation: str, grants: Sequence[str], operations: Sequence[str], limits: Sequence[str] = ()
) -> Ended:
    """Run operations by ``wherry.run``."""
    words = shlex.split(" -- ".join(operations))
    names = [flag.removeprefix("--max-") for flag in limits[::2]]
    bounds = wherry.Limits(**dict(zip(names, limits[1::2], strict=True)))
    done = wherry.run(
        guest(generation),
        *words,
        capture=True,
        check=False,
        policy=wherry.Policy(dirs=list(grants)),
        limits=bounds,
    )
    assert done.stdout is not None
    lifts = [denial.value for denial in done.denials if denial.value is not None]
    return Ended(done.stdout.decode().splitlines(), lifts, str(done.denials))


RUN: dict[str, Callable[..., Ended]] = {"terminal": in_terminal, "python": in_python}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files and links, beside a file that nobody grants."""
    folder = tmp_path / "here"
    for name in ("cfg", "sub/deep"):
        (folder / name).mkdir(parents=True)
    for name in ("data.csv", "cfg/c", "sub/s", "sub/deep/d"):
        (folder / name).write_text("granted\n")
    (tmp_path / "outside").write_text("outside\n")
    (folder / "up").symlink_to("../outside")
    (folder / "whole").symlink_to(tmp_path / "outside")
    (folder / "sub/in").symlink_to("../data.csv")
    monkeypatch.chdir(folder)
    return folder


def furnish_specials(folder: Path) -> None:
    """A pipe that nobody writes to, and a socket."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")


def furnish_files(folder: Path) -> None:
    """Files in place of them."""
    (folder / "pipe").touch()
    (folder / "socket").touch()


def furnish_nothing(_: Path) -> None:
    """As it is."""


@dataclass(frozen=True)
class Case:
    """Operations that are refused under ``grants``, and all get through under ``control``."""

    grants: tuple[str, ...]
    refused: tuple[str, ...]
    control: tuple[str, ...]
    first: tuple[str, ...] = ()
    controlled: tuple[str, ...] = ()
    furnish: Callable[[Path], None] = furnish_nothing
    furnish_control: Callable[[Path], None] = furnish_nothing
    left: dict[str, str] = field(default_factory=dict)


CHANGES = (
    "write new",
    "new fresh",
    "append data.csv",
    "update data.csv",
    "empty data.csv",
    "times data.csv",
    "size data.csv 3",
    "mkdir made",
    "rmdir made",
    "link data.csv second",
    "rename second third",
    "unlink third",
    "symlink data.csv linked",
    "rename sub moved",
)
CASES = {
    "dot-dot": Case(
        (".",),
        ("below . ../outside", "below . sub/../../outside", "stat up", "write-below . ../outside"),
        ("..::/up",),
        controlled=(
            "below /up outside",
            "below /up here/../outside",
            "stat /up/here/up",
            "write-below /up outside",
        ),
    ),
    "symbolic links": Case(
        (".",),
        ("read up", "read whole", "write up", "list whole", "size up 1"),
        ("..::/w",),
        controlled=("read /w/here/up", "write /w/here/up", "size /w/here/up 1"),
    ),
    "symbolic links that the guest makes": Case(
        (".",),
        ("read made", "read sub/made", "read moved"),
        ("..::/w", ".::."),
        first=(
            "symlink ../outside made",
            "symlink ../../outside sub/made",
            "symlink ../data.csv sub/m",
            "rename sub/m moved",
        ),
        controlled=(
            "symlink ../outside made",
            "read /w/here/made",
            "symlink ../../outside sub/made",
            "read /w/here/sub/made",
            "symlink ../outside sub/m",
            "rename sub/m moved",
            "read /w/here/moved",
        ),
    ),
    "hard links across grants": Case(
        ("cfg", "sub"), ("link cfg/c sub/c", "link sub/s cfg/s"), (".",), left={"sub/s": "granted\n"}
    ),
    "hard links out of a read-only grant": Case(
        ("cfg:ro", "sub"), ("link cfg/c sub/c", "rename cfg/c sub/c"), (".",)
    ),
    "read-only": Case((".:ro",), CHANGES, (".",), left={"data.csv": "granted\n"}),
    "pipes and sockets": Case(
        (".",),
        ("read pipe", "write pipe", "update pipe", "append pipe", "below . pipe", "write socket"),
        (".",),
        furnish=furnish_specials,
        furnish_control=furnish_files,
    ),
    "devices": Case(
        ("/dev::/d",),
        ("read /d/null", "write /d/zero", "below /d null"),
        (".::/d",),
        controlled=("read /d/data.csv", "write /d/zero", "below /d data.csv"),
    ),
    "/proc": Case(
        ("/proc::/proc:ro",),
        (
            "read /proc/self/root/etc/passwd",
            "below /proc self/root/etc/passwd",
            "read /proc/self/cwd/data.csv",
        ),
        ("/etc::/proc/self/root/etc", ".::/proc/self/cwd"),
        controlled=("read /proc/self/root/etc/passwd", "read /proc/self/cwd/data.csv"),
    ),
    "a read-only folder inside another": Case(
        (".::/w", "cfg::/w/cfg:ro"),
        (
            "write /w/cfg/c",
            "write-below /w cfg/c",
            "write-below /w sub/../cfg/c",
            "write-below /w cfg/new",
            "write /w/l/c",
            "link /w/cfg/c /w/c2",
            "rename /w/cfg/c /w/c3",
            "rename /w/cfg /w/other",
        ),
        (".::/w",),
        first=("symlink cfg /w/l", "below /w cfg/c", "write /w/sub/s"),
        left={"cfg/c": "granted\n"},
    ),
    "a read-only folder whose parent is renamed": Case(
        (".::/w", "sub/deep::/w/sub/deep:ro"),
        ("write-below /w moved/deep/d", "unlink /w/moved/deep/d"),
        (".::/w",),
        first=("rename /w/sub /w/moved", "below /w moved/deep/d"),
        left={"moved/deep/d": "granted\n"},
    ),
    "a single file": Case(
        ("data.csv::/in/data.csv",),
        ("read /in/cfg/c", "write /in/other", "rename /in/data.csv /in/x", "unlink /in/x"),
        (".::/in",),
        first=("read /in/data.csv", "update /in/data.csv", "stat /in/data.csv", "list /in"),
    ),
    "a single file, read-only": Case(
        ("data.csv::/in/data.csv:ro",),
        (
            "update /in/data.csv",
            "append /in/data.csv",
            "empty /in/data.csv",
            "times /in/data.csv",
            "size /in/data.csv 1",
        ),
        ("data.csv::/in/data.csv",),
        first=("read /in/data.csv",),
        left={"data.csv": "granted\n"},
    ),
    "a read-only file inside a folder": Case(
        (".::/w", "data.csv::/w/data.csv:ro"),
        (
            "update /w/data.csv",
            "write-below /w data.csv",
            "write-below /w sub/in",
            "link /w/data.csv /w/d",
            "unlink /w/data.csv",
        ),
        (".::/w",),
        first=("read /w/data.csv", "below /w data.csv", "write /w/new"),
        left={"data.csv": "granted\n"},
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_what_was_not_granted_is_refused(case: Case, generation: str, place: str, here: Path) -> None:
    """None of the operations gets through, those before them do, and what must not change has not."""
    case.furnish(here)
    ended = RUN[place](generation, case.grants, [*case.first, *case.refused])
    results = ended.results
    assert results[: len(case.first)] == ["ok"] * len(case.first), ended
    assert len(results) == len(case.first) + len(case.refused), ended
    assert "ok" not in results[len(case.first) :], ended
    assert (here.parent / "outside").read_text() == "outside\n"
    for name, text in case.left.items():
        assert (here / name).read_text() == text


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_the_same_gets_through_where_it_is_granted(case: Case, generation: str, here: Path) -> None:
    """The control of each case: nothing but the grant was in the way."""
    case.furnish_control(here)
    ended = in_python(generation, case.control, case.controlled or [*case.first, *case.refused])
    assert set(ended.results) == {"ok"}, ended


LIFTED = {
    "a file in the current folder": ((), "read data.csv", "."),
    "a file in another folder": ((), "read sub/s", "sub"),
    "a folder": ((), "list cfg", "cfg"),
    "a file to be made": ((), "write sub/new", "sub"),
    "a folder above": ((), "read ../outside", ".."),
    "a folder above the one granted": ((".",), "read ../outside", ".."),
    "a whole path": ((), "read {folder}/outside", "{folder}"),
    "a whole path beside a grant": ((".",), "read {folder}/outside", "{folder}"),
    "a read-only folder": (("cfg::/in:ro",), "write /in/c", "cfg::/in"),
    "a read-only file": (("cfg/c::/in/c:ro",), "update /in/c", "cfg/c::/in/c"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in LIFTED.items()])
def test_the_grant_that_is_named_lets_the_same_guest_through(
    case: tuple[tuple[str, ...], str, str], generation: str, place: str, here: Path
) -> None:
    """A refusal names one grant; with it added to the command, the same operation gets through."""
    grants = case[0]
    operation, lift = (text.format(folder=here.parent) for text in case[1:])
    refused = RUN[place](generation, grants, [operation])
    assert "ok" not in refused.results
    assert refused.lifts == [lift]
    assert RUN[place](generation, [*grants, lift], [operation]).results == ["ok"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_missing_file_is_no_refusal(generation: str) -> None:
    """What is not there fails, granted or not, and no grant is named for it."""
    for grants in ((), (".",)):
        ended = in_terminal(generation, grants, ["read nothing", "read sub/nothing", "list none"])
        assert "ok" not in ended.results
        assert "hint" not in ended.said


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_bytes_written_are_counted_exactly(generation: str, place: str, here: Path) -> None:
    """As many bytes as the limit get through, and not one more; what a file grows by counts as well."""
    run = RUN[place]
    for pieces in (300, 1000):
        assert run(generation, ["."], [f"fill q 1000 {pieces}"], ["--max-write", "1000"]).results == ["ok"]
        over = run(generation, ["."], [f"fill q 1001 {pieces}"], ["--max-write", "1000"])
        assert over.results != ["ok"]
        assert over.lines[0] == "1000"
        assert len(over.lifts) == 1
        assert (here / "q").stat().st_size == 1000
    assert run(generation, ["."], ["size r 1000"], ["--max-write", "1000"]).results == ["ok"]
    (here / "r").unlink()
    grown = run(generation, ["."], ["size r 1001"], ["--max-write", "1000"])
    assert grown.results[0].startswith("Quota") or "quota" in grown.results[0]
    assert (here / "r").stat().st_size == 0


@pytest.mark.parametrize("through", [Path, adapted], ids=["0.1", "0.2"])
def test_a_quota_is_an_error_of_its_own(through: Callable[[Path], Path], here: Path) -> None:
    """A C library hears that it is the quota, through a stream of 0.2 as well, if it asks."""
    words = ("fill", "q", "1001", "300")
    policy, limits = wherry.Policy(dirs=["."]), wherry.Limits(write=1000)
    done = wherry.run(
        through(c_command("paths")), *words, capture=True, check=False, policy=policy, limits=limits
    )
    assert done.stdout is not None
    assert done.stdout.splitlines()[-1] == b"fill: Quota exceeded"
    assert (here / "q").stat().st_size == 1000


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_one_handle_too_many_is_an_error_that_the_guest_hears(generation: str, place: str) -> None:
    """At the limit a file is not opened, the guest goes on, and one more handle is one more file."""
    counts = []
    for most in ("40", "41"):
        ended = RUN[place](generation, ["."], ["hold data.csv 100", "read data.csv"], ["--max-handles", most])
        assert ended.results[0] != "ok"
        assert ended.results[1] == "ok"
        assert len(ended.lifts) == 1
        counts.append(int(ended.lines[0]))
    assert counts[1] == counts[0] + 1
    assert 20 < counts[0] < 40


@pytest.mark.parametrize(
    ("grant", "path", "result"),
    [
        pytest.param(".::/w", "/w/way/outside", "ok", id="protected"),
        pytest.param("..::/w", "/w/here/way/outside", "Illegal byte sequence", id="control"),
    ],
)
def test_a_path_that_changes_while_it_is_looked_up_leads_nowhere_else(
    grant: str, path: str, result: str, here: Path
) -> None:
    """Swapped for a link that leads out, again and again, a folder never shows what is outside."""
    (here / "gate").mkdir()
    (here / "gate/outside").write_text("inside\n")
    (here / "exit").symlink_to("../")
    done = threading.Event()

    def turn() -> None:
        while not done.is_set():
            (here / "gate").rename(here / "way")
            (here / "way").rename(here / "gate")
            (here / "exit").rename(here / "way")
            (here / "way").rename(here / "exit")

    swapper = threading.Thread(target=turn)
    swapper.start()
    try:
        ended = in_python("0.1", [grant], [f"never {path} 20000 outside"])
    finally:
        done.set()
        swapper.join()
    assert ended.results == [result], ended


OPENS = """(module
    (import "{module}" "path_open" (func $open
        (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "{module}" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
    (import "{module}" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "{path}")
    (func (export "_start") (local $error i32)
        (local.set $error (call $open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const {length})
            (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 0)))
        (if (local.get $error) (then (call $exit (local.get $error))))
        (drop (call $stat (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const {length}) (i32.const 64)))
        (call $exit (i32.add (i32.const 100) (i32.wrap_i64 (i64.load (i32.const {size})))))))"""


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("module", "size"), [("wasi_snapshot_preview1", 64 + 32), ("wasi_unstable", 64 + 24)]
)
@pytest.mark.parametrize(
    ("path", "code"), [("data.csv", 108), ("../outside", 63), ("whole", 63), ("nothing", 44)]
)
def test_both_names_of_the_first_wasi_lead_to_the_same_checks(
    module: str, size: int, path: str, code: int
) -> None:
    """A module under the old name opens what it was granted, sees how long it is, and nothing else."""
    text = OPENS.format(module=module, path=path, length=len(path), size=size)
    done = wherry.run(text.encode(), capture=True, check=False, policy=wherry.Policy(dirs=["."]))
    assert done.returncode == code
    assert [denial.target for denial in done.denials] == ([f"./{path}"] if code == 63 else [])


@pytest.mark.usefixtures("here")
def test_no_descriptor_of_the_host_is_left_open() -> None:
    """Files that a guest left open, and folders that were granted, are closed with it."""
    left = growth(
        lambda: in_python("0.1", [".::/w", "cfg::/w/cfg:ro"], ["read /w/data.csv", "list /w", "read /w/up"]),
        10,
    )
    assert left.files == 0
    assert left.threads <= 0
