"""Applications of ASGI beside packages on their server: asked as any server of ASGI asks them."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.guests.build import http_application
from tests.requesting import echoed_as_it_comes, request
from wherry import HostIOError, Limits, edge
from wherry.edge import ApplicationSettings
from wherry.edge.asgi import Unsandboxed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ANYWHERE = "127.0.0.1:0"
PIECE = bytes(1 << 16)


class Seen:
    """What the application noticed."""

    def __init__(self) -> None:
        self.lives: list[str] = []
        self.gone = threading.Event()
        self.sent = 0


def application(seen: Seen) -> FastAPI:  # noqa: C901 - a page for each thing
    """One of FastAPI, with an answer for each thing that may happen."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.lives.append("begins")
        yield {"word": "kept"}
        seen.lives.append("ends")

    app = FastAPI(lifespan=lifespan)

    @app.get("/scope/{rest:path}")
    async def scope(request: Request, rest: str) -> Response:
        names = ("method", "scheme", "path", "client", "server", "http_version")
        told = {name: request.scope[name] for name in names}
        told |= {"rest": rest, "query": request.url.query, "word": request.state.word}
        return JSONResponse({**told, "fields": dict(request.headers)})

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return StreamingResponse(request.stream())

    @app.api_route("/empty", methods=["GET", "HEAD"])
    async def empty() -> Response:
        return Response(status_code=204)

    @app.api_route("/page", methods=["GET", "HEAD"])
    async def page() -> Response:
        return PlainTextResponse("page")

    @app.get("/slow")
    async def slow() -> Response:
        await asyncio.sleep(30)
        return PlainTextResponse("slow")

    @app.get("/pause")
    async def pause() -> Response:
        await asyncio.sleep(0.3)
        return PlainTextResponse("paused")

    @app.get("/fail")
    async def fail() -> Response:
        raise ValueError("the inside")

    @app.get("/half")
    async def half() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            await asyncio.sleep(0.1)
            raise ValueError("the inside")

        return StreamingResponse(pieces())

    @app.get("/short")
    async def short() -> Response:
        return Response("short", headers={"content-length": "100"})

    @app.get("/large")
    async def large() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(1000):
                seen.sent += len(PIECE)
                yield PIECE

        return StreamingResponse(pieces())

    @app.get("/until-gone")
    async def until_gone(request: Request) -> Response:
        while not await request.is_disconnected():  # noqa: ASYNC110 - what is tested
            await asyncio.sleep(0.005)
        seen.gone.set()
        return PlainTextResponse("nobody reads it")

    return app


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What it noticed."""
    return Seen()


@pytest.fixture(scope="module")
def server(seen: Seen) -> Iterator[edge.Server]:
    """A package at one path, and the application at all others."""
    both = [
        edge.Application(
            http_application("lean"), settings=ApplicationSettings(name="shop", routes=("/tell/*rest",))
        ),
        Unsandboxed(
            application(seen),
            limits=Limits(timeout="1s"),
            settings=ApplicationSettings(name="own", max_request="1MiB", concurrency=4, queue=0),
        ),
    ]
    with edge.serve(both, address=ANYWHERE) as running:
        yield running


def test_both_are_answered(server: edge.Server) -> None:
    """Each at its routes, and counted under its name."""
    assert request(f"{server.url}/tell/me").text.split()[1] == "/tell/me"
    assert request(f"{server.url}/page").text == "page"
    assert server.statistics("own")["requests"] >= 1


def test_it_is_told_of_the_request(server: edge.Server) -> None:
    """Path, query, client, host and fields; and nobody else says what the server says."""
    fields = {"host": "own.example.com", "x-one": "1", "x-wherry-arrival": "https 1.2.3.4:1 5.6.7.8:1"}
    told = request(f"{server.url}/scope/a%2Fb/%C3%A9?x=%20y", fields=fields)
    assert told.status == 200
    said: dict[str, Any] = json.loads(told.text)
    assert (said["path"], said["rest"], said["query"]) == ("/scope/a/b/é", "a/b/é", "x=%20y")
    assert (said["scheme"], said["method"], said["word"]) == ("http", "GET", "kept")
    assert said["client"][0] == "127.0.0.1"
    assert tuple(said["server"]) == server.address
    assert (said["fields"]["host"], said["fields"]["x-one"]) == ("own.example.com", "1")
    assert "x-wherry-arrival" not in said["fields"]


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [("HEAD", "/page", 200, b""), ("GET", "/empty", 204, b""), ("HEAD", "/empty", 204, b"")],
)
def test_answers_without_a_body(
    server: edge.Server, method: str, path: str, status: int, body: bytes
) -> None:
    """They have none, and the length that they would have."""
    answer = request(server.url + path, method)
    assert (answer.status, answer.body) == (status, body)
    assert answer.fields.get("content-length") == ("4" if path == "/page" else None)


def test_bodies_go_both_ways_as_they_come(server: edge.Server) -> None:
    """What was sent comes back before there is more; large ones come whole."""
    echoed_as_it_comes(http.client.HTTPConnection(*server.address, timeout=20), "/echo")
    body = bytes(range(256)) * 4096
    assert request(f"{server.url}/echo", "POST", body).body == body


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "/fail", b"", 500, id="exception"),
        pytest.param("GET", "/slow", b"", 504, id="time"),
        pytest.param("POST", "/echo", bytes((1 << 20) + 1), 413, id="size"),
    ],
)
def test_its_limits_are_those_of_the_server(
    server: edge.Server, *, method: str, path: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns the status and no more; the operator finds the exception in the log."""
    with caplog.at_level(logging.ERROR, "wherry.edge"):
        answer = request(server.url + path, method, body)
        # It is logged when the answer is on its way already.
        deadline = time.monotonic() + 20
        while path == "/fail" and "the inside" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert answer.status == status
    assert "inside" not in answer.text
    assert request(f"{server.url}/page").text == "page"


def test_too_many_are_turned_away(server: edge.Server) -> None:
    """With 503, as for a package."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: request(f"{server.url}/pause").status, range(8)))
    assert set(statuses) == {200, 503}


@pytest.mark.parametrize("path", ["/half", "/short"])
def test_half_an_answer_does_not_look_whole(server: edge.Server, path: str) -> None:
    """It breaks off, or is an error."""
    with suppress(http.client.IncompleteRead, http.client.RemoteDisconnected):
        assert request(server.url + path).status == 500


def test_who_does_not_read_holds_it(server: edge.Server, seen: Seen) -> None:
    """Of 64 MiB what fits into buffers on the way is made, and no more."""
    seen.sent = 0
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.address)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: own\r\n\r\n")
        before = -1
        while before != seen.sent or not seen.sent:
            before = seen.sent
            threading.Event().wait(0.2)
        assert seen.sent < 32 << 20


def test_it_hears_that_a_client_goes(server: edge.Server, seen: Seen) -> None:
    """As it would on another server."""
    with socket.create_connection(server.address) as connection:
        connection.sendall(b"GET /until-gone HTTP/1.1\r\nHost: own\r\n\r\n")
        while server.statistics("own")["active"] == 0:
            threading.Event().wait(0.005)
    assert seen.gone.wait(20)


def test_it_lives_as_long_as_the_server() -> None:
    """Lifespan first and last; the socket is nobody else's, and gone in the end. A reload keeps it."""
    seen = Seen()
    one = Unsandboxed(application(seen))
    with edge.serve([one], address=ANYWHERE) as server:
        assert one._running is not None
        folder = Path(one._running.path).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        server.reload()
        assert request(f"{server.url}/page").text == "page"
        assert seen.lives == ["begins"]
    assert seen.lives == ["begins", "ends"]
    assert not folder.exists()


def test_one_without_a_lifespan_is_served() -> None:
    """Applications may raise when they are told of one."""

    async def plain(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/none":
            return
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"plain"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with edge.serve([Unsandboxed(plain)], address=ANYWHERE) as server:
        assert server.applications[0].name == "plain"
        assert request(server.url).text == "plain"
        none = request(f"{server.url}/none")
        assert (none.status, none.text) == (500, "500 Internal Server Error\n")
        assert "gave no answer" in server.failures(5)[0].text


def test_one_that_does_not_start_is_no_server() -> None:
    """Its reason is told."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(HostIOError, match="does not start: no database"):
        edge.serve([Unsandboxed(broken)], address=ANYWHERE)
