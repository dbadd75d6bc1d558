"""What ``wherry run`` runs where it is no file of WebAssembly: a project, a packed file, or a package."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.build.launch import launch_file, launch_package, launch_project
from wherry.cli import agreeing, output
from wherry.errors import BuildError, HostIOError, NotFoundError, UsageError
from wherry.store.local import LocalStore
from wherry.store.references import is_path, read_reference

if TYPE_CHECKING:
    from wherry.build.launch import Launch

__all__ = ["resolved"]


def resolved(words: list[str], at: int) -> list[str]:
    """The words after ``wherry run`` with a component and its flags in place of the project or package."""
    calls = _native.run_has_flag(words, "invoke")
    # `--` may stand before FILE, and nothing after it is a flag.
    before = words[: at - 1] if at and words[at - 1] == "--" else words[:at]
    named = not is_path(words[at])
    with LocalStore() as store:
        # What another process takes back from here on, the note below must not bring back.
        state = store.index().state()
        found = _of_name(store, words[at], calls=calls) if named else _of_path(words, at, calls=calls)
        granted = agreeing.granted(store, found, before)
        stands = [*found.flags, *granted, *before, str(found.component.absolute()), *found.args]
        if named and at == 0 and agreeing.settled(store, found):
            _note(store, words[at], stands, state)
    return [*stands, *words[at + 1 :]]


def _of_path(words: list[str], at: int, *, calls: bool) -> Launch:
    named, _, command = words[at].partition("#")
    if not os.path.isdir(named):  # noqa: PTH112 - as in `start`
        return launch_file(Path(named), command or None, calls=calls)
    quiet = _native.run_has_flag(words, "quiet")
    progress = _nothing if quiet else output.progress
    try:
        return launch_project(named, command or None, progress, calls=calls, colour=output.colourful())
    except BuildError as error:
        sys.stderr.write(error.output)
        raise


def _of_name(store: LocalStore, name: str, *, calls: bool) -> Launch:
    """A package; where a file has that name, the error says how it is run."""
    try:
        return launch_package(store, read_reference(name), calls=calls)
    except (NotFoundError, UsageError) as error:
        if not os.path.lexists(name):
            raise
        raise type(error)(error.message, hint=f"`./{name}` is the file of that name") from error


def _note(store: LocalStore, name: str, words: list[str], state: int) -> None:
    """Saves the next run of a name the way here; see ``start``."""
    with contextlib.suppress(HostIOError):  # the store may be one that can only be read
        store.index().note(name, json.dumps(words), state)


def _nothing(what: str, seconds: float | None) -> None:
    del what, seconds
