"""``wherry.aio``: the same guests on an event loop, which they never hold up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import wherry
from tests.guests.build import c_command, text
from tests.guests.echo import echo, relay
from tests.guests.wit_types import List, Prim

Test = Callable[..., Coroutine[Any, Any, None]]


def on_loop(test: Test) -> Callable[..., None]:
    """A test that is a coroutine function, run on a loop of its own with a deadline."""

    # The name and the docstring are the test's; its parameters, which pytest would read, are not wanted.
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 60))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@on_loop
async def test_load_call_and_close() -> None:
    """The three lines of a first program, awaited."""
    component = await wherry.aio.load(text("add"))
    async with component.instantiate() as instance:
        assert await instance.add(2, 3) == 5


@on_loop
async def test_functions_of_an_interface() -> None:
    """By the name of the interface, as in the other form."""
    component = await wherry.aio.load(text("counter"))
    async with component.instantiate() as instance:
        assert await instance["test:guests/counters"].live() == 0


@on_loop
async def test_guests_run_at_the_same_time() -> None:
    """Each of two guests waits in the host for the other one: one after the other would never end."""
    meeting = threading.Barrier(2, timeout=30)
    component = await wherry.aio.load(text("callback"))

    async def one() -> int:
        async with component.instantiate(imports={"host": lambda _: meeting.wait()}) as instance:
            return int(await instance.call(1))

    assert sorted(await asyncio.gather(one(), one())) == [0, 1]


@on_loop
async def test_the_loop_goes_on_during_a_call() -> None:
    """Other tasks make progress while a guest computes."""
    component = await wherry.aio.load(text("spinner"))
    async with component.instantiate() as instance:
        call = asyncio.ensure_future(instance.turns(50_000_000))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        await call
    assert turns > 10


@on_loop
async def test_a_coroutine_function_implements_an_import() -> None:
    """It runs on the loop of the caller."""
    seen = []

    async def host(x: bytes) -> bytes:
        seen.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return x[::-1]

    component = await wherry.aio.load(relay(List(Prim("u8"))).encode())
    async with component.instantiate(imports={"host": host}) as instance:
        assert await instance.relay(b"abc") == b"cba"
    assert seen == [asyncio.get_running_loop()]


@on_loop
async def test_cancelling_a_task_ends_its_guest() -> None:
    """A guest that never returns is gone when the cancelled task is."""
    component = await wherry.aio.load(text("spinner"))
    async with component.instantiate(limits=wherry.Limits(timeout=None)) as instance:
        call = asyncio.ensure_future(instance.forever())
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@on_loop
async def test_a_deadline_of_asyncio_ends_a_guest() -> None:
    """``asyncio.wait_for`` is as good as a limit."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wherry.aio.run(c_command("spin"), capture=True, timeout=60), 0.3)


@on_loop
async def test_programs_run_at_the_same_time() -> None:
    """Two programs that sleep take as long as one; what is checked is that both were asleep at once."""
    programs = [wherry.aio.stream(c_command("sleep"), "300") for _ in range(2)]
    assert [await anext(program) for program in programs] == [b"sleeping\n"] * 2
    assert [[line async for line in program] for program in programs] == [[b"awake\n"]] * 2


@on_loop
async def test_run() -> None:
    """The arguments and the outcome are those of ``wherry.run``."""
    done = await wherry.aio.run(c_command("cat"), stdin=b"abc", capture=True)
    assert (done.returncode, done.stdout) == (0, b"abc")
    with pytest.raises(wherry.GuestExit):
        await wherry.aio.run(c_command("exit"), "3", capture=True, check=True)


@on_loop
async def test_errors_are_the_same() -> None:
    """A wrong value, a trap and an exception of the host arrive as they do elsewhere."""
    component = await wherry.aio.load(echo(Prim("u8")).encode())
    async with component.instantiate() as instance:
        with pytest.raises(wherry.WitTypeError):
            await instance.echo(256)

    async def host(x: int) -> int:
        raise LookupError(x)

    component = await wherry.aio.load(text("callback"))
    async with component.instantiate(imports={"host": host}) as instance:
        with pytest.raises(LookupError):
            await instance.call(1)
