"""The clients of the soak: good ones, and those that servers meet besides.

Each does one thing again and again and says what came of it; ``KINDS`` has them, with what may come.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

from tests.soak.talking import PATIENCE, Client, read_answer, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    Act = Callable[[Client], Awaitable[str]]

__all__ = ["KINDS", "PAGE", "SMALL", "TIMES", "Kind", "Mix"]

PAGE = b"a page\n" * 3000
"""What the folder of files has under ``/page.txt``."""

SMALL = 64 << 10
"""The most bytes in a request to the application ``large``."""

TIMES = {"head-time": "2s", "idle-time": "5s", "body-time": "5s", "write-time": "2s", "body-rate": "1KiB"}
"""How long the server lets clients take."""

_CUT = "cut off"


@dataclass(frozen=True)
class Kind:
    """A kind of client: what it does, how many there are, and what may come of it."""

    name: str
    act: Act
    may: frozenset[str]
    clients: int = 2


@dataclass
class Mix:
    """All of them at once; what came of it."""

    address: tuple[str, int]
    kinds: Sequence[Kind]
    came: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, seconds: float) -> None:
        """Have them come for so long, and end what each is at."""
        self._over.clear()
        clients = [
            asyncio.create_task(self._client(kind)) for kind in self.kinds for _ in range(kind.clients)
        ]
        await asyncio.sleep(seconds)
        self._over.set()
        await asyncio.gather(*clients)

    async def _client(self, kind: Kind) -> None:
        client = Client(self.address)
        came = self.came.setdefault(kind.name, Counter())
        while not self._over.is_set():
            try:
                outcome = await kind.act(client)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                outcome = f"{type(error).__name__}: {error}"
            came[outcome] += 1
            if outcome not in kind.may and len(self.wrong) < 100:
                self.wrong.append(f"{kind.name}: {outcome}")
        await client.close()

    def counts(self, name: str) -> dict[int, int]:
        """How many answers of each status a kind got."""
        return {int(status): count for status, count in self.came[name].items() if status.isdigit()}


def _asks(host: str, path: str, body: bytes | None = None, expected: bytes | None = None) -> Act:
    sent = request(host, path, body)

    async def act(client: Client) -> str:
        answer = await client.ask(sent)
        if expected is not None and answer.status == 200 and answer.body != expected:
            return f"another body of {len(answer.body)} bytes"
        if answer.status >= 500 and answer.body.count(b"\n") > 1:
            return "an error that tells more than its status"
        return str(answer.status)

    return act


async def _burst(client: Client) -> str:
    """One more than are answered and wait: the server says when to come again."""
    others = [Client(client.address) for _ in range(5)]
    try:
        answers = await asyncio.gather(*(one.ask(request("busy", "/sleep")) for one in others))
    finally:
        for one in others:
            await one.close()
    for answer in answers:
        if answer.status not in {200, 503} or (answer.status == 503) != ("retry-after" in answer.fields):
            return f"{answer.status} with {dict(answer.fields)}"
    return "-".join(str(one) for one in sorted(answer.status for answer in answers))


@asynccontextmanager
async def _opened(client: Client) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of its own."""
    reader, writer = await asyncio.open_connection(*client.address)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _until_cut(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: Iterable[bytes]
) -> str:
    """Send a little at a time until the server has had enough; what it said at the end, if anything."""
    reading = asyncio.create_task(reader.read())
    with suppress(OSError):
        for piece in pieces:
            writer.write(piece)
            await asyncio.wait([reading], timeout=0.2)
            if reading.done():
                break
        else:
            return "not cut off"
    with suppress(OSError):
        said = await reading
        return said.split()[1].decode() if said.startswith(b"HTTP/1.1 ") else _CUT
    return _CUT


async def _slow_head(client: Client) -> str:
    """A field of a few bytes now and then, and never the last."""
    async with _opened(client) as (reader, writer):
        fields = (b"x-%d: 1\r\n" % number for number in range(100))
        return await _until_cut(reader, writer, chain([b"GET / HTTP/1.1\r\nHost: slow\r\n"], fields))


async def _slow_body(client: Client) -> str:
    """A body of a few bytes now and then, and never the last."""
    head = b"POST /whole HTTP/1.1\r\nHost: slow\r\nContent-Length: 10000\r\n\r\n"
    async with _opened(client) as (reader, writer):
        return await _until_cut(reader, writer, chain([head], repeat(b"x", 100)))


async def _slow_reader(client: Client) -> str:
    """A large answer, of which next to nothing is read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)  # noqa: FBT003 - its only argument
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            await loop.sock_connect(connection, client.address)
            await loop.sock_sendall(connection, request("slow", "/large"))
            # Longer than it may take in nothing.
            await asyncio.sleep(10)
            size = 0
            with suppress(OSError):
                while piece := await loop.sock_recv(connection, 1 << 20):
                    size += len(piece)
        return _CUT if size < 8 << 20 else "not cut off"


async def _half_closed(client: Client) -> str:
    """Nothing more comes from it, and it reads: that is a client like others."""
    async with _opened(client) as (reader, writer):
        writer.write(request("good", "/echo", b"half" * 1000))
        writer.write_eof()
        answer = await read_answer(reader)
        return str(answer.status) if answer.body == b"half" * 1000 else "another body"


async def _half_sent(client: Client) -> str:
    """It closes its side in the middle of a request."""
    async with _opened(client) as (reader, writer):
        writer.write(b"POST /whole HTTP/1.1\r\nHost: slow\r\nContent-Length: 100\r\n\r\nhalf")
        writer.write_eof()
        with suppress(OSError):
            said = await reader.read()
            return said.split()[1].decode() if said.startswith(b"HTTP/1.1 ") else _CUT
        return _CUT


async def _vanishing(client: Client) -> str:
    """It resets its connection while its guest runs."""
    async with _opened(client) as (_, writer):
        writer.write(request("slow", "/loop"))
        await asyncio.sleep(0.05)
        held = writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.2)
    return "gone"


_WELL, _BUSY = frozenset({"200"}), frozenset({"200-200-200-200-503"})
_ECHO = b"there and back " * 2000

KINDS = (
    Kind("hello", _asks("good", "/", None, b"Hello, World!"), _WELL, 4),
    Kind("echo", _asks("good", "/echo", _ECHO, _ECHO), _WELL),
    Kind("files", _asks("files", "/page.txt", None, PAGE), _WELL),
    Kind("command", _asks("command", "/", None, b"Hello\n"), _WELL),
    Kind("half closed", _half_closed, _WELL, 1),
    Kind("trapping", _asks("trapping", "/trap"), frozenset({"500"})),
    Kind("looping", _asks("looping", "/loop"), frozenset({"504"})),
    Kind("greedy", _asks("greedy", "/greedy"), frozenset({"500"})),
    Kind("at the limit", _asks("large", "/whole", bytes(SMALL)), _WELL),
    Kind("too large", _asks("large", "/whole", bytes(SMALL + 1)), frozenset({"413"})),
    Kind("busy", _burst, _BUSY, 1),
    Kind("slow head", _slow_head, frozenset({_CUT, "408"})),
    Kind("slow body", _slow_body, frozenset({_CUT, "408", "500", "504"})),
    Kind("slow reader", _slow_reader, frozenset({_CUT})),
    Kind("half sent", _half_sent, frozenset({_CUT, "400", "408", "500", "200"}), 1),
    Kind("vanishing", _vanishing, frozenset({"gone"})),
)
"""Every kind; the host that they ask is the application's name."""
