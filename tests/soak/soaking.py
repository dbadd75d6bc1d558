"""The soak itself: all kinds of clients at once, for a while, and what the server holds before and after."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from tests.soak.clients import Mix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.soak.clients import Kind
    from tests.soak.serving import Held, Soaked

__all__ = ["Soaking", "soak"]

_QUIET = 30.0
"""Seconds in which a server has to be done with clients that have gone."""

_GROWTH = 24 << 20
"""Bytes that memory may differ by between two quiet moments: what the allocator keeps, and no more."""


class Soaking(NamedTuple):
    """What came of it."""

    mix: Mix
    before: Held
    after: Held
    highest: Held
    """The most that was held while all came, of each."""

    counted: dict[str, dict[int, int]]
    """What the server counted."""

    def problems(self) -> Iterator[str]:
        """What should not be."""
        yield from self.mix.wrong
        for what in ("descriptors", "threads"):
            before, after = getattr(self.before, what), getattr(self.after, what)
            if after > before:
                yield f"{after - before} {what} were left behind"
        if self.after.memory > self.before.memory + _GROWTH:
            yield f"memory grew from {self.before.memory >> 20} to {self.after.memory >> 20} MiB"
        for names, application in _TOLD_ALIKE.items():
            ours: Counter[int] = Counter()
            for name in names:
                ours.update(self.mix.counts(name))
            theirs = self.counted.get(application, {})
            if dict(ours) != theirs:
                yield f"of `{application}` the clients got {dict(ours)}, and the server counts {theirs}"
        turned_away = self.counted.get("busy", {})
        bursts = self.mix.came["busy"]["200-200-200-200-503"]
        if turned_away != {200: 4 * bursts, 503: bursts}:
            yield f"{bursts} bursts of 5, of which 4 have a place, and the server counts {turned_away}"


_TOLD_ALIKE = {
    ("hello", "echo", "half closed"): "good",
    ("files",): "files",
    ("command",): "command",
    ("trapping",): "trapping",
    ("looping",): "looping",
    ("greedy",): "greedy",
    ("at the limit", "too large"): "large",
}
"""The kinds whose clients hear of every answer, and the application that they ask."""


async def soak(
    server: Soaked, kinds: Sequence[Kind], warm_up: float, seconds: float, settled: float
) -> Soaking:
    """These clients for a while to warm up, and then for as long as it takes.

    What is held is looked at when nothing changed for ``settled`` seconds.
    """
    mix = Mix(server.served.address, kinds)
    await mix.run(warm_up)
    before = await _quiet(server, settled)
    watching = asyncio.create_task(_highest(server))
    await mix.run(seconds)
    watching.cancel()
    after = await _quiet(server, 0.5, before)
    counted = await asyncio.to_thread(server.counted)
    return Soaking(mix, before, after, await watching, counted)


async def _quiet(server: Soaked, settled: float, wanted: Held | None = None) -> Held:
    """What it holds when nobody asks for anything; as little as ``wanted``, or when time is up."""
    deadline = time.monotonic() + _QUIET
    last, since = server.held(), time.monotonic()
    while time.monotonic() < deadline:
        active = await asyncio.to_thread(server.active)
        # The connection that was asked over is none of those that are looked for.
        await asyncio.sleep(0.2)
        held = server.held()
        if active or held.descriptors != last.descriptors:
            since = time.monotonic()
        last = held
        enough = wanted is None or (held.descriptors <= wanted.descriptors and held.threads <= wanted.threads)
        if enough and time.monotonic() - since > settled:
            break
    return last


async def _highest(server: Soaked) -> Held:
    """The most that is held, until this is cancelled."""
    highest = server.held()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.5)
            held = server.held()
            highest = type(held)(*map(max, zip(_fields(highest), _fields(held), strict=True)))
    return highest


def _fields(held: Held) -> tuple[int, int, int]:
    return held.memory, held.descriptors, held.threads
