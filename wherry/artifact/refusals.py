"""How refusals are made: one function for each class of error, with a reason that stays and words for people.

What stands in somebody's artifact is shown by ``shown`` alone, so that no name in it
gives orders to a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from wherry.errors import (
    ArtifactError,
    ArtifactLimitError,
    DigestError,
    HostIOError,
    MalformedArtifactError,
    UnsafeEntryError,
    UnsupportedArtifactError,
)

if TYPE_CHECKING:
    import os

    _Refusal = TypeVar("_Refusal", bound=ArtifactError)

__all__ = ["differs", "host_error", "malformed", "over", "shown", "unsafe", "unsupported"]

_MOST_SHOWN = 80


def malformed(reason: str, message: str) -> MalformedArtifactError:
    """What is not of the form of packages."""
    return _because(reason, MalformedArtifactError(message))


def unsupported(reason: str, message: str) -> UnsupportedArtifactError:
    """What is of a form that Wherry does not know."""
    return _because(reason, UnsupportedArtifactError(message))


def unsafe(reason: str, message: str) -> UnsafeEntryError:
    """What no archive of a package holds."""
    return _because(reason, UnsafeEntryError(message))


def differs(reason: str, message: str) -> DigestError:
    """What is not the bytes that were named."""
    return _because(reason, DigestError(message))


def over(what: str, most: int, reason: str) -> ArtifactLimitError:
    """What is over a bound of ``most``."""
    return _because(reason, ArtifactLimitError(f"{what} is over the bound of {most:,}"))


def host_error(path: str | os.PathLike[str], error: OSError) -> HostIOError:
    """What the host refused."""
    return HostIOError(f"`{path}`: {(error.strerror or str(error)).lower()}")


def shown(text: str) -> str:
    """Somebody's text for a message: short, and with all that is not plain escaped."""
    short = text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 21]}…{text[-20:]}"
    return short if short.isprintable() else ascii(short)[1:-1]


def _because(reason: str, error: _Refusal) -> _Refusal:
    error.reason = reason
    return error
