"""Malformed and unusual requests: each with its section of the RFCs, and the one right outcome.

A third of them are unusual but valid, and have to be served. None may end in 500 or a hang, and the server
is alive and clean after each.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import http_application
from tests.requesting import request
from wherry import Limits, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

END = b"Host: a\r\nConnection: close\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + END


def chunks(body: bytes) -> bytes:
    """A request with a body in chunks, whose client does not expect the connection to be kept."""
    return CHUNKED + body


# What is sent, the statuses of what comes back (empty: closed without an answer), and the section.
CASES = {
    # Valid, if unusual: served.
    "absolute form": (b"GET http://other.example/exact HTTP/1.1\r\n" + END, [200], "9112 3.2.2"),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\n" + END, [200], "9112 3.2.4"),
    "empty lines before": (b"\r\n\r\nGET / HTTP/1.1\r\n" + END, [200], "9112 2.2"),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\nConnection: close\n\n", [200], "9112 2.2"),
    "1.0 without host": (b"GET / HTTP/1.0\r\n\r\n", [200], "9112 3.2"),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", [200], "9112 3.2"),
    "port in host": (b"GET / HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n", [200], "9110 7.2"),
    "address in host": (b"GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n", [200], "9110 7.2"),
    "no space after colon": (b"GET / HTTP/1.1\r\nHost:a\r\nConnection:close\r\n\r\n", [200], "9112 5"),
    "spaces around a value": (b"GET / HTTP/1.1\r\nX-A: \t b \t\r\n" + END, [200], "9112 5"),
    "empty value": (b"GET / HTTP/1.1\r\nX-A:\r\n" + END, [200], "9110 5.5"),
    "own method": (b"BREW / HTTP/1.1\r\n" + END, [200], "9110 9.1"),
    "lower case method": (b"get / HTTP/1.1\r\n" + END, [200], "9110 9.1"),
    "same length twice": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n" + END + b"abc",
        [200],
        "9110 8.6",
    ),
    "chunk extension": (chunks(b"3;name=value\r\nabc\r\n0\r\n\r\n"), [200], "9112 7.1.1"),
    "upper case chunk size": (chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), [200], "9112 7.1"),
    "chunk size with zeros": (chunks(b"0003\r\nabc\r\n000\r\n\r\n"), [200], "9112 7.1"),
    "trailers nobody wants": (chunks(b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"), [200], "9112 7.1.2"),
    "upgrade to the unknown": (b"GET / HTTP/1.1\r\nUpgrade: gopher\r\n" + END, [200], "9110 7.8"),
    "percent in target": (b"GET /%2e%2e/%00 HTTP/1.1\r\n" + END, [200], "9110 4.2.3"),
    # A coding and a length: the coding alone counts, and the connection ends behind the answer.
    "length and coding": (
        (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        [200],
        "9112 6.3",
    ),
    "coding and length": (
        (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n"
            b"0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        [200],
        "9112 6.3",
    ),
    # Refused.
    "no host": (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", [400], "9112 3.2"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: b\r\n" + END, [400], "9112 3.2"),
    "user in host": (b"GET / HTTP/1.1\r\nHost: me@a\r\nConnection: close\r\n\r\n", [400], "9110 7.2"),
    "path in host": (b"GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n", [400], "9110 7.2"),
    "bad port in host": (b"GET / HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n", [400], "9110 7.2"),
    "user in target": (b"GET http://me@a/ HTTP/1.1\r\n" + END, [400], "9110 4.2.4"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n" + END + b"abcd",
        [400],
        "9110 8.6",
    ),
    "list of lengths": (b"POST / HTTP/1.1\r\nContent-Length: 3, 4\r\n" + END + b"abcd", [400], "9110 8.6"),
    "negative length": (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n" + END, [400], "9110 8.6"),
    "signed length": (b"POST / HTTP/1.1\r\nContent-Length: +3\r\n" + END + b"abc", [400], "9110 8.6"),
    "hexadecimal length": (b"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n" + END + b"abc", [400], "9110 8.6"),
    "endless length": (
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" + END,
        [400],
        "9110 8.6",
    ),
    "unknown coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n" + END, [400], "9112 6.1"),
    "chunked not last": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n" + END, [400], "9112 6.3"),
    "disguised coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" + END, [400], "9112 6.3"),
    "coding in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + END, [400], "9112 6.1"),
    "space before colon": (b"POST / HTTP/1.1\r\nContent-Length : 3\r\n" + END + b"abc", [400], "9112 5.1"),
    "folded line": (b"GET / HTTP/1.1\r\nX-A: b\r\n c\r\n" + END, [400], "9112 5.2"),
    "line without colon": (b"GET / HTTP/1.1\r\nX-A\r\n" + END, [400], "9112 5"),
    "field without name": (b"GET / HTTP/1.1\r\n: value\r\n" + END, [400], "9112 5"),
    "zero in a value": (b"GET / HTTP/1.1\r\nX-A: b\0c\r\n" + END, [400], "9110 5.5"),
    "return in a value": (b"GET / HTTP/1.1\r\nX-A: b\rc\r\n" + END, [400], "9112 2.2"),
    "space in target": (b"GET /a b HTTP/1.1\r\n" + END, [400], "9112 3"),
    "unknown version": (b"GET / HTTP/3.7\r\n" + END, [400], "9112 2.3"),
    "no version": (b"GET /\r\n" + END, [400], "9112 3"),
    "bad method": (b"G(T / HTTP/1.1\r\n" + END, [400], "9110 9.1"),
    "too many fields": (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 200 + END, [431], "6585 5"),
    "too large a head": (b"GET / HTTP/1.1\r\nX-A: " + b"b" * 100_000 + b"\r\n" + END, [431], "6585 5"),
    "too long a target": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + END, [431], "9110 15.5.15"),
    "tunnel": (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", [501], "9110 9.3.6"),
    "web socket": (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n" + END, [501], "6455 4.2.2"),
    "odd expectation": (b"GET / HTTP/1.1\r\nExpect: wonders\r\n" + END, [417], "9110 10.1.1"),
    # In the body: the answer has begun, or none comes; the connection ends, and nothing behind is a request.
    "chunk size that is no number": (
        chunks(b"xyz\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n" + END),
        None,
        "9112 7.1",
    ),
    "chunk size too large": (chunks(b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), None, "9112 7.1"),
    "chunk longer than it says": (chunks(b"3\r\nabcdef\r\n0\r\n\r\n"), None, "9112 7.1"),
    "negative chunk": (chunks(b"-1\r\nabc\r\n0\r\n\r\n"), None, "9112 7.1"),
    "endless chunk extension": (chunks(b"3;" + b"x" * 50_000 + b"\r\nabc\r\n0\r\n\r\n"), None, "9112 7.1.1"),
}


@pytest.fixture(scope="module", params=["lean", "full"])
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Where the application is served; what it looks like afterwards is looked at, too."""
    limits = Limits(timeout="2s", memory="32MiB")
    with edge.serve(http_application(request.param), address="127.0.0.1:0", limits=limits) as server:
        yield server.address
        statistics = server.statistics()
        assert (statistics["active"], statistics["failed"], statistics["late"]) == (0, 0, 0), (
            server.failures()
        )


@pytest.mark.parametrize("case", CASES)
def test_each_request_has_its_outcome(address: tuple[str, int], case: str) -> None:
    """The statuses that the table has, then the end of the connection; the next client is served."""
    sent, expected, _ = CASES[case]
    received = b""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            connection.sendall(sent)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            # The server closed while the rest of what is malformed was on its way.
            pass
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]
    if expected is None:
        assert len(statuses) <= 1, received[:300]
    else:
        assert statuses == expected, received[:300]
    assert request(f"http://{address[0]}:{address[1]}/exact").text == "Hello, World!"


def test_a_third_of_the_cases_is_to_be_served() -> None:
    """A server that refuses all would pass without them."""
    served = [case for case, (_, expected, _) in CASES.items() if expected == [200]]
    assert len(CASES) >= 40
    assert len(served) * 3 >= len(CASES)
