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
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from wherry.runtime import component as sync_component
from wherry.runtime import instance as sync_instance
from wherry.runtime import program

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from wherry._native import Limits, Policy

__all__ = ["Component", "Instance", "load", "run", "stream"]

Result = TypeVar("Result")

MOST_THREADS = 512
"""How many guests run at the same time; more wait for their turn."""

_threads: ThreadPoolExecutor | None = None
_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "wherry_loop", default=None
)


async def _on_thread(
    cancel: Callable[[], None], work: Callable[..., Result], *args: Any, **named: Any
) -> Result:
    """Run ``work`` on a thread; cancelling the task calls ``cancel`` and waits for the thread."""
    global _threads  # noqa: PLW0603 - made when it is first needed
    if _threads is None:
        _threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="wherry")
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    context.run(_loop.set, loop)
    future = loop.run_in_executor(_threads, lambda: context.run(work, *args, **named))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        cancel()
        # The guest ends at its next tick; what it raises then was asked for.
        await asyncio.wait([future])
        future.exception()
        raise


def wait_for_host(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a coroutine that a host function returned. The core calls it, on the thread of the guest."""
    loop = _loop.get()
    if loop is None or not loop.is_running():
        return asyncio.run(coroutine)
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _nothing() -> None:
    """Loading cannot be cancelled; the task goes on when it is done."""


async def load(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Component:
    """As :func:`wherry.load`; compiling does not hold up the loop."""
    return Component(await _on_thread(_nothing, sync_component.load, source, name=name))


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
    ) -> Instance:
        """One fresh sandbox, made when it is entered with ``async with``."""
        return Instance(self.component, {"policy": policy, "limits": limits, "imports": imports})


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
