"""Reloads a server: when it is asked to, and when a file changes that it serves."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.build.languages import LANGUAGES
from wherry.build.locate import OUTPUT
from wherry.cli import output
from wherry.errors import WherryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.edge import Server

__all__ = ["reload", "reopen", "watching"]

_NOT_SOURCE = frozenset({OUTPUT}).union(*(language.ignored for language in LANGUAGES.values()))

_SETTLED = 20
"""Milliseconds without another change that end a row of changes."""

_LOOKING = 200
"""Milliseconds between two looks at whether it is over."""


def reload(server: Server) -> None:
    """Serve what is there now. What cannot be loaded is told, and what was served before goes on."""
    try:
        server.reload()
    except WherryError as error:
        output.compiler(error)
        output.warn(f"not reloaded, and what was served before goes on: {error}")
    else:
        output.say("reloaded")


def reopen(server: Server) -> None:
    """Open the logs anew. What cannot be opened is told, and what was open goes on."""
    try:
        server.reopen()
    except WherryError as error:
        output.warn(f"the logs stay as they are: {error}")


@contextmanager
def watching(server: Server, target: str) -> Iterator[None]:
    """Reload the server whenever what it serves changes on the disk, until the block ends."""
    over = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(server, target, _watched(server, target), over), daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(server: Server, target: str, watched: dict[Path, int], over: threading.Event) -> None:
    from watchfiles import watch

    while watched and not over.is_set():
        events = watch(
            *{path if path.is_dir() else path.parent for path in watched},
            watch_filter=partial(_counts, set(watched)),
            debounce=200,
            step=_SETTLED,
            stop_event=over,
            raise_interrupt=False,
            rust_timeout=_LOOKING,
            yield_on_timeout=True,
        )
        for changes in events:
            # A file may have changed before anybody watched.
            now = _watched(server, target)
            if not changes and now == watched:
                continue
            reload(server)
            before, watched = set(watched), now
            if before != set(now):
                break


def _watched(server: Server, target: str) -> dict[Path, int]:
    """The files and folders on the disk that it serves, and when the files were changed."""
    sources = [target, *(one.source for one in server.applications if isinstance(one.source, str))]
    paths = (Path(source).absolute() for source in sources)
    return {path: path.stat().st_mtime_ns * path.is_file() for path in paths if path.exists()}


def _counts(watched: set[Path], _: object, changed: str) -> bool:
    """Whether a change of this file is one of what is served: what builds leave behind is not."""
    path = Path(changed)
    for one in watched:
        if path == one:
            return True
        if one in path.parents and one.is_dir():
            inner = path.relative_to(one).parts
            return not any(part.startswith(".") or part in _NOT_SOURCE for part in inner)
    return False
