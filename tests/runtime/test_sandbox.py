"""``wherry.Sandbox``: code of strangers, each call in a fresh instance, from threads and from asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import c_command, text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

ENDLESS_START = '(module (func $spin (loop $next (br $next))) (start $spin) (func (export "f")))'


def same(x: int) -> int:
    """The host function that most tests give."""
    return x


@pytest.fixture
def plugin() -> Iterator[wherry.Sandbox]:
    """A plug-in that tries to remember."""
    with wherry.Sandbox(text("plugin"), imports={"host": same}) as sandbox:
        yield sandbox


@pytest.fixture
def spinner() -> Iterator[wherry.Sandbox]:
    """A plug-in that computes for as long as it is told, under a short deadline."""
    with wherry.Sandbox(text("spinner"), limits=wherry.Limits(timeout="200ms")) as sandbox:
        yield sandbox


class TestCalls:
    """How functions are called."""

    def test_by_attribute_and_by_name(self, plugin: wherry.Sandbox) -> None:
        """With arguments by place and by name."""
        assert plugin.ask(3) == plugin.ask(x=3) == plugin.call("ask", 3) == plugin.call("ask", x=3) == 3

    def test_functions_of_an_interface(self) -> None:
        """Under its name, or in one text as exports are listed."""
        with wherry.Sandbox(text("counter")) as sandbox:
            assert sandbox["test:guests/counters"].live() == 0
            assert sandbox.call("test:guests/counters#live") == 0

    def test_what_is_not_there(self, plugin: wherry.Sandbox) -> None:
        """The error lists what is."""
        with pytest.raises(wherry.NoSuchExportError, match="`ask`"):
            plugin.asks(3)
        with pytest.raises(wherry.NoSuchExportError):
            plugin.call("ns:pkg/iface#ask", 3)
        assert {"ask", "grow", "run"} <= set(dir(plugin))

    def test_an_import_that_is_missing_is_an_error_at_once(self) -> None:
        """Not at the first call."""
        with pytest.raises(wherry.LinkError, match="host"):
            wherry.Sandbox(text("plugin"))

    def test_errors_are_those_of_an_instance(self, plugin: wherry.Sandbox) -> None:
        """And the next call is as good as the first."""
        with pytest.raises(wherry.Trap):
            plugin.trap()
        with pytest.raises(wherry.WitTypeError):
            plugin.ask("three")
        assert plugin.ask(3) == 3

    def test_an_exception_of_a_host_function_goes_through(self) -> None:
        """As it was raised."""

        def host(x: int) -> int:
            raise LookupError(x)

        with wherry.Sandbox(text("plugin"), imports={"host": host}) as sandbox, pytest.raises(LookupError):
            sandbox.ask(1)

    def test_several_calls_in_one_instance(self, plugin: wherry.Sandbox) -> None:
        """Where that is wanted, a call sees what the one before it left."""
        with plugin.instance() as instance:
            assert [instance.remembered() for _ in range(3)] == [0, 3, 5]
        with pytest.raises(wherry.ClosedError):
            instance.remembered()


class TestFresh:
    """Nothing passes from one call to the next."""

    def test_memory_tables_and_globals(self, plugin: wherry.Sandbox) -> None:
        """However many calls there were; in one instance they are remembered, so the guest can tell."""
        assert {plugin.remembered() for _ in range(50)} == {0}
        with plugin.instance() as instance:
            instance.remembered()
            assert instance.remembered() > 0

    def test_memory_that_grew(self, plugin: wherry.Sandbox) -> None:
        """A call finds the size that the plug-in starts with."""
        assert [plugin.grow(100) for _ in range(3)] == [1, 1, 1]

    def test_after_a_trap_and_a_deadline(self, spinner: wherry.Sandbox) -> None:
        """What was struck is gone; the next call has its own."""
        expected = spinner.turns(10)
        for _ in range(3):
            with pytest.raises(wherry.TimeLimitError):
                spinner.forever()
            assert spinner.turns(10) == expected

    def test_imports_made_for_each_call(self) -> None:
        """A callable makes host functions that belong to one call."""
        made = []

        def imports() -> dict[str, object]:
            calls: list[int] = []
            made.append(calls)

            def host(x: int) -> int:
                calls.append(x)
                return len(calls)

            return {"host": host}

        with wherry.Sandbox(text("plugin"), imports=imports) as sandbox:
            assert [sandbox.ask(7), sandbox.ask(8)] == [1, 1]
        assert made == [[7], [8]]


class TestDeadline:
    """The time limit ends a call, whatever the guest does."""

    def test_a_loop(self, spinner: wherry.Sandbox) -> None:
        """It ends soon after its time."""
        start = time.monotonic()
        with pytest.raises(wherry.TimeLimitError, match=r"200 ?ms"):
            spinner.forever()
        assert 0.2 <= time.monotonic() - start < 2

    def test_a_start_that_never_ends(self) -> None:
        """The deadline covers the start of the instance."""
        with (
            wherry.Sandbox(ENDLESS_START.encode(), limits=wherry.Limits(timeout="100ms")) as sandbox,
            pytest.raises(wherry.TimeLimitError),
        ):
            sandbox.f()

    def test_start_and_call_share_one_deadline(self) -> None:
        """A start that takes most of the time leaves the call the rest."""
        wat = """(module
            (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func $wait (param $until i64)
              (loop $next
                (drop (call $now (i32.const 1) (i64.const 0) (i32.const 0)))
                (if (i64.eqz (i64.load (i32.const 8)))
                  (then (i64.store (i32.const 8) (i64.load (i32.const 0)))))
                (br_if $next (i64.lt_u (i64.sub (i64.load (i32.const 0)) (i64.load (i32.const 8)))
                                       (local.get $until)))))
            (func $start (call $wait (i64.const 300000000)))
            (start $start)
            (func (export "f") (call $wait (i64.const 600000000))))"""
        with wherry.Sandbox(wat.encode(), limits=wherry.Limits(timeout="500ms")) as sandbox:
            with pytest.raises(wherry.TimeLimitError):
                sandbox.f()
            with sandbox.instance() as instance:  # each call has the time to itself: the control
                instance.f()

    def test_fuel(self) -> None:
        """Fuel is anew for each call, and the same each time."""
        with wherry.Sandbox(text("spinner"), limits=wherry.Limits(fuel=100_000)) as sandbox:
            assert len({sandbox.turns(1_000) for _ in range(3)}) == 1
            with pytest.raises(wherry.FuelLimitError):
                sandbox.turns(1_000_000)


class TestCommands:
    """Programs, run as commands."""

    def test_run(self) -> None:
        """Arguments, input and what it wrote."""
        with wherry.Sandbox(c_command("cat")) as sandbox:
            assert sandbox.run(stdin=b"abc").stdout == b"abc"
        with wherry.Sandbox(c_command("exit")) as sandbox:
            done = sandbox.run("3")
            assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
            with pytest.raises(wherry.GuestExit):
                sandbox.run("3", check=True)

    def test_limits_hold_for_each_run(self) -> None:
        """One that is ended leaves the next ones alone; what it wrote until then is there."""
        limits = wherry.Limits(timeout="200ms", output=1_000)
        with wherry.Sandbox(c_command("flood"), limits=limits) as sandbox:
            with pytest.raises(wherry.OutputLimitError) as raised:
                sandbox.run("0")
            assert raised.value.stdout == sandbox.run("1000").stdout
        with wherry.Sandbox(c_command("spin"), limits=limits) as sandbox:
            with pytest.raises(wherry.TimeLimitError) as late:
                sandbox.run()
            assert late.value.stdout == b"spinning\n"

    def test_nothing_is_granted(self, tmp_path: Any) -> None:
        """Unless the policy says so."""
        (tmp_path / "file").write_text("text")
        program = wherry.load(c_command("files"))
        policy = wherry.Policy(dirs=[(tmp_path, "/data", "ro")])
        assert wherry.Sandbox(program, policy=policy).run("read", "/data/file").stdout == b"text"
        assert wherry.Sandbox(program).run("read", "/data/file").returncode == 1

    def test_output_of_functions(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Thrown away, unless it is wanted."""
        program = wherry.load(text("hello"))
        wherry.Sandbox(program).call("_start")
        assert capfd.readouterr().out == ""
        wherry.Sandbox(program, output="inherit").call("_start")
        assert capfd.readouterr().out == "hello\n"


class TestThreads:
    """One sandbox, many threads."""

    def test_many_threads_call_at_once(self, plugin: wherry.Sandbox) -> None:
        """Each gets its own answer, and nobody else's memory."""

        def work(number: int) -> list[int]:
            return [plugin.ask(number) + plugin.remembered() for _ in range(50)]

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(16))) == [[number] * 50 for number in range(16)]

    @pytest.mark.parametrize("most", [1, 3])
    def test_so_many_run_at_a_time(self, most: int) -> None:
        """The others wait; with as many turns as threads, all of them run."""
        inside, peak = 0, 0
        lock = threading.Lock()

        def host(x: int) -> int:
            nonlocal inside, peak
            with lock:
                inside += 1
                peak = max(peak, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1
            return x

        sandbox = wherry.Sandbox(text("plugin"), imports={"host": host}, concurrency=most)
        with sandbox, ThreadPoolExecutor(6) as pool:
            assert list(pool.map(sandbox.ask, range(6))) == list(range(6))
        assert peak == most

    def test_a_host_function_may_call_the_sandbox(self) -> None:
        """It does not wait for its own turn to end."""

        def host(x: int) -> int:
            return int(sandbox.ask(x - 1)) + 1 if x else 0

        sandbox = wherry.Sandbox(text("plugin"), imports={"host": host}, concurrency=1)
        assert sandbox.ask(5) == 5

    def test_close_ends_what_runs(self) -> None:
        """Calls end with ``InterruptedCallError``, and new ones are refused."""
        sandbox = wherry.Sandbox(text("spinner"), limits=wherry.Limits(timeout=None), concurrency=2)
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(sandbox.forever) for _ in range(3)]
            time.sleep(0.1)
            sandbox.close()
            errors = [call.exception(timeout=30) for call in calls]
        assert sorted(type(error).__name__ for error in errors) == [
            "ClosedError",
            *["InterruptedCallError"] * 2,
        ]
        with pytest.raises(wherry.ClosedError):
            sandbox.turns(1)
        sandbox.close()

    def test_concurrency_is_at_least_one(self) -> None:
        """A sandbox in which nothing can run is a mistake."""
        with pytest.raises(wherry.UsageError, match="concurrency"):
            wherry.Sandbox(text("add"), concurrency=0)


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop of its own, with a deadline."""
    asyncio.run(asyncio.wait_for(work(), 60))


class TestAsyncio:
    """``wherry.aio.Sandbox``."""

    def test_calls(self) -> None:
        """In all their forms, with coroutine functions for imports."""

        async def host(x: int) -> int:
            await asyncio.sleep(0)
            return x

        async def work() -> None:
            async with wherry.aio.Sandbox(text("plugin"), imports={"host": host}) as sandbox:
                assert await sandbox.ask(3) == await sandbox.call("ask", x=3) == 3
                assert await asyncio.gather(*(sandbox.remembered() for _ in range(50))) == [0] * 50
                with pytest.raises(wherry.Trap):
                    await sandbox.trap()
            with pytest.raises(wherry.ClosedError):
                await sandbox.ask(3)

        on_loop(work)

    def test_a_host_function_may_call_the_sandbox(self) -> None:
        """It does not wait for the thread that waits for it."""

        async def host(x: int) -> int:
            return int(await sandbox.ask(x - 1)) + 1 if x else 0

        sandbox = wherry.aio.Sandbox(text("plugin"), imports={"host": host}, concurrency=1)

        async def work() -> None:
            assert await sandbox.ask(5) == 5

        on_loop(work)

    def test_interfaces_and_commands(self) -> None:
        """As in the other form; without ``async with`` it is loaded at the first call."""

        async def work() -> None:
            sandbox = wherry.aio.Sandbox(text("counter"))
            assert await sandbox["test:guests/counters"].live() == 0
            async with wherry.aio.Sandbox(c_command("cat")) as cat:
                assert (await cat.run(stdin=b"abc")).stdout == b"abc"
            async with wherry.aio.Sandbox(c_command("exit")) as exits:
                with pytest.raises(wherry.GuestExit):
                    await exits.run("3", check=True)

        on_loop(work)

    def test_cancelling_a_task_ends_its_guest(self) -> None:
        """One that runs, and one that waits for its turn behind it."""

        async def work() -> None:
            limits = wherry.Limits(timeout=None)
            async with wherry.aio.Sandbox(text("spinner"), limits=limits, concurrency=1) as sandbox:
                calls = [asyncio.ensure_future(sandbox.forever()) for _ in range(3)]
                await asyncio.sleep(0.1)
                for call in reversed(calls):
                    call.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call
                assert await sandbox.turns(1)

        on_loop(work)

    def test_the_deadline_holds(self) -> None:
        """For many at once."""

        async def work() -> None:
            limits = wherry.Limits(timeout="100ms")
            async with wherry.aio.Sandbox(text("spinner"), limits=limits) as sandbox:
                answers = await asyncio.gather(
                    *(sandbox.forever() if number % 2 else sandbox.turns(1) for number in range(8)),
                    return_exceptions=True,
                )
            assert [isinstance(answer, wherry.TimeLimitError) for answer in answers] == [False, True] * 4

        on_loop(work)
