"""Prints what a WASI 0.3 component can learn of time and chance; with ``wait`` after waits of hours too."""

import asyncio

import wit_world
from wit_world import exports
from wit_world.imports import (
    environment,
    insecure,
    insecure_seed,
    monotonic_clock,
    random,
    stdout,
    system_clock,
)

HOUR = 3_600_000_000_000


class Run(exports.Run):
    async def run(self) -> None:
        writer, reader = wit_world.byte_stream()
        written = stdout.write_via_stream(reader)

        async def say(*words: object) -> None:
            await writer.write_all((" ".join(map(str, words)) + "\n").encode())

        async def nap(name: str, hours: int) -> None:
            await monotonic_clock.wait_for(hours * HOUR)
            await say(name, "over at", monotonic_clock.now())

        with writer:
            what = environment.get_arguments()[1]
            if what in ("read", "wait", "clock"):
                now = system_clock.now()
                await say("wall:", now.seconds, now.nanoseconds)
                await say("monotonic:", monotonic_clock.now())
            if what in ("read", "wait", "random"):
                await say("random:", random.get_random_bytes(16).hex(), random.get_random_u64())
                await say("insecure:", insecure.get_insecure_random_u64())
                await say("insecure bytes:", insecure.get_insecure_random_bytes(3).hex())
                await say("seed:", *insecure_seed.get_insecure_seed())
            if what == "wait":
                await asyncio.gather(nap("a", 5), nap("b", 1), nap("c", 5), nap("d", 3))
                await monotonic_clock.wait_until(10 * HOUR)
                await say("until:", monotonic_clock.now())
        await written.read()
