"""Answers requests: an ASGI application, as any ASGI server runs it."""

from urllib.parse import parse_qs


async def app(scope, receive, send):
    assert scope["type"] == "http"
    query = parse_qs(scope["query_string"].decode())
    name = query.get("name", ["World"])[0]
    await respond(send, f"Hello, {name}!\n")


async def respond(send, text, status=200):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
