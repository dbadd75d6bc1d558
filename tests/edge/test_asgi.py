"""Packages mounted in applications of ASGI: what they answer is what ``serve`` answers."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.guests.build import c_command, http_application
from tests.requesting import echoed_as_it_comes, request
from wherry import HostIOError, Limits, NotFoundError, Policy, edge
from wherry.edge.asgi import Mounted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

SETTINGS: dict[str, Any] = {"limits": Limits(memory="32MiB", timeout="1s"), "max_request": "1MiB"}
DEADLINE = 20


@contextmanager
def running(app: Any) -> Iterator[str]:
    """The application on uvicorn, on a free port; with its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE)
        listener.close()


@pytest.fixture(scope="module")
def mounted() -> Iterator[Mounted]:
    """One package, for all of them."""
    one = Mounted(http_application("full"), **SETTINGS)
    yield one
    one.stop()


@pytest.fixture(scope="module")
def url(mounted: Mounted) -> Iterator[str]:
    """Where it is mounted, in an application that has a page of its own."""

    async def own(_request: object) -> PlainTextResponse:
        return PlainTextResponse("own")

    app = Starlette(routes=[Route("/own", own), Mount("/shop", mounted)], lifespan=mounted.lifespan)
    with running(app) as base:
        yield f"{base}/shop"


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The same without Python, to compare with."""
    with edge.serve(http_application("full"), address="127.0.0.1:0", server_header=False, **SETTINGS) as one:
        yield one.url


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", b""),
        ("HEAD", "/", b""),
        ("HEAD", "/large", b""),
        ("GET", "/empty", b""),
        ("GET", "/teapot", b""),
        ("GET", "/exact", b""),
        ("GET", "/large", b""),
        ("POST", "/echo", b"x" * 300_000),
        ("POST", "/echo", b""),
        ("POST", "/whole", b"x" * (1 << 20)),
        ("POST", "/echo", b"x" * ((1 << 20) + 1)),
        ("GET", "/trap", b""),
        ("GET", "/loop", b""),
        ("GET", "/greedy", b""),
        ("GET", "/silent", b""),
    ],
)
def test_answers_are_those_of_serve(url: str, served: str, method: str, path: str, body: bytes) -> None:
    """Status, fields and body, and the limits: 413, 500 and 504."""
    ours, theirs = (request(f"{base}{path}", method, body) for base in (url, served))
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    # What a server of ASGI adds by itself, and numbers that are never the same.
    changing = {"date", "server", "x-request-id", "transfer-encoding", "connection"}
    for fields in (ours.fields, theirs.fields):
        assert ("x-request-id" in fields) == (ours.status >= 500 or ours.status == 413)
    assert {name: value for name, value in ours.fields.items() if name not in changing} == {
        name: value for name, value in theirs.fields.items() if name not in changing
    }


def test_what_is_beside_it_is_answered_too(url: str) -> None:
    """By the application that it is mounted in."""
    assert request(url.replace("/shop", "/own")).text == "own"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/tell", "/tell"),
        ("/tell?a=%20b&c", "/tell?a=%20b&c"),
        ("/tell/a%2Fb/%C3%A9", "/tell/a%2Fb/%C3%A9"),
        ("/tell/../x", "/tell/../x"),
        ("/tell//x", "/tell//x"),
    ],
)
def test_guests_see_the_path_below_the_mount(url: str, path: str, seen: str) -> None:
    """As it was written, with the query; and the host and fields that the client sent."""
    told = request(url + path, fields={"host": "shop.example.com", "x-one": "1", "te": "trailers"}).text
    first, *fields = told.splitlines()
    assert first.split()[1:] == [seen, "shop.example.com"]
    assert "x-one: 1" in fields
    assert not any(field.startswith(("te:", "connection:")) for field in fields)


def test_it_is_mounted_in_fastapi_and_loads_at_the_first_request() -> None:
    """Whoever mounts it has to do no more."""
    app = FastAPI()
    one = Mounted(http_application("lean"))
    app.mount("/shop", one)

    async def asked() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = await asyncio.gather(*(client.get("/shop/") for _ in range(20)))
            return "".join(sorted({answer.text for answer in answers}))

    assert asyncio.run(asked()) == "Hello, World!"
    assert one.start().statistics()["requests"] == 20
    assert one.stop()


def test_bodies_go_both_ways_as_they_come(url: str) -> None:
    """What was sent comes back before there is more."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=DEADLINE)
    echoed_as_it_comes(connection, "/shop/echo")


def test_an_answer_that_breaks_off_does_not_look_whole(url: str) -> None:
    """The connection is closed in the middle of it."""
    with pytest.raises(http.client.IncompleteRead):
        request(f"{url}/late-trap")


Message = MutableMapping[str, Any]
Events = list[Message]


async def asgi(
    app: Mounted,
    path: str,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
    **more: Any,
) -> None:
    """One request, with both ends in hand."""
    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"transfer-encoding", b"chunked")]}
    await asyncio.wait_for(app({**scope, **more}, receive, send), DEADLINE)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    while not holds():  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.005)


def test_who_does_not_read_holds_the_guest(mounted: Mounted) -> None:
    """Of 8 MiB little is on its way; when the client reads again, all of it comes."""

    async def asked() -> tuple[int, int]:
        reading, sizes = asyncio.Event(), [0]

        async def receive() -> Message:
            await asyncio.sleep(0)
            return {"type": "http.request"} if not sizes[0] else await asyncio.Future()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                sizes[0] += len(message["body"]) if "body" in message else 0
                await reading.wait()

        answering = asyncio.create_task(asgi(mounted, "/large", receive, send))
        statistics = mounted.start().statistics
        await asyncio.sleep(0.3)
        held, active = sizes[0], statistics()["requests"]
        assert active
        reading.set()
        await answering
        return held, sizes[0]

    held, whole = asyncio.run(asked())
    assert 0 < held <= 64 << 10
    assert whole == 8 << 20


@pytest.mark.parametrize(("path", "all_of_it"), [("/echo", True), ("/loop", False)])
def test_a_guest_that_does_not_read_holds_the_client(*, mounted: Mounted, path: str, all_of_it: bool) -> None:
    """Of a body that nobody reads, what fits into the buffers on the way is taken, and no more."""

    async def asked() -> int:
        left = 200

        async def receive() -> Message:
            nonlocal left
            if left == 0:
                return await asyncio.Future[Message]()
            left -= 1
            return {"type": "http.request", "body": bytes(1 << 12), "more_body": left > 0}

        async def send(_message: Message) -> None:
            pass

        await asgi(mounted, path, receive, send)
        return left

    left = asyncio.run(asked())
    assert (left == 0) == all_of_it


def test_a_guest_ends_when_its_client_goes() -> None:
    """Long before its time is over; nothing is sent to nobody."""
    with edge_of("30s") as one:

        async def asked() -> Events:
            events: Events = []
            messages: Events = [{"type": "http.request"}, {"type": "http.disconnect"}]

            async def receive() -> Message:
                if len(messages) == 1:
                    await until(lambda: one.start().statistics()["active"] == 1)
                return messages.pop(0)

            async def send(message: Message) -> None:
                events.append(message)

            await asgi(one, "/loop", receive, send)
            await until(lambda: one.start().statistics()["active"] == 0)
            return events

        assert asyncio.run(asked()) == []
        assert one.start().statistics()["late"] == 0


@contextmanager
def edge_of(timeout: str, **settings: Any) -> Iterator[Mounted]:
    """One with a time limit of its own."""
    one = Mounted(http_application("full"), limits=Limits(timeout=timeout), **settings)
    try:
        yield one
    finally:
        one.stop()


def test_too_many_are_turned_away() -> None:
    """With 503 and when to come again, as ``serve`` does."""
    with edge_of("5s", concurrency=1, queue=0) as one:

        async def asked() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=one)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await asyncio.gather(*(client.get("/sleep") for _ in range(4)))

        answers = asyncio.run(asked())
        assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503]
        assert [one.headers.get("retry-after") for one in answers].count("1") == 3


def test_trailers_go_through_where_the_server_takes_them(mounted: Mounted) -> None:
    """And are left out where it does not."""
    told: list[dict[str, Any]] = [{}, {"http.response.trailers": {}}]
    for extensions in told:
        events: Events = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message, events: Events = events) -> None:
            events.append(message)

        asyncio.run(asgi(mounted, "/trailers", receive, send, extensions=extensions, headers=[]))
        trailers = [one["headers"] for one in events if one["type"] == "http.response.trailers"]
        assert trailers == ([[(b"x-sum", b"42")]] if extensions else [])
        assert events[0]["trailers"] == bool(extensions)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"headers": [(b"x", b"a\nb")]}, id="field"),
        pytest.param({"method": "G E T"}, id="method"),
        pytest.param({"headers": [(b"content-length", b"1"), (b"content-length", b"2")]}, id="lengths"),
    ],
)
def test_what_cannot_be_sent_is_refused(mounted: Mounted, more: dict[str, Any]) -> None:
    """A request that no server should hand on is a 400, and reaches no guest."""
    before = mounted.start().statistics()["requests"]
    events: Events = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        events.append(message)

    asyncio.run(asgi(mounted, "/", receive, send, **more))
    assert events[0]["status"] == 400
    assert mounted.start().statistics()["requests"] == before


def test_a_command_is_told_the_client_and_what_it_is_granted(tmp_path: Path) -> None:
    """The client that the server of ASGI names, and the policy that it is mounted with."""
    (tmp_path / "told.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n"
        'printf("Content-Type: text/plain\\n\\n%s %s", getenv("REMOTE_ADDR"), getenv("GREETING"));\n}\n'
    )
    command = c_command("told", source=tmp_path / "told.c")
    one = Mounted(command, policy=Policy(env=["GREETING=hello"]))

    async def asked() -> str:
        transport = httpx.ASGITransport(app=one, client=("2001:db8::1", 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return str((await client.get("/")).text)

    assert asyncio.run(asked()) == "2001:db8::1 hello"
    one.stop()


def test_it_lives_as_long_as_its_server() -> None:
    """On a server of ASGI alone it is started before the first request, and stopped at the end."""
    one = Mounted(http_application("lean"))
    with running(one) as base:
        assert request(base).text == "Hello, World!"
        # The lifespan came first, or there was none.
        assert one._server is not None
        assert one._server.statistics()["requests"] == 1
    assert one._server is None


def test_what_cannot_be_loaded_fails_at_the_start() -> None:
    """With a message to the server of ASGI, and an exception to who starts it."""
    one = Mounted("acme/nowhere")
    events: Events = []

    async def live() -> None:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            events.append(message)

        await one({"type": "lifespan"}, receive, send)

    asyncio.run(live())
    assert events[0]["type"] == "lifespan.startup.failed"
    assert "acme/nowhere" in events[0]["message"]
    with pytest.raises(NotFoundError):
        one.start()


def test_a_broken_answer_is_an_exception(mounted: Mounted) -> None:
    """Which has the server of ASGI break it off too."""

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        pass

    with pytest.raises(HostIOError, match="breaks off"):
        asyncio.run(asgi(mounted, "/late-trap", receive, send, headers=[]))


def test_websockets_are_turned_away(mounted: Mounted) -> None:
    """WASI has no interface for them."""
    events: Events = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        events.append(message)

    asyncio.run(mounted({"type": "websocket"}, receive, send))
    assert [one["type"] for one in events] == ["websocket.close"]
