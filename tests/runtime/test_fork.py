"""A process that forks after it loaded components: calls in the child work or say what to do; no hangs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import text

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    # Python 3.12 and later warn about any fork of a process with threads; forking is what is tested.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

DEADLINE = 30.0


def in_child(work: Callable[[], object]) -> str:
    """What ``work`` returns in a forked child, as text; a child that does not end in time fails the test."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = repr(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent looks at it
            answer = f"{type(error).__name__}: {error}"
        os.write(writable, answer.encode())
        os._exit(0)
    os.close(writable)
    until = time.monotonic() + DEADLINE
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    with os.fdopen(readable, "rb") as pipe:
        return pipe.read().decode()


@pytest.fixture
def component() -> Any:
    """A component that has been called in this process before it forks."""
    loaded = wherry.load(text("spinner"))
    with loaded.instantiate() as instance:
        instance.turns(10)
    return loaded


def test_a_component_is_good_in_the_child(component: Any) -> None:
    """New instances can be made there, and called."""

    def work() -> int:
        with component.instantiate() as instance:
            return int(instance.turns(10))

    with component.instantiate() as instance:
        assert in_child(work) == repr(instance.turns(10))


def test_an_instance_of_the_parent_says_what_to_do(component: Any) -> None:
    """It is refused in the child, with the way out in the hint, and still good in the parent."""
    with component.instantiate() as instance:
        answer = in_child(lambda: instance.turns(10))
        assert answer.startswith("ForkedError")
        assert "component.instantiate()" in answer
        assert isinstance(instance.turns(10), int)


def test_time_limits_hold_in_the_child(component: Any) -> None:
    """The clock that interrupts guests ticks there, too."""

    def work() -> None:
        with component.instantiate(limits=wherry.Limits(timeout="200ms")) as instance:
            instance.forever()

    assert in_child(work).startswith("TimeLimitError")


def test_loading_in_the_child(component: Any) -> None:
    """Compiling, with all its threads, works after a fork."""
    del component

    def work() -> int:
        with wherry.load(text("add")).instantiate() as instance:
            return int(instance.add(2, 3))

    assert in_child(work) == "5"


def test_running_a_program_in_the_child(component: Any) -> None:
    """So does running a whole program."""
    del component
    assert in_child(lambda: wherry.run(text("hello"), capture=True).stdout) == repr(b"hello\n")


def test_a_fork_while_another_thread_is_inside_a_guest(component: Any) -> None:
    """Nothing that the other thread held stays locked in the child."""
    started = threading.Event()

    def compute() -> None:
        with component.instantiate() as instance:
            started.set()
            instance.turns(100_000_000)

    thread = threading.Thread(target=compute)
    thread.start()
    started.wait()

    def work() -> int:
        with component.instantiate() as instance:
            return int(instance.turns(10))

    answers = {in_child(work) for _ in range(5)}
    thread.join()
    with component.instantiate() as instance:
        assert answers == {repr(instance.turns(10))}


def test_a_sandbox_is_good_in_the_child() -> None:
    """Though its only turn is taken by a thread of the parent, which forks in the middle of a call."""
    answers: list[str] = []

    def host(x: int) -> int:
        if x == 1:
            answers.append(in_child(lambda: (sandbox.ask(5), sandbox.ask(6))))
        return x

    with wherry.Sandbox(text("plugin"), imports={"host": host}, concurrency=1) as sandbox:
        assert (sandbox.ask(1), sandbox.ask(2)) == (1, 2)
    assert answers == ["(5, 6)"]


def test_asyncio_is_good_in_the_child() -> None:
    """The threads that guests ran on are the parent's; the child has its own."""
    sandbox = wherry.aio.Sandbox(text("add"))

    async def work() -> tuple[int, bytes]:
        done = await wherry.aio.run(text("hello"), capture=True)
        return await sandbox.add(2, 3), done.stdout

    expected = repr(asyncio.run(work()))
    assert in_child(lambda: asyncio.run(work())) == expected
    sandbox.close()


def _add(component: Any, number: int) -> int:
    with component.instantiate() as instance:
        return int(instance.add(number, 1))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    """A pool takes components as arguments, whichever way it starts its processes."""
    component = wherry.load(text("add"))
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.starmap_async(_add, [(component, number) for number in range(20)])
        assert answers.get(timeout=60) == list(range(1, 21))


def test_a_component_survives_pickling() -> None:
    """It is pickled with its bytes."""
    copy = pickle.loads(pickle.dumps(wherry.load(text("add"))))  # noqa: S301 - pickled here
    with copy.instantiate() as instance:
        assert instance.add(2, 3) == 5
