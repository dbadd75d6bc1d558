"""How a package is named: ``acme/thumbs``, ``acme/thumbs@1.2``, ``@sha256:…``, ``acme/tools#command``.

``read_reference`` takes a text apart and says what is wrong with it; nothing here knows what there is. What
begins with ``.`` or ``/`` or ends like a file is a path, as for ``wherry run``, and not read here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.errors import UsageError
from wherry.store.location import is_path

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Reference", "newest", "read_reference"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PART_OF_DIGEST = re.compile(r"sha256:[0-9a-f]{6,63}")
_LABEL = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_NUMBERS = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){0,2}")
"""Versions and requirements that say no more than which; to compare these no library is loaded."""
_COMMAND = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}")
_HINT = "a package is named `acme/thumbs`, `acme/thumbs@1.2`, `acme/thumbs@sha256:…` or `acme/tools#command`"

_PATH_HINT = (
    "`wherry pack` takes a project into the store, `wherry load` a packed file; then `wherry list` names it"
)


class Reference(NamedTuple):
    """The name of a package as somebody wrote it, taken apart.

    One of ``name`` and ``digest`` is there, or both. ``digest`` may be the first digits of one (six or more).
    ``label`` is a name that somebody gave, ``requirement`` says which versions fit; without any of them the
    newest is meant. ``command`` is one of several that the package offers.
    """

    name: str | None = None
    requirement: str | None = None
    label: str | None = None
    digest: str | None = None
    command: str | None = None

    def __str__(self) -> str:
        said = self.digest or self.requirement or self.label
        command = f"#{self.command}" if self.command is not None else ""
        if self.name is None:
            return f"{said}{command}"
        return f"{self.name}@{said}{command}" if said is not None else f"{self.name}{command}"

    def without_command(self) -> Reference:
        """The package as a whole."""
        return self._replace(command=None)

    def fits(self, version: str) -> bool:
        """Whether the requirement covers a version; a version before a release only where it is named."""
        if self.requirement is None:
            return True
        if _NUMBERS.fullmatch(self.requirement) and _NUMBERS.fullmatch(version):
            return f"{version}.".startswith(f"{self.requirement}.")
        from semantic_version.base import SimpleSpec, Version

        spec: Any = SimpleSpec(self.requirement)
        return bool(spec.match(Version(version)))


def read_reference(text: str) -> Reference:
    """What ``text`` names.

    Raises:
        UsageError: It is no name of a package; the message says what is wrong.

    """
    if is_path(text):
        raise UsageError(f"`{_shown(text)}` is a file or folder, and names no package", hint=_PATH_HINT)
    package, marked, command = text.partition("#")
    if marked and not _COMMAND.fullmatch(command):
        raise UsageError(f"`{_shown(text)}`: what follows `#` is no name of a command", hint=_HINT)
    name, at, said = package.partition("@")
    if not at and (_DIGEST.fullmatch(name) or _PART_OF_DIGEST.fullmatch(name)):
        name, at, said = "", "@", name
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"`{_shown(text)}` names no package", hint=_said_otherwise(name))
    found = Reference(name or None, command=command or None)
    if not at and name:
        return found
    if _DIGEST.fullmatch(said) or _PART_OF_DIGEST.fullmatch(said):
        return found._replace(digest=said)
    if not name:
        raise UsageError(f"`{_shown(text)}` names no package", hint=_HINT)
    if _LABEL.fullmatch(said):
        return found._replace(label=said)
    if _is_requirement(said):
        return found._replace(requirement=said)
    raise UsageError(f"`{_shown(text)}`: `{_shown(said)}` is no version, digest or label", hint=_HINT)


def _said_otherwise(name: str) -> str:
    """The hint for something that is nearly a name."""
    lower = name.lower().replace("_", "-")
    if _NAME.fullmatch(lower):
        return f"names are in small letters, digits and dashes: `{lower}`"
    if "/" not in name:
        return (
            f"a name has two parts, such as `acme/{name}`; a file is `./{name}`" if name.isalnum() else _HINT
        )
    return _HINT


def newest(versions: Iterable[str]) -> str:
    """The highest of versions; one before a release only where there is no other. Of one it is that."""
    versions = list(versions)
    if len(versions) == 1:
        return versions[0]
    if all(map(_NUMBERS.fullmatch, versions)):
        return max(versions, key=lambda version: [int(number) for number in version.split(".")])
    from semantic_version.base import Version

    parsed = {Version(version): version for version in versions}
    released = [version for version in parsed if not version.prerelease]
    return parsed[max(released or parsed)]


def _is_requirement(text: str) -> bool:
    if _NUMBERS.fullmatch(text):
        return True
    from semantic_version.base import SimpleSpec

    try:
        SimpleSpec(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
