"""A stand-in for ``ssl``, which guests have not: TLS is the host's.

Libraries name its classes where they are loaded, and use none of them for requests that the host sends.
"""

from __future__ import annotations

import sys
import types
from typing import Never


class SSLError(OSError):
    """What nothing raises here."""


class _Absent:
    """A class that cannot be used."""

    def __init__(self, *_: object, **__: object) -> None:
        raise SSLError(
            "a guest has no TLS of its own: `wherry_http`, `urllib.request` and `httpx` use the host's"
        )


def _absent(*_: object, **__: object) -> Never:
    raise SSLError("a guest has no TLS of its own")


_ERRORS = (
    "SSLCertVerificationError",
    "SSLEOFError",
    "SSLSyscallError",
    "SSLWantReadError",
    "SSLWantWriteError",
    "SSLZeroReturnError",
)
_CLASSES = ("MemoryBIO", "Purpose", "SSLContext", "SSLObject", "SSLSession", "SSLSocket", "TLSVersion")


def install() -> None:
    """Put it where libraries look for it."""
    module = types.ModuleType("ssl", __doc__)
    module.SSLError = SSLError  # type: ignore[attr-defined]
    module.create_default_context = _absent  # type: ignore[attr-defined]
    for name in _ERRORS:
        setattr(module, name, type(name, (SSLError,), {}))
    for name in _CLASSES:
        setattr(module, name, type(name, (_Absent,), {}))
    sys.modules["ssl"] = module
