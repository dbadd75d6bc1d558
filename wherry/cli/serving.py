"""The life of ``wherry serve``: from a server that answers to one that has ended.

Its start is waited for, and ``click`` takes longer to import than an application that was compiled before
takes to load. So a command line with nothing but a file and an address comes here past it; all others are
read by ``wherry.cli.serve``.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from wherry import _native
from wherry.cli import output

if TYPE_CHECKING:
    from wherry.edge.server import Server

__all__ = ["finish", "serve_file", "until_told"]

_LOOKING = 0.2
"""Seconds between two looks at whether it should stop."""

_GRACE = 10.0
"""Seconds that what runs has to come to its end."""


def serve_file(file: str, settings: dict[str, Any]) -> int:
    """Serve a file that is an application until a signal comes, and return the exit code."""
    from wherry.edge.server import serve

    try:
        server = serve(file, **settings)
        until_told(server, f"serving `{file}` at {server.url}")
        finish(server)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last one who can report it
        return output.fail(error, debug=_native.debug_wanted(), running=False)
    return 0


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
    try:
        while not told.is_set():
            for failure in server.failures(_LOOKING):
                output.warn(failure if failure.startswith("server: ") else f"request {failure}")
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
