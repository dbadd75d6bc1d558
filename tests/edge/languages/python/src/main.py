"""The application of the suite, in Python: ASGI by hand."""

import asyncio
import json
from urllib.parse import parse_qs

import wherry_http


async def app(scope, receive, send):
    """Answer a request."""
    assert scope["type"] == "http"
    routes = {"/hello": hello, "/echo": echo, "/json": in_json, "/fetch": fetch, "/trap": trap, "/slow": slow}
    await routes.get(scope["path"], nothing)(scope, receive, send)


async def hello(scope, receive, send):
    """Say hello."""
    await respond(send, b"Hello, World!")


async def echo(scope, receive, send):
    """Give back each piece as it comes."""
    await begin(send, 200, dict(scope["headers"]).get(b"content-type", b"application/octet-stream"))
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


async def in_json(scope, receive, send):
    """Greet by JSON."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    try:
        name = json.loads(body)["name"]
    except (ValueError, KeyError):
        await respond(send, b"not what is expected", 400)
        return
    greeting = json.dumps({"greeting": f"Hello, {name}!"}, ensure_ascii=False)
    await respond(send, greeting.encode(), 200, b"application/json")


async def fetch(scope, receive, send):
    """Pass an answer from elsewhere on."""
    (url,) = parse_qs(scope["query_string"].decode())["url"]
    try:
        answer = await wherry_http.fetch(url)
    except OSError as error:
        await respond(send, str(error).encode(), 502)
        return
    await begin(send, answer.status, b"text/plain")
    async for piece in answer:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def trap(scope, receive, send):
    """Fail."""
    raise RuntimeError("asked to")


async def slow(scope, receive, send):
    """Answer after a while."""
    await asyncio.sleep(0.3)
    await respond(send, b"At last")


async def nothing(scope, receive, send):
    """Say that nothing is there."""
    await respond(send, b"not found", 404)


async def respond(send, body, status=200, kind=b"text/plain"):
    """Send a whole answer."""
    await begin(send, status, kind)
    await send({"type": "http.response.body", "body": body})


async def begin(send, status, kind):
    """Send the head of an answer."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
