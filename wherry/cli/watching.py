"""Reloads a server: when it is asked to, and when a file changes that it serves."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.build.project import OUTPUT
from wherry.cli import output
from wherry.errors import WherryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.edge import Server

__all__ = ["reload", "watching"]

_SETTLED = 20
"""Milliseconds without another change that end a row of changes."""


def reload(server: Server) -> None:
    """Serve what is there now. What cannot be loaded is told, and what was served before goes on."""
    try:
        server.reload()
    except WherryError as error:
        output.warn(f"not reloaded, and what was served before goes on: {error}")
        if error.hint:
            output.say(f"  {error.hint}")
    else:
        output.say("reloaded")


@contextmanager
def watching(server: Server, target: str) -> Iterator[None]:
    """Reload the server whenever what it serves changes on the disk, until the block ends."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(server, target, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(server: Server, target: str, over: threading.Event) -> None:
    from watchfiles import watch

    while not over.is_set():
        watched = _watched(server, target)
        paths = {path if path.is_dir() else path.parent for path in watched}
        if not paths:
            over.wait()
            return
        changes = watch(
            *paths,
            watch_filter=lambda _, path: _counts(Path(path), watched),
            debounce=200,
            step=_SETTLED,
            stop_event=over,
            raise_interrupt=False,
            rust_timeout=200,
            yield_on_timeout=False,
        )
        for _ in changes:
            reload(server)
            if _watched(server, target) != watched:
                break


def _watched(server: Server, target: str) -> set[Path]:
    """The files and folders on the disk that it serves."""
    sources = [target, *(one.source for one in server.applications if isinstance(one.source, str))]
    return {Path(os.path.abspath(source)) for source in sources if os.path.exists(source)}


def _counts(path: Path, watched: set[Path]) -> bool:
    """Whether a change of this file is one of what is served: what builds leave behind is not."""
    for one in watched:
        if path == one:
            return True
        if one in path.parents and one.is_dir():
            inner = path.relative_to(one).parts
            return not any(part.startswith(".") or part in _NOT_SOURCE for part in inner)
    return False


_NOT_SOURCE = frozenset({Path(OUTPUT).parts[0], "node_modules", "__pycache__"})
