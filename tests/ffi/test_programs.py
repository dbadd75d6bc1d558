"""Programs in C that use the library rightly and wrongly, alone and on many threads, and what is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.debian import command
from tests.ffi.conftest import PREFIX, ROOT, compiled, run
from tests.ffi.driven import Driver, RefusedError
from tests.ffi.encoded import arguments, parsed
from tests.guests.build import binary, streams, text
from tests.guests.echo import echo, relay

if TYPE_CHECKING:
    from collections.abc import Callable

languages = pytest.mark.parametrize("language", ["gcc-c11", "gcc-c++17"])
# What a page of the process may be more at the end than in the middle: the allocator's own ups and downs.
PAGES = 256
STREAM = """
(component
  (core module $main (func (export "f") (param i32)))
  (core instance $main (instantiate $main))
  (func (export "streaming") (param "bytes" (stream u8)) (canon lift (core func $main "f"))))
"""


def resources() -> list[Path]:
    """What `resources` takes."""
    return [text("counter"), text("buckets")]


def misuse() -> list[Path]:
    """What `misuse` takes."""
    return [text("callback"), text("spinner"), binary(echo(parsed("string")))]


def threads(count: int, calls: int) -> list[Path | str]:
    """What `threads` takes."""
    return [binary(relay(parsed("string"))), text("spinner"), str(count), str(calls)]


def leaks(rounds: int) -> list[Path | str]:
    """What `leaks` takes."""
    record = binary(echo(parsed("record {name: string, tags: list<u16>}")))
    return [
        record,
        binary(relay(parsed("string"))),
        text("counter"),
        text("buckets"),
        text("callback"),
        str(rounds),
    ]


def succeeds(program: Path, *words: Path | str, timeout: float = 60) -> str:
    """Runs a program, which has to find nothing, and gives what it printed."""
    done = run(program, *words, timeout=timeout)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@languages
def test_resources_of_both_sides(language: str, program: Callable[..., Path]) -> None:
    """Own and borrowed, given away, dropped, used after that; destructors and contexts are told once."""
    succeeds(program("resources", language), *resources())


@languages
def test_what_is_wrong_is_an_error_and_the_process_lives(language: str, program: Callable[..., Path]) -> None:
    """Wrong handles, callbacks that fail, another thread, limits in a callback, cancelling."""
    succeeds(program("misuse", language), *misuse())


@languages
def test_threads_share_what_the_header_says(language: str, program: Callable[..., Path]) -> None:
    """Components and imports for all, an instance for one at a time, a release while others call."""
    succeeds(program("threads", language), *threads(8, 20))


def test_a_check_of_these_programs_can_fail(program: Callable[..., Path]) -> None:
    """With another component in its place, each says where it found what."""
    for name, words in (("resources", resources()), ("misuse", misuse())):
        done = run(program(name), *reversed(words))
        assert done.returncode == 1, name
        assert done.stderr, name


@pytest.mark.parametrize(
    "rounds", [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_calls_leave_memory_flat(rounds: int, program: Callable[..., Path]) -> None:
    """Text, lists, resources, callbacks, errors, and callbacks that fail half-way, again and again."""
    printed = succeeds(program("leaks"), *leaks(rounds), timeout=1500)
    pages = dict(line.split() for line in printed.splitlines())
    assert int(pages["end"]) - int(pages["middle"]) < PAGES


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["resources", "misuse", "leaks", "streams"])
def test_valgrind_finds_nothing(name: str, program: Callable[..., Path]) -> None:
    """No byte that is read where none is, none that nobody set, and none that nobody can reach in the end."""
    given: dict[str, list[Path | str]] = {
        "resources": [*resources()],
        "misuse": [*misuse(), "without a fork"],
        "leaks": leaks(100),
        "streams": [streams(), "1"],
    }
    valgrind, environment = command("valgrind", ["valgrind"])
    options = ["--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite"]
    options += [
        f"--suppressions={Path(__file__).with_name('valgrind.supp')}",
        "--errors-for-leak-kinds=definite",
    ]
    options += ["--quiet", "--fair-sched=yes"]
    done = run(valgrind[0], *options, program(name), *given[name], timeout=1500, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")


def compiled_add(folder: Path) -> Path:
    """The component with `add`, compiled ahead of time for what embeds it."""
    output = folder / "add.cwasm"
    words = ["-m", "wherry", "compile", "--mode", "interruptible", str(text("add")), "-o", str(output)]
    subprocess.run([sys.executable, *words], check=True)
    return output


def test_code_that_was_compiled_ahead_of_time(program: Callable[..., Path], tmp_path: Path) -> None:
    """It is loaded where the caller says that it is trusted."""
    succeeds(program("precompiled"), compiled_add(tmp_path), text("add"), "compiler")


@pytest.mark.slow
@pytest.mark.timeout(3600)  # the engine is compiled once more, without its compiler
def test_a_library_without_the_compiler(tmp_path: Path) -> None:
    """It is smaller, runs what was compiled ahead of time, and says so of everything else."""
    small = tmp_path / "small"
    words = ["make", "libwherry", "COMPILER=no", f"PREFIX={small}", f"PYTHON={sys.executable}"]
    subprocess.run(words, check=True, cwd=ROOT)
    succeeds(compiled(small, "precompiled"), compiled_add(tmp_path), text("add"), "none")
    sizes = [(prefix / "lib" / "libwherry.so.1").stat().st_size for prefix in (small, PREFIX)]
    assert sizes[0] < sizes[1] - 10_000_000


@languages
def test_streams_of_both_sides(language: str, program: Callable[..., Path]) -> None:
    """Read, filled at once and by another thread, given back, ended by either side, wrong ones, imports."""
    succeeds(program("streams", language), streams(), "1")


@pytest.mark.parametrize(
    "rounds", [60, pytest.param(3_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_streams_leave_memory_flat(rounds: int, program: Callable[..., Path]) -> None:
    """Open and abandoned ones, and those of guests that failed, again and again."""
    printed = succeeds(program("streams"), streams(), str(rounds), timeout=800)
    pages = dict(line.split() for line in printed.splitlines())
    assert int(pages["end"]) - int(pages["middle"]) < PAGES


@pytest.mark.parametrize("data", ["22 3039000000000000", "23 0000000000000000", "09 0000000000000000"])
def test_what_is_no_stream_is_refused(data: str, program: Callable[..., Path]) -> None:
    """A number that is no handle, a future for a stream, and another type."""
    with Driver(program("driver"), binary(STREAM)) as driver, pytest.raises(RefusedError) as refused:
        driver.call("streaming", arguments(bytes.fromhex(data)))
    assert refused.value.status == 12
