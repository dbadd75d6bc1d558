"""The life of ``wherry serve``: from a server that answers to one that has ended.

Its start is waited for, and ``click`` takes longer to import than an application that was compiled before
takes to load. So a command line with nothing but a file and an address comes here past it; all others are
read by ``wherry.cli.serve``.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from wherry import _native
from wherry.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from wherry.edge.server import Server

__all__ = ["Preparing", "finish", "serve_file", "until_told"]

_LOOKING = 0.2
"""Seconds between two looks at whether it should stop."""

_QUIET = 1.0
"""Seconds of a start about which nothing is said."""

_GRACE = 10.0
"""Seconds that what runs has to come to its end."""


def serve_file(file: str, settings: dict[str, Any]) -> int:
    """Serve a file that is an application until a signal comes, and return the exit code."""
    with _without("typing_extensions"):
        from wherry.edge.server import serve

    try:
        with Preparing(file, output.long_work()):
            server = serve(file, **settings)
        until_told(server, f"serving `{file}` at {server.url}")
        finish(server)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last one who can report it
        return output.fail(error, debug=_native.debug_wanted(), running=False)
    return 0


class Preparing:
    """Tells that a start takes long: compiling an interpreter does, the first time."""

    def __init__(self, target: str, tell: Callable[[str, float | None], None]) -> None:
        self._what = f"compiling `{target}`, which is kept for the next start"
        self._tell = tell
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to count."""
        self._begin()
        return self

    def _count(self) -> None:
        seconds = 0.0
        while not self._over.wait(_QUIET):
            seconds += _QUIET
            self._tell(self._what, seconds)
        if seconds:
            self._tell(self._what, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        self._end()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Be silent while something else is told or asked."""
        self._end()
        yield
        self._begin()

    def _begin(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Have what is imported meanwhile do without a module that it only looks for.

    ``msgspec`` looks for this one on behalf of older Pythons; it takes longer to import than all of Wherry.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment] # an import of it fails
    try:
        yield
    finally:
        del sys.modules[module]


def until_told(server: Server, ready: str) -> None:
    """Say that it is ready; tell what goes wrong and reload when asked to, until a signal comes."""
    told, asked, moved = threading.Event(), threading.Event(), threading.Event()
    handlers = {signal.SIGINT: told, signal.SIGTERM: told, signal.SIGHUP: asked, signal.SIGUSR1: moved}
    previous = [
        (number, signal.signal(number, lambda *_, event=event: event.set()))
        for number, event in handlers.items()
    ]
    if sys.stdout is not None:
        sys.stdout.write(f"{ready}\n")
        sys.stdout.flush()
    hinted: set[str] = set()
    try:
        while not told.is_set():
            for failure, hint in server.failures(_LOOKING):
                output.warn(failure if failure.startswith("server: ") else f"request {failure}")
                if hint is not None and hint not in hinted:
                    hinted.add(hint)
                    output.hint([hint])
            if asked.is_set():
                asked.clear()
                from wherry.cli.watching import reload

                reload(server)
            if moved.is_set():
                moved.clear()
                from wherry.cli.watching import reopen

                reopen(server)
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def finish(server: Server) -> None:
    """Let what runs come to its end; another Ctrl-C does not wait for that."""
    whole = []
    ending = threading.Thread(target=lambda: whole.append(server.stop(_GRACE)), daemon=True)
    ending.start()
    while ending.is_alive():
        ending.join(_LOOKING)
    if not all(whole):
        output.warn(f"what still ran after {_GRACE:.0f} seconds was cut off")
