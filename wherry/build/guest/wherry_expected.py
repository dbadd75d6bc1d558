"""What libraries expect of their surroundings that a guest has not: threads, and sockets of their own.

What is meant for a thread is called at once, and ``urllib.request`` and ``httpx`` ask the host.
"""

from __future__ import annotations

import contextvars
import importlib
import random
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def provide() -> None:
    """Put it in its place, once all modules are there."""
    ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign]
    if "anyio" in sys.modules:
        backend: Any = importlib.import_module("anyio._backends._asyncio")
        backend.AsyncIOBackend.run_sync_in_worker_thread = classmethod(_run_sync)
    if "urllib.request" in sys.modules:
        import wherry_urllib

        wherry_urllib.install()
    if "httpx" in sys.modules:
        import wherry_httpx

        wherry_httpx.install()


def _submit(self: object, function: Callable[..., Any], /, *args: object, **named: object) -> Future[Any]:
    """Call a function at once: what an executor gives."""
    del self
    future: Future[Any] = Future()
    try:
        future.set_result(function(*args, **named))
    except Exception as error:  # noqa: BLE001 - as executors do
        future.set_exception(error)
    return future


async def _run_sync(
    cls: object,
    function: Callable[..., _T],
    args: tuple[object, ...],
    abandon_on_cancel: bool = False,  # noqa: FBT001, FBT002 - as anyio calls it
    limiter: object = None,
) -> _T:
    """The same for anyio."""
    del cls, abandon_on_cancel, limiter
    return contextvars.copy_context().run(function, *args)


def begin() -> None:
    """What each instance does first: chance is its own, and not that of the build."""
    random.seed()
