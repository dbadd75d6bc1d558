"""The end of a program that left host functions behind: those that still run Python code are asked to end.

When an interpreter ends, a thread that wants to go on running Python code is torn down where it stands, with
the guest below it on its stack; that must not happen.
"""

from __future__ import annotations

import atexit
import functools
import time

from wherry import _native

__all__ = ["prepare"]

PATIENCE = 0.25
"""Seconds that they have. One that sleeps for longer does not wake before the program is gone."""


@functools.cache
def prepare() -> None:
    """Have it done when the program ends. Once is enough."""
    atexit.register(_end)


def _end() -> None:
    """Raise ``SystemExit`` in all of them, again and again, as one may be caught."""
    deadline = time.monotonic() + PATIENCE
    while (idents := _native.left_behind()) and time.monotonic() < deadline:
        import ctypes

        for ident in idents:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
        time.sleep(0.01)
