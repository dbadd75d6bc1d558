"""An application of ASGI of this very process on a server of packages: :class:`Unsandboxed`.

It runs in a thread of its own, with a loop of its own. The server asks it over a socket in a folder that
nobody else can open, one request for each connection, as HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import h11
import msgspec

from wherry import _native
from wherry.edge.application import Application, Found
from wherry.edge.settings import ApplicationSettings
from wherry.errors import HostIOError, UsageError
from wherry.runtime.component import usual_limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from wherry._native import Limits
    from wherry.build.launch import Launch
    from wherry.build.tools import Progress

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGI = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

__all__ = ["Unsandboxed"]

_log = logging.getLogger("wherry.edge")

_ARRIVAL = b"x-wherry-arrival"
"""The field in which the server tells scheme, its address and that of the client."""

_PIECE = 64 << 10
_ENDING = 10.0
"""Seconds that an application has to start, and to end."""


class Unsandboxed(Application):
    """An application of ASGI as one of those that :func:`wherry.edge.serve` takes in a list.

    It is code of this process, with all that this process may: no sandbox, no policy, no limit on its memory.
    Of ``limits`` it has the ``timeout``, and of ``settings`` all. It starts when a server does, lifespan
    first, and ends with it.
    """

    def __init__(
        self, app: ASGI, *, limits: Limits | None = None, settings: ApplicationSettings | None = None
    ) -> None:
        settings = settings if settings is not None else ApplicationSettings()
        name = settings.name or getattr(app, "__name__", type(app).__name__)
        super().__init__(b"", limits=limits, settings=msgspec.structs.replace(settings, name=name))
        self._app = app
        self._running: _Running | None = None

    def load(self) -> _native.Application:
        """Start it, unless it runs.

        Raises:
            HostIOError: It does not start, and says why if it does.

        """
        if self._running is None:
            self._running = _Running(self._app)
        limits = self.limits if self.limits is not None else usual_limits(None)
        settings = self.completed(Found(None, self.name))
        return _native.Application.neighbour(self._running.path, limits, settings)

    def package(self, progress: Progress | None = None) -> Launch | None:
        """Nothing: it is in no package."""
        del progress
        return None

    def close(self) -> None:
        """End it: the rest of its lifespan."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()


class _Running:
    """An application in a thread, listening at ``path``."""

    def __init__(self, app: ASGI) -> None:
        self._app = app
        # Nobody but this user may look into it.
        self._folder = Path(tempfile.mkdtemp(prefix="wherry-"))
        self.path = str(self._folder / "socket")
        self._state: dict[str, Any] = {}
        self._loop: asyncio.AbstractEventLoop
        self._over = asyncio.Event()
        started: list[BaseException | None] = []
        ready = threading.Event()

        def begun() -> None:
            started.append(None)
            ready.set()

        def run() -> None:
            try:
                # At the end it cancels what still runs.
                with asyncio.Runner() as runner:
                    self._loop = runner.get_loop()
                    runner.run(self._live(begun))
            except BaseException as error:  # noqa: BLE001 - handed to who waits for it
                started.append(error)
                ready.set()
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)

        self._thread = threading.Thread(target=run, name="wherry-asgi", daemon=True)
        self._thread.start()
        ready.wait()
        if started[0] is not None:
            raise HostIOError(f"the application does not start: {started[0]}") from started[0]

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_ENDING)

    async def _live(self, started: Callable[[], object]) -> None:
        lifespan = _Lifespan(self._app, self._state)
        await lifespan.start()
        server = await asyncio.start_unix_server(self._answer, self.path)
        started()
        await self._over.wait()
        server.close()
        await lifespan.stop()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = _Exchange(reader, writer)
        try:
            scope = await exchange.scope(dict(self._state))
            await self._app(scope, exchange.receive, exchange.send)
            await exchange.end()
        except (OSError, EOFError, h11.RemoteProtocolError):
            pass  # The client has gone.
        except Exception:  # noqa: BLE001 - whatever an application may raise
            # The client gets a 500 from the server, and learns no more.
            _log.exception("an application without a sandbox failed")
        finally:
            writer.transport.abort() if not exchange.whole else writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class _Lifespan:
    """What is told to an application when it starts and ends; many do not want to know."""

    def __init__(self, app: ASGI, state: dict[str, Any]) -> None:
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._task = asyncio.ensure_future(app(scope, self._told.get, self._said.put))

    async def start(self) -> None:
        said = await self._tell("lifespan.startup")
        if said is not None and said["type"] == "lifespan.startup.failed":
            raise UsageError(said.get("message") or "its lifespan failed")

    async def stop(self) -> None:
        await self._tell("lifespan.shutdown")
        self._task.cancel()

    async def _tell(self, what: str) -> Message | None:
        """What it says to that; nothing when it has no lifespan."""
        if self._task.done():
            return None
        self._told.put_nowait({"type": what})
        saying = asyncio.ensure_future(self._said.get())
        await asyncio.wait([saying, self._task], timeout=_ENDING, return_when=asyncio.FIRST_COMPLETED)
        if saying.done():
            return saying.result()
        saying.cancel()
        if self._task.done():
            self._task.exception()  # An application that knows no lifespan raises.
        return None


class _Exchange:
    """One request and its answer, between the server and the application."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._start: Message | None = None
        self._begun = self._read = self.whole = False

    async def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        """What the application is told of the request."""
        request = await self._event()
        if not isinstance(request, h11.Request):
            raise EOFError  # noqa: TRY004 - the connection ended
        fields = [(name, value) for name, value in request.headers if name != _ARRIVAL]
        scheme, server, client = dict(request.headers)[_ARRIVAL].decode().split(" ")
        path, _, query = request.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method.decode(),
            "scheme": scheme,
            "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": fields,
            "client": _address(client),
            "server": _address(server),
            "state": state,
            "extensions": {"http.response.trailers": {}},
        }

    async def receive(self) -> Message:
        """The next piece of the body, or that the client went."""
        if self._read or self.whole:
            with suppress(OSError):
                while not self.whole and await self._reader.read(_PIECE):
                    pass
            return {"type": "http.disconnect"}
        try:
            event = await self._event()
        except (OSError, h11.RemoteProtocolError):
            return {"type": "http.disconnect"}
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        self._read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """A piece of the answer."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            if not self._begun:
                self._begun = True
                fields = [(bytes(name), bytes(value)) for name, value in self._start.get("headers", ())]
                self._write(h11.Response(status_code=self._start["status"], headers=fields))
            if body := message.get("body"):
                self._write(h11.Data(data=body))
            if not message.get("more_body") and not self._start.get("trailers"):
                self._finish([])
        elif message["type"] == "http.response.trailers" and self._begun:
            if not message.get("more_trailers"):
                self._finish(list(message.get("headers", ())))
        else:
            raise UsageError(f"`{message['type']}` is no message of an answer, or comes too early")
        await self._writer.drain()

    async def end(self) -> None:
        """Nothing more comes from the application."""
        if not self.whole:
            raise UsageError("the application gave no whole answer")
        await self._writer.drain()

    def _finish(self, trailers: list[tuple[bytes, bytes]]) -> None:
        self._write(h11.EndOfMessage(headers=trailers))
        self.whole = True

    def _write(self, event: h11.Event) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the client has gone")
        self._writer.write(self._protocol.send(event) or b"")

    async def _event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(_PIECE))
        return event


def _address(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if host else None
