"""Compiling ahead of time, for this machine or another: what ``wherry compile`` does.

The result is machine code with a trailer that says what it was made from and for; see ``docs/compile.md``.
It is trusted code: whoever can write such a file decides what the process that loads it does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.errors import HostIOError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["modes", "precompile", "targets"]

SUFFIX = ".cwasm"
"""The end of the names of files with compiled code."""


def targets() -> list[str]:
    """What :func:`precompile` can compile for: target triples, and ``pulley64``, the portable interpreter."""
    return _native.targets()


def modes() -> list[str]:
    """The engine modes: ``plain`` is that of ``wherry run``, ``interruptible`` that of ``wherry.load``."""
    return _native.modes()


def precompile(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    target: str | None = None,
    mode: str = "plain",
    limits: _native.Limits | None = None,
    progress: Callable[[float], object] | None = None,
    apart: bool = True,
) -> Path:
    """Compile the file ``source`` into the file ``output``, and return the path of that.

    Without ``output`` it lies beside the source, with the suffix ``.cwasm``. Without ``target`` the code is
    for this machine, with all that its processor can do; with a triple it is for any processor of that kind.
    What is larger than ``limits`` allow (``functions``, ``body``, ``nesting``, ``size``) is refused before it
    is compiled. While compiling takes over a second, ``progress`` is called with the seconds so far.
    ``output`` appears whole or not at all. What is large is compiled ``apart``, in a process of its own;
    a program that does nothing else may as well compile it itself.

    Raises:
        LoadError: ``source`` is not there, no WebAssembly, damaged or too large.
        UsageError: There is no such target or mode.
        HostIOError: ``output`` cannot be written.

    """
    path = Path(source)
    result = path.with_suffix(SUFFIX) if output is None else Path(output)
    code = _native.precompile_file(
        path, target=target, mode=mode, limits=limits, progress=progress, apart=apart
    )
    _write(result, code)
    return result


def _write(path: Path, code: bytes) -> None:
    """Write a file whole or not at all: one that is mapped by a running program must never change."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            temporary.write_bytes(code)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileNotFoundError as error:
        raise NotFoundError(f"`{path.parent}`: no such folder") from error
    except OSError as error:
        raise HostIOError(f"`{path}`: {(error.strerror or str(error)).lower()}") from error
