"""A WASI 0.3 command: three waits of 0.2 s that run together, inside one sandbox with one thread."""

import asyncio

from wit_world import exports
from wit_world.imports import monotonic_clock

MILLISECOND = 1_000_000


class Run(exports.Run):
    """The interface `wasi:cli/run`."""

    async def run(self) -> None:
        """Wait, and say for how long."""
        start = monotonic_clock.now()
        await asyncio.gather(*(monotonic_clock.wait_for(200 * MILLISECOND) for _ in range(3)))
        waited = (monotonic_clock.now() - start) // MILLISECOND
        print(f"waited 3 x 200 ms in {waited} ms")
