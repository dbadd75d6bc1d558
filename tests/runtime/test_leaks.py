"""Calls, instances and failures leave memory, files and threads as they were.

``benchmarks`` has the same with a million calls and a hundred thousand instances.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import c_command, text
from tests.guests.echo import echo, relay
from tests.guests.wit_types import Field, List, Option, Prim, Record

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY = Record((Field("name", Prim("string")), Field("data", Option(List(Prim("u8"))))))
VALUE = [{"name": "a name", "data": b"sixteen bytes ok"}, {"name": "", "data": None}]
# Less than one leaked page for each hundred turns of the loops below.
ALLOWED = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def open_files() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def growth(action: Callable[[], object], count: int) -> int:
    """By how much the process grows; the least of three attempts, as other things move memory, too."""
    for _ in range(count):
        action()
    grown = []
    for _ in range(3):
        gc.collect()
        before = resident()
        for _ in range(count):
            action()
        gc.collect()
        grown.append(resident() - before)
    return min(grown)


def calls() -> Callable[[], object]:
    """A call with values that allocate on both sides."""
    call = wherry.load(echo(List(ENTRY)).encode()).instantiate().echo
    return lambda: call(VALUE)


def host_calls() -> Callable[[], object]:
    """A call that calls back."""
    instance = wherry.load(relay(List(ENTRY)).encode()).instantiate(imports={"host": lambda x: x})
    return lambda: instance.relay(VALUE)


def refused_calls() -> Callable[[], object]:
    """A call whose argument is refused half way through."""
    call = wherry.load(echo(List(ENTRY)).encode()).instantiate().echo

    def refused() -> None:
        with contextlib.suppress(wherry.WitTypeError):
            call([*VALUE, {"name": "b", "data": 1}])

    return refused


def instances() -> Callable[[], object]:
    """An instance with WASI, closed."""
    component = wherry.load(text("lucky"))

    def once() -> None:
        with component.instantiate() as instance:
            instance.lucky()

    return once


def forgotten_instances() -> Callable[[], object]:
    """An instance that nobody closes."""
    component = wherry.load(text("lucky"))
    return lambda: component.instantiate().lucky()


def traps() -> Callable[[], object]:
    """An instance that ends in a trap after it called the host."""
    component = wherry.load(text("callback"))

    def once() -> None:
        with (
            component.instantiate(imports={"host": lambda x: x}) as instance,
            contextlib.suppress(wherry.Trap),
        ):
            instance.call_then_trap(1)

    return once


def resources() -> Callable[[], object]:
    """Resources of a guest, closed and forgotten by turns."""
    instance = wherry.load(text("counter")).instantiate()
    counters = instance["test:guests/counters"]

    def once() -> None:
        with counters.Counter(1) as counter:
            counter.increment(1)
        counters.Counter(2)

    return once


def programs() -> Callable[[], object]:
    """A whole program with its output."""
    program = c_command("cat")
    return lambda: wherry.run(program, stdin=b"abc" * 100, capture=True)


def struck_programs() -> Callable[[], object]:
    """A program that is ended by its output limit."""
    program = c_command("flood")

    def once() -> None:
        with contextlib.suppress(wherry.OutputLimitError):
            wherry.run(program, "0", capture=True, limits=wherry.Limits(output="64KiB"))

    return once


def sandboxed_calls() -> Callable[[], object]:
    """A call in an instance of its own, which is refused memory and traps every other time."""
    sandbox = wherry.Sandbox(
        text("plugin"), imports={"host": lambda x: x}, limits=wherry.Limits(memory="1MiB")
    )

    def once() -> None:
        sandbox.grow(1_000)
        with contextlib.suppress(wherry.Trap):
            sandbox.trap()

    return once


ACTIONS = {
    calls: 5_000,
    host_calls: 5_000,
    refused_calls: 5_000,
    instances: 1_000,
    forgotten_instances: 1_000,
    traps: 500,
    resources: 1_000,
    sandboxed_calls: 500,
    programs: 100,
    struck_programs: 100,
}


@pytest.mark.parametrize(("make", "count"), ACTIONS.items(), ids=[make.__name__ for make in ACTIONS])
def test_memory_and_files_stay_flat(make: Callable[[], Callable[[], object]], count: int) -> None:
    """The process does not grow with what it has done."""
    action = make()
    action()
    before = open_files()
    assert growth(action, count) < ALLOWED
    assert open_files() <= before


def test_an_instance_lets_go_of_its_host_functions() -> None:
    """What host code refers to is released with the instance."""

    class Host:
        def __call__(self, x: int) -> int:
            return x

    host = Host()
    gone = weakref.ref(host)
    instance = wherry.load(text("callback")).instantiate(imports={"host": host})
    assert instance.call(1) == 1
    del host
    instance.close()
    del instance
    gc.collect()
    assert gone() is None


def test_closing_breaks_a_circle() -> None:
    """A host function that holds its own instance makes a circle through the guest, until that is closed."""

    class Host:
        instance: object = None

        def __call__(self, x: int) -> int:
            return x

    host = Host()
    gone = weakref.ref(host)
    host.instance = instance = wherry.load(text("callback")).instantiate(imports={"host": host})
    instance.close()
    del host, instance
    gc.collect()
    assert gone() is None


def test_passed_buffers_are_let_go() -> None:
    """A bytearray can be resized again after the call that read it."""
    buffer = bytearray(b"abc")
    assert wherry.load(echo(List(Prim("u8"))).encode()).instantiate().echo(buffer) == b"abc"
    buffer.extend(b"def")
    assert buffer == b"abcdef"
