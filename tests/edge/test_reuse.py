"""Instances that answer several requests, where their author chose that: how many, and when no more."""

from __future__ import annotations

import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.edge.conftest import HOSTS
from tests.guests.build import c_command, http_application
from tests.requesting import request
from wherry import Limits, UsageError, edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.requesting import Answer

Host = Literal["lean", "full", "tasks"]
ANYWHERE = "127.0.0.1:0"
TASKS = pytest.param("tasks", marks=pytest.mark.slow)


def serve(host: Host, limits: Limits | None = None, **settings: Any) -> edge.Server:
    """The application of that host."""
    return edge.serve(http_application(host), address=ANYWHERE, limits=limits, **settings)


def serve_in_turn(host: Host, limits: Limits | None = None, **settings: Any) -> edge.Server:
    """The same, where a request begins when that before it is over, with all that follows its answer."""
    return serve(host, limits, concurrency=1, **settings)


def counts(server: edge.Server, times: int) -> list[int]:
    """How many requests each instance says that it had before, one request after the other."""
    return [int(request(f"{server.url}/count").text.split()[0]) for _ in range(times)]


def settled(server: edge.Server) -> None:
    """Nothing runs any more."""
    while any(server.statistics()[name] for name in ("active", "waiting")):
        threading.Event().wait(0.005)


@pytest.mark.parametrize("host", HOSTS)
def test_an_instance_answers_as_many_requests_as_its_author_chose(host: Host) -> None:
    """Four see what the earlier ones left, and the fifth has a fresh one; without the choice all have."""
    with serve_in_turn(host, reuse=4) as server:
        assert counts(server, 10) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    with serve_in_turn(host) as server:
        assert counts(server, 3) == [0, 0, 0]


def test_the_manifest_says_so(tmp_path: Path) -> None:
    """What is said in serving it comes before that."""
    shutil.copy(http_application("lean"), tmp_path / "app.wasm")
    manifest = '[package]\nname = "local/app"\nversion = "1.0.0"\n[http]\ncomponent = "app.wasm"\nreuse = 3\n'
    (tmp_path / "wherry.toml").write_text(manifest)
    with edge.serve(str(tmp_path), address=ANYWHERE, concurrency=1) as server:
        assert counts(server, 4) == [0, 1, 2, 0]
    with edge.serve(str(tmp_path), address=ANYWHERE, concurrency=1, reuse=1) as server:
        assert counts(server, 2) == [0, 0]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("path", "status"), [("/trap", 500), ("/loop", 504), ("/greedy", 500)])
def test_after_a_failure_an_instance_is_not_used_again(host: Host, path: str, status: int) -> None:
    """It goes with the request that trapped, took too long or wanted too much."""
    limits = Limits(memory="32MiB", timeout="1s")
    with serve_in_turn(host, limits, reuse=100) as server:
        assert counts(server, 2) == [0, 1]
        assert request(server.url + path).status == status
        assert counts(server, 2) == [0, 1]


@pytest.mark.parametrize("host", HOSTS)
def test_after_a_client_that_went_away_an_instance_is_not_used_again(host: Host) -> None:
    """What it left half done is nobody's."""
    with serve_in_turn(host, reuse=100) as server:
        assert counts(server, 2) == [0, 1]
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1)
        settled(server)
        assert counts(server, 2) == [0, 1]


@pytest.mark.parametrize("host", HOSTS)
def test_an_instance_whose_memory_has_passed_the_limit_is_not_used_again(host: Host) -> None:
    """Each request has the whole limit, and takes 4 MiB and more that it never gives back."""
    limits = Limits(memory="64MiB")
    with serve_in_turn(host, limits, reuse=100) as server:
        seen = counts(server, 30)
        most = max(seen)
        assert 3 <= most <= 16
        assert seen == [number % (most + 1) for number in range(30)]
        assert server.statistics()["failed"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_each_request_to_an_instance_has_all_the_fuel(host: Host) -> None:
    """A hundred take more than there is for one."""
    limits = Limits(fuel=20_000_000, timeout="20s")
    with serve_in_turn(host, limits, reuse=50) as server:
        assert counts(server, 100) == [*range(50)] * 2
        assert request(f"{server.url}/loop").status == 500
        assert counts(server, 1) == [0]


@pytest.mark.parametrize("host", HOSTS)
def test_an_instance_is_with_one_request_at_a_time(host: Host) -> None:
    """Many at once have instances each, which never mix up their answers; bodies come back whole."""
    with serve(host, reuse=1000) as server:

        def echo(number: int) -> bool:
            body = bytes([number % 256]) * (number * 1000)
            return request(f"{server.url}/echo", "POST", body).body == body

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(echo, range(200)))
        assert server.statistics()["failed"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_body_that_nobody_read_holds_no_connection_up(host: Host) -> None:
    """The instance waits for its next request, and its connection for that of its client."""
    with serve(host, reuse=100) as server:
        body = b"x" * 100_000
        head = b"POST /exact HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        last = b"GET /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        with socket.create_connection(server.address, timeout=10) as connection:
            connection.sendall((head + body) * 3 + last)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        assert received.count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("host", [TASKS])
def test_an_instance_answers_as_many_at_once_as_its_author_chose(host: Host) -> None:
    """Three of four are in one instance, and the fourth is in another; without the choice each is alone."""
    with ThreadPoolExecutor(4) as pool:
        chosen: list[tuple[dict[str, Any], int]] = [
            ({"reuse": 100, "instance_concurrency": 3}, 3),
            ({"reuse": 100}, 1),
            ({}, 1),
        ]
        for settings, most in chosen:
            with serve(host, **settings) as server:
                found = list(pool.map(lambda _, url=server.url: request(f"{url}/together").text, range(4)))
                assert max(map(int, found)) == most


@contextmanager
def three_asleep(host: Host) -> Iterator[tuple[edge.Server, list[Future[Answer]]]]:
    """A server of which one instance answers three requests that take a while, and may answer more."""
    settings: dict[str, Any] = {"reuse": 100, "instance_concurrency": 8}
    with (
        serve(host, **settings) as server,
        ThreadPoolExecutor() as pool,
    ):
        waiting = [pool.submit(request, f"{server.url}/sleep") for _ in range(3)]
        while server.statistics()["active"] < 3:
            threading.Event().wait(0.005)
        yield server, waiting


@pytest.mark.parametrize("host", [TASKS])
def test_a_trap_ends_all_that_its_instance_answers(host: Host) -> None:
    """Each is told that there is no answer, and the next is answered by another instance."""
    with three_asleep(host) as (server, waiting):
        assert request(f"{server.url}/trap").status == 500
        assert [one.result().status for one in waiting] == [500, 500, 500]
        assert counts(server, 1) == [0]
        assert server.statistics()["failed"] == 4


@pytest.mark.parametrize("host", [TASKS])
def test_one_of_several_that_takes_too_long_leaves_the_others_their_time(host: Host) -> None:
    """A client that goes away ends nobody else's request, and the instance takes no more of them."""
    with three_asleep(host) as (server, waiting):
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1)
        assert [one.result().text for one in waiting] == ["slept"] * 3
        assert counts(server, 1) == [0]


def test_what_can_have_no_effect_is_refused() -> None:
    """Nobody believes that instances are used as they are not."""
    lean = http_application("lean")
    wrong: list[tuple[Path, dict[str, Any], str]] = [
        (lean, {"reuse": 8, "instance_concurrency": 2}, "WASI 0.2"),
        (lean, {"instance_concurrency": 2}, "2 requests at once, and 1 in all"),
        (c_command("hello"), {"reuse": 2}, "is a command"),
    ]
    for source, settings, said in wrong:
        with pytest.raises(UsageError, match=said) as caught:
            edge.serve(source, address=ANYWHERE, **settings)
        assert caught.value.hint
