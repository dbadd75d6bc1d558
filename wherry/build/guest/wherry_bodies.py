"""Bodies of messages, as they come and go: piece by piece, by the loop where the reader is asynchronous."""

from __future__ import annotations

import io
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]
from wherry_loop import LOOP
from wit_world.imports import types  # type: ignore[import-not-found]
from wit_world.imports.streams import StreamError_Closed  # type: ignore[import-not-found]

PIECE = 65536


class Arriving:
    """A body that arrives; each piece is read once."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self._body: Any = None
        self._stream: Any = None
        self.ended = False

    def _open(self) -> Any:
        if self._stream is None:
            self._body = self._message.consume()
            self._stream = self._body.stream()
        return self._stream

    def _failed(self, error: Any) -> None:
        """The end of the body, or what kept the rest from coming."""
        if not isinstance(error.value, StreamError_Closed):
            raise OSError(error.value.value.to_debug_string()) from None
        self.ended = True
        self._stream.__exit__(None, None, None)
        self._stream = None

    async def read(self) -> bytes:
        """The next piece; none is left when it is empty."""
        while not self.ended:
            stream = self._open()
            try:
                piece: bytes = stream.read(PIECE)
            except Err as error:
                self._failed(error)
                break
            if piece:
                return piece
            await LOOP.wait(stream.subscribe())
        return b""

    def read_blocking(self, most: int = PIECE) -> bytes:
        """The same for what knows no loop."""
        while not self.ended:
            try:
                piece: bytes = self._open().blocking_read(most)
            except Err as error:
                self._failed(error)
                break
            if piece:
                return piece
        return b""

    def close(self) -> None:
        """Give back what it holds of the host."""
        for held in (self._stream, self._body):
            if held is not None:
                held.__exit__(None, None, None)
        self._stream = self._body = None
        self.ended = True


class ArrivingFile(io.RawIOBase):
    """A body that arrives as a file."""

    def __init__(self, body: Arriving) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, at least a byte but for the end."""
        piece = self._body.read_blocking(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class Leaving:
    """A body that is written; the receiver gets what there is whenever its writer waits."""

    def __init__(self, message: Any) -> None:
        self._body = message.body()
        self._stream = self._body.write()

    async def write(self, data: bytes) -> None:
        """Write a piece, as fast as it is read."""
        left = memoryview(data)
        while left:
            left = self._write_some(left)
            if left:
                await LOOP.wait(self._stream.subscribe())

    def write_blocking(self, data: bytes) -> None:
        """The same for what knows no loop."""
        left = memoryview(data)
        while left:
            left = self._write_some(left)
            if left:
                with self._stream.subscribe() as writable:
                    writable.block()

    def _write_some(self, left: memoryview) -> memoryview:
        """Write what there is room for: the rest."""
        try:
            room = self._stream.check_write()
            if room:
                self._stream.write(bytes(left[:room]))
        except Err as error:
            raise _gone(error) from None
        return left[room:]

    def flush(self) -> None:
        """Send what was written so far."""
        try:
            self._stream.flush()
        except Err as error:
            raise _gone(error) from None

    def finish(self, trailers: list[tuple[str, bytes]] | None = None) -> None:
        """End the body, which is whole.

        Raises:
            RuntimeError: It is not as long as its length was said to be.

        """
        self._stream.__exit__(None, None, None)
        body, self._body = self._body, None
        try:
            types.OutgoingBody.finish(body, None if trailers is None else fields(trailers))
        except Err:
            raise RuntimeError("the body is not as long as its content-length") from None

    def break_off(self) -> None:
        """End the body, which is not whole: no receiver takes it to be."""
        if self._body is not None:
            self._stream.__exit__(None, None, None)
            self._body.__exit__(None, None, None)
            self._body = None


_HOPS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "host",
    }
)
"""Fields of the connection, which is the server's."""


def fields(entries: list[tuple[str, bytes]]) -> Any:
    """Fields for the host, without those of the connection.

    Raises:
        ValueError: One is malformed.

    """
    try:
        return types.Fields.from_list(entries)
    except Err:
        pass
    try:
        return types.Fields.from_list([entry for entry in entries if entry[0].lower() not in _HOPS])
    except Err:
        raise ValueError(f"a field is malformed among {entries}") from None


def entries_of(message: Any) -> list[tuple[str, bytes]]:
    """The fields of a message."""
    with message.headers() as held:
        found: list[tuple[str, bytes]] = held.entries()
        return found


def _gone(error: Any) -> OSError:
    if isinstance(error.value, StreamError_Closed):
        return BrokenPipeError("the receiver has gone")
    return OSError(error.value.value.to_debug_string())
