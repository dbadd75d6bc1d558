"""How a row is measured: two things by turns, medians, and their ratio.

Times mean little on a shared machine, and ratios of times that were taken in turns mean a lot. Nothing
here knows what is measured.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Command", "Timing", "calls", "clean_environment", "each", "machine", "output", "processes"]

# What the environment of a developer has in it and slows a program down, ours or a peer's.
_DISTORTING = ("NODE_EXTRA_CA_CERTS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "RUST_BACKTRACE")

Command = Sequence["str | Path"]

_BATCH_SECONDS = 0.02


@dataclass(frozen=True)
class Timing:
    """Medians in seconds, of one call or one process."""

    ours: float
    theirs: float


def clean_environment() -> None:
    """Takes out of the environment what would distort the figures."""
    for name in _DISTORTING:
        os.environ.pop(name, None)


def calls(
    ours: Callable[..., object], theirs: Callable[..., object], *arguments: object, rounds: int = 9
) -> Timing:
    """Times calls of two functions with the same arguments by turns, in batches long enough for the clock."""
    timers = [_timer(function, arguments) for function in (ours, theirs)]
    batches = [_batch(timer) for timer in timers]
    times: tuple[list[float], ...] = ([], [])
    for _ in range(rounds):
        for timer, batch, found in zip(timers, batches, times, strict=True):
            found.append(timer.timeit(batch) / batch)
    return Timing(*map(statistics.median, times))


def _timer(function: Callable[..., object], arguments: tuple[object, ...]) -> timeit.Timer:
    """The call as it would be written, with nothing around it that takes time of its own."""
    names = {f"argument{at}": argument for at, argument in enumerate(arguments)}
    return timeit.Timer(f"function({', '.join(names)})", globals={"function": function, **names})


def _batch(timer: timeit.Timer) -> int:
    """How many calls take about as long as a batch should; they warm the function up, too."""
    timer.timeit(1)  # the first may take as long as a batch
    count = 1
    while (spent := timer.timeit(count)) < _BATCH_SECONDS / 4:
        count *= 4
    return max(1, round(count * _BATCH_SECONDS / spent))


def each(
    ours: Callable[[str], object], theirs: Callable[[str], object], work: Sequence[str], rounds: int = 20
) -> Timing:
    """Times two functions that each do all of ``work``, part by part in turns; times are of one piece."""
    for function in (ours, theirs):
        function(work[0])
    times: tuple[list[float], ...] = ([], [])
    for number in range(rounds):
        part = work[number::rounds]
        for function, found in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            for piece in part:
                function(piece)
            found.append((time.perf_counter() - start) / len(part))
    return Timing(*map(statistics.median, times))


def processes(ours: Command, theirs: Command, rounds: int = 15) -> Timing:
    """Times two whole processes by turns, after one of each that fills the caches."""
    for command in (ours, theirs):
        output(command)
    times: tuple[list[float], ...] = ([], [])
    for _ in range(rounds):
        for command, found in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            output(command)
            found.append(time.perf_counter() - start)
    return Timing(*map(statistics.median, times))


def output(command: Command) -> bytes:
    """What a process writes to standard output; it has to end well."""
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def machine() -> str:
    """One line about what the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        names = [
            line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
