"""Each limit is exact, names itself, says how it is raised, and leaves nothing behind.

Every guest runs in a terminal and in Python, with just enough and with just too little; that it gets through
with enough is the control. What a file or network limit does is tested beside those grants.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import c_command, python_command
from tests.hostile.commands import GENERATIONS, command
from tests.hostile.footprint import Footprint, growth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = 65_536
# A leak of one page of memory in each hundred runs would show.
ALLOWED = 1 << 20

GROW = "(if (i32.eq (memory.grow (i32.const 15)) (i32.const -1)) (then unreachable))"
WIDEN = "(if (i32.eq (table.grow (ref.null func) (i32.const 90)) (i32.const -1)) (then unreachable))"
COUNT = """(local $i i32) (loop $next
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $i) (i32.const 1000))))"""
INSTANCES = b"""(component
    (core module $a) (core instance (instantiate $a)) (core instance (instantiate $a))
    (core module $run (func (export "run") (result i32) (i32.const 0)))
    (core instance $main (instantiate $run))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $exported (export "run" (func $run)))
    (export "wasi:cli/run@0.2.6" (instance $exported)))"""
# What the commands in Python write before they copy their input.
HEADERS = {"0.2": "arguments:\nGREETING: not granted\n", "0.3": "arguments: \nGREETING: not granted\n"}


@dataclass(frozen=True)
class Case:
    """A guest with a limit that is just enough, and by how much less is too little."""

    flag: str
    enough: int
    error: type[wherry.LimitError | wherry.TooLargeError]
    code: int
    guest: Callable[[], bytes | Path]
    less: int = 1
    words: tuple[str, ...] = ()
    stdin: bytes = b""

    @property
    def argument(self) -> str:
        """Its name in Python."""
        return self.flag.removeprefix("max-")

    def run(self, value: int) -> wherry.Completed:
        """Run it in Python with a limit of ``value``."""
        limits = wherry.Limits(**{self.argument: value})
        return wherry.run(self.guest(), *self.words, stdin=self.stdin, capture=True, limits=limits)


def of_each(make: Callable[[str], Case]) -> dict[str, Case]:
    """The same case for each generation of WASI."""
    cases = {generation: make(generation) for generation in GENERATIONS}
    return {f"{case.flag} {generation}": case for generation, case in cases.items()}


def compiled(flag: str, enough: int, fields: str, body: str = "") -> Case:
    """A case for a bound on what is compiled."""
    return Case(flag, enough, wherry.TooLargeError, 125, lambda: command("0.1", body, fields))


def of_memory(generation: str) -> Case:
    """Sixteen pages of linear memory."""
    return Case(
        "memory", 16 * PAGE, wherry.MemoryLimitError, 137, lambda: command(generation, GROW, "(memory 1)")
    )


def of_output(generation: str) -> Case:
    """A thousand bytes of output."""
    if generation == "0.1":
        return Case(
            "max-output", 1_000, wherry.OutputLimitError, 153, lambda: c_command("flood"), words=("1000",)
        )
    name = f"command_{generation.replace('.', '')}"
    stdin = b"x" * (1_000 - len(HEADERS[generation]))
    return Case("max-output", 1_000, wherry.OutputLimitError, 153, lambda: python_command(name), stdin=stdin)


CASES = {
    **of_each(of_memory),
    "elements of a table": Case(
        "memory",
        100 * 8,
        wherry.MemoryLimitError,
        137,
        lambda: command("0.1", WIDEN, "(table 10 funcref)"),
    ),
    "two memories": Case(
        "memory",
        4 * PAGE,
        wherry.MemoryLimitError,
        137,
        lambda: command("0.1", "", "(memory 1) (memory 3)"),
    ),
    **of_each(of_output),
    "max-instances": Case("max-instances", 3, wherry.TooLargeError, 125, lambda: INSTANCES),
    "max-tables": Case(
        "max-tables",
        2,
        wherry.TooLargeError,
        125,
        lambda: command("0.1", "", "(table 1 funcref) (table 1 funcref)"),
    ),
    "max-functions": compiled("max-functions", 5, "(func) (func) (func)"),
    "max-body": compiled("max-body", 15, "", "nop " * 11),
    "max-nesting": compiled("max-nesting", 7, "", "(block " * 7 + ")" * 7),
}


def leaves_nothing(grown: Footprint) -> None:
    """Memory, threads, files and sockets are back to what they were; a thread that went idle may be gone."""
    assert grown.memory < ALLOWED
    assert max(grown[1:]) <= 0


class Typed:
    """The command line as a user types it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, case: Case, *flags: str) -> tuple[int, str]:
        """The exit code and what was said."""
        guest = case.guest()
        if isinstance(guest, bytes):
            file = self._folder / "guest.wat"
            file.write_bytes(guest)
            guest = file
        done = subprocess.run(
            [sys.executable, "-m", "wherry", "run", *flags, str(guest), *case.words],
            check=False,
            capture_output=True,
            env={**os.environ, "XDG_CONFIG_HOME": str(self._folder)},
            input=case.stdin,
        )
        return done.returncode, done.stderr.decode()


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """A terminal without anybody's settings."""
    return Typed(tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
class TestEachLimit:
    """Just enough is enough, and one less is not."""

    def test_in_python(self, case: Case) -> None:
        """The error names the limit with its value, and how to raise it in both places."""
        assert case.run(case.enough + case.less).returncode == 0
        assert case.run(case.enough).returncode == 0
        with pytest.raises(case.error) as struck:
            case.run(case.enough - case.less)
        assert struck.value.exit_code == case.code
        assert f"--{case.flag} " in (struck.value.hint or "")

    def test_in_a_terminal(self, case: Case, typed: Typed) -> None:
        """The exit code is that of the limit, and the flag in the hint lifts it."""
        assert typed(case, f"--{case.flag}", str(case.enough))[0] == 0
        code, said = typed(case, f"--{case.flag}", str(case.enough - case.less))
        assert code == case.code
        advice = said.split(f"--{case.flag} ")[1].split()[0].strip("`,")
        assert typed(case, f"--{case.flag}", advice)[0] == 0

    def test_nothing_is_left_behind(self, case: Case) -> None:
        """Memory, threads, files and sockets are back to what they were."""
        component = wherry.load(case.guest()) if case.error is not wherry.TooLargeError else case.guest()
        limits = wherry.Limits(**{case.argument: case.enough - case.less})

        def struck() -> None:
            with contextlib.suppress(case.error):
                wherry.run(component, *case.words, stdin=case.stdin, capture=True, limits=limits)

        grown = growth(struck, 10 if case.stdin else 30)
        leaves_nothing(grown)


@pytest.mark.parametrize("generation", GENERATIONS)
class TestFuel:
    """A program stops at the same place each time, wherever it runs."""

    def test_fuel_is_exact(self, generation: str, typed: Typed) -> None:
        """What is left of plenty says what is used; that is enough, and one unit less is not."""
        case = Case(
            "fuel", self.used(generation), wherry.FuelLimitError, 152, lambda: command(generation, COUNT)
        )
        assert case.enough > 1_000
        for _ in range(3):
            assert case.run(case.enough).returncode == 0
            with pytest.raises(wherry.FuelLimitError, match=f"its limit of {case.enough - 1} of fuel"):
                case.run(case.enough - 1)
        assert typed(case, "--fuel", str(case.enough))[0] == 0
        code, said = typed(case, "--fuel", str(case.enough - 1))
        assert code == case.code
        assert f"its limit of {case.enough - 1} of fuel" in said
        assert "--fuel 10G" in said

    def used(self, generation: str) -> int:
        """The fuel that the guest uses."""
        least, most = 0, 100_000
        component = wherry.load(command(generation, COUNT))
        while most - least > 1:
            middle = (least + most) // 2
            try:
                wherry.run(component, limits=wherry.Limits(fuel=middle))
                most = middle
            except wherry.FuelLimitError:
                least = middle
        return most


RECURSE = """(func $deeper (export "deeper") (param i32)
    (if (local.get 0) (then (call $deeper (i32.sub (local.get 0) (i32.const 1))))))"""
DEEPER = {
    "0.1": f"(module {RECURSE})",
    "0.2": f"""(component (core module $m {RECURSE}) (core instance $m (instantiate $m))
        (func (export "deeper") (param "n" u32) (canon lift (core func $m "deeper"))))""",
    "0.3": f"""(component (core module $m {RECURSE}) (core instance $m (instantiate $m))
        (func (export "deeper") async (param "n" u32) (canon lift (core func $m "deeper"))))""",
}
STACK_PAGE = 4_096


@pytest.mark.parametrize("fuel", [None, 10**12], ids=["interruptible", "metered"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_stack_is_exact_within_a_page(generation: str, fuel: int | None) -> None:
    """Over three sizes of stack the depth that is reached grows as the stack does."""
    component = wherry.load(DEEPER[generation].encode())

    def depth(stack: int) -> int:
        """How deep a guest gets."""
        least, most = 0, stack
        while most - least > 1:
            middle = (least + most) // 2
            try:
                with component.instantiate(limits=wherry.Limits(stack=stack, fuel=fuel)) as instance:
                    instance.deeper(middle)
                least = middle
            except wherry.StackLimitError as error:
                size_named = "1MiB" if stack == 1 << 20 else f"{stack >> 10}KiB"
                assert f"its limit of {size_named} of stack" in str(error)  # noqa: PT017 - one of many turns
                assert "--stack" in (error.hint or "")  # noqa: PT017 - one of many turns
                most = middle
        return least

    sizes = (256 << 10, 512 << 10, 1 << 20)
    depths = [depth(size) for size in sizes]
    frame = (sizes[2] - sizes[0]) / (depths[2] - depths[0])
    assert abs((depths[1] - depths[0]) * frame - (sizes[1] - sizes[0])) <= STACK_PAGE
    assert abs(depths[0] * frame - sizes[0]) <= STACK_PAGE


ENDED = {
    "fuel": ("(loop $on (br $on))", wherry.Limits(fuel=10_000), wherry.FuelLimitError),
    "stack": ("(drop (call $run))", wherry.Limits(), wherry.StackLimitError),
    "stack and fuel": ("(drop (call $run))", wherry.Limits(fuel=10**9), wherry.StackLimitError),
}


@pytest.mark.parametrize(("body", "limits", "error"), ENDED.values(), ids=ENDED.keys())
@pytest.mark.parametrize("generation", GENERATIONS)
def test_fuel_and_stack_leave_nothing(
    generation: str, body: str, limits: wherry.Limits, error: type[wherry.LimitError]
) -> None:
    """Memory, threads, files and sockets are back to what they were."""
    guest = wherry.load(command(generation, body))

    def struck() -> None:
        with pytest.raises(error):
            wherry.run(guest, limits=limits)

    leaves_nothing(growth(struck, 30))


# More than a table in the pool has room for, at the start or by growth, in a table that says so or does not.
ROOMY = {
    "at the start": ("", "(table 200000 funcref)"),
    "by growth": (WIDEN.replace("90", "200000"), "(table 10 funcref)"),
    "by growth to a maximum": (WIDEN.replace("90", "200000"), "(table 10 300000 funcref)"),
    "by growth over 64 bits": (WIDEN.replace("i32", "i64").replace("90", "200000"), "(table i64 10 funcref)"),
    "many tables": ("", "(table 1 funcref)" * 20),
    "many memories": ("", "(memory 1)" * 20),
}


@pytest.mark.parametrize(("body", "fields"), ROOMY.values(), ids=ROOMY.keys())
@pytest.mark.parametrize("generation", GENERATIONS)
class TestThePool:
    """What guests get comes out of a pool where they fit, and a guest that does not fit never notices."""

    def test_a_guest_that_does_not_fit_runs(self, generation: str, body: str, fields: str) -> None:
        """Loaded once and run twice, in Python as in a terminal."""
        guest = wherry.load(command(generation, body, fields))
        for _ in range(2):
            assert wherry.run(guest).returncode == 0


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_guest_outside_the_pool_is_limited_all_the_same(generation: str) -> None:
    """Two hundred thousand elements more are over the limit; they are what it said it needs."""
    body, fields = ROOMY["by growth"]
    guest = wherry.load(command(generation, body, fields))
    enough = 200_010 * 8
    assert wherry.run(guest, limits=wherry.Limits(memory=enough)).returncode == 0
    with pytest.raises(wherry.MemoryLimitError, match="limit"):
        wherry.run(guest, limits=wherry.Limits(memory=enough - 1))


def test_a_limit_over_what_the_pool_has_is_kept_to() -> None:
    """With more than 4 GiB of memory allowed a 64-bit memory grows over that; one page less is refused."""
    grow = "(if (i64.eq (memory.grow (i64.const 65536)) (i64.const -1)) (then unreachable))"
    guest = wherry.load(command("0.1", grow, "(memory i64 1)"))
    assert wherry.run(guest, limits=wherry.Limits(memory=(4 << 30) + PAGE)).returncode == 0
    with pytest.raises(wherry.MemoryLimitError, match="limit"):
        wherry.run(guest, limits=wherry.Limits(memory=4 << 30))


WAITS: dict[str, Callable[[], bytes | Path]] = {
    "loops 0.1": lambda: command("0.1", "(loop $on (br $on))"),
    "loops 0.2": lambda: command("0.2", "(loop $on (br $on))"),
    "loops 0.3": lambda: command("0.3", "(loop $on (br $on))"),
    "sleeps 0.1": lambda: c_command("sleep"),
    "reads 0.1": lambda: c_command("cat"),
    "reads 0.2": lambda: python_command("command_02"),
    "reads 0.3": lambda: python_command("command_03"),
}


@pytest.mark.parametrize("guest", WAITS.values(), ids=WAITS.keys())
@pytest.mark.parametrize("fuel", [None, 10**15], ids=["interruptible", "metered"])
def test_a_guest_that_never_ends_is_ended(guest: Callable[[], bytes | Path], fuel: int | None) -> None:
    """Whether it computes, sleeps or waits for input that never comes; and nothing of it stays."""
    component = wherry.load(guest())
    limits = wherry.Limits(timeout="50ms", fuel=fuel)
    reading, writing = os.pipe()

    def struck() -> None:
        with pytest.raises(wherry.TimeLimitError, match="50ms") as error:
            wherry.run(component, "60000", stdin=reading, capture=True, limits=limits)
        assert "--timeout 1m" in (error.value.hint or "")
        assert error.value.exit_code == 124

    try:
        grown = growth(struck, 3)
    finally:
        os.close(reading)
        os.close(writing)
    leaves_nothing(grown)


FLOODS: dict[str, tuple[Callable[[], Path], tuple[str, ...]]] = {
    "0.1": (lambda: c_command("flood"), ("0",)),
    "0.2": (lambda: python_command("command_02"), ()),
    "0.3": (lambda: python_command("command_03"), ()),
}


@pytest.mark.parametrize(("guest", "words"), FLOODS.values(), ids=FLOODS.keys())
def test_a_guest_that_writes_where_nobody_reads_is_ended(
    guest: Callable[[], Path], words: tuple[str, ...]
) -> None:
    """A full pipe holds the guest up, and not the thread that wants it back in time."""
    component = wherry.load(guest())
    limits = wherry.Limits(timeout="500ms", output=None)
    text = b"line\n" * 100_000

    def struck() -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            with pytest.raises(wherry.TimeLimitError):
                wherry.run(component, *words, stdin=text, stdout=writing, limits=limits)
            # What was written is whole, and no more than a pipe holds.
            assert len(os.read(reading, 1 << 20)) in range(1 << 12, (1 << 16) + 1)
        finally:
            os.close(reading)
            os.close(writing)

    leaves_nothing(growth(struck, 2))


def test_a_terminal_ends_what_never_ends(tmp_path: Path) -> None:
    """In a process of its own a loop costs nothing and is ended all the same, with 124."""
    file = tmp_path / "loop.wat"
    file.write_bytes(command("0.1", "(loop $on (br $on))"))
    command_line = [sys.executable, "-m", "wherry", "run", "--timeout", "100ms", str(file)]
    done = subprocess.run(command_line, check=False, capture_output=True, text=True)
    assert done.returncode == 124
    assert "100ms" in done.stderr
    assert "--timeout 1m" in done.stderr


TYPES = "(type $bytes (array (mut i8))) (type $all (array (mut (ref null $bytes))))"
COLLECT = """(local $i i32) (local $all (ref null $all))
    (local.set $all (array.new_default $all (i32.const 64)))
    (loop $next
        (array.set $all (local.get $all) (local.get $i) (array.new_default $bytes (i32.const 1000000)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 64))))"""


@pytest.mark.parametrize("generation", GENERATIONS)
def test_objects_of_the_guest_s_own_collector_count(generation: str) -> None:
    """64 MB of garbage-collected objects do not fit 64 MB of memory, and fit what the collector asks for."""
    guest = wherry.load(command(generation, COLLECT, TYPES))
    with pytest.raises(wherry.MemoryLimitError, match="62500KiB"):
        wherry.run(guest, limits=wherry.Limits(memory="64MB"))
    assert wherry.run(guest, limits=wherry.Limits(memory="512MiB")).returncode == 0
