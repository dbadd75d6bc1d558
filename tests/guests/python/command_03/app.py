"""A WASI 0.3 command in Python: the same as ``command_02``, on the asynchronous streams of 0.3.

Two sleeps run at once before it starts copying, so that the asynchronous machinery has to do more than pass
calls on.
"""

import asyncio

import wit_world
from wit_world import exports
from wit_world.imports import environment, monotonic_clock, stdin, stdout

MILLISECOND = 1_000_000


class Run(exports.Run):
    async def run(self) -> None:
        writer, reader = wit_world.byte_stream()
        written = stdout.write_via_stream(reader)
        await asyncio.gather(
            monotonic_clock.wait_for(MILLISECOND),
            monotonic_clock.wait_for(2 * MILLISECOND),
        )
        with writer:
            arguments = environment.get_arguments()
            greeting = dict(environment.get_environment()).get("GREETING", "not granted")
            await writer.write_all(f"arguments: {' '.join(arguments[1:])}\nGREETING: {greeting}\n".encode())
            source, _ended = stdin.read_via_stream()
            with source:
                while not source.writer_dropped:
                    await writer.write_all((await source.read(4096)).upper())
        await written.read()
