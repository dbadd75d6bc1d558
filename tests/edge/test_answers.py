"""What a guest answers arrives, whole and framed right, from all hosts alike."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import pytest

from tests.edge.conftest import HOSTS
from tests.guests.build import http_application
from tests.requesting import request
from wherry import edge

if TYPE_CHECKING:
    from collections.abc import Callable

EIGHT_MEBIBYTES = bytes(range(256)) * 4096 * 8
CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_an_answer_has_its_length_its_date_and_its_server(server: edge.Server, method: str) -> None:
    """All that is known of a body that is there is said."""
    answer = request(f"{server.url}/exact", method)
    assert (answer.status, answer.text) == (200, "Hello, World!")
    assert answer.fields["content-length"] == "13"
    assert answer.fields["server"] == "wherry"
    assert answer.fields["date"].endswith(" GMT")


def test_the_server_is_not_named_when_it_should_not_be() -> None:
    """A switch leaves the field out."""
    with edge.serve(http_application("lean"), address="127.0.0.1:0", server_header=False) as server:
        assert "server" not in request(server.url).fields


def test_each_application_has_the_host_that_it_needs() -> None:
    """What imports HTTP alone is lean, and what imports clocks is not: the tests here are about both."""
    for host in ("lean", "full"):
        with edge.serve(http_application(host), name="it", address="127.0.0.1:0") as server:
            assert server._native.is_lean("it") == (host == "lean")


def test_a_guest_of_the_full_host_has_clocks_and_randomness() -> None:
    """It waits, and two of its numbers differ."""
    with edge.serve(http_application("full"), address="127.0.0.1:0") as server:
        begun = time.monotonic()
        assert request(f"{server.url}/sleep").text == "slept"
        assert time.monotonic() - begun >= 0.3
        assert request(f"{server.url}/random").text != request(f"{server.url}/random").text


def test_a_guest_is_told_of_its_request(server: edge.Server) -> None:
    """Method, target, authority and fields, without those that are between two hops."""
    fields = {"x-one": "1", "te": "trailers", "connection": "keep-alive", "host": "example.com"}
    told = request(f"{server.url}/tell", fields=fields).text.splitlines()
    assert told[0] == "0 /tell example.com"
    assert "x-one: 1" in told
    assert not [line for line in told if line.startswith(("connection", "host", "transfer-encoding"))]


@pytest.mark.parametrize(("path", "length"), [("/exact", b"13"), ("/", None)])
def test_head_is_answered_without_a_body(
    talk: Callable[[bytes], bytes], path: str, length: bytes | None
) -> None:
    """The answer ends with its head, and says the length where it is known."""
    answer = talk(b"HEAD %b HTTP/1.1\r\n" % path.encode() + CLOSE)
    head, gap, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert (gap, body) == (b"\r\n\r\n", b"")
    found = re.search(rb"content-length: (\d+)", head)
    assert found is None or found[1] == (length or b"13")
    assert found is not None or length is None


def test_an_answer_without_content_has_no_length(talk: Callable[[bytes], bytes]) -> None:
    """RFC 9110, 8.6: no length with 204."""
    answer = talk(b"GET /empty HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in answer
    assert b"transfer-encoding" not in answer


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_is_streamed_both_ways(server: edge.Server, *, chunked: bool) -> None:
    """What is sent comes back byte for byte, more than any buffer holds."""
    content = iter([EIGHT_MEBIBYTES[:3_000_001], EIGHT_MEBIBYTES[3_000_001:]]) if chunked else EIGHT_MEBIBYTES
    answer = request(f"{server.url}/echo", "POST", content)
    assert answer.status == 200
    assert answer.body == EIGHT_MEBIBYTES


@pytest.mark.parametrize("host", HOSTS)
def test_a_client_that_does_not_read_is_waited_for(host: Literal["lean", "full", "tasks"]) -> None:
    """Its guest stops when the buffers are full: of what is sent, a small part is taken in."""
    size = 256 << 20
    with (
        edge.serve(http_application(host), address="127.0.0.1:0", max_request="1GiB") as server,
        socket.create_connection(server.address) as connection,
    ):
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        connection.settimeout(0)
        taken, idle, quiet = 0, 0, threading.Event()
        while taken < size and idle < 10:
            try:
                taken += connection.send(EIGHT_MEBIBYTES)
                idle = 0
            except BlockingIOError:
                idle += 1
                quiet.wait(0.02)
        # What both sockets hold is up to the system; the rest is held back.
        assert taken < size // 4
        connection.settimeout(10)
        received = 0
        while received < taken:
            received += len(connection.recv(1 << 20))


def test_trailers_go_both_ways(talk: Callable[[bytes], bytes]) -> None:
    """Those of the guest arrive, and those of the client come back."""
    assert b"4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n" in talk(
        b"GET /trailers HTTP/1.1\r\nTE: trailers\r\n" + CLOSE
    )
    chunks = b"3\r\nabc\r\n0\r\nx-sent: 7\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nTE: trailers\r\nTrailer: x-sent\r\nTransfer-Encoding: chunked\r\n"
    echoed = talk(head + CLOSE + chunks)
    assert b"abc" in echoed
    assert b"x-sent: 7" in echoed or b"trailer: x-sent" not in echoed


def test_one_connection_serves_many_requests(server: edge.Server) -> None:
    """It is kept, after good answers and after failures."""
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.connect()
    first = connection.sock
    for path, status in [("/", 200), ("/trap", 500), ("/echo", 200), ("/teapot", 418), ("/", 200)]:
        connection.request("POST", path, body=b"some bytes")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert connection.sock is first
    connection.close()


def test_pipelined_requests_are_answered_in_order(talk: Callable[[bytes], bytes]) -> None:
    """All of them, one after the other."""
    requests = [b"/", b"/teapot", b"/forbidden", b"/"]
    sent = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in requests)
    answers = talk(sent + b"GET /exact HTTP/1.1\r\n" + CLOSE)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"418", b"200", b"200", b"200"]


def test_http_2_is_served_beside_http_1(server: edge.Server) -> None:
    """A client that begins with the preface of HTTP/2 is understood (RFC 9113, 3.3)."""
    # Method, scheme and path out of the static table of HPACK, and the authority as it stands.
    fields = b"\x82\x86\x84\x41\x01a"
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    head = len(fields).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + fields
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + head)
        received = b""
        while b"Hello, World!" not in received and (piece := connection.recv(65536)):
            received += piece
    assert received[3] == 4, "the first frame says the settings"
    assert b"\x00\x00\x0d\x00" in received, "a frame of 13 bytes of data"
    assert received.count(b"Hello, World!") == 1


def test_a_guest_cannot_break_framing(server: edge.Server) -> None:
    """Fields of the connection and line breaks are refused to it, and lengths that are no length."""
    answer = request(f"{server.url}/forbidden")
    assert answer.text == "6"
    assert not {"connection", "keep-alive", "upgrade", "x-second"} & set(answer.fields)
    assert request(f"{server.url}/no-length").fields["content-length"] == "13"


@pytest.mark.parametrize("path", ["/short", "/long"])
def test_a_length_that_is_not_kept_is_no_answer(server: edge.Server, path: str) -> None:
    """The client gets an error and no body that is wrong."""
    answer = request(server.url + path)
    assert answer.status == 500
    assert "Hello" not in answer.text


@pytest.mark.parametrize("path", ["/late-trap", "/late-loop"])
def test_an_answer_that_breaks_off_is_not_taken_for_whole(server: edge.Server, path: str) -> None:
    """Its end is missing, so that no client takes it for all there is."""
    with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
        request(server.url + path)


def test_no_request_sees_another(server: edge.Server) -> None:
    """Neither globals nor memory: each of 200 requests in parallel finds zeros where others wrote."""
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: request(f"{server.url}/count").text, range(200)))
    assert found == {"0 0"}


def test_a_graceful_stop_loses_no_request() -> None:
    """Each request that was sent while the server stopped has its whole answer, or found no listener."""
    server = edge.serve(http_application("full"), address="127.0.0.1:0")
    begun = threading.Barrier(9)
    outcomes = []

    def client() -> None:
        begun.wait()
        while True:
            try:
                answer = request(f"{server.url}/random")
            except ConnectionRefusedError:
                return
            outcomes.append(answer.status)

    slow = ThreadPoolExecutor(1).submit(request, f"{server.url}/sleep")
    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(outcomes) < 50:
        threading.Event().wait(0.01)
    assert server.stop(20)
    for thread in threads:
        thread.join()
    assert set(outcomes) == {200}
    assert slow.result().text == "slept"
    assert server.stop()
