"""HTTP/1.1 as the clients of the soak speak it: many at once in one thread, with no more than they need."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Client", "read_answer", "request"]

PATIENCE = 60.0
"""Seconds after which a client takes an answer for lost."""


class Answer(NamedTuple):
    """Status, fields with names in lower case, and body."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def request(host: str, path: str, body: bytes | None = None) -> bytes:
    """A request; with a body it is sent in chunks."""
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {host}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk + b"0\r\n\r\n"


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer of a connection.

    Raises:
        OSError, EOFError: There is none, or not all of it.

    """
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    if fields.get("transfer-encoding") != "chunked":
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        return Answer(int(first.split()[1]), fields, body)
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")
    return Answer(int(first.split()[1]), fields, b"".join(pieces))


class Client:
    """A client that keeps its connection for a while."""

    KEPT = 50
    """Requests on one connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._left = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> Answer:
        """Send a request and read its answer."""
        if self._streams is None or self._left == 0 or self._streams[0].at_eof():
            await self.close()
            self._streams, self._left = await asyncio.open_connection(*self.address), self.KEPT
        reader, writer = self._streams
        self._left -= 1
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(sent)
                answer = await read_answer(reader)
        except BaseException:
            writer.transport.abort()
            self._streams = None
            raise
        if answer.fields.get("connection") == "close":
            await self.close()
        return answer

    async def close(self) -> None:
        """Give the connection up."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
