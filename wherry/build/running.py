"""Running the tools of a language: in the project's folder, with what they say kept as they say it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wherry.errors import BuildError, ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wherry.build.tools import Progress

__all__ = ["run_tool"]

_SHOWN_AFTER = 0.5


def run_tool(
    command: Sequence[str | os.PathLike[str]],
    folder: Path,
    progress: Progress,
    *,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs a tool and gives back what it said on both streams.

    Raises:
        BuildError: It failed; ``output`` holds what it said.
        ToolError: It cannot be started.

    """
    import subprocess

    began = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ToolError(
            f"`{command[0]}` cannot be started: {(error.strerror or str(error)).lower()}"
        ) from error
    try:
        while True:
            try:
                said, _ = process.communicate(timeout=_SHOWN_AFTER)
                break
            except subprocess.TimeoutExpired:
                progress(what, time.monotonic() - began)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        progress(what, None)
    text = said.decode("utf-8", "replace")
    if process.returncode:
        failed = BuildError(f"{what} failed")
        failed.output = text
        raise failed
    return text
