"""Prints what a WASI 0.2 component learns of time and chance, after ``wait`` and ``spin`` as well."""

from wit_world import exports
from wit_world.imports import environment, insecure, insecure_seed, monotonic_clock, poll, random, wall_clock

HOUR = 3_600_000_000_000


class Run(exports.Run):
    def run(self) -> None:
        what = environment.get_arguments()[1]
        if what in ("read", "wait", "clock"):
            now = wall_clock.now()
            print("wall:", now.seconds, now.nanoseconds)
            print("monotonic:", monotonic_clock.now())
        if what in ("read", "wait", "random"):
            print("random:", random.get_random_bytes(16).hex(), random.get_random_u64())
            print("insecure:", insecure.get_insecure_random_u64())
            print("insecure bytes:", insecure.get_insecure_random_bytes(3).hex())
            print("seed:", *insecure_seed.insecure_seed())
        if what == "spin":
            hour = monotonic_clock.subscribe_duration(HOUR)
            while not hour.ready():
                pass
            print("over:", monotonic_clock.now())
        if what != "wait":
            return
        monotonic_clock.subscribe_duration(2 * HOUR).block()
        print("wall:", wall_clock.now().seconds)
        timers = [
            monotonic_clock.subscribe_duration(5 * HOUR),
            monotonic_clock.subscribe_instant(3 * HOUR),
            monotonic_clock.subscribe_duration(1 * HOUR),
        ]
        while timers:
            ready = poll.poll(timers)
            print("ready:", list(ready), "at", monotonic_clock.now())
            for index in reversed(ready):
                del timers[index]
