"""Streams and futures of WASI 0.3: :class:`Stream` and :class:`Future` of a guest, and what it may be given.

For ``stream<T>`` a guest takes an iterable or asynchronous iterable of ``T``, for ``stream<u8>`` bytes or an
iterable of pieces of bytes, for ``future<T>`` an awaitable. A guest runs only while it is called or while
somebody reads what it gives, and it writes no more than is read.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import cache, partial

from wherry.errors import ClosedError

TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    import asyncio
    from collections.abc import (
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterable,
        Iterator,
        Sequence,
    )
    from types import TracebackType
    from typing import Any, Generic, Protocol, TypeVar

    from wherry import _native

    Item = TypeVar("Item")

    class Feed(Protocol):
        """What the core feeds a guest with."""

        def poll(self, wake: Callable[[], None], most: int) -> tuple[Any, ...] | None:
            """About ``most`` elements, alone in a tuple; an empty tuple at the end.

            ``None`` while there is nothing: ``wake`` is called when there is.
            """

        def close(self) -> None:
            """The guest wants no more."""

else:
    Item = object

    class Generic:
        """What stands for ``typing.Generic`` where nobody checks types."""

        __slots__ = ()

        def __class_getitem__(cls, item: object) -> type:
            return cls


__all__ = ["Future", "Stream", "arrived", "feed"]

_PIECE = 1 << 18
"""How many bytes of a larger buffer go into a guest at once."""


class _Given:
    """What a guest gives: the native end of it, and what has come already."""

    __slots__ = ("__weakref__", "_native", "_there", "_turn")

    def __init__(self, native: _native.Stream) -> None:
        self._native = native
        self._there: deque[Any] = deque()
        self._turn: Callable[[Any], Any] | None = None

    def close(self) -> None:
        """Read no more: the guest hears of that when it writes next. Doing so twice is no error."""
        self._there.clear()
        self._native.close()

    def turned(self, turn: Callable[[Any], Any]) -> _Given:
        """The same with what comes turned by a function, for generated bindings."""
        self._turn = turn
        return self

    def _fill(self, reading: _native.Reading) -> bool:
        """Waits for the next batch and keeps it; ``False`` at the end."""
        found = reading.run()
        if found is None:
            self._native.close()  # which lets the instance go
            return False
        self._keep(found[0])
        return True

    def _keep(self, batch: Any) -> None:
        self._there.append(batch if self._turn is None else self._turn(batch))

    async def _filled(self) -> bool:
        """The same on a thread; a task that is cancelled leaves the guest as it is, and loses nothing."""
        from wherry.runtime import aio

        reading = self._native.reading()
        return await aio.wait_on_thread(reading.stop, partial(self._fill, reading))


class Stream(_Given, Generic[Item]):
    """A stream that a guest gives: an iterator of both kinds, for ``stream<u8>`` of pieces of bytes.

    The guest runs while the next element is waited for, under the limits of a call; what ends it is raised
    here. Other functions of the instance may be called meanwhile. Leaving it as a context manager, or
    :meth:`close`, tells the guest that nobody reads on.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        while not self._there:
            if not self._fill(self._native.reading()):
                raise StopIteration
        item: Item = self._there.popleft()
        return item

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._there:
            if not await self._filled():
                raise StopAsyncIteration
        item: Item = self._there.popleft()
        return item

    async def aclose(self) -> None:
        """As :meth:`close`, as asynchronous iterators have it."""
        self.close()

    def __enter__(self) -> Stream[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Stream[Item]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, batch: Any) -> None:
        if self._native.pipe == "bytes":
            self._there.append(batch)
        else:
            self._there.extend(batch if self._turn is None else map(self._turn, batch))

    def __repr__(self) -> str:
        return f"<{'finished ' if self._native.done else ''}stream of {self._native.pipe}>"


class Future(_Given, Generic[Item]):
    """A value that a guest gives later: awaitable, or waited for by :meth:`result`; any number of times.

    The guest runs while it is waited for, as with :class:`Stream`.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Item]:
        return self._waited().__await__()

    async def _waited(self) -> Item:
        while not self._there:
            if not await self._filled():
                raise _without_value()
        item: Item = self._there[0]
        return item

    def result(self) -> Item:
        """Wait on this thread. Raises what ends the guest, and ``ClosedError`` once it was closed."""
        while not self._there:
            if not self._fill(self._native.reading()):
                raise _without_value()
        item: Item = self._there[0]
        return item

    def __repr__(self) -> str:
        return f"<{'finished ' if self._there else ''}future of a guest>"


def _without_value() -> ClosedError:
    return ClosedError("the future was closed before it had a value")


def arrived(native: _native.Stream) -> Stream[Any] | Future[Any]:
    """What a guest gave, as people see it. The core calls it."""
    return Future(native) if native.pipe in {"value", "signal"} else Stream(native)


def feed(value: object, pipe: str) -> Feed | None:
    """What feeds a guest with ``value``; ``None`` where that is nothing of the kind. The core calls it."""
    if pipe in {"value", "signal"}:
        return _Awaited(value) if hasattr(value, "__await__") else None
    if isinstance(value, str | dict):
        return None
    if pipe == "bytes":
        return _Pieces(value) if isinstance(value, bytes | bytearray | memoryview) else _each(value, _bytes)
    return _Listed(value) if isinstance(value, list | tuple | range) else _each(value, _one)


def _each(value: Any, convert: Callable[[object], object]) -> Feed | None:
    """What feeds a guest with what ``value`` gives."""
    if hasattr(value, "__aiter__"):
        return _Asynchronous(value.__aiter__(), convert)
    return _Iterated(value, convert) if hasattr(value, "__iter__") else None


def _one(item: object) -> object:
    return [item]


def _bytes(piece: object) -> object:
    """A piece that cannot change while the guest reads it; what is none is left for the core to refuse."""
    return bytes(piece) if isinstance(piece, bytearray | memoryview) else piece


class _Pieces:
    """Bytes that are there."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._rest = memoryview(data).cast("B")

    def poll(self, _wake: Callable[[], None], _most: int) -> tuple[Any, ...] | None:
        piece = bytes(self._rest[:_PIECE])
        self._rest = self._rest[_PIECE:]
        return (piece,) if piece else ()

    def close(self) -> None:
        self._rest = memoryview(b"")


class _Listed:
    """Values that are there."""

    def __init__(self, values: Sequence[object]) -> None:
        self._values = values
        self._place = 0

    def poll(self, _wake: Callable[[], None], most: int) -> tuple[Any, ...] | None:
        part = self._values[self._place : self._place + most]
        self._place += len(part)
        return (part,) if part else ()

    def close(self) -> None:
        self._values = ()


class _Iterated:
    """What an iterator gives, on the thread of the guest, which waits for it."""

    def __init__(self, values: Iterable[object], convert: Callable[[object], object]) -> None:
        self._iterator = iter(values)
        self._convert = convert

    def poll(self, _wake: Callable[[], None], _most: int) -> tuple[Any, ...] | None:
        for item in self._iterator:
            return (self._convert(item),)
        return ()

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None and hasattr(self._iterator, "send"):
            close()


class _OnLoop:
    """What comes from coroutines, on the loop of who called the guest; without one, on a loop of ours."""

    def __init__(self) -> None:
        from wherry.runtime import aio

        self._loop = aio.callers_loop() or _own_loop()
        self._wake: Callable[[], None] | None = None
        self._running: asyncio.Future[Any] | Any = None

    def _step(self, coroutine: Callable[[], Coroutine[Any, Any, Any]], wake: Callable[[], None]) -> Any:
        """What the coroutine came to, alone in a tuple; ``None`` while it runs."""
        import asyncio

        self._wake = wake
        if self._running is None:
            self._running = asyncio.run_coroutine_threadsafe(coroutine(), self._loop)
            self._running.add_done_callback(self._done)
        if not self._running.done():
            return None
        done, self._running = self._running, None
        return (done.result(),)

    def _done(self, _: object) -> None:
        if self._wake is not None:
            self._wake()

    def _end(self) -> None:
        self._wake = None
        if self._running is not None:
            self._running.cancel()


class _Asynchronous(_OnLoop):
    """What an asynchronous iterator gives."""

    def __init__(self, iterator: Any, convert: Callable[[object], object]) -> None:
        super().__init__()
        self._iterator = iterator
        self._convert = convert

    def poll(self, wake: Callable[[], None], _most: int) -> tuple[Any, ...] | None:
        found = self._step(self._next, wake)
        if found is None:
            return None
        (item,) = found
        return () if item is _END else (self._convert(item),)

    async def _next(self) -> object:
        try:
            return await self._iterator.__anext__()
        except StopAsyncIteration:
            return _END

    def close(self) -> None:
        self._end()
        if hasattr(self._iterator, "aclose") and not self._loop.is_closed():
            import asyncio

            asyncio.run_coroutine_threadsafe(_closed(self._iterator), self._loop)


class _Awaited(_OnLoop):
    """One value that is awaited."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value
        self._begun = False

    def poll(self, wake: Callable[[], None], _most: int) -> tuple[Any, ...] | None:
        self._begun = True
        return self._step(self._wait, wake)  # type: ignore[no-any-return]  # a tuple of anything

    async def _wait(self) -> object:
        return await self._value

    def close(self) -> None:
        self._end()
        if not self._begun and hasattr(self._value, "close"):
            self._value.close()


_END = object()


async def _closed(iterator: Any) -> None:
    await iterator.aclose()


def _own_loop() -> asyncio.AbstractEventLoop:
    """A loop for guests that are called by no coroutine; in a process that forked, another one."""
    return _loop_of(os.getpid())


@cache
def _loop_of(_process: int) -> asyncio.AbstractEventLoop:
    import asyncio

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="wherry-loop", daemon=True).start()
    return loop
