"""The same answer as the trivial guest gives, as an application of ASGI without a sandbox."""

from __future__ import annotations

from typing import Any


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Say hello to whatever is asked."""
    assert scope["type"] == "http"
    fields = [(b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"Hello, World!"})
