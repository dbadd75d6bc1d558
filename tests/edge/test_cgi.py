"""Commands answer requests: their input is the body, and their output the answer."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command, python_command
from tests.requesting import request
from wherry import Limits, Policy, edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CGI = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern char **environ;
int main(void) {
    const char *path = getenv("PATH_INFO");
    if (!strcmp(path, "/environment")) {
        puts("Content-Type: text/plain\\n");
        for (char **one = environ; *one; one++) puts(*one);
    } else if (!strcmp(path, "/echo")) {
        static char bytes[65536];
        size_t count;
        puts("Content-Type: application/octet-stream\\n");
        while ((count = fread(bytes, 1, sizeof bytes, stdin)) > 0) fwrite(bytes, 1, count, stdout);
    } else if (!strcmp(path, "/status")) {
        puts("Status: 418 Teapot\\nX-One: 1\\r\\n\\r\\nshort");
    } else if (!strcmp(path, "/moved")) {
        puts("Location: /status\\n");
    } else if (!strcmp(path, "/code")) {
        puts("Content-Type: text/plain\\n\\nall");
        return 3;
    } else if (!strcmp(path, "/early")) {
        return 4;
    } else if (!strcmp(path, "/trap")) {
        __builtin_trap();
    } else if (!strcmp(path, "/loop")) {
        for (volatile int at = 0;; at++);
    } else if (!strcmp(path, "/words")) {
        puts("hello");
    } else if (!strcmp(path, "/long")) {
        puts("Content-Type: text/plain\\nContent-Length: 3\\n\\nlonger");
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that does what the path says."""
    source = tmp_path_factory.mktemp("cgi") / "cgi.c"
    source.write_text(CGI)
    return c_command("cgi", source=source)


@pytest.fixture(scope="module")
def server(command: Path) -> Iterator[edge.Server]:
    """It, served."""
    policy = Policy(env=["GREETING=hello", "HTTP_TIMEOUT=30"])
    limits = Limits(timeout="1s", memory="32MiB")
    with edge.serve(command, address="127.0.0.1:0", policy=policy, limits=limits) as running:
        yield running


def test_a_command_is_told_of_its_request(server: edge.Server) -> None:
    """In the variables of RFC 3875; no field becomes what the operator set, or `HTTP_PROXY`."""
    fields = {"x-one": "1", "proxy": "http://evil.example", "timeout": "0", "content-type": "a/b"}
    text = request(f"{server.url}/environment", "POST", b"abc", fields).text
    told = dict(line.split("=", 1) for line in text.splitlines())
    assert told["REQUEST_METHOD"] == "POST"
    assert told["PATH_INFO"] == "/environment"
    assert (told["CONTENT_LENGTH"], told["CONTENT_TYPE"]) == ("3", "a/b")
    assert (told["GREETING"], told["HTTP_TIMEOUT"], told["HTTP_X_ONE"]) == ("hello", "30", "1")
    assert "HTTP_PROXY" not in told


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_bodies_are_streamed_both_ways(server: edge.Server, *, chunked: bool) -> None:
    """More than any buffer holds comes back byte for byte."""
    whole = bytes(range(256)) * 4096 * 8
    answer = request(f"{server.url}/echo", "POST", iter([whole[:5], whole[5:]]) if chunked else whole)
    assert answer.status == 200
    assert answer.body == whole


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/early", 500, "exit code 4"),
        ("/trap", 500, "unreachable"),
        ("/loop", 504, "time limit"),
        ("/words", 500, "line 1 of its head is no field: `hello`"),
        ("/nothing", 500, "it wrote nothing"),
        ("/long", 500, ""),
        ("/%00", 400, None),
    ],
)
def test_what_is_no_answer_is_an_error(server: edge.Server, path: str, status: int, why: str | None) -> None:
    """The reason is told to the operator alone."""
    server.failures()
    answer = request(server.url + path)
    assert answer.status == status
    assert "exit" not in answer.text
    if why is not None:
        ((failure, _),) = server.failures(5)
        assert why in failure


def test_an_answer_of_a_command_that_fails_does_not_look_whole(server: edge.Server) -> None:
    """It is an error where nothing was sent yet, and breaks off where something was."""
    server.failures()
    with suppress(http.client.HTTPException, ConnectionError):
        assert request(f"{server.url}/code").status == 500
    ((failure, _),) = server.failures(5)
    assert "exit code 3" in failure


def test_status_and_fields_are_those_of_the_command(server: edge.Server) -> None:
    """A status of its own, and a place to go to."""
    answer = request(f"{server.url}/status")
    assert (answer.status, answer.fields["x-one"], answer.text) == (418, "1", "short\n")
    moved = request(f"{server.url}/moved")
    assert (moved.status, moved.fields["location"]) == (302, "/status")


def test_a_client_that_does_not_read_is_waited_for(server: edge.Server) -> None:
    """The command stops when the buffers are full, and its time with it."""
    size = 64 << 20
    with socket.create_connection(server.address) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        connection.settimeout(0)
        taken, idle = 0, 0
        while taken < size and idle < 10:
            try:
                taken += connection.send(bytes(1 << 20))
                idle = 0
            except BlockingIOError:
                idle += 1
                threading.Event().wait(0.02)
        assert taken < size // 2


@pytest.mark.parametrize("generation", ["command_02", "command_03"])
def test_commands_of_each_generation_answer(generation: str) -> None:
    """Components of WASI 0.2 and 0.3 do what core modules do."""
    with edge.serve(python_command(generation), address="127.0.0.1:0") as server:
        answer = request(server.url, "POST", b"content-type: a/b\n\nbody")
        assert (answer.status, answer.text) == (200, "BODY")
