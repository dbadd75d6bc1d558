"""What ``wherry run`` runs where it is no file of WebAssembly: a project, a packed file, or a package."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from wherry import _native
from wherry.build.launch import launch
from wherry.cli import agreeing, output
from wherry.errors import HostIOError
from wherry.store.local import LocalStore
from wherry.store.location import is_path

if TYPE_CHECKING:
    from wherry.build.launch import Launch
    from wherry.build.project import Kind

__all__ = ["resolved"]


def resolved(words: list[str], at: int) -> list[str]:
    """The words after ``wherry run`` with a component and its flags in place of the project or package."""
    # `--` may stand before FILE, and nothing after it is a flag.
    before = words[: at - 1] if at and words[at - 1] == "--" else words[:at]
    with LocalStore() as store:
        # What another process takes back from here on, the note below must not bring back.
        state = store.index().state()
        found = _found(store, words, at)
        granted = agreeing.granted(store, found, before, words[at])
        flags = ["--name", found.name, *found.flags, *granted, *before]
        stands = [*flags, str(found.component.absolute()), *found.args]
        if at == 0 and not is_path(words[at]) and agreeing.settled(store, found):
            _note(store, words[at], stands, state)
    return [*stands, *words[at + 1 :]]


def _found(store: LocalStore, words: list[str], at: int) -> Launch:
    """What is to be run; a project is built first."""
    quiet = _native.run_has_flag(words, "quiet")
    progress = _nothing if quiet else output.progress
    place: Kind = "library" if _native.run_has_flag(words, "invoke") else "command"
    return launch(store, words[at], progress, place=place, colour=output.colourful())


def _note(store: LocalStore, name: str, words: list[str], state: int) -> None:
    """Saves the next run of a name the way here; see ``start``."""
    with contextlib.suppress(HostIOError):  # the store may be one that can only be read
        store.index().note(name, json.dumps(words), state)


def _nothing(what: str, seconds: float | None) -> None:
    del what, seconds
