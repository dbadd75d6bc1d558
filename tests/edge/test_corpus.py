"""Malformed and unusual requests, out of ``corpus/``: each with its section of the RFCs, and its one outcome.

A third of them and more are unusual but valid, and have to be served right. None may end in 500 or a hang.
Behind each comes a plain request on the same connection, which is answered where the connection is kept and
nowhere else; then the server has nothing left to do.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pytest
import trustme

from tests.edge.conftest import HOSTS
from tests.guests.build import http_application
from wherry import Limits, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

CORPUS = Path(__file__).with_name("corpus")
PROBE = b"GET /exact HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KINDS = [
    *("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS"),
    *("PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"),
]
FOUND_OUT = (b"forwarded: ", b"x-forwarded-", b"x-request-id: ")
"""What guests are told by the server itself begins so."""
INDEXED = {0x88: "status 200", 0x8C: "status 400", 0x8D: "status 404", 0x8E: "status 500"}

CLOSED = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""How a connection may end."""

Text: TypeAlias = "str | list[str | tuple[str, int]]"
"""Characters are bytes; a pair is repeated."""


class Case(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is sent over HTTP/1.1, and what has to come of it."""

    rfc: str
    send: Text
    then: str = ""
    """Sent when the server has asked for it."""
    answers: tuple[int | tuple[int, int], ...] = (200,)
    says: str | None = None
    """In the first final answer."""
    methods: tuple[str, ...] = ()
    kept: bool | None = None
    """Whether the connection goes on; otherwise as it is usual for what is served and what is refused."""
    half: bool = False
    """The client closes its side; nothing follows."""
    broken: bool = False
    """An answer that breaks off may be there too."""
    pieces: bool = False
    """Each byte goes out alone."""


class Frames(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent over HTTP/2, and the first answer to it, as a pattern."""

    rfc: str
    frames: list[str]
    answer: str


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A file of cases."""

    served: dict[str, Case]
    refused: dict[str, Case]


class FramesFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file of frames."""

    served: dict[str, Frames]
    refused: dict[str, Frames]


FILES = [
    msgspec.toml.decode((CORPUS / f"{name}.toml").read_bytes(), type=File)
    for name in ("requests", "fields", "bodies", "connections")
]
FRAMES = msgspec.toml.decode((CORPUS / "http2.toml").read_bytes(), type=FramesFile)
SERVED = {name: case for file in FILES for name, case in file.served.items()}
REFUSED = {name: case for file in FILES for name, case in file.refused.items()}


def tenth(names: list[str]) -> list[ParameterSet]:
    """Names of cases, of which one in ten is fast."""
    return [pytest.param(name, marks=[pytest.mark.slow] if at % 10 else []) for at, name in enumerate(names)]


def over_tls(cases: dict[str, Case]) -> list[ParameterSet]:
    """Those that are the same over TLS."""
    return tenth(
        [name for name, case in cases.items() if not case.half and "://" not in str(case.send).lower()]
    )


@contextmanager
def serving(application: Path, **settings: Any) -> Iterator[edge.Server]:
    """The application; no guest of it fails, whatever comes."""
    limits = Limits(timeout="5s", memory="32MiB")
    with edge.serve(
        application, address="127.0.0.1:0", limits=limits, max_request="1MiB", **settings
    ) as running:
        yield running
        assert clean(running), running.statistics()
        counted = running.statistics()
        assert (counted["failed"], counted["late"], counted["busy"]) == (0, 0, 0), running.failures()


@pytest.fixture(scope="module", params=HOSTS)
def server(request: pytest.FixtureRequest) -> Iterator[edge.Server]:
    """One for each of the hosts."""
    with serving(http_application(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge.Server]:
    """One with TLS."""
    both = tmp_path_factory.mktemp("certificate") / "both.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(both)
    with serving(
        http_application("lean"), tls=[edge.Certificate(certificate=str(both), key=str(both))]
    ) as running:
        yield running


def connect(server: edge.Server, protocol: str) -> socket.socket:
    """A connection on which such bytes are understood."""
    connection = socket.create_connection(server.address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if server.url.startswith("http://"):
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(connection)


def clean(server: edge.Server) -> bool:
    """Nothing runs or waits any more; what the client left behind is given a moment."""
    for _ in range(200):
        counted = server.statistics()
        if (counted["active"], counted["waiting"]) == (0, 0):
            return True
        with suppress(TimeoutError):
            server.failures(0.01)
    return False


def encoded(text: Text) -> bytes:
    """Its bytes."""
    parts = [text] if isinstance(text, str) else text
    whole = [part if isinstance(part, str) else part[0] * part[1] for part in parts]
    return "".join(whole).encode("latin-1")


def converse(server: edge.Server, case: Case) -> bytes:
    """All that the server says until it closes."""
    received = b""
    with connect(server, "http/1.1") as connection:
        # The server may close while the rest of what is malformed is on its way.
        with suppress(*CLOSED):
            sent = encoded(case.send)
            for piece in [sent[at : at + 1] for at in range(len(sent))] if case.pieces else [sent]:
                connection.sendall(piece)
            while case.then and b" 100 " not in received:
                piece = connection.recv(65536)
                assert piece, received
                received += piece
            connection.sendall(encoded(case.then))
            if case.half:
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.sendall(PROBE)
        with suppress(*CLOSED):
            while piece := connection.recv(65536):
                received += piece
    return received


class Received:
    """What came over a socket, for the parser of the standard library."""

    def __init__(self, received: bytes) -> None:
        self.file = io.BufferedReader(io.BytesIO(received))
        self.file.close = lambda: None  # type: ignore[method-assign] # one answer after the other

    def makefile(self, mode: str) -> io.BufferedReader[io.BytesIO]:
        """The one file, which all answers are read from."""
        assert mode == "rb"
        return self.file


def parsed(received: bytes, methods: tuple[str, ...]) -> list[tuple[int, bytes | None]]:
    """Statuses and bodies; a body that breaks off is none."""
    stream = Received(received)
    answers: list[tuple[int, bytes | None]] = []
    while stream.file.peek(1):
        if stream.file.peek(12)[:12] == b"HTTP/1.1 100":
            while stream.file.readline() != b"\r\n":
                pass
            answers.append((100, b""))
            continue
        finals = sum(status != 100 for status, _ in answers)
        method = methods[finals] if finals < len(methods) else "GET"
        answer = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type] # all that it uses
        answer.begin()
        try:
            answers.append((answer.status, answer.read()))
        except http.client.IncompleteRead:
            answers.append((answer.status, None))
    return answers


@pytest.mark.parametrize("name", [*SERVED, *REFUSED])
def test_each_request_has_its_outcome(server: edge.Server, name: str) -> None:
    """The statuses that the corpus has; the connection is kept or closed; nothing of the server is left."""
    check(server, name)


@pytest.mark.parametrize("name", over_tls({**SERVED, **REFUSED}))
def test_each_request_has_its_outcome_over_tls(secure: edge.Server, name: str) -> None:
    """The same, as far as it does not speak of another scheme or close one half of a stream."""
    check(secure, name)


def check(server: edge.Server, name: str) -> None:
    """What comes of a case is what it says."""
    case = SERVED.get(name) or REFUSED[name]
    expected: list[int] = []
    for status in case.answers:
        expected += [status] if isinstance(status, int) else [status[0]] * status[1]
    kept = (name in SERVED if case.kept is None else case.kept) and not case.half
    received = converse(server, case)
    answers = parsed(received, case.methods)
    if case.broken:
        answers = [answer for answer in answers if answer[1] is not None]
    statuses = [status for status, _ in answers]
    assert statuses == expected + [200] * kept, received[:500]
    finals = [body for status, body in answers if status != 100]
    assert None not in finals
    if kept:
        assert finals[-1] == b"Hello, World!"
    if case.says is not None:
        assert finals[0] is not None
        told = finals[0].splitlines(keepends=True)
        assert encoded(case.says) in b"".join(line for line in told if not line.startswith(FOUND_OUT))
    assert clean(server), server.statistics()


def frame(words: str) -> bytes:
    """A frame out of its type, flags, stream and payload; ``*20000`` is so many zeros."""
    kind, flags, stream, *payload = words.split()
    number = KINDS.index(kind) if kind in KINDS else int(kind, 16)
    data = b"".join(bytes(int(word[1:])) if word.startswith("*") else bytes.fromhex(word) for word in payload)
    head = len(data).to_bytes(3, "big") + bytes([number, int(flags, 16)])
    return head + int(stream).to_bytes(4, "big") + data


def told(kind: int, payload: bytes) -> str | None:
    """What a frame of the server says of the request; nothing in those that belong to the connection."""
    match KINDS[kind]:
        case "HEADERS":
            return INDEXED.get(payload[0], f"fields {payload[:8].hex()}")
        case "RST_STREAM":
            return f"RST_STREAM {int.from_bytes(payload, 'big')}"
        case "GOAWAY":
            return f"GOAWAY {int.from_bytes(payload[4:8], 'big')}"
        case _:
            return None


@pytest.mark.parametrize("name", [*FRAMES.served, *FRAMES.refused])
def test_each_frame_has_its_outcome(server: edge.Server, name: str) -> None:
    """An answer, the end of the stream, or that of the connection, with the code of the RFC."""
    check_frames(server, name)


@pytest.mark.parametrize("name", tenth([*FRAMES.served, *FRAMES.refused]))
def test_each_frame_has_its_outcome_over_tls(secure: edge.Server, name: str) -> None:
    """The same."""
    check_frames(secure, name)


def check_frames(server: edge.Server, name: str) -> None:
    """What comes of a case is what it says."""
    case = FRAMES.served.get(name) or FRAMES.refused[name]
    with connect(server, "h2") as connection:
        connection.sendall(PREFACE + b"".join(frame(words) for words in case.frames))
        answer = None
        with connection.makefile("rb") as stream:
            while answer is None and (head := stream.read(9)):
                answer = told(head[3], stream.read(int.from_bytes(head[:3], "big")))
    assert answer is not None
    assert re.fullmatch(case.answer, answer)
    assert clean(server), server.statistics()


def test_the_corpus_is_large_and_a_third_of_it_is_served() -> None:
    """A server that refuses all would pass without those."""
    served = len(SERVED) + len(FRAMES.served)
    every = served + len(REFUSED) + len(FRAMES.refused)
    assert every >= 150
    assert served * 3 >= every
    # No name twice, in one file or in two.
    assert len(SERVED) == sum(len(file.served) for file in FILES)
    assert len(REFUSED) == sum(len(file.refused) for file in FILES)
    assert not SERVED.keys() & REFUSED.keys()
