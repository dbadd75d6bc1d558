"""ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from wherry_loop import LOOP, begun

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from wherry_answering import Answer, Request
    from wherry_bodies import Leaving

_ASGI = {"version": "3.0", "spec_version": "2.4"}
_EXTENSIONS: dict[str, dict[str, object]] = {"http.response.trailers": {}}


class _Lifespan:
    """Start-up of the application, once in each instance; nothing is told when that ends."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.state: dict[str, Any] = {}
        self.begun = not self._is_known()

    def _is_known(self) -> bool:
        """Whether the application knows start-up: asked once at build time, and told nothing then."""

        async def receive() -> dict[str, Any]:
            await LOOP.create_future()
            return {}

        async def send(message: dict[str, Any]) -> None:
            del message

        return LOOP.waits(self._application(self._scope(), receive, send))

    def _scope(self) -> dict[str, Any]:
        return {"type": "lifespan", "asgi": _ASGI, "state": self.state}

    async def startup(self) -> None:
        """Start up, if the application knows about that.

        Raises:
            RuntimeError: It says that it failed.

        """
        outcome: asyncio.Future[str | None] = LOOP.create_future()
        sent = [{"type": "lifespan.startup"}]

        async def receive() -> dict[str, Any]:
            if not sent:
                await LOOP.create_future()
            return sent.pop()

        async def send(message: dict[str, Any]) -> None:
            if not outcome.done():
                failed = message["type"] == "lifespan.startup.failed"
                outcome.set_result(message.get("message", "") if failed else None)

        async def serve() -> None:
            try:
                await self._application(self._scope(), receive, send)
            except Exception as error:  # noqa: BLE001 - told in the same way
                traceback.print_exc()
                if not outcome.done():
                    outcome.set_result(str(error))
            if not outcome.done():
                outcome.set_result(None)

        # Held, as it ends only with its instance.
        self._task = begun(serve())
        failure = await outcome
        if failure is not None:
            raise RuntimeError(f"the application did not start up: {failure}")
        self.begun = True


class _Exchange:
    """One request and its answer, as events."""

    def __init__(self, request: Request, answer: Answer) -> None:
        self._request = request
        self._answer = answer
        self._head: tuple[int, list[tuple[str, bytes]]] | None = None
        self._body: Leaving | None = None
        self._promised = False
        self._trailers: list[tuple[str, bytes]] = []
        self._over: asyncio.Future[None] | None = None

    def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        """What is known of the request."""
        request = self._request
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": request.path.decode(errors="replace"),
            "raw_path": request.raw_path,
            "query_string": request.query,
            "root_path": "",
            "headers": [(name.encode("latin-1"), value) for name, value in request.fields],
            "client": None,
            "server": request.server(),
            "state": state.copy(),
            "extensions": _EXTENSIONS,
        }

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body; after it, that the client has gone."""
        body = self._request.body
        if not body.ended and not self._answer.finished:
            piece = await body.read()
            return {"type": "http.request", "body": piece, "more_body": not body.ended}
        if not self._answer.finished:
            # When the client goes, this guest ends: it hears of no more than the end of its own answer.
            self._over = self._over or LOOP.create_future()
            await LOOP.wait_for_ever(self._over)
        return {"type": "http.disconnect"}

    def _finish(self, trailers: list[tuple[str, bytes]] | None = None) -> None:
        self._answer.finish(trailers)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def send(self, message: dict[str, Any]) -> None:
        """Take a piece of the answer."""
        kind = message["type"]
        if kind == "http.response.start" and self._head is None:
            entries = [(name.decode("latin-1"), bytes(value)) for name, value in message.get("headers", ())]
            self._head = (message["status"], entries)
            self._promised = message.get("trailers", False)
        elif kind == "http.response.body" and self._head is not None and not self._answer.finished:
            if self._body is None:
                self._body = self._answer.begin(*self._head)
            data = message.get("body", b"")
            if data:
                await self._body.write(data)
            if message.get("more_body", False):
                self._body.flush()
            elif not self._promised:
                self._finish()
        elif kind == "http.response.trailers" and self._promised and self._body is not None:
            self._trailers += [(name.decode("latin-1"), bytes(value)) for name, value in message["headers"]]
            if not message.get("more_trailers", False):
                self._finish(self._trailers)
        elif not kind.startswith("http.response."):
            raise RuntimeError(f"`{kind}` is no event of an answer")
        else:
            raise RuntimeError(f"`{kind}` is out of order")


def answering(application: Any) -> Callable[[Request, Answer], None]:
    """What answers by an ASGI application."""
    lifespan = _Lifespan(application)

    async def call(exchange: _Exchange) -> None:
        await application(exchange.scope(lifespan.state), exchange.receive, exchange.send)

    def run(request: Request, answer: Answer) -> None:
        if not lifespan.begun:
            LOOP.complete(lifespan.startup())
        LOOP.complete_all(call(_Exchange(request, answer)))

    return run
