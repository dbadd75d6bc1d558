"""Memory of this process before and after very many calls and instances, and of an idle server."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import wherry
from benchmarks import serving
from tests.guests.build import text
from tests.guests.echo import echo, relay
from tests.guests.wit_types import Field, List, Option, Prim, Record

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAKS", "Leak", "growth", "resident"]

MIB = 1 << 20
ENTRY = Record((Field("name", Prim("string")), Field("data", Option(List(Prim("u8"))))))


@dataclass(frozen=True)
class Leak:
    """One line: what is done how often, and by how many bytes memory may grow."""

    what: str
    allowed: int
    measure: Callable[[], int]


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def growth(action: Callable[[], object], count: int) -> int:
    """By how many bytes ``count`` actions make the process grow, after a tenth of them to warm up."""
    for _ in range(count // 10):
        action()
    gc.collect()
    before = resident()
    for _ in range(count):
        action()
    gc.collect()
    return resident() - before


def million_calls() -> int:
    """Calls with a list of records, in and out of one instance."""
    call = wherry.load(echo(List(ENTRY)).encode()).instantiate().echo
    value = [{"name": "a name", "data": b"sixteen bytes ok"}, {"name": "", "data": None}]
    return growth(lambda: call(value), 1_000_000)


def million_host_calls() -> int:
    """The same with the host called back in each."""
    instance = wherry.load(relay(List(ENTRY)).encode()).instantiate(imports={"host": lambda x: x})
    value = [{"name": "a name", "data": b"sixteen bytes ok"}]
    return growth(lambda: instance.relay(value), 1_000_000)


def hundred_thousand_instances() -> int:
    """Instances with WASI, each called once and closed."""
    component = wherry.load(text("lucky"))

    def once() -> None:
        with component.instantiate() as instance:
            instance.lucky()

    return growth(once, 100_000)


LEAKS = {
    "leak-calls": Leak("1,000,000 calls", 4 * MIB, million_calls),
    "leak-host-calls": Leak("1,000,000 calls with a host import", 4 * MIB, million_host_calls),
    "leak-instances": Leak("100,000 instances", 4 * MIB, hundred_thousand_instances),
    "http-idle": Leak(f"{serving.IDLE:,} idle connections", serving.IDLE * 20_000, serving.idle_connections),
}
