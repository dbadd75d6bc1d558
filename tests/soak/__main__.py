"""``make soak``: ten minutes of all kinds of clients, then a good tenant beside bad ones, and a report.

``python -m tests.soak [SECONDS]`` takes another time for the first part.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.soak.clients import KINDS, TIMES
from tests.soak.neighbours import BAD, SLICE, beside, capacity
from tests.soak.serving import soaked
from tests.soak.soaking import soak

_SECONDS, _WARM_UP = 400.0, 30.0
"""With the second part ten minutes."""

_SETTLED = 11.0
"""Threads for files and the like stay for ten seconds after their last work."""

_ROUNDS, _ROUND = 5, 4.0
_SHARE = 0.3
_MOST_SLICES = 2.0


def main() -> int:
    """Run both parts; 1 when anything is not as it should be."""
    os.environ.setdefault("NO_COLOR", "1")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    problems = _mixed(seconds) + _neighbours()
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("nothing is wrong" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


def _mixed(seconds: float) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, soaked(Path(folder), TIMES) as server:
        start = time.monotonic()
        soaking = asyncio.run(soak(server, KINDS, _WARM_UP, seconds, _SETTLED))
        for name, came in soaking.mix.came.items():
            print(f"{name:<14}{', '.join(f'{count:,} x {what}' for what, count in came.most_common())}")
        print(
            f"{sum(sum(one.values()) for one in soaking.counted.values()):,} requests counted by the server"
        )
        for what, held in (("before", soaking.before), ("after", soaking.after), ("most", soaking.highest)):
            memory = f"{held.memory / (1 << 20):.1f} MiB"
            print(f"{what:<8}{memory}, {held.descriptors} descriptors, {held.threads} threads")
        print(f"took {time.monotonic() - start:.0f} s")
        return list(soaking.problems())


def _neighbours() -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    problems = []
    before = f"taskset -cp {cores[0]} $$ > /dev/null"
    with tempfile.TemporaryDirectory() as folder, soaked(Path(folder), {}, before) as server:
        address = server.served.address
        asyncio.run(capacity(address, 1))
        full = asyncio.run(capacity(address, 5))
        rate = full * _SHARE
        print(f"a good tenant answers {full:,.0f} requests a second, and is asked {rate:,.0f}")
        for bad, (host, *_) in BAD.items():
            earlier = sum(server.counted().get(host, {}).values())
            found = asyncio.run(beside(address, rate, bad, _ROUNDS, _ROUND))
            worse = sum(server.counted()[host].values()) - earlier
            alone, with_it = (1e3 * statistics.median(times) for times in found)
            print(
                f"p99 beside one that is {bad} ({worse:,} requests): {with_it:.1f} ms, alone {alone:.1f} ms; "
                f"it rose by {found.slices():.1f} slices of {SLICE * 1e3:.0f} ms"
            )
            if found.slices() > _MOST_SLICES:
                problems.append(f"one that is {bad} costs its neighbour {found.slices():.1f} time slices")
            if worse == 0:
                problems.append(f"one that should be {bad} was not")
    with suppress(OSError):
        os.sched_setaffinity(0, set(cores))
    return problems


if __name__ == "__main__":
    sys.exit(main())
