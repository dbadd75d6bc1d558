"""Servers side by side: one core for the server, another one for what loads it, by turns.

The same guests are served by Wherry and by the wasmtime program; a bare hyper server of the same build and
node give the same answer without a sandbox. The bare server and the load generator are examples of
``crates/wherry-edge``.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import socket
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers, servers
from benchmarks.measure import Timing, output
from tests.guests.build import http_application, http_component, project
from tests.requesting import request
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.manifest import Language

__all__ = [
    "FILE",
    "IDLE",
    "against_bare",
    "against_granian",
    "against_node",
    "against_reused",
    "against_uvicorn",
    "against_wasmtime",
    "against_workerd",
    "cpython_against_wasmtime",
    "echo_against_wasmtime",
    "file_against_nginx",
    "idle_connections",
    "javascript_against_wasmtime",
    "slowest_against_wasmtime",
    "start_against_wasmtime",
]

IDLE = 10_000
"""How many connections wait with nothing to do."""

FILE = 16 << 10
"""Bytes of a file that is served."""

_HERE = Path(__file__).parent
_CONNECTIONS = "64"
_SECONDS = "1"
_ROUNDS = 9
_READY = 120.0
_POLLED = 0.002
_ALL_OF_WASI = ("-S", "cli=y")


def against_wasmtime() -> Timing:
    """One request to the trivial guest, each in a fresh sandbox."""
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), _wasmtime())))


def slowest_against_wasmtime() -> Timing:
    """The 99th percentile of the same."""
    return Timing(*(slowest for _, slowest in _measured(_wherry(), _wasmtime())))


def against_bare() -> Timing:
    """The same against a server without a sandbox."""
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), (_examples()["bare"], "{address}"))))


def against_node() -> Timing:
    """The same against ``node:http``."""
    return _against(servers.node())


def against_granian() -> Timing:
    """The same against an application of ASGI on granian."""
    return _against(servers.granian())


def against_uvicorn() -> Timing:
    """The same on uvicorn."""
    return _against(servers.uvicorn())


def against_workerd() -> Timing:
    """The same against a worker of JavaScript, whose requests share an isolate."""
    return _against(servers.workerd())


def _against(theirs: servers.Words) -> Timing:
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), theirs)))


def file_against_nginx() -> Timing:
    """A file of 16 KiB."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pages"
        root.mkdir()
        (root / "index.html").write_bytes(os.urandom(FILE))
        # The folder is read by a user that nginx chooses.
        Path(folder).chmod(0o755)
        found = _measured(_wherry(root), servers.nginx(root))
        return Timing(*(time_each for time_each, _ in found))


def against_reused() -> Timing:
    """The same against the wasmtime program with instances that it uses again and again."""
    reused = _wasmtime(None, "--max-instance-reuse-count", "1000000")
    return Timing(*(time_each for time_each, _ in _measured(_wherry(), reused)))


def echo_against_wasmtime() -> Timing:
    """1 MiB that a guest sends back as it reads it."""
    guest = http_application("direct")
    found = _measured(_wherry(guest), _wasmtime(guest), ("8", _SECONDS, "/echo", str(1 << 20)))
    return Timing(*(time_each for time_each, _ in found))


def cpython_against_wasmtime() -> Timing:
    """A request to an application in Python: a whole interpreter for each."""
    return _interpreted("python")


def javascript_against_wasmtime() -> Timing:
    """The same in JavaScript."""
    return _interpreted("javascript")


def _interpreted(language: Language) -> Timing:
    guest = _project(language)
    return Timing(*(time_each for time_each, _ in _measured(_wherry(guest), _wasmtime(guest, *_ALL_OF_WASI))))


def start_against_wasmtime() -> Timing:
    """From the start of a server to the first answer of an application in Python that was compiled before."""
    guest = _project("python")
    servers = (_wherry(guest), _wasmtime(guest, "-C", "cache=y", *_ALL_OF_WASI))
    found: tuple[list[float], ...] = ([], [])
    for number in range(_ROUNDS + 1):
        for server, times in zip(servers, found, strict=True):
            begun = time.perf_counter()
            with _process(server):
                if number:  # The first one compiles.
                    times.append(time.perf_counter() - begun)
    return Timing(*map(statistics.median, found))


def _project(language: Language) -> Path:
    """The smallest application in a language, built as a user builds it."""
    return project(f"hello_{language}", language, _HERE / "http" / language)


def idle_connections() -> int:
    """By how many bytes a server grows with connections that had an answer and ask for nothing more."""
    _allow_descriptors(IDLE + 500)
    with ExitStack() as stack:
        address, process = stack.enter_context(_process(_wherry()))
        host, _, port = address.partition(":")
        before = _resident(process)
        for _ in range(IDLE):
            client = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if not client.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise RuntimeError("a connection had no answer")
        return _resident(process) - before


def _allow_descriptors(count: int) -> None:
    """For this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def _resident(process: subprocess.Popen[bytes]) -> int:
    """Bytes of a process in memory; ``taskset`` has become what it starts."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _wherry(guest: Path | None = None) -> tuple[str | Path, ...]:
    return (peers.wherry_program(), "serve", guest or _guest(), "--addr", "{address}")


def _wasmtime(guest: Path | None = None, *options: str) -> tuple[str | Path, ...]:
    return (peers.wasmtime_program(), "serve", "--addr", "{address}", *options, guest or _guest())


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
def _measured(
    ours: tuple[str | Path, ...],
    theirs: tuple[str | Path, ...],
    work: tuple[str, ...] = (_CONNECTIONS, _SECONDS),
) -> list[tuple[float, float]]:
    """Seconds for each request, and the 99th percentile of how long one took; medians of both servers."""
    load = ["taskset", "-c", str(_cores()[1]), str(_examples()["load"])]
    found: tuple[list[tuple[float, float]], ...] = ([], [])
    with ExitStack() as stack:
        addresses = [stack.enter_context(_process(server))[0] for server in (ours, theirs)]
        for number in range(_ROUNDS + 1):
            for address, times in zip(addresses, found, strict=True):
                rate, slowest = map(float, output([*load, address, *work]).split())
                if number:  # The first round warms up.
                    times.append((1 / rate, slowest / 1e6))
    medians = [[statistics.median(column) for column in zip(*times, strict=True)] for times in found]
    return [(each, slowest) for each, slowest in medians]


@contextmanager
def _process(server: tuple[str | Path, ...]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on a core of its own, once it answers; gives its address and what it runs as."""
    address = f"127.0.0.1:{free_port()}"
    host, _, port = address.partition(":")
    filled = {"{address}": address, "{host}": host, "{port}": port}
    words = [filled.get(str(word), str(word).replace("{address}", address)) for word in server]
    command = ["taskset", "-c", str(_cores()[0]), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(address)
            yield address, process
        finally:
            process.terminate()


def _await(address: str) -> None:
    deadline = time.monotonic() + _READY
    while True:
        try:
            request(f"http://{address}/")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLLED)
        else:
            return
