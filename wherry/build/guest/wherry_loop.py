"""The event loop of a guest: asyncio's own, which waits by ``wasi:io/poll``.

There are no threads: what is meant for one is called at once. One loop serves an instance for as long as it
lives, so that what a start-up makes can be used by each request.
"""

# ruff: noqa: SLF001 - a loop of asyncio is made of what only its loops use

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio import events
from typing import TYPE_CHECKING, Any, TypeVar

from wit_world.imports import monotonic_clock, poll  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")
_LONGEST = 1 << 62


class Stuck(RuntimeError):  # noqa: N818 - a state of the loop
    """All tasks wait, and nothing is left that could wake one."""


class _Waiting:
    """What takes the place of a selector: the futures of what is waited for."""

    def __init__(self) -> None:
        self.pollables: dict[asyncio.Future[None], Any] = {}

    def select(self, timeout: float | None) -> list[asyncio.Future[None]]:
        """Wait until something is ready, no longer than ``timeout`` seconds: the futures of that."""
        futures = list(self.pollables)
        pollables = list(self.pollables.values())
        if timeout is not None and timeout <= 0:
            return [future for future, pollable in zip(futures, pollables, strict=True) if pollable.ready()]
        if timeout is None:
            if not pollables:
                raise Stuck("the application waits for something that never happens")
            return [futures[at] for at in poll.poll(pollables)]
        with monotonic_clock.subscribe_duration(min(int(timeout * 1e9), _LONGEST)) as clock:
            ready = poll.poll([*pollables, clock])
        return [futures[at] for at in ready if at < len(futures)]


class Loop(asyncio.BaseEventLoop):
    """An event loop without threads and sockets of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Waiting()

    def _process_events(self, event_list: list[asyncio.Future[None]]) -> None:
        for future in event_list:
            if not future.done():
                future.set_result(None)

    def _write_to_self(self) -> None:
        """Nothing: there is no other thread that the loop could be waiting for."""

    async def wait(self, pollable: Any, future: asyncio.Future[None] | None = None) -> None:
        """Wait for something of the host, or until ``future`` is done, and give it back."""
        waiting = self.create_future() if future is None else future
        self._selector.pollables[waiting] = pollable
        try:
            await waiting
        finally:
            del self._selector.pollables[waiting]
            pollable.__exit__(None, None, None)

    async def wait_for_ever(self, future: asyncio.Future[None]) -> None:
        """Wait until ``future`` is done, or the host ends the guest."""
        await self.wait(monotonic_clock.subscribe_duration(_LONGEST), future)

    def run_in_executor(self, executor: object, func: Callable[..., _T], *args: object) -> asyncio.Future[_T]:
        """Call a function at once."""
        del executor
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future

    def waits(self, coroutine: Coroutine[Any, Any, object]) -> bool:
        """Whether a coroutine comes to wait for something; it is closed then."""
        with _Running(self):
            try:
                coroutine.send(None)
            except BaseException:  # noqa: BLE001 - that it raises is the answer
                return False
            with contextlib.suppress(RuntimeError):
                coroutine.close()
            return True

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end."""
        with _Running(self):
            # Most answers never wait: they are done when their task has begun.
            task = begun(coroutine)
            while not task.done():
                self._run_once()  # type: ignore[attr-defined]
        return task.result()

    def complete_all(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, and the tasks that it began to theirs, as far as they come."""
        others = asyncio.all_tasks(self)
        failure: BaseException | None = None
        try:
            self.complete(coroutine)
        except Stuck:
            raise
        except BaseException as error:  # noqa: BLE001 - raised when all is done
            failure = error
        with _Running(self), contextlib.suppress(Stuck):
            while self._ready or asyncio.all_tasks(self) - others:  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        if failure is not None:
            raise failure


class _Running:
    """The loop is the one that runs, as far as asyncio is asked."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

    def __enter__(self) -> None:
        """Begin."""
        self.loop._thread_id = 1  # type: ignore[attr-defined]
        events._set_running_loop(self.loop)

    def __exit__(self, *_: object) -> None:
        """End."""
        events._set_running_loop(None)
        self.loop._thread_id = None  # type: ignore[attr-defined]


LOOP = Loop()
_TASK: Any = asyncio.Task


def begun(coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """A task that has come as far as it comes without waiting."""
    task: asyncio.Task[_T] = _TASK(coroutine, loop=LOOP, eager_start=True)
    return task


sys.set_asyncgen_hooks(LOOP._asyncgen_firstiter_hook, LOOP._asyncgen_finalizer_hook)  # type: ignore[attr-defined]
events._get_event_loop_policy()._loop_factory = Loop  # type: ignore[attr-defined]
