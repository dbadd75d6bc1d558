"""Servers side by side: one core for the server, another one for what loads it, by turns.

The same trivial guest is served by Wherry and by the wasmtime program; a bare hyper server of the same build
gives the same answer without a sandbox. It and the load generator are examples of ``crates/wherry-edge``.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import Timing, output
from tests.guests.build import http_component
from tests.requesting import request
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["against_bare", "against_wasmtime", "slowest_against_wasmtime"]

_HERE = Path(__file__).parent
_CONNECTIONS = "64"
_SECONDS = "1"
_ROUNDS = 9
_READY = 60.0


def against_wasmtime() -> Timing:
    """One request to the trivial guest, each in a fresh sandbox."""
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), _wasmtime())))


def slowest_against_wasmtime() -> Timing:
    """The 99th percentile of the same."""
    return Timing(*(slowest for _, slowest in _measured(_wherry(), _wasmtime())))


def against_bare() -> Timing:
    """The same against a server without a sandbox."""
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), (_examples()["bare"], "{address}"))))


def _wherry() -> tuple[str | Path, ...]:
    return (peers.wherry_program(), "serve", _guest(), "--addr", "{address}")


def _wasmtime() -> tuple[str | Path, ...]:
    return (peers.wasmtime_program(), "serve", "--addr", "{address}", _guest())


def _guest() -> Path:
    return http_component(_HERE / "hello_http.c")


@functools.cache
def _examples() -> dict[str, Path]:
    """What the crate has beside the library, built as the core is."""
    # With the core named beside it, so that both use one build of what they depend on.
    command = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "-p",
        "wherry-py",
        "-p",
        "wherry-edge",
        "--examples",
    ]
    said = subprocess.run(
        [*command, "--quiet", "--message-format=json"],
        cwd=_HERE.parent,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    built = [json.loads(line) for line in said.splitlines()]
    programs = [Path(one["executable"]) for one in built if one.get("executable")]
    return {program.name: program for program in programs}


@functools.cache
def _cores() -> tuple[int, int]:
    """One for the server, one for the load; the same where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


@functools.cache
def _measured(ours: tuple[str | Path, ...], theirs: tuple[str | Path, ...]) -> list[tuple[float, float]]:
    """Seconds for each request, and the 99th percentile of how long one took; medians of both servers."""
    load = ["taskset", "-c", str(_cores()[1]), str(_examples()["load"])]
    found: tuple[list[tuple[float, float]], ...] = ([], [])
    with ExitStack() as stack:
        addresses = [stack.enter_context(_running(server)) for server in (ours, theirs)]
        for number in range(_ROUNDS + 1):
            for address, times in zip(addresses, found, strict=True):
                rate, slowest = map(float, output([*load, address, _CONNECTIONS, _SECONDS]).split())
                if number:  # The first round warms up.
                    times.append((1 / rate, slowest / 1e6))
    medians = [[statistics.median(column) for column in zip(*times, strict=True)] for times in found]
    return [(each, slowest) for each, slowest in medians]


@contextmanager
def _running(server: tuple[str | Path, ...]) -> Iterator[str]:
    """A server on a core of its own, once it answers; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    words = [str(word).replace("{address}", address) for word in server]
    command = ["taskset", "-c", str(_cores()[0]), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(address)
            yield address
        finally:
            process.terminate()


def _await(address: str) -> None:
    deadline = time.monotonic() + _READY
    while True:
        try:
            if request(f"http://{address}/").text == "Hello, World!":
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
