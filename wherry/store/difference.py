"""What one package is beyond another: files, size, needs, imports, and what its interfaces promise.

The verdict follows from the types alone. What callers can still call as before is a patch, what they can call
besides is a minor version, and what is gone or other than it was is a major one (semver.org). An import that
a host has to provide counts as something that callers have to do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from wherry.artifact.blobs import read_blob
from wherry.artifact.read import verify
from wherry.runtime.inspect import inspect
from wherry.store.permissions import asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wherry.artifact.blobs import Source
    from wherry.artifact.read import Artifact
    from wherry.runtime.inspect import Group

__all__ = ["Change", "Difference", "compare"]

Verdict: TypeAlias = Literal["same", "patch", "minor", "major"]
_ORDER: tuple[Verdict, ...] = ("same", "patch", "minor", "major")
_OF_THE_HOST = "wasi:"
"""What imports begin with that every host of WASI provides, as far as it grants them."""


@dataclass(frozen=True)
class Change:
    """One thing that is not in both packages, or not the same; what is not there is none."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.after}"
        if self.after is None:
            return f"- {self.before}"
        return f"- {self.before}\n+ {self.after}"


@dataclass(frozen=True)
class Difference:
    """What a package is beyond another.

    ``verdict`` is the least step of the version that the interfaces need, ``step`` the one that was taken, or
    none where one of them has no version. ``files`` are by path, ``needs`` by flag, with sizes in bytes.
    """

    verdict: Verdict
    step: Verdict | None
    size: tuple[int, int]
    files: list[Change] = field(default_factory=list)
    needs: list[Change] = field(default_factory=list)
    imports: list[Change] = field(default_factory=list)
    exports: list[Change] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        """Whether the version says what the interfaces need; below 1.0.0 the minor one says all."""
        return self.step is None or _ORDER.index(self.step) >= _ORDER.index(self.verdict)


@dataclass
class _Side:
    """A package as it is compared."""

    size: int
    version: str | None
    files: dict[str, str] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)


def compare(before: tuple[Source, Artifact], after: tuple[Source, Artifact]) -> Difference:
    """What ``after`` is beyond ``before``, each with where its bytes are.

    Raises:
        ArtifactError: One is damaged.

    """
    one, other = _side(*before), _side(*after)
    exports = _changes(one.exports, other.exports)
    imports = _changes(one.imports, other.imports)
    verdict = _verdict(exports, imports)
    files, needs = _changes(one.files, other.files), _changes(one.needs, other.needs)
    if verdict == "same" and (files or needs or imports or before[1].digest != after[1].digest):
        verdict = "patch"
    step = _step(one.version, other.version)
    return Difference(verdict, step, (one.size, other.size), files, needs, imports, exports)


def _side(source: Source, artifact: Artifact) -> _Side:
    manifest = artifact.manifest
    side = _Side(
        sum(blob.size for blob in artifact.blobs()),
        manifest.package.version if manifest is not None else None,
    )
    members = [member for member in verify(source, artifact) if not member.folder]
    if artifact.files is not None:
        with source.open(artifact.files.digest) as stream:
            for member in members:
                stream.seek(member.offset)
                digest = hashlib.sha256(stream.read(member.size)).hexdigest()
                side.files[member.path] = f"/{member.path} ({member.size:,} bytes, {digest[:12]})"
    if manifest is not None:
        side.needs = {" ".join(one.flag): one.words for one in asked(manifest.needs)}
    for component in artifact.components:
        found = inspect(read_blob(source, component.descriptor))
        where = f"{component.places[0]}: " if len(artifact.components) > 1 and component.places else ""
        side.imports |= _entries(where, found.imports)
        side.exports |= _entries(where, found.exports)
    return side


def _entries(where: str, groups: Iterable[Group]) -> dict[str, str]:
    """Functions and types by their names, whatever the version of their interface."""
    found = {}
    for group in groups:
        interface = f"{group.name.partition('@')[0]}#" if group.name is not None else ""
        for entry in group.entries:
            found[f"{where}{interface}{entry.name}"] = f"{where}{interface}{entry.signature}"
        for named in group.types:
            found[f"{where}{interface}type {named.name}"] = f"{where}{interface}{named.definition}"
    return found


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    return [
        Change(name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _verdict(exports: list[Change], imports: list[Change]) -> Verdict:
    if any(change.before is not None for change in exports):
        return "major"
    if any(change.after is not None and _OF_THE_HOST not in change.name for change in imports):
        return "major"
    return "minor" if exports else "same"


def _step(before: str | None, after: str | None) -> Verdict | None:
    """How far a version is from another; below 1.0.0 each number counts for the one before it."""
    if before is None or after is None:
        return None
    from semantic_version.base import Version

    one, other = Version(before), Version(after)
    if one == other:
        return "same"
    if one.major != other.major:
        return "major"
    if one.minor != other.minor:
        return "minor" if one.major else "major"
    return "patch" if one.major else "minor"
