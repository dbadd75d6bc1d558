"""Packages as applications of ASGI, mounted in Starlette, FastAPI and others; and the other way round.

The server of :mod:`wherry.edge` answers, with all of its limits, but listens nowhere: each request goes to
it over a pair of sockets of its own, as HTTP/1.1. That is slower than ``wherry serve``, which has no Python
on the way. Start at :class:`Mounted`. :class:`~wherry.edge.unsandboxed.Unsandboxed` is an application of ASGI
beside packages on their server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wherry import _native
from wherry.edge.application import EVERYTHING
from wherry.edge.server import Server, is_single, wanted
from wherry.errors import HostIOError, UsageError, WherryError

try:
    import h11
except ImportError as error:
    raise UsageError(
        "`wherry.edge.asgi` needs h11, which is not installed", hint="pip install 'wherry[asgi]'"
    ) from error

from wherry.edge.unsandboxed import Unsandboxed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence

    from wherry._native import Limits, Policy
    from wherry.edge.application import Application

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Fields = list[tuple[bytes, bytes]]

__all__ = ["Mounted", "Unsandboxed"]

_HOP = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"]
)
"""Fields that are of one connection and no other: RFC 9110, 7.6.1."""

_PIECE = 64 << 10
"""Bytes that are read of an answer at once."""

_ANYWHERE = ("127.0.0.1", 0)
"""Whose request it is where the server does not say."""

_KEPT = "/:@!$&'()*+,;=-._~%"
"""What stands in a path as it is: RFC 3986, 3.3."""


class Mounted:
    """A package, or whatever else :func:`wherry.edge.serve` takes, as an application of ASGI.

    ``app.mount("/shop", Mounted("acme/shop"))``. What it is granted, its limits and settings are those of
    ``serve``; guests see the path below the mount. It is loaded at the first request, or earlier: when its
    server starts, if that tells it, by :meth:`start`, or by ``lifespan=mounted.lifespan`` of the application
    that it is mounted in.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | Sequence[Application],
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        **settings: Any,
    ) -> None:
        if is_single(source):
            # Which requests come here the mount says, unless there are several applications behind it.
            settings.setdefault("routes", EVERYTHING)
        settings.setdefault("server_header", False)
        self._wanted = partial(wanted, source, policy, limits, (), settings)
        self._server: Server | None = None
        self._process = 0
        self._starting = threading.Lock()

    def start(self) -> Server:
        """Load it, unless it is; its server has statistics, failures and ``reload``.

        Raises:
            WherryError: As :func:`wherry.edge.serve`.

        """
        with self._starting:
            server = self._server
            # The threads of a server stay behind when a process forks.
            if server is None or self._process != os.getpid():
                server = self._server = Server(*self._wanted(), make=_native.Server.within)
                self._process = os.getpid()
            return server

    def stop(self, timeout: float = 10.0) -> bool:
        """End as :meth:`wherry.edge.Server.stop` does; the next request starts it again."""
        with self._starting:
            server, self._server = self._server, None
            return server is None or self._process != os.getpid() or server.stop(timeout)

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Started and, at the end, stopped: what Starlette and FastAPI take as ``lifespan``."""
        await asyncio.to_thread(self.start)
        try:
            yield
        finally:
            await asyncio.to_thread(self.stop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""
        if scope["type"] == "http":
            server = self._server
            if server is None or self._process != os.getpid():
                server = await asyncio.to_thread(self.start)
            await _answer(server, scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1011, "reason": "WASI has no WebSockets"})
        else:
            raise UsageError(f"`{scope['type']}` is no protocol of ASGI that is known here")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.to_thread(self.start)
        except WherryError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.stop)
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(server: Server, scope: Scope, receive: Receive, send: Send) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=server.connect(*_client(scope)))
    exchange = _Exchange(reader, writer, receive, send)
    trailers = "http.response.trailers" in (scope.get("extensions") or {})
    first = None
    try:
        fields = _fields(scope)
        if trailers:
            fields.append((b"te", b"trailers"))
        names = {name for name, _ in fields}
        if not {b"content-length", b"transfer-encoding"} & names:
            # Whether there is a body is not to be seen from the head.
            first = await receive()
            if first.get("body") or first.get("more_body"):
                fields.append((b"transfer-encoding", b"chunked"))
        request = h11.Request(method=scope["method"], target=_target(scope), headers=fields)
        await exchange.write(request)
    except h11.LocalProtocolError:
        writer.transport.abort()
        await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        return
    sending = asyncio.create_task(exchange.send_body(first))
    try:
        await exchange.give_answer(trailers=trailers)
    finally:
        sending.cancel()
        writer.transport.abort()
        with suppress(asyncio.CancelledError, OSError, h11.ProtocolError):
            await sending


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receive: Receive, send: Send
    ) -> None:
        self._reader, self._writer = reader, writer
        self._receive, self._send = receive, send
        self._protocol = h11.Connection(h11.CLIENT)
        self._gone = False

    async def write(self, event: h11.Event) -> None:
        self._writer.write(self._protocol.send(event) or b"")
        await self._writer.drain()

    async def send_body(self, message: Message | None) -> None:
        """Hand on what comes of the body, as fast as it is read; then wait for the client to go."""
        # Who is refused, as its body is too large, is read from no more.
        with suppress(OSError):
            while True:
                message = message or await self._receive()
                if message["type"] == "http.disconnect":
                    break
                if body := message.get("body"):
                    await self.write(h11.Data(data=body))
                if not message.get("more_body"):
                    await self.write(h11.EndOfMessage())
                    break
                message = None
        if message is None or message["type"] != "http.disconnect":
            message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
            self._writer.transport.abort()

    async def give_answer(self, *, trailers: bool) -> None:
        """Hand on what the guest answers, as fast as it is taken."""
        try:
            while True:
                event = await self._event()
                if isinstance(event, h11.Response):
                    announced = trailers and any(name == b"trailer" for name, _ in event.headers)
                    await self._send(
                        {
                            "type": "http.response.start",
                            "status": event.status_code,
                            "headers": [field for field in event.headers if field[0] not in {*_HOP, b"date"}],
                            "trailers": announced,
                        }
                    )
                elif isinstance(event, h11.Data):
                    await self._send(
                        {"type": "http.response.body", "body": bytes(event.data), "more_body": True}
                    )
                elif isinstance(event, h11.EndOfMessage):
                    await self._send({"type": "http.response.body"})
                    if announced:
                        fields = list(event.headers)
                        await self._send({"type": "http.response.trailers", "headers": fields})
                    return
        except (h11.RemoteProtocolError, OSError) as error:
            if not self._gone:
                # Whoever serves this breaks the answer off, as it is not whole.
                raise HostIOError("the answer of a guest breaks off") from error

    async def _event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(_PIECE))
        if isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("no answer")
        return event


def _fields(scope: Scope) -> Fields:
    """The fields of a request, without those of its connection; one that names no host is for the server."""
    chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    fields = [(name, value) for name, value in scope["headers"] if name not in _HOP]
    if chunked:
        fields = [(name, value) for name, value in fields if name != b"content-length"]
        fields.append((b"transfer-encoding", b"chunked"))
    if not any(name == b"host" for name, _ in fields):
        host, port = scope.get("server") or ("localhost", None)
        fields.append(
            (b"host", (f"[{host}]" if ":" in host else host).encode() + (b":%d" % port if port else b""))
        )
    return fields


def _target(scope: Scope) -> bytes:
    """What is asked for, below the mount, as it was written if that is known."""
    root, path, raw = scope.get("root_path", "").rstrip("/"), scope["path"], scope.get("raw_path")
    prefix = quote(root).encode()
    if raw is not None and raw.startswith(prefix) and path.startswith(root):
        below = raw[len(prefix) :].partition(b"?")[0]
    else:
        below = quote(path.removeprefix(root), safe=_KEPT.replace("%", "")).encode()
    query = scope.get("query_string", b"")
    target = b"/" + below.removeprefix(b"/") + (b"?" + query if query else b"")
    return quote(target, safe=_KEPT + '?[]{}|^`"<>\\#').encode()


def _client(scope: Scope) -> tuple[str, int]:
    """Address and port of the client, where it has some."""
    host, port = scope.get("client") or _ANYWHERE
    try:
        return str(ipaddress.ip_address(host.partition("%")[0])), port or 0
    except ValueError:
        return _ANYWHERE
