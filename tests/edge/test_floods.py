"""Clients that send more than anybody means, or never an end: the server stays small, and serves the others.

Each flood goes on for a moment, on a new connection where the server ends the one before. Meanwhile a client
that means well is answered, and the server holds little for those that do not.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import h2.connection
import hpack
import pytest

from tests.edge.served import Served, serving
from tests.guests.build import http_application
from tests.requesting import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 0.2
GROWTH = 48 << 20
"""What a server may hold for one client that floods it: far less than what that sends."""

HEADERS, PRIORITY, RESET, SETTINGS, PING, CONTINUATION = 1, 2, 3, 4, 6, 9


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """The lean application, as a person serves it."""
    with serving(http_application("lean")) as served:
        for _ in range(20):
            assert request(served.url).status == 200
        yield served


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def head(*fields: tuple[str, str]) -> bytes:
    """A request's head as HTTP/2 packs it."""
    usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
    return hpack.Encoder().encode([*usual, *fields], huffman=False)


def preface() -> bytes:
    """How a client of HTTP/2 begins."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    return client.data_to_send()


def resets() -> Iterator[bytes]:
    """Requests that are taken back at once."""
    yield preface()
    block = head()
    for stream in itertools.count(1, 2):
        yield frame(HEADERS, 0x05, stream, block) + frame(RESET, 0, stream, bytes(3) + b"\x08")


def continuations() -> Iterator[bytes]:
    """A head that has no end."""
    yield preface() + frame(HEADERS, 0x01, 1, head())
    # A field of its own in each, so that nothing is decoded away.
    for number in itertools.count():
        piece = hpack.Encoder().encode([(f"x-{number}", "y" * 4000)], huffman=False)
        yield frame(CONTINUATION, 0, 1, piece)


def empty_continuations() -> Iterator[bytes]:
    """A head that has no end, and grows by nothing."""
    yield preface() + frame(HEADERS, 0x01, 1, head())
    while True:
        yield frame(CONTINUATION, 0, 1) * 1000


def bomb() -> Iterator[bytes]:
    """Small heads that unpack to large ones: one field of 4 KiB, which each names a thousand times."""
    yield preface()
    large = hpack.Encoder().encode([("x-large", "y" * 3900)], huffman=False)
    for stream in itertools.count(1, 2):
        yield frame(HEADERS, 0x05, stream, head() + large + b"\xbe" * 1000)


def settings() -> Iterator[bytes]:
    """Settings that each want an acknowledgement, of a client that reads none."""
    yield preface()
    while True:
        yield frame(SETTINGS, 0, 0, bytes.fromhex("0003000000ff")) * 1000


def pings() -> Iterator[bytes]:
    """Pings that each want an answer, of a client that reads none."""
    yield preface()
    while True:
        yield frame(PING, 0, 0, bytes(8)) * 1000


def priorities() -> Iterator[bytes]:
    """Priorities of streams that nobody opened."""
    yield preface()
    while True:
        yield frame(PRIORITY, 0, 1, bytes(5)) * 100_000


def unknown() -> Iterator[bytes]:
    """Frames of a kind that is none, which are passed over."""
    yield preface()
    while True:
        yield frame(0xEE, 0, 0) * 100_000


def streams() -> Iterator[bytes]:
    """Requests with bodies that never come, more than may be open."""
    yield preface()
    block = head(("content-length", "10"))
    for stream in itertools.count(1, 2):
        yield frame(HEADERS, 0x04, stream, block)


def fields() -> Iterator[bytes]:
    """A head of HTTP/1.1 with fields and no end."""
    yield b"GET / HTTP/1.1\r\nHost: a\r\n"
    for number in itertools.count():
        yield f"x-{number}: {'y' * 1000}\r\n".encode()


def line() -> Iterator[bytes]:
    """A target that has no end."""
    yield b"GET /"
    while True:
        yield b"a" * 65536


def extension() -> Iterator[bytes]:
    """An extension of a chunk that has no end."""
    yield b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    while True:
        yield b"a" * 65536


def trailers() -> Iterator[bytes]:
    """Trailers that have no end."""
    yield b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    for number in itertools.count():
        yield f"x-{number}: {'y' * 1000}\r\n".encode()


def pipeline() -> Iterator[bytes]:
    """Requests one behind the other, of a client that reads no answer."""
    while True:
        yield b"GET /exact HTTP/1.1\r\nHost: a\r\n\r\n" * 1000


def lines() -> Iterator[bytes]:
    """Empty lines before a request that never comes."""
    while True:
        yield b"\r\n" * 10000


FLOODS = [
    *(resets, continuations, empty_continuations, bomb, settings, pings, priorities, unknown, streams),
    *(fields, line, extension, trailers, pipeline, lines),
]


def pour(address: tuple[str, int], flood: Callable[[], Iterator[bytes]]) -> tuple[int, int]:
    """How many connections the server took, and how many bytes."""
    connections = taken = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.create_connection(address, timeout=0.2) as connection, suppress(OSError):
            connections += 1
            for piece in itertools.takewhile(lambda _: time.monotonic() < end, flood()):
                connection.sendall(piece)
                taken += len(piece)
    return connections, taken


@contextmanager
def meaning_well(url: str) -> Iterator[list[float]]:
    """A client beside it, and how long each of its answers took."""
    times: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            began = time.monotonic()
            answer = request(url, timeout=10)
            assert (answer.status, answer.text) == (200, "Hello, World!")
            times.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield times
        finally:
            done.set()
        asking.result()


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_a_flood_is_borne(server: Served, flood: Callable[[], Iterator[bytes]]) -> None:
    """Memory stays bounded while it lasts, and others are served."""
    before = server.held()
    with meaning_well(server.url) as times:
        connections, taken = pour(server.address, flood)
        grown = server.held() - before
    assert connections
    assert taken
    assert times
    assert max(times) < 5
    assert grown < GROWTH, (grown, connections, taken)


def test_clients_that_break_off_end_nothing(server: Served) -> None:
    """A server in a terminal ends at a closed pipe, as programs do there, but at no lost connection."""
    for _ in range(200):
        with socket.create_connection(server.address, timeout=5) as connection:
            # What is unread when it is closed is answered with a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
            connection.recv(1)
    assert request(server.url).status == 200


@pytest.mark.parametrize("flood", [priorities, unknown], ids=lambda flood: flood.__name__)
def test_frames_that_ask_for_nothing_have_an_end(
    server: Served, flood: Callable[[], Iterator[bytes]]
) -> None:
    """Whoever sends nearly nothing else is cut off, after a few megabytes and at most a few seconds."""
    began = time.monotonic()
    with socket.create_connection(server.address, timeout=10) as connection, suppress(ConnectionError):
        for piece in itertools.takewhile(lambda _: time.monotonic() < began + 20, flood()):
            connection.sendall(piece)
    assert time.monotonic() < began + 10
