"""Streams and futures of a guest: what comes out, what goes in, and what becomes of them at some end."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import streams
from wherry import Err, Limits, Ok, Variant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

FLOWS = "test:streams/flows"
GUEST = "test:streams/guest"


class Host:
    """What the guest imports; each test replaces what it is about."""

    async def fetch(self, name: str) -> str:
        """A coroutine that takes its time."""
        await asyncio.sleep(0.001)
        return f"fetched {name}"

    def check(self, value: int) -> int:
        """A plain function that may fail, where the guest's is asynchronous."""
        if value > 3:
            raise wherry.ResultError("too much")
        return value

    async def lines(self, name: str) -> AsyncIterator[str]:
        """A stream of the host's."""
        return counting(3, name.__add__)

    async def store(self, _name: str, body: wherry.Stream[bytes]) -> int:
        """Reads a stream of the guest's while the guest is in the call."""
        return sum([len(piece) async for piece in body])

    async def answer(self, question: Any) -> Any:
        """A future of the host's."""
        return soon(question)

    def quick(self, stream: wherry.Stream[bytes]) -> int:
        """Lets a stream go unread."""
        stream.close()
        return 7


async def counting(count: int, make: Callable[[str], Any] = int) -> AsyncIterator[Any]:
    """Numbers that take their time."""
    for number in range(count):
        await asyncio.sleep(0)
        yield make(str(number))


async def soon(value: Any) -> Any:
    """A value that takes its time."""
    await asyncio.sleep(0.001)
    return value


@pytest.fixture(scope="module")
def component() -> wherry.Component:
    """The guest, compiled."""
    return wherry.load(streams())


@pytest.fixture
def instance(component: wherry.Component) -> Iterator[wherry.Instance]:
    """One sandbox of it."""
    with made(component) as instance:
        yield instance


def made(component: wherry.Component, host: object | None = None, **options: Any) -> wherry.Instance:
    """A sandbox with a host."""
    return component.instantiate(imports={"test:streams/host": host or Host()}, **options)


GIVEN: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "bytes": (lambda flows: flows.bytes(3, 2), [b"\0\0", b"\1\1", b"\2\2"]),
    "nothing": (lambda flows: flows.bytes(0, 2), []),
    "numbers": (lambda flows: flows.numbers(1000), list(range(1000))),
    "strings": (lambda flows: flows.words(2), ["word 0", "word 1"]),
    "units": (lambda flows: flows.ticks(3), [None] * 3),
    "in an option": (lambda flows: flows.maybe(there=True), [b"\0\0\0", b"\1\1\1"]),
    "in a result": (lambda flows: flows.fallible(good=True), [0, 1, 2]),
    "in a record": (lambda flows: flows.tell("title", b"body").body, [b"body"]),
}


@pytest.mark.parametrize(("give", "expected"), GIVEN.values(), ids=GIVEN.keys())
def test_a_stream_is_an_iterator_of_both_kinds(
    component: wherry.Component, give: Callable[[Any], Any], expected: list[Any]
) -> None:
    """All elements come, in order, with ``for`` and with ``async for``, and then no more."""

    async def gathered(flows: object) -> list[Any]:
        stream = give(flows)
        found = [item async for item in stream]
        return [*found, *[item async for item in stream]]

    with made(component) as instance:
        stream = give(instance[FLOWS])
        assert isinstance(stream, wherry.Stream)
        assert list(stream) == expected
        assert list(stream) == []
        assert asyncio.run(gathered(instance[FLOWS])) == expected


def test_records_and_resources_come_in_streams(instance: wherry.Instance) -> None:
    """A record is the record of any other place, and a resource is usable."""
    flows = instance[FLOWS]
    assert [(point.x, point.label) for point in flows.points(2)] == [(0, "point 0"), (-1, "point 1")]
    assert [counter.next() for counter in flows.counters(3)] == [0, 1, 2]


def test_a_future_is_awaited_or_waited_for(instance: wherry.Instance) -> None:
    """As often as one likes."""
    flows = instance[FLOWS]
    later = flows.later("word")
    assert isinstance(later, wherry.Future)
    assert [later.result(), later.result()] == ["later word"] * 2
    told = flows.tell("title", b"body")
    assert list(told.body) == [b"body"]
    assert told.done.result() == Ok(4)

    async def awaited() -> list[Any]:
        later = flows.later("again")
        return [await later, await later, await flows.signal()]

    assert asyncio.run(awaited()) == ["later again", "later again", None]


TAKEN: dict[str, tuple[str, Callable[[], Any], Any]] = {
    "bytes": ("total", lambda: b"\1" * 1_000_000, 1_000_000),
    "bytearray": ("total", lambda: bytearray(b"\1\2"), 3),
    "memoryview of words": ("total", lambda: memoryview(b"\1\0\2\0").cast("H"), 3),
    "pieces": ("total", lambda: [b"\1", bytearray(b"\2"), b"", memoryview(b"\3")], 6),
    "a generator of pieces": ("total", lambda: (bytes([number]) for number in range(4)), 6),
    "an asynchronous generator of pieces": ("total", lambda: counting(3, str.encode), 48 + 49 + 50),
    "list": ("sum", lambda: list(range(1000)), 499_500),
    "range": ("sum", lambda: range(1000), 499_500),
    "generator": ("sum", lambda: (number for number in range(10)), 45),
    "asynchronous generator": ("sum", lambda: counting(10), 45),
    "strings": ("joined", lambda: ["a", "b"], "a b"),
    "units": ("counted", lambda: [None] * 5, 5),
    "nothing": ("sum", list, 0),
    "coroutine": ("awaited", lambda: soon("x"), "got x"),
    "signal": ("signalled", lambda: soon(None), True),
    "several": ("longest", lambda: [b"abc", b"abcde", b""], 5),
}


@pytest.mark.parametrize(("name", "give", "expected"), TAKEN.values(), ids=TAKEN.keys())
def test_what_a_guest_takes(
    component: wherry.Component, name: str, give: Callable[[], Any], expected: Any
) -> None:
    """Iterables of both kinds and awaitables, from functions and from coroutines."""

    async def called() -> Any:
        asynchronous = wherry.aio.Component(component).instantiate(imports={"test:streams/host": Host()})
        async with asynchronous as instance:
            return await getattr(instance[FLOWS], name)(give())

    with made(component) as instance:
        assert getattr(instance[FLOWS], name)(give()) == expected
    assert asyncio.run(called()) == expected


def _point(rng: random.Random) -> dict[str, Any]:
    label = "".join(rng.choices("aé\U0001f600 ", k=rng.randrange(5)))
    return {"x": rng.randint(-(2**31), 2**31 - 1), "y": rng.random(), "label": label}


VALUES: dict[str, Callable[[random.Random], Any]] = {
    "numbers": lambda rng: rng.randint(-(2**63), 2**63 - 1),
    "floats": lambda rng: float(rng.randrange(1 << 20)) / 4,
    "flags": lambda rng: rng.random() < 0.5,
    "words": lambda rng: "".join(rng.choices("aé\U0001f600\0", k=rng.randrange(9))),
    "points": _point,
    "events": lambda rng: rng.choice(
        [Variant("started"), Variant("moved", _point(rng)), Variant("failed", "oh")]
    ),
    "moods": lambda rng: rng.choice(["calm", "wild"]),
    "lists": lambda rng: [rng.choice([None, rng.randrange(1 << 16)]) for _ in range(rng.randrange(4))],
    "results": lambda rng: rng.choice([Ok("good"), Err(rng.randrange(256))]),
}


def _plain(value: Any) -> Any:
    """A value with dictionaries for records."""
    if isinstance(value, wherry.Record):
        return {name: getattr(value, name) for name in ("x", "y", "label")}
    return Variant(value.tag, _plain(value.value)) if isinstance(value, Variant) else value


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_as_they_went(instance: wherry.Instance, kind: str) -> None:
    """Random values of each type, through a stream into the guest and through one out of it."""
    rng = random.Random(kind)  # noqa: S311 - for tests
    values = [VALUES[kind](rng) for _ in range(600)]
    echo = getattr(instance[FLOWS], f"echo_{kind}")
    for given in (values, iter(values)):
        assert [_plain(value) for value in echo(given)] == values


def test_bytes_come_back_as_they_went(instance: wherry.Instance) -> None:
    """However they are cut into pieces."""
    rng = random.Random(0)  # noqa: S311 - for tests
    pieces = [rng.randbytes(rng.choice([0, 1, 100, 70_000, 300_000])) for _ in range(20)]
    flows = instance[FLOWS]
    assert b"".join(flows.echo_bytes(pieces)) == b"".join(pieces)
    assert b"".join(flows.echo_bytes(b"".join(pieces))) == b"".join(pieces)
    assert flows.echo_future(soon({"x": 1, "y": 2.5, "label": "z"})).result().label == "z"


def test_a_guest_s_own_stream_goes_back_in(instance: wherry.Instance) -> None:
    """To the guest that it is of, to another one, and through one that only hands it on."""
    flows = instance[FLOWS]
    words = ["word 0", "word 1", "word 2"]
    assert flows.joined(flows.words(3)) == " ".join(words)
    assert list(flows.same(flows.words(3))) == words
    assert list(flows.same(words)) == words
    assert flows.total(flows.bytes(3, 1000)) == 3000
    assert flows.awaited(flows.later("x")) == "got later x"
    with made(instance._component) as other:
        assert other[FLOWS].joined(flows.words(3)) == " ".join(words)


def test_a_guest_writes_no_more_than_is_read(instance: wherry.Instance) -> None:
    """A stream without an end stands still while nobody reads, and one of ten megabytes fills no memory."""
    flows = instance[FLOWS]
    flows.bytes(1, 1_000_000).close()
    before = instance.memory
    stream = flows.bytes(100, 100_000)
    next(stream)
    for _ in range(20):
        flows.closed()
    assert instance.memory - before < 1_000_000
    assert sum(map(len, stream)) == 99 * 100_000


def test_a_guest_asks_for_no_more_than_it_reads(instance: wherry.Instance) -> None:
    """A generator without an end is asked for what is read of it, and closed when the guest lets it go."""
    asked: list[None] = []
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                asked.append(None)
                yield b"ab"
        finally:
            closed.set()

    async def endless_too() -> AsyncIterator[bytes]:
        for piece in endless():
            yield piece

    flows = instance[FLOWS]
    assert flows.some(endless(), 5) == b"ababa"
    assert len(asked) == 3
    flows.closed()
    assert closed.is_set()
    assert flows.some(endless_too(), 5) == b"ababa"
    flows.dropped(endless(), endless(), soon("never awaited"))


def test_who_closes_early_is_heard_of(instance: wherry.Instance) -> None:
    """By ``close``, as a context manager, and by letting go of it."""
    flows = instance[FLOWS]
    closed = flows.closed()
    stream = flows.words(100)
    assert next(stream) == "word 0"
    stream.close()
    stream.close()
    assert list(stream) == []
    with flows.words(100) as stream:
        assert next(stream) == "word 0"
    assert next(flows.words(100)) == "word 0"
    gc.collect()
    unread = flows.words(100)
    del unread
    later = flows.later("unread")
    later.close()
    with pytest.raises(wherry.ClosedError, match="before it had a value"):
        later.result()
    list(flows.words(9))  # it hears of that when it runs on
    assert flows.closed() - closed == 4


def test_streams_beside_one_another(instance: wherry.Instance) -> None:
    """Readers of two streams which the guest writes in turn: each waits without holding up the other."""
    flows = instance[FLOWS]

    async def together() -> list[list[int]]:
        async def gathered(stream: wherry.Stream[int]) -> list[int]:
            return [number async for number in stream]

        return list(await asyncio.gather(*map(gathered, flows.both())))

    expected = [list(range(0, 20, 2)), list(range(1, 20, 2))]
    assert asyncio.run(together()) == expected
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(list, flows.both())) == expected


def test_a_guest_is_called_while_its_stream_is_waited_for(component: wherry.Component) -> None:
    """What a call brings arrives at who waits, on threads and in tasks."""

    async def listened() -> list[str]:
        async with wherry.aio.Component(component).instantiate(
            imports={"test:streams/host": Host()}
        ) as instance:
            flows = instance[FLOWS]
            stream = await flows.listen()
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            assert not task.done()
            assert await flows.push("one")
            found = [await task]
            pushed = asyncio.ensure_future(flows.push("two"))
            found.append(await anext(stream))
            await pushed
            return found

    assert asyncio.run(listened()) == ["one", "two"]
    with made(component) as instance, ThreadPoolExecutor(1) as pool:
        flows = instance[FLOWS]
        stream = flows.listen()
        waiting = pool.submit(next, stream)
        time.sleep(0.05)
        assert flows.push("one")
        assert waiting.result() == "one"


def test_a_wait_that_is_cancelled_loses_nothing(component: wherry.Component) -> None:
    """The guest lives on, and what it brings later is there."""

    async def cancelled() -> list[Any]:
        with made(component) as instance:
            flows = instance[FLOWS]
            stream, silent = flows.listen(), flows.silent()
            for waiting in (anext(stream), anext(silent)):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(waiting, 0.05)
            pushed = asyncio.get_running_loop().run_in_executor(None, flows.push, "word")
            found = [await anext(stream)]
            return [*found, await pushed, *[item async for item in flows.numbers(2)]]

    assert asyncio.run(cancelled()) == ["word", True, 0, 1]


def test_what_a_guest_wrote_before_its_trap_comes_first(instance: wherry.Instance) -> None:
    """Then the trap, and then that it has ended."""
    stream = instance[FLOWS].breaking(2)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(wherry.Trap):
        next(stream)
    with pytest.raises(wherry.ClosedError):
        next(stream)


def test_limits_hold_while_a_stream_is_read(component: wherry.Component) -> None:
    """Time, for a guest that computes and for one that waits; fuel; and cancelling from another thread."""
    short = Limits(timeout="200ms")
    for give in ("spinning", "silent"):
        with made(component, limits=short) as instance:
            function = getattr(instance[FLOWS], give)
            stream = function(1) if give == "spinning" else function()
            if give == "spinning":
                assert next(stream) == 0
            with pytest.raises(wherry.TimeLimitError):
                next(stream)
    with made(component, limits=Limits(fuel=100_000_000)) as instance:
        stream = instance[FLOWS].spinning(1)
        with pytest.raises(wherry.FuelLimitError):
            list(stream)
    with made(component) as instance, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, instance[FLOWS].silent())
        time.sleep(0.05)
        instance.cancel()
        with pytest.raises(wherry.InterruptedCallError):
            waiting.result()


def test_an_instance_that_ends_ends_its_streams(component: wherry.Component) -> None:
    """With an error and no early end; what has come already is there. A stream keeps its instance."""
    instance = made(component)
    flows = instance[FLOWS]
    words, numbers = flows.words(5), flows.numbers(100)
    assert [next(words), next(numbers)] == ["word 0", 0]
    instance.close()
    assert next(numbers) == 1
    with pytest.raises(wherry.ClosedError):
        next(words)
    with pytest.raises(wherry.ClosedError):
        list(numbers)
    with ThreadPoolExecutor(1) as pool:
        instance = made(component)
        waiting = pool.submit(next, instance[FLOWS].silent())
        time.sleep(0.05)
        instance.close()
        with pytest.raises(wherry.ClosedError):
            waiting.result()
    kept = made(component)[FLOWS].words(2)
    gc.collect()
    assert list(kept) == ["word 0", "word 1"]


def test_a_source_that_comes_back_while_it_is_closed_waits_for_nobody(component: wherry.Component) -> None:
    """A generator that calls the instance as that goes is told that it runs already; nothing stands still."""
    told: list[type[BaseException]] = []
    instance = made(component)
    flows = instance[FLOWS]

    def numbers() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            try:
                flows.closed()
            except wherry.WherryError as error:
                told.append(type(error))

    echoed = flows.echo_numbers(numbers())
    assert next(echoed) == 0
    instance.close()
    assert told == [wherry.BusyError]


class FailureError(Exception):
    """An exception of a source."""


def failing() -> Iterator[Any]:
    """A source that fails after its first element."""
    yield b"a"
    raise FailureError


async def failing_later() -> AsyncIterator[Any]:
    """The same."""
    yield b"a"
    raise FailureError


async def failing_value() -> Any:
    """A value that never comes."""
    raise FailureError


@pytest.mark.parametrize(
    ("name", "give"), [("total", failing), ("total", failing_later), ("awaited", failing_value)]
)
def test_a_source_that_fails_ends_the_call(
    instance: wherry.Instance, name: str, give: Callable[[], Any]
) -> None:
    """With its own exception."""
    with pytest.raises(FailureError):
        getattr(instance[FLOWS], name)(give())


REFUSED: dict[str, tuple[str, Any, str]] = {
    "no stream": ("sum", 5, r"`stream`: expected an iterable or asynchronous iterable, got 5"),
    "text for numbers": ("joined", "abc", "expected an iterable or asynchronous iterable"),
    "text for bytes": ("total", "abc", "expected bytes, or an iterable or asynchronous iterable of them"),
    "no future": ("awaited", "x", "`value`: expected an awaitable"),
    "a wrong element": ("sum", [1, "two"], "what a stream or future carries: expected u32"),
    "a wrong piece": ("total", ["two"], "expected bytes"),
    "a wrong field": ("echo_points", [{"x": 1, "y": "?", "label": ""}], r"at `\.y`"),
}


@pytest.mark.parametrize(("name", "value", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_stream_is_refused(instance: wherry.Instance, name: str, value: Any, message: str) -> None:
    """With what was expected and what was there."""
    with pytest.raises(wherry.WitTypeError, match=message):
        list(getattr(instance[FLOWS], name)(value))


def test_imports_that_are_asynchronous(component: wherry.Component) -> None:
    """Coroutine functions and plain ones; streams and futures both ways; results and exceptions."""
    with made(component) as instance:
        guest = instance[GUEST]
        assert guest.fetched(["a", "b"]) == ["fetched a", "fetched b"]
        assert guest.checked(3) == 3
        with pytest.raises(wherry.ResultError, match="too much"):
            guest.checked(4)
        assert list(guest.lines("line ")) == ["line 0", "line 1", "line 2"]
        assert guest.store("name", b"x" * 200_000) == 200_000
        assert guest.answer({"x": 1, "y": 2, "label": "z"}).label == "z"
        assert guest.quick(b"123") == 7

    class Broken(Host):
        async def fetch(self, name: str) -> str:
            raise FailureError(name)

    with made(component, Broken()) as instance, pytest.raises(FailureError):
        instance[GUEST].fetched(["a"])


def test_an_asynchronous_import_runs_on_the_caller_s_loop(component: wherry.Component) -> None:
    """With all that is on it."""
    loops = []

    class Looking(Host):
        async def fetch(self, name: str) -> str:
            loops.append(asyncio.get_running_loop())
            return name

    async def called() -> bool:
        async with wherry.aio.Component(component).instantiate(
            imports={"test:streams/host": Looking()}
        ) as instance:
            await instance[GUEST].fetched(["a", "b"])
        return loops == [asyncio.get_running_loop()] * 2

    assert asyncio.run(called())


def test_open_and_abandoned_streams_leave_nothing(component: wherry.Component) -> None:
    """Thousands of them, read to some place, in one sandbox: neither side keeps what is gone."""
    with made(component) as instance:
        flows = instance[FLOWS]

        def some() -> None:
            for number in range(500):
                stream = flows.words(1000)
                for _ in range(number % 3):
                    next(stream)
                flows.later("unread")
                flows.some(iter([b"abc"] * 100), number % 7)
            flows.closed()

        some()
        gc.collect()
        before, objects = instance.memory, len(gc.get_objects())
        for _ in range(3):
            some()
        gc.collect()
        assert instance.memory == before
        assert len(gc.get_objects()) - objects < 200
        assert flows.closed() > 1900
