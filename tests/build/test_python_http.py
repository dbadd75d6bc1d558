"""Applications of frameworks in Python: what they expect of a server and of their surroundings is there."""

from __future__ import annotations

import http.server
import json
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import make
from tests.requesting import request
from tests.servers import serving
from wherry import Limits, Policy, edge
from wherry.build.builder import build

if TYPE_CHECKING:
    from pathlib import Path

_STARLETTE = """import asyncio, contextlib, httpx, os, random, urllib.request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"greeting": os.environ["GREETING"]}

def greet(request):
    return PlainTextResponse(f"{request.state.greeting}, {request.query_params['name']}!")

async def echo(request):
    return StreamingResponse(request.stream(), media_type="text/plain")

async def later(request):
    async def task():
        await asyncio.sleep(0.05)
        print("the task is done")
    asyncio.create_task(task())
    return JSONResponse(random.random(), background=BackgroundTask(print, "the background is done"))

async def fetch(request):
    url = request.url.query
    async with httpx.AsyncClient() as client:
        found = await asyncio.gather(client.get(url), client.post(url, content=b"said"))
    with urllib.request.urlopen(url) as last:
        return JSONResponse([*(one.text for one in found), httpx.get(url).text, last.read().decode()])

def fail(request):
    raise ValueError("as asked")

async def never(request):
    await asyncio.Event().wait()

routes = {"/": greet, "/later": later, "/fetch": fetch, "/fail": fail, "/never": never}
app = Starlette(
    routes=[*(Route(path, does) for path, does in routes.items()), Route("/echo", echo, methods=["POST"])],
    lifespan=lifespan,
)
"""
_FLASK = """from flask import Flask, Response, request, stream_with_context

app = Flask(__name__)

@app.get("/")
def greet():
    return f"Hello, {request.args['name']}!"

@app.post("/echo")
def echo():
    return Response(stream_with_context(iter(lambda: request.stream.read(1000), b"")), 201)

@app.get("/fail")
def fail():
    raise ValueError("as asked")
"""
_FETCHES = """import wherry_http

async def app(scope, receive, send):
    try:
        found = await wherry_http.fetch("http://127.0.0.1:PORT/")
        text = f"{found.status} {await found.text()}"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


class _Upstream(http.server.BaseHTTPRequestHandler):
    """Answers with the method and what was sent."""

    def do_GET(self) -> None:
        """Any path."""
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = f"{self.command} {sent.decode()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _built(folder: Path, source: str, dependencies: str) -> Path:
    """The component of an application."""
    project = make(folder, "python", "http")
    (project / "src" / "greeter.py").write_text(source)
    described = project / "pyproject.toml"
    described.write_text(described.read_text().replace("dependencies = []", f"dependencies = {dependencies}"))
    (built,) = build(project)
    return built.path


@pytest.mark.slow
def test_an_application_of_starlette_is_served(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Start-up, threads, streams, tasks, httpx and urllib work; each request has its own chance."""
    component = _built(tmp_path, _STARLETTE, '["starlette==1.0.0", "httpx==0.28.1"]')
    with (
        serving(_Upstream) as port,
        edge.serve(
            str(component),
            address="127.0.0.1:0",
            policy=Policy(http=[f"http://127.0.0.1:{port}"], env={"GREETING": "Hello"}),
            limits=Limits(timeout="20s"),
        ) as server,
    ):
        assert request(f"{server.url}/?name=Ada").text == "Hello, Ada!"
        body = bytes(range(256)) * 4096
        assert request(f"{server.url}/echo", "POST", body).body == body
        assert request(f"{server.url}/later").text != request(f"{server.url}/later").text
        found = json.loads(request(f"{server.url}/fetch?http://127.0.0.1:{port}/").text)
        assert found == ["GET ", "POST said", "GET ", "GET "]
        assert request(f"{server.url}/fail").status == 500
        assert request(f"{server.url}/never").status == 500
    told = capfd.readouterr().err
    assert told.count("the background is done") == told.count("the task is done") == 2
    assert "ValueError: as asked" in told
    assert "the application waits for something that never happens" in told


@pytest.mark.slow
def test_an_application_of_flask_is_served(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its dependencies have native modules that they can do without; bodies are streamed both ways."""
    component = _built(tmp_path, _FLASK, '["flask==3.1.3"]')
    with edge.serve(str(component), address="127.0.0.1:0", limits=Limits(timeout="20s")) as server:
        assert request(f"{server.url}/?name=Ada").text == "Hello, Ada!"
        body = bytes(range(256)) * 400
        answer = request(f"{server.url}/echo", "POST", iter([body[:7], body[7:]]))
        assert (answer.status, answer.body) == (201, body)
        assert request(f"{server.url}/fail").status == 500
    assert '  File "src/greeter.py", line 15, in fail\n' in capfd.readouterr().err


@pytest.mark.slow
def test_an_application_that_asks_at_once_is_built(tmp_path: Path) -> None:
    """It does not look at what it is called for; nothing is sent when it is built, and requests are later."""
    with serving(_Upstream) as port:
        component = _built(tmp_path, _FETCHES.replace("PORT", str(port)), "[]")
        allowed = Policy(http=[f"http://127.0.0.1:{port}"])
        with edge.serve(component, address="127.0.0.1:0", policy=allowed) as server:
            assert request(server.url).text == "200 GET "
    with edge.serve(component, address="127.0.0.1:0", policy=Policy()) as server:
        assert request(server.url).text.startswith("PermissionError: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("top", "said"),
    [
        (
            "import wherry_http\n\nwherry_http.send_blocking('http://127.0.0.1:1/', 'GET', [], (), None)\n",
            "requests and other calls of the host are not possible then: make them in a function\n",
        ),
        ("import sys\n\nsys.exit('no settings')\n", "this one ends the guest then: do so in a function\n"),
    ],
    ids=["request", "exit"],
)
def test_what_only_a_run_can_do_is_refused_with_its_line(top: str, said: str, tmp_path: Path) -> None:
    """At the top of a module, which is imported when it is built."""
    with pytest.raises(wherry.BuildError) as raised:
        _built(tmp_path, top, "[]")
    begins = 'Traceback (most recent call last):\n  File "src/greeter.py", line 3, in <module>\n'
    assert raised.value.output.startswith(begins)
    assert raised.value.output.endswith(said)
    assert '  File "/' not in raised.value.output


@pytest.mark.slow
def test_native_code_that_is_needed_is_named(tmp_path: Path) -> None:
    """A dependency that cannot do without its native module is refused by the name of that."""
    with pytest.raises(wherry.BuildError, match=r"`pydantic_core\._pydantic_core` is native code") as raised:
        _built(tmp_path, "import pydantic\n", '["pydantic==2.12.5"]')
    assert 'File "src/greeter.py", line 1' in raised.value.output


@pytest.mark.slow
def test_a_module_without_an_application_is_refused(tmp_path: Path) -> None:
    """The error says what is missing."""
    with pytest.raises(wherry.BuildError) as raised:
        _built(tmp_path, "wherry = 1\n", "[]")
    assert "`greeter` has no `app`, which is an ASGI or WSGI application" in raised.value.output
