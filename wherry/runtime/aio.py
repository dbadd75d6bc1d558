"""All of the embedding API for asyncio: each call runs on a thread of its own, so guests run side by side.

.. code-block:: python

    component = await wherry.aio.load("tool.wasm")
    async with component.instantiate() as instance:
        result = await instance.add(2, 3)
    done = await wherry.aio.run("tool.wasm", "--version", capture=True)

Cancelling a task ends its guest. Coroutine functions may implement imports; they run on the loop of the
caller.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from wherry.runtime import component as sync_component
from wherry.runtime import instance as sync_instance
from wherry.runtime import program
from wherry.runtime import sandbox as sync_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from wherry._native import Limits, Policy

__all__ = ["Component", "Instance", "Sandbox", "load", "run", "stream"]

Result = TypeVar("Result")

MOST_THREADS = 512
"""How many guests run at the same time; more wait for their turn."""

_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "wherry_loop", default=None
)


class _Threads:
    """Threads that guests run on, made when they are needed; in a process that forked, anew."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = 0
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Run ``work`` when a thread is free."""
        if self._pool is None or self._process != os.getpid():
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="wherry")
        return self._pool.submit(work)

    def close(self) -> None:
        """Let the threads go, when they have done what they do."""
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(wait=False, cancel_futures=True)


_THREADS = _Threads(MOST_THREADS)


async def call_on_thread(cancel: Callable[[], None], work: Callable[[], Result]) -> Result:
    """Run ``work`` on a thread; cancelling the task calls ``cancel`` and waits for the thread."""
    return await _on(_THREADS, cancel, work)


async def _on_thread(
    cancel: Callable[[], None], work: Callable[..., Result], *args: Any, **named: Any
) -> Result:
    """Run ``work`` on a thread; cancelling the task calls ``cancel`` and waits for the thread."""
    return await _on(_THREADS, cancel, functools.partial(work, *args, **named))


async def _on(threads: _Threads, cancel: Callable[[], None], work: Callable[[], Result]) -> Result:
    """The same on one of these threads."""
    submitted = _submitted(threads, work)
    future = asyncio.wrap_future(submitted)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # What waits for its turn is taken back; a guest that runs ends at its next tick.
        if not submitted.cancel():
            cancel()
            await asyncio.wait([future])
            # What it raises then was asked for.
            if not future.cancelled():
                future.exception()
        raise


async def wait_on_thread(stop: Callable[[], None], work: Callable[[], Result]) -> Result:
    """Run ``work`` on a thread; cancelling the task calls ``stop``, and nobody waits for the thread then."""
    submitted = _submitted(_THREADS, work)
    future = asyncio.wrap_future(submitted)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not submitted.cancel():
            stop()
            # What it comes to then is of no interest.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise


def _submitted(threads: _Threads, work: Callable[[], Result]) -> Future[Result]:
    """What runs on one of the threads, knowing the loop and the context variables of who asked."""
    context = contextvars.copy_context()
    context.run(_loop.set, asyncio.get_running_loop())
    return threads.submit(functools.partial(context.run, work))


def callers_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the coroutine that called the guest of this thread, where it was one."""
    loop = _loop.get()
    return loop if loop is not None and loop.is_running() else None


def wait_for_host(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a coroutine that a host function returned. The core calls it, on the thread of the guest."""
    loop = callers_loop()
    if loop is None:
        return asyncio.run(coroutine)
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _nothing() -> None:
    """Loading cannot be cancelled; the task goes on when it is done."""


async def load(
    source: str | os.PathLike[str] | bytes, *, name: str | None = None, limits: Limits | None = None
) -> Component:
    """As :func:`wherry.load`; compiling does not hold up the loop."""
    return Component(await _on_thread(_nothing, sync_component.load, source, name=name, limits=limits))


class Component:
    """As :class:`wherry.Component`, with instances whose functions are awaited."""

    def __init__(self, component: sync_component.Component) -> None:
        self.component = component

    def instantiate(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        imports: Mapping[str, object] | None = None,
        deterministic: bool = False,
    ) -> Instance:
        """One fresh sandbox, made when it is entered with ``async with``."""
        options = {"policy": policy, "limits": limits, "imports": imports, "deterministic": deterministic}
        return Instance(self.component, options)


class Instance:
    """One fresh sandbox whose functions are coroutine functions."""

    def __init__(self, component: sync_component.Component, options: dict[str, Any]) -> None:
        self._component = component
        self._options = options
        self._sync: sync_instance.Instance | None = None

    async def __aenter__(self) -> Instance:  # noqa: PYI034 - as wherry.runtime.instance.Instance
        self._sync = await _on_thread(_nothing, self._component.instantiate, **self._options)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sync is not None:
            self._sync.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Awaited(self._entered(), getattr(self._entered(), name))

    def __getitem__(self, interface: str) -> _Interface:
        return _Interface(self._entered(), self._entered()[interface])

    def _entered(self) -> sync_instance.Instance:
        if self._sync is None:
            raise RuntimeError("enter the instance first: `async with component.instantiate() as instance:`")
        return self._sync


class _Interface:
    """The functions of an interface, as coroutine functions."""

    def __init__(self, instance: sync_instance.Instance, interface: sync_instance.Interface) -> None:
        self._instance = instance
        self._interface = interface

    def __getattr__(self, name: str) -> Any:
        return _Awaited(self._instance, getattr(self._interface, name))


class _Awaited:
    """A function that is called on a thread and awaited."""

    def __init__(self, instance: sync_instance.Instance, function: Callable[..., Any]) -> None:
        self._instance = instance
        self._function = function

    async def __call__(self, *args: object, **named: object) -> Any:
        return await _on_thread(self._instance.cancel, self._function, *args, **named)


class Sandbox:
    """As :class:`wherry.Sandbox`, with functions that are awaited. Cancelling a task ends its guest.

    The arguments are the same; the program is loaded at the first call, or when the sandbox is entered with
    ``async with``. Calls that wait for their turn take no thread. Any number of event loops may share it.
    """

    def __init__(
        self, program: str | os.PathLike[str] | bytes | sync_component.Component, **options: Any
    ) -> None:
        self._program = program
        self._options = options
        self._loading = threading.Lock()
        self._sync: sync_sandbox.Sandbox | None = None
        self._closed = False
        most = options.get("concurrency")
        self._threads = _Threads(sync_sandbox.most_calls() if most is None else most)

    async def call(self, name: str, /, *args: object, **named: object) -> Any:
        """As :meth:`wherry.Sandbox.call`."""
        running = _Cancellable()
        return await self._on(running, lambda: running.run(self._loaded().prepare(name, args, named)))

    async def run(self, *args: str, stdin: program.Input = None, check: bool = False) -> program.Completed:
        """As :meth:`wherry.Sandbox.run`."""
        running = _Cancellable()

        def work() -> program.Completed:
            sandbox = self._loaded()
            command = sandbox.command(args)
            running.begin(command)
            return sandbox.run_command(command, stdin)

        completed = await self._on(running, work)
        if check:
            completed.check_returncode()
        return completed

    def close(self) -> None:
        """As :meth:`wherry.Sandbox.close`."""
        self._closed = True
        if self._sync is not None:
            self._sync.close()
        self._threads.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(self.call, name)

    def __getitem__(self, interface: str) -> _SandboxInterface:
        return _SandboxInterface(self, interface)

    async def __aenter__(self) -> Sandbox:  # noqa: PYI034 - as wherry.runtime.instance.Instance
        await _on(self._threads, _nothing, self._loaded)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _on(self, running: _Cancellable, work: Callable[[], Result]) -> Result:
        if self._closed:
            raise sync_sandbox.closed()
        # A host function of a call would wait for the thread that waits for it.
        within = self._sync is not None and self._sync.within()
        return await _on(_THREADS if within else self._threads, running.cancel, work)

    def _loaded(self) -> sync_sandbox.Sandbox:
        """The sandbox, loaded once, on the thread that needs it first."""
        with self._loading:
            if self._sync is None:
                self._sync = sync_sandbox.Sandbox(self._program, **self._options)
            if self._closed:
                self._sync.close()
            return self._sync


class _SandboxInterface:
    """The functions of an interface of a sandbox, as coroutine functions."""

    def __init__(self, sandbox: Sandbox, interface: str) -> None:
        self._sandbox = sandbox
        self._interface = interface

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(self._sandbox.call, f"{self._interface}#{name}")


class _Cancellable:
    """What runs on a thread, once it is known there; a request to end it may come before."""

    def __init__(self) -> None:
        self._running: sync_sandbox.Call | program.Command | None = None
        self._cancelled = False

    def begin(self, running: sync_sandbox.Call | program.Command) -> None:
        """It is about to run."""
        self._running = running
        if self._cancelled:
            running.cancel()

    def run(self, call: sync_sandbox.Call) -> Any:
        """Run a call."""
        self.begin(call)
        return call.run()

    def cancel(self) -> None:
        """End it, now or as soon as it starts."""
        self._cancelled = True
        if self._running is not None:
            self._running.cancel()


async def run(
    source: str | os.PathLike[str] | bytes | sync_component.Component,
    *args: str,
    **options: Any,
) -> program.Completed:
    """As :func:`wherry.run`. Cancelling the task ends the guest."""
    check = options.pop("check", False)
    command, streams = program.prepare(source, args, **options)
    completed = await _on_thread(command.cancel, command.run, *streams)
    if check:
        completed.check_returncode()
    return completed


async def stream(
    source: str | os.PathLike[str] | bytes | sync_component.Component,
    *args: str,
    **options: Any,
) -> AsyncIterator[bytes]:
    """The lines that a command writes, while it runs.

    Raises at the end what :func:`wherry.run` would have raised.
    """
    loop = asyncio.get_running_loop()
    running = program.start(source, *args, **options)
    try:
        while line := await loop.run_in_executor(None, running.stdout.readline):
            yield line
        await loop.run_in_executor(None, running.wait)
    finally:
        running.cancel()
        await loop.run_in_executor(None, running.close)
        await loop.run_in_executor(None, running.stdout.close)
