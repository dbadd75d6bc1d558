"""What a value in ``wherry.toml`` has to be beyond its form: a licence, a requirement, a size.

Each check is given a value of the right type and says what is wrong with it, or ``None``. The libraries and
the compiled core that know are imported when there is something to check.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wherry.artifact.paths import check_path
from wherry.errors import ArtifactError, WherryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "VERSION",
    "connection",
    "count",
    "duration",
    "guest_path",
    "licence",
    "listening",
    "positive",
    "project_path",
    "request",
    "requirement",
    "route",
    "size",
]

VERSION = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
)
"""The grammar of semver.org as a regular expression."""

_MOST = 1_000_000
_HOST = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
"""What a path consists of (RFC 3986, section 3.3)."""


def licence(value: str) -> str | None:
    """An SPDX expression."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonical = canonicalize_license_expression(value)
    except InvalidLicenseExpression:
        return "is not in the list of SPDX"
    return None if canonical == value else f"is written `{canonical}` in the list of SPDX"


def requirement(value: str) -> str | None:
    """Which versions fit."""
    from semantic_version.base import SimpleSpec

    try:
        SimpleSpec(value)
    except ValueError:
        return "says nothing of versions"
    return None


def project_path(value: str) -> str | None:
    """A path that stays in the project."""
    plain = value.removeprefix("./").removesuffix("/")
    if plain in {"", "."}:
        return None
    try:
        check_path(plain)
    except ArtifactError as error:
        return error.message.partition("` ")[2]
    return None


def guest_path(value: str) -> str | None:
    """An absolute path in the guest."""
    plain = value.removeprefix("/")
    return project_path(plain) if plain else None


def size(value: str | int) -> str | None:
    """Bytes."""
    from wherry import _native

    return _read_by(_native.parse_size, value)


def duration(value: str) -> str | None:
    """A time."""
    from wherry import _native

    return _read_by(_native.parse_duration, value)


def count(value: str | int) -> str | None:
    """A whole number, which the core reads as it reads fuel."""
    from wherry import _native

    return _read_by(lambda text: _native.Limits(fuel=text), value)


def connection(value: str) -> str | None:
    """What ``--allow-net`` grants."""
    from wherry import _native

    return _granted(lambda text: _native.Policy(net=[text]), value)


def listening(value: str) -> str | None:
    """What ``--allow-listen`` grants."""
    from wherry import _native

    return _granted(lambda text: _native.Policy(listen=[text]), value)


def request(value: str) -> str | None:
    """What ``--allow-http`` grants."""
    from wherry import _native

    return _granted(lambda text: _native.Policy(http=[text]), value)


def positive(value: int) -> str | None:
    """How many of something, of which there is one at least."""
    return None if 1 <= value <= _MOST else "is out of bounds"


def route(value: str) -> str | None:
    """A host, if any, and a path with names for parts that may be anything."""
    host, _, path = value.partition("/")
    if len(host) == len(value):
        return "has no path"
    if host and not _HOST.fullmatch(host):
        return f"begins with `{host}`, which is no name of a host"
    parts = path.split("/")
    names = [part[1:] for part in parts if part.startswith((":", "*"))]
    if not all(_PARAMETER.fullmatch(name) for name in names):
        return "has a part without a name"
    if len({*names}) < len(names):
        return "names two parts the same"
    if any(part.startswith("*") for part in parts[:-1]):
        return "goes on after `*`, which stands for all the rest"
    return None if _PATH.fullmatch(path) else "has what no path of a URL has"


def _granted(grant: Callable[[str], object], value: str) -> str | None:
    """Why no policy can grant this, in the words of the core, without the parameter in front."""
    try:
        grant(value)
    except WherryError as error:
        return f"cannot be granted: {error.message.partition('`: ')[2] or error.message}"
    return None


def _read_by(reader: Callable[[str], object], value: str | int) -> str | None:
    if isinstance(value, int) and value < 0:
        return "is less than nothing"
    try:
        reader(str(value))
    except WherryError:
        return "cannot be read"
    return None
