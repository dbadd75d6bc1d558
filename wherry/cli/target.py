"""What ``wherry run`` is to run where it is no file of WebAssembly: a project, or a packed file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from wherry import _native
from wherry.build.launch import launch_file, launch_project
from wherry.cli import output
from wherry.errors import BuildError

__all__ = ["resolved"]


def resolved(words: list[str], at: int) -> list[str]:
    """The words after ``wherry run`` with a component and its flags in place of the project or package."""
    named, _, command = words[at].partition("#")
    quiet = _native.run_has_flag(words, "quiet")
    calls = _native.run_has_flag(words, "invoke")
    if os.path.isdir(named):  # noqa: PTH112 - as in `start`
        colour = output.colourful()
        try:
            found = launch_project(
                named, command or None, _nothing if quiet else output.progress, calls=calls, colour=colour
            )
        except BuildError as error:
            sys.stderr.write(error.output)
            raise
    else:
        found = launch_file(Path(named), command or None, calls=calls)
    # `--` may stand before FILE, and nothing after it is a flag.
    before = words[: at - 1] if at and words[at - 1] == "--" else words[:at]
    return [*found.flags, *before, str(found.component.absolute()), *found.args, *words[at + 1 :]]


def _nothing(what: str, seconds: float | None) -> None:
    del what, seconds
