"""Streams, futures and ``async`` imports in generated C."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import debian
from tests.bind.c_programs import CHECKED, CLANG, GCC, Package, compiled, compiles, package
from tests.ffi.conftest import PREFIX
from tests.guests.build import streams
from wherry.bind import generate

SOURCE = Path(__file__).parent / "c" / "streams.c"


def flows() -> Package:
    """The package of the library with streams of all kinds."""
    return package(streams().read_bytes(), "flows", formatted=True)


@pytest.mark.parametrize("compiler", [CHECKED, CLANG], ids=["gcc", "clang"])
def test_streams_go_both_ways(compiler: tuple[str, ...]) -> None:
    """Read and filled, of bytes, records and nothing; futures; imports; closed early; wrong: `streams.c`."""
    done = subprocess.run(
        [compiled(SOURCE.read_text(), flows(), compiler=compiler)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_the_check_of_the_program_can_fail() -> None:
    """A stream that brings something else is noticed."""
    source = SOURCE.read_text().replace("piece[] = {1, 2, 3}", "piece[] = {1, 2, 4}")
    done = subprocess.run(
        [compiled(source, flows())], capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "total == 30" in done.stderr


def test_the_header_is_one_of_cplusplus_too(tmp_path: Path) -> None:
    """It compiles without a warning, and is what clang-format has."""
    made = flows()
    (tmp_path / "alone.c").write_text("#include <flows.h>\nint main(void) { return 0; }\n")
    words = [f"-I{PREFIX}/include", *made.words, "-c"]
    for compiler in ((*GCC,), ("g++", "-std=c++17", "-x", "c++")):
        compiles(compiler, *words, tmp_path / "alone.c", "-o", tmp_path / "out.o")
    assert generate.generated(made.library, "c") == generate.generated(made.library, "c")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_valgrind_finds_nothing() -> None:
    """No byte that is read where none is, and nothing that nobody can reach in the end."""
    words, environment = debian.command("valgrind", ["valgrind"])
    options = ["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", "--quiet"]
    options += [f"--suppressions={SOURCE.with_name('valgrind.supp')}"]
    program = compiled(SOURCE.read_text(), flows())
    done = subprocess.run(
        [*words, *options, program],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
