"""How long clients may take for anything, what becomes of those that go, and ten thousand that only wait."""

from __future__ import annotations

import itertools
import resource
import socket
import threading
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h2.connection
import pytest

from tests.edge.conftest import HOSTS
from tests.edge.served import serving
from tests.guests.build import http_application
from tests.requesting import request
from wherry import Limits, edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELLO = b"GET /exact HTTP/1.1\r\nHost: a\r\n\r\n"
KILOBYTES = 20
"""What an idle connection may hold."""


def served(**settings: Any) -> edge.Server:
    """The lean application with these settings."""
    return edge.serve(http_application("lean"), address="127.0.0.1:0", **settings)


def rest(connection: socket.socket) -> bytes:
    """All that still comes."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def ask(connection: socket.socket) -> None:
    """One request and its answer."""
    connection.sendall(HELLO)
    received = b""
    while not received.endswith(b"Hello, World!"):
        piece = connection.recv(65536)
        assert piece, received
        received += piece


def pause(seconds: float) -> None:
    """Let time pass that is the matter of a test."""
    threading.Event().wait(seconds)


def drip(connection: socket.socket, data: bytes) -> None:
    """Byte by byte, until the other side closes."""
    with suppress(ConnectionError):
        for byte in data:
            connection.sendall(bytes([byte]))
            pause(0.05)


@pytest.mark.parametrize(
    "slowly", [pytest.param(False, id="no more"), pytest.param(True, id="a byte at a time")]
)
def test_a_head_has_its_time(*, slowly: bool) -> None:
    """One that takes longer, whether nothing comes or little, is 408 and the end."""
    with served(head_time="300ms") as server, socket.create_connection(server.address, timeout=10) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        if slowly:
            drip(one, b"x-field: " + b"y" * 30)
        assert rest(one).startswith(b"HTTP/1.1 408 ")
        assert request(server.url).status == 200


def test_a_connection_without_a_request_is_closed() -> None:
    """It was never asked for anything, so there is nothing to answer."""
    with served(head_time="300ms") as server, socket.create_connection(server.address, timeout=10) as one:
        assert rest(one) == b""


@pytest.mark.parametrize("content", [b"", b"content"], ids=["without content", "with content"])
def test_a_pause_between_requests_has_its_time(content: bytes) -> None:
    """Then the connection is closed without a word, whatever came before."""
    with served(idle_time="300ms") as server, socket.create_connection(server.address, timeout=10) as one:
        one.sendall(b"POST /exact HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        assert rest(one).partition(b"\r\n\r\n")[2] == b"Hello, World!"


def test_content_that_nobody_reads_is_no_request() -> None:
    """Its client says that there is more of it: the connection ends, whatever it looks like."""
    with served() as server, socket.create_connection(server.address, timeout=10) as one:
        one.sendall(b"POST /exact HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + HELLO)
        assert rest(one).partition(b"\r\n\r\n")[2] == b"Hello, World!"
        assert server.statistics()["requests"] == 1


def test_a_request_may_begin_in_a_pause() -> None:
    """Its first byte, long before the others, and after the connection was given back."""
    with served() as server, socket.create_connection(server.address, timeout=10) as one:
        ask(one)
        pause(2.2)
        one.sendall(HELLO[:1])
        pause(1.2)
        one.sendall(HELLO[1:] + HELLO[:-2])
        pause(1.2)
        one.sendall(HELLO[-2:] + HELLO.replace(b"Host", b"Connection: close\r\nHost"))
        assert rest(one).count(b"Hello, World!") == 3


@pytest.mark.parametrize(
    ("rate", "status"), [pytest.param("1", 200, id="fast enough"), pytest.param("1KiB", 408, id="too slow")]
)
def test_a_body_has_its_time_and_more_for_each_byte(rate: str, status: int) -> None:
    """Ten bytes in half a second: each makes the time longer by a second, or by next to nothing."""
    settings = {"body_time": "200ms", "body_rate": rate}
    with served(**settings) as server, socket.create_connection(server.address, timeout=10) as one:
        one.sendall(b"POST /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
        drip(one, b"0123456789")
        assert rest(one).startswith(b"HTTP/1.1 %d " % status)
        counted = server.statistics()
        assert (counted["active"], counted["refused"]) == (0, int(status == 408))


@pytest.mark.parametrize("host", HOSTS)
def test_time_that_a_client_takes_to_send_is_not_its_guest_s(host: Literal["lean", "full", "tasks"]) -> None:
    """Half a second of a body for a guest that has a quarter; one that computes has no more."""
    program, limits = http_application(host), Limits(timeout="250ms")
    with edge.serve(program, address="127.0.0.1:0", limits=limits) as server:
        with socket.create_connection(server.address, timeout=10) as one:
            one.sendall(b"POST /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
            drip(one, b"0123456789")
            assert rest(one).startswith(b"HTTP/1.1 200 ")
        assert request(f"{server.url}/loop").status == 504


def test_a_slow_body_is_slow_where_the_processor_is_busy_too() -> None:
    """Its guest waits for a turn behind those that compute, for longer than the whole of its time."""
    settings: dict[str, Any] = {"limits": Limits(timeout="1s"), "body_time": "300ms"}
    with served(**settings) as server, ExitStack() as busy:
        for _ in range(8):
            looping = busy.enter_context(socket.create_connection(server.address, timeout=20))
            looping.sendall(b"GET /loop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with socket.create_connection(server.address, timeout=20) as one:
            one.sendall(b"POST /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 99\r\n\r\n")
            drip(one, b"0" * 60)
            assert rest(one).startswith(b"HTTP/1.1 408 ")


def http1(connection: socket.socket) -> Callable[[], bool]:
    """A request for 8 MiB; reads a piece of the answer and says whether there was one."""
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return lambda: len(connection.recv(1 << 20)) > 0


def http2(connection: socket.socket) -> Callable[[], bool]:
    """The same over HTTP/2, where only what was read makes room for more."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(
        1,
        [(":method", "GET"), (":scheme", "http"), (":path", "/large"), (":authority", "a")],
        end_stream=True,
    )
    connection.sendall(client.data_to_send())

    def read() -> bool:
        for event in client.receive_data(connection.recv(65536)):
            match event:
                case h2.events.DataReceived():
                    client.acknowledge_received_data(event.flow_controlled_length, 1)
                case h2.events.StreamEnded() | h2.events.StreamReset():
                    return False
        connection.sendall(client.data_to_send())
        return True

    return read


CLIENTS = [pytest.param(http1, id="HTTP/1.1"), pytest.param(http2, id="HTTP/2")]


def small(server: edge.Server) -> socket.socket:
    """A connection whose client holds little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(server.address)
    return connection


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("patience", "wait", "status"),
    [pytest.param("300ms", "10s", 200, id="short"), pytest.param("10m", "500ms", 503, id="long")],
)
def test_a_client_that_takes_in_nothing_is_cut_off(
    client: Callable[[socket.socket], Callable[[], bool]], patience: str, wait: str, status: int
) -> None:
    """Its guest holds the one place until then; with more patience, for longer than another one waits."""
    settings = {"write_time": patience, "concurrency": 1, "wait": wait}
    with served(**settings) as server, small(server) as one:
        read = client(one)
        assert read()
        assert request(server.url).status == status


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_reads_slowly_is_not_cut_off(
    client: Callable[[socket.socket], Callable[[], bool]],
) -> None:
    """The time is that of a pause, and not that of the answer."""
    with served(write_time="1s") as server, small(server) as one:
        read = client(one)
        for _ in range(8):
            assert read()
            pause(0.2)
        while read():
            pass
        assert server.failures() == []


@pytest.mark.parametrize("goes", [pytest.param(True, id="gone"), pytest.param(False, id="there")])
def test_a_guest_ends_with_its_client(*, goes: bool) -> None:
    """It loops, and holds the one place, until its client closes; another one waits for that."""
    settings = {"limits": Limits(timeout="10m"), "concurrency": 1, "wait": "8s" if goes else "500ms"}
    with served(**settings) as server, socket.create_connection(server.address) as one:
        one.sendall(b"GET /loop HTTP/1.1\r\nHost: a\r\n\r\n")
        while server.statistics()["active"] == 0:
            pause(0.01)
        if goes:
            one.close()
        assert request(server.url).status == (200 if goes else 503)


def test_a_client_that_closed_its_side_is_answered() -> None:
    """It has said all that it had to say, and still listens."""
    with (
        edge.serve(http_application("full"), address="127.0.0.1:0") as server,
        socket.create_connection(server.address, timeout=10) as one,
    ):
        one.sendall(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        one.shutdown(socket.SHUT_WR)
        assert b"slept" in rest(one)


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many as this process may have open at all."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_idle_connections_are_small_beside_busy_ones(count: int, tmp_path: Path) -> None:
    """Each was used, and is again in the end; the server raises the limit of files that it started with."""
    done, answered = threading.Event(), itertools.count()

    def work(connections: list[socket.socket]) -> None:
        while not done.wait(0.01):
            for one in connections:
                one.sendall(HELLO)
            for one in connections:
                assert b"Hello, World!" in one.recv(65536)
                next(answered)

    target = tmp_path / "edge.toml"
    target.write_text(
        f"[server]\nidle-time = '10m'\n[[application]]\ntarget = '{http_application('lean')}'\n"
    )
    with serving(target, before="ulimit -Sn 256") as server, ExitStack() as open_ones:
        connect = partial(socket.create_connection, server.address, 20)
        working = [open_ones.enter_context(connect()) for _ in range(64)]
        busy = threading.Thread(target=work, args=[working])
        busy.start()
        try:
            while next(answered) < 2000:
                pause(0.01)
            before = server.held()
            idle = []
            for _ in range(count):
                one = open_ones.enter_context(connect())
                ask(one)
                idle.append(one)
            # Until what serving takes is given back.
            pause(2.5)
            each = (server.held() - before) / count
            for one in idle:
                ask(one)
            assert busy.is_alive()
        finally:
            done.set()
            busy.join()
    assert each <= KILOBYTES * 1000, each


def test_more_connections_than_there_are_files_wait_and_are_told_of() -> None:
    """They are served when others close."""
    with serving(http_application("lean"), before="ulimit -n 80") as server:
        with ExitStack() as open_ones:
            for _ in range(100):
                open_ones.enter_context(socket.create_connection(server.address, 10))
            late = socket.create_connection(server.address, 20)
            while "warning: server: no more connections fit" not in server.errors.read_text():
                assert Path(f"/proc/{server.process}/exe").exists(), server.errors.read_text()
                pause(0.05)
        with late:
            ask(late)
