"""A good tenant beside a bad one: how much later its slowest answers come.

The good one is asked at a steady 30 % of what it can do, whatever comes back; the bad one loops, allocates or
is flooded. Rounds alone and beside the bad one alternate, on one core for the server and another for its
clients.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tests.soak.talking import Client, request

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BAD", "SLICE", "Beside", "beside", "capacity"]

SLICE = 0.010
"""Seconds that a guest computes before it gives way; where others wait it is less."""

BAD = {
    "looping": ("looping", "/loop", 8),
    "allocating": ("greedy", "/greedy", 8),
    "flooding": ("trapping", "/", 64),
}
"""What a bad tenant does: its host, what it is asked for, and how many clients do so."""

_GOOD = request("good", "/echo", bytes(16 << 10))
"""What the good one is asked for."""

_CONNECTIONS = 32


class Beside(NamedTuple):
    """The 99th percentile of the good one's times in seconds, alone and beside a bad one, of each round."""

    alone: list[float]
    beside: list[float]

    def slices(self) -> float:
        """By how many time slices it rose; the median of the rounds."""
        rises = [after - before for before, after in zip(self.alone, self.beside, strict=True)]
        return statistics.median(rises) / SLICE


async def capacity(address: tuple[str, int], seconds: float) -> float:
    """Requests a second that the good one answers when it is asked for nothing else, as fast as it can."""
    over = time.monotonic() + seconds

    async def asking() -> int:
        client, count = Client(address), 0
        while time.monotonic() < over:
            assert (await client.ask(_GOOD)).status == 200
            count += 1
        await client.close()
        return count

    return sum(await asyncio.gather(*(asking() for _ in range(8)))) / seconds


async def beside(address: tuple[str, int], rate: float, bad: str, rounds: int, seconds: float) -> Beside:
    """The good one at this rate, alone and beside a bad one by turns."""
    found = Beside([], [])
    for _ in range(rounds):
        found.alone.append(await _slowest(address, rate, seconds))
        with _worse(address, bad):
            await asyncio.sleep(0.5)
            found.beside.append(await _slowest(address, rate, seconds))
        # What the server is still at for clients that are gone is over when the next round begins.
        await asyncio.sleep(0.5)
    return found


async def _slowest(address: tuple[str, int], rate: float, seconds: float) -> float:
    """The 99th percentile of the times from when a request was due."""
    times: list[float] = []
    free: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(Client(address))

    async def ask(due: float) -> None:
        client = await free.get()
        answer = await client.ask(_GOOD)
        times.append(time.monotonic() - due)
        assert answer.status == 200, answer
        free.put_nowait(client)

    start, asking = time.monotonic(), []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        asking.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*asking)
    while not free.empty():
        await free.get_nowait().close()
    return statistics.quantiles(times, n=100)[98]


@contextmanager
def _worse(address: tuple[str, int], bad: str) -> Iterator[None]:
    """The bad one, asked from a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_flood, args=(address, bad), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _flood(address: tuple[str, int], bad: str) -> None:
    import os

    # What matters is the time of the server, and not that of its clients.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    host, path, clients = BAD[bad]

    async def asking() -> None:
        client = Client(address)
        while True:
            with suppress(OSError, EOFError, TimeoutError):
                await client.ask(request(host, path))

    async def all_of_them() -> None:
        await asyncio.gather(*(asking() for _ in range(clients)))

    asyncio.run(all_of_them())
