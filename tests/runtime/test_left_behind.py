"""A host function that does not come back holds up its own thread, and not who called the guest."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import text
from tests.terminals import said_at_ctrl_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
LIMITS = wherry.Limits(timeout="50ms")
PATIENCE = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Stuck:
    """A host function that waits until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self, x: int) -> int:
        """What the guest calls."""
        self.entered.set()
        assert self.release.wait(PATIENCE)
        return x


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """A function that is let go at the end, and has come back when the test is over."""
    function = Stuck()
    yield function
    function.release.set()
    until(lambda: wherry.left_behind() == 0)


def test_the_caller_returns_on_time(stuck: Stuck) -> None:
    """The error is that of the time limit, the thread counts, and the instance cannot be used any more."""
    instance = wherry.load(text("callback")).instantiate(limits=LIMITS, imports={"host": stuck})
    with pytest.raises(wherry.TimeLimitError, match="50ms") as struck:
        instance.call(1)
    assert "--timeout" in (struck.value.hint or "")
    assert not stuck.release.is_set()
    assert wherry.left_behind() == 1
    with pytest.raises(wherry.ClosedError, match="left behind"):
        instance.call(1)
    instance.close()


def test_who_comes_back_late_is_let_go(stuck: Stuck) -> None:
    """Nothing crashes, the count goes down, and the sandbox with its memory goes then."""
    component = wherry.load(text("callback"))
    with component.instantiate(limits=LIMITS, imports={"host": stuck}) as instance:
        with pytest.raises(wherry.TimeLimitError):
            instance.call(1)
        stuck.release.set()
        until(lambda: wherry.left_behind() == 0)
        with pytest.raises(wherry.ClosedError):
            instance.call(1)
    with component.instantiate(limits=LIMITS, imports={"host": lambda x: x + 1}) as instance:
        assert instance.call(1) == 2


def test_a_call_in_time_is_as_any_other() -> None:
    """Results, errors with their traceback and context variables pass; nobody is left behind."""
    place: contextvars.ContextVar[str] = contextvars.ContextVar("place")
    place.set("caller's")
    seen = []

    def host(x: int) -> int:
        seen.append(place.get())
        if x == 0:
            raise LookupError("no such thing")
        return x + 1

    with wherry.load(text("callback")).instantiate(imports={"host": host}) as instance:
        assert instance.call(1) == 2
        with pytest.raises(LookupError, match="no such thing") as raised:
            instance.call(0)
    assert seen == ["caller's"] * 2
    assert "host" in [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert wherry.left_behind() == 0


def test_without_a_time_limit_a_call_stays_on_the_thread_of_its_caller() -> None:
    """So it does where there are no host functions."""
    threads = []

    def host(x: int) -> int:
        threads.append(threading.get_ident())
        return x

    unlimited = wherry.Limits(timeout=None)
    with wherry.load(text("callback")).instantiate(limits=unlimited, imports={"host": host}) as instance:
        instance.call(1)
    assert threads == [threading.get_ident()]


def test_threads_are_used_again() -> None:
    """A thousand calls need one thread."""
    threads = set()

    def host(x: int) -> int:
        threads.add(threading.get_native_id())
        return x

    with wherry.load(text("callback")).instantiate(imports={"host": host}) as instance:
        for _ in range(1_000):
            instance.call(1)
    assert len(threads) <= 2


def test_cancelling_from_another_thread(stuck: Stuck) -> None:
    """``cancel`` ends the waiting of the caller though the host function goes on."""
    limits = wherry.Limits(timeout="1h")
    instance = wherry.load(text("callback")).instantiate(limits=limits, imports={"host": stuck})

    def cancel() -> None:
        assert stuck.entered.wait(PATIENCE)
        instance.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(wherry.InterruptedCallError):
        instance.call(1)
    assert wherry.left_behind() == 1


def test_cancelling_a_task(stuck: Stuck) -> None:
    """A task that is cancelled ends at once."""

    async def work() -> None:
        component = await wherry.aio.load(text("callback"))
        limits = wherry.Limits(timeout="1h")
        async with component.instantiate(limits=limits, imports={"host": stuck}) as instance:
            call = asyncio.create_task(instance.call(1))
            assert await asyncio.to_thread(stuck.entered.wait, PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(work())
    assert not stuck.release.is_set()


CTRL_C = """
import threading, wherry
from tests.guests.build import text
def host(x):
    print("ready", flush=True)
    threading.Event().wait()
limits = wherry.Limits(timeout="1h")
instance = wherry.load(text("callback")).instantiate(limits=limits, imports={"host": host})
try:
    instance.call(1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_the_waiting() -> None:
    """The caller hears it, and the program ends with the thread still held."""
    assert said_at_ctrl_c(CTRL_C, PATIENCE) == "interrupted\n"


ENDS = """
import time, wherry
from tests.guests.build import text
def host(x):
    {body}
limits = wherry.Limits(timeout="50ms")
instance = wherry.load(text("callback")).instantiate(limits=limits, imports={{"host": host}})
try:
    instance.call(1)
except wherry.TimeLimitError:
    print("struck", flush=True)
"""


def assert_ends(program: str, said: str) -> None:
    """A program of Python ends well, having said that."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


@pytest.mark.parametrize(
    "body", ["time.sleep(3600)", "while True: time.sleep(0.0001)", "while True: pass", "time.sleep(0.6)"]
)
def test_python_ends_with_such_a_thread(body: str) -> None:
    """Neither a hang nor a crash, whether the function sleeps, wakes all the time or computes."""
    for _ in range(5):
        assert_ends(ENDS.format(body=body), "struck\n")


DAEMON = """
import threading, time, wherry
from tests.guests.build import text
inside = threading.Event()
def host(x):
    inside.set()
    {body}
    return x
limits = wherry.Limits(timeout={timeout})
instance = wherry.load(text("callback")).instantiate(limits=limits, imports={{"host": host}})
def work():
    while True:
        instance.call(1)
threading.Thread(target=work, daemon=True).start()
inside.wait()
"""


@pytest.mark.parametrize("timeout", ["None", "'1h'"])
@pytest.mark.parametrize("body", ["pass", "while True: time.sleep(0.0001)", "while True: pass"])
def test_python_ends_with_a_daemon_in_a_host_function(body: str, timeout: str) -> None:
    """Such a thread stops where it is, on a thread of its own and on that of its caller."""
    for _ in range(5):
        assert_ends(DAEMON.format(body=body, timeout=timeout), "")


def test_nothing_stays_of_those_who_came_back() -> None:
    """Twenty that were left behind leave as many instances as before."""
    component = wherry.load(text("callback"))
    functions = [Stuck() for _ in range(20)]
    for function in functions:
        with (
            component.instantiate(limits=LIMITS, imports={"host": function}) as instance,
            pytest.raises(wherry.TimeLimitError),
        ):
            instance.call(1)
    assert wherry.left_behind() == 20
    for function in functions:
        function.release.set()
    until(lambda: wherry.left_behind() == 0)
    gc.collect()
