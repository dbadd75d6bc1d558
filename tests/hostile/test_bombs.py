"""Valid files that are made to keep a compiler busy or to fill its memory end by the limits on compiling.

A smaller file of the same kind compiles, each in a terminal and in Python. What strikes leaves nothing: no
process, thread, memory or file, and no code in the cache.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import wherry
from tests.hostile import bombs
from tests.hostile.footprint import growth
from wherry.wit import model

# Short, and longer than the compiler's process needs to start.
TIME = "400ms"
MEMORY = "200MiB"
# A leak of one bomb of ten would show: their files are tens of kilobytes, what they want is gigabytes.
ALLOWED = 4 << 20


@dataclass(frozen=True)
class Case:
    """A bomb, and the limit that ends it."""

    bomb: bombs.Bomb
    error: type[wherry.WherryError]
    code: int
    flag: str
    value: str

    @property
    def argument(self) -> str:
        """Its name in Python."""
        return self.flag.replace("-", "_")


CASES = {
    **{
        name: Case(bomb, wherry.TimeLimitError, 124, "compile-timeout", TIME)
        for name, bomb in bombs.SLOW.items()
    },
    **{
        name: Case(bomb, wherry.TooLargeError, 125, "compile-memory", MEMORY)
        for name, bomb in bombs.GREEDY.items()
    },
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, so that everything is compiled."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("WHERRY_CACHE_DIR", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return folder


def typed(folder: Path, guest: bytes, *words: str) -> tuple[int, str]:
    """The command line, and what came of it: the exit code and what was said."""
    file = folder / "guest.wasm"
    file.write_bytes(guest)
    command = [sys.executable, "-m", "wherry", *words, str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, done.stderr


def children() -> set[str]:
    """The processes that this one started."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread may end meanwhile; what it started is another one's then.
        with contextlib.suppress(FileNotFoundError):
            found.update((task / "children").read_text().split())
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
class TestEachBomb:
    """Much of it is ended by a limit, and a little of it compiles."""

    def test_in_python(self, case: Case, cache: Path) -> None:
        """The error names the limit, its value and what raises it; no process and no code is left."""
        limits = wherry.Limits(**{case.argument: case.value})
        before = children()
        with pytest.raises(case.error, match=case.value) as struck:
            wherry.load(case.bomb.make(case.bomb.much), limits=limits)
        assert struck.value.exit_code == case.code
        assert f"`--{case.flag} " in (struck.value.hint or "")
        assert f"`Limits({case.argument}=" in (struck.value.hint or "")
        assert children() <= before
        assert not list(cache.rglob("*.cwasm"))
        assert wherry.load(case.bomb.make(case.bomb.little)) is not None

    def test_in_a_terminal(self, case: Case, tmp_path: Path) -> None:
        """The exit code is that of the limit, its value and its flag are named."""
        # With fuel, as some of them are slow only where code is counted.
        words = ("run", "--fuel", "1T", f"--{case.flag}", case.value)
        code, said = typed(tmp_path, case.bomb.make(case.bomb.much), *words)
        assert code == case.code, said
        assert case.value in said
        assert f"--{case.flag} " in said
        target = tmp_path / "out.cwasm"
        little = case.bomb.make(case.bomb.little)
        assert typed(tmp_path, little, "compile", "-o", str(target)) == (0, "")
        assert target.exists()


def test_bombs_leave_nothing() -> None:
    """Memory, threads, files and sockets are back to what they were, and no process is left."""
    much = [
        bombs.SLOW["variables and branches"],
        bombs.SLOW["handlers of calls"],
        bombs.GREEDY["fields of structures"],
        bombs.GREEDY["pictures of memories"],
    ]
    guests = [bomb.make(bomb.much) for bomb in much]
    limits = wherry.Limits(compile_timeout="150ms", compile_memory="100MiB")
    before = children()

    def struck() -> None:
        for guest in guests:
            with contextlib.suppress(wherry.TimeLimitError, wherry.TooLargeError):
                wherry.load(guest, limits=limits)
                pytest.fail("a bomb was compiled")

    grown = growth(struck, 2)
    assert grown.memory < ALLOWED
    assert max(grown[1:]) <= 0
    assert children() <= before


@pytest.mark.parametrize("bomb", bombs.DEEP.values(), ids=bombs.DEEP.keys())
@pytest.mark.parametrize("command", ["run", "inspect", "compile"])
def test_what_is_too_deep_is_refused(command: str, bomb: bombs.Bomb, tmp_path: Path) -> None:
    """Every reader of strangers' files refuses it, and none runs out of stack; what is less deep is read."""
    code, said = typed(tmp_path, bomb.make(bomb.much), command)
    assert code in (1, 125), (code, said)
    assert "nested over 100 levels deep" in said
    assert "levels deep" not in typed(tmp_path, bomb.make(bomb.little), command)[1]


@pytest.mark.parametrize("bomb", bombs.DEEP.values(), ids=bombs.DEEP.keys())
def test_what_is_too_deep_is_refused_in_python(bomb: bombs.Bomb) -> None:
    """By the loader and by what only reads."""
    much = bomb.make(bomb.much)
    for reader in (wherry.load, wherry.inspect, model.read):
        with pytest.raises(wherry.TooLargeError, match="100 levels"):
            reader(much)
        assert reader(bomb.make(bomb.little)) is not None


def test_a_limit_on_memory_that_nothing_can_keep_is_named() -> None:
    """Even the start of the compiler's process is more than a megabyte."""
    with pytest.raises(wherry.TooLargeError, match="1MiB"):
        wherry.load(b'(module (func (export "bomb")))', limits=wherry.Limits(compile_memory="1MiB"))


def test_a_bomb_is_ended_by_ctrl_c(tmp_path: Path) -> None:
    """Long before its limit; the process that compiles ends with it."""
    bomb = bombs.SLOW["loops in loops"]
    file = tmp_path / "bomb.wasm"
    file.write_bytes(bomb.make(bomb.much))
    running = subprocess.Popen(
        [sys.executable, "-m", "wherry", "run", str(file)], stderr=subprocess.PIPE, start_new_session=True
    )
    compiler = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while not (compiling := compiler.read_text().split()):
        assert running.poll() is None
    running.send_signal(2)
    assert running.wait(60) == 130
    assert not any(os.path.exists(f"/proc/{number}") for number in compiling)  # noqa: PTH110 - shorter
    assert running.stderr is not None
    running.stderr.close()
