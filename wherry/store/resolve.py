"""Which packages a package uses: ``[dependencies]`` followed to their end, with one version of each name.

``resolve`` asks ``Packages`` what there is and has ``resolvelib`` choose: the highest versions first, one
before a release only where it is asked for. What it gives back says all of it and could be written down. A
package that is chosen wants itself as well: so what was chosen once is never chosen anew beside what was
wanted of another version, and each way that fails is left whole. Where nothing fits, ``conflict`` says why.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from resolvelib.providers import AbstractProvider
from resolvelib.reporters import BaseReporter
from resolvelib.resolvers import Resolution, ResolutionImpossible, ResolutionTooDeep

from wherry.artifact.reading import read_manifest
from wherry.errors import DependencyError, ManifestError
from wherry.store.wanted import Chosen, Resolved, Wanted, wants

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from resolvelib.structs import RequirementInformation

    from wherry.artifact.manifest import Manifest
    from wherry.store.wanted import Packages

__all__ = ["World", "resolve", "solution"]

_ROUNDS = (100, 1000, 10_000)
"""How long each attempt may take; the next one begins with what was in the way of the one before."""

_MOST_PACKAGES = 500
"""The most names that one package may use with all that these use."""


def resolve(package: Chosen, manifest: Manifest, packages: Packages) -> Resolved:
    """The packages that ``package`` uses, which ``manifest`` is of, and those that they use.

    No other choice has a higher version of one of them and the same of all others.

    Raises:
        DependencyError: Something is not there, does not fit together, or uses itself.
        ManifestError: The ``wherry.toml`` in a folder is wrong, or of another package.
        NotFoundError: There is none in a folder.
        ArtifactError: A package is damaged.

    """
    world = World(package, manifest, packages)
    found = solution(world)
    if found is None:
        from wherry.store.conflict import explained

        raise explained(world)
    circle = _circle(world, found)
    if circle:
        way = ", which uses ".join(f"`{one.reference}`" for one in circle[1:])
        raise DependencyError(
            f"`{circle[0].reference}` uses {way}", hint="no package can use itself, whatever is in between"
        )
    return Resolved(package, tuple(found[name] for name in sorted(found.keys() - {package.name})))


def solution(
    world: World, only: Collection[Wanted] | None = None, *, attempts: Sequence[int] = _ROUNDS
) -> dict[str, Chosen] | None:
    """One package for each name, or ``None`` if nothing fits; with ``only`` as if nothing else were wanted.

    ``attempts`` says how many rounds each may take.

    Raises:
        DependencyError: It takes too long to find out.

    """
    choice = _Choice(world, only)
    first = Wanted(world.package.name, itself=world.package)
    for rounds in attempts:
        search: Resolution[Wanted, Chosen, str] = Resolution(choice, _Listener(world))
        # Leaps over what seems to have nothing to do with it would miss higher versions.
        search._optimistic_backjumping_ratio = 0.0  # noqa: SLF001 - see above; the version is pinned
        try:
            return dict(search.resolve([first], rounds).mapping)
        except ResolutionImpossible:
            return None
        except ResolutionTooDeep:
            continue
    raise DependencyError(
        f"what `{world.package.reference}` uses leaves too many choices",
        hint="say in `[dependencies]` more closely which versions fit",
    )


class World:
    """What can be chosen for one package, and what each choice wants; all is read once."""

    def __init__(self, package: Chosen, manifest: Manifest, packages: Packages) -> None:
        self.package = package
        self.packages = packages
        self._manifests = {package: manifest}
        self._wants: dict[Chosen, tuple[Wanted, ...]] = {}
        self._named: dict[str, tuple[Chosen, ...]] = {}
        self.troubled: set[str] = set()
        """Names that did not fit together somewhere, and those that brought them."""
        self.rounds = 0
        """How much was tried so far."""

    def wants(self) -> list[Wanted]:
        """Everything that a package wanted that was looked at, in that order."""
        return [wanted for some in self._wants.values() for wanted in some]

    def wants_of(self, package: Chosen) -> tuple[Wanted, ...]:
        """What a package wants."""
        if package not in self._wants:
            if len({one.name for one in self._wants}) >= _MOST_PACKAGES:
                raise DependencyError(f"`{self.package.reference}` uses more than {_MOST_PACKAGES} packages")
            self._wants[package] = wants(package, self._manifest(package))
        return self._wants[package]

    def there(self, name: str, wanted: Iterable[Wanted]) -> list[Chosen]:
        """The packages of a name, the highest version first; ``wanted`` may name some by digest or folder."""
        if name == self.package.name:
            return [self.package]
        if name not in self._named:
            self._named[name] = tuple(self.packages.named(name))
        found = set(self._named[name])
        for one in wanted:
            if one.folder is not None:
                found.add(self._project(name, one.folder))
            elif one.digest is not None:
                found |= {other for other in self.packages.with_digest(one.digest) if other.name == name}
        return sorted(found, key=_rank, reverse=True)

    def trouble(self, names: set[str]) -> None:
        """Remembers names that did not fit together."""
        looked_at = self.wants()
        while names:
            self.troubled |= names
            names = {one.by.name for one in looked_at if one.name in names and one.by} - self.troubled

    def _manifest(self, package: Chosen) -> Manifest:
        if package not in self._manifests:
            self._manifests[package] = self.packages.manifest(package.digest or "")
        return self._manifests[package]

    def _project(self, name: str, folder: Path) -> Chosen:
        """The project in a folder, which has to be the one that is meant."""
        manifest = read_manifest(folder)
        said = manifest.package
        if said.name != name:
            raise ManifestError(
                f"`{os.path.relpath(folder)}` is the project of `{said.name}`, not of `{name}`",
                hint=f"`path` of `{name}` in `[dependencies]` names another folder",
            )
        found = Chosen(said.name, said.version, folder=folder)
        self._manifests[found] = manifest
        return found


class _Choice(AbstractProvider[Wanted, Chosen, str]):
    """What ``resolvelib`` asks."""

    def __init__(self, world: World, only: Collection[Wanted] | None) -> None:
        self._world = world
        self._only = None if only is None else {*only}

    def identify(self, requirement_or_candidate: Wanted | Chosen) -> str:
        """The name."""
        return requirement_or_candidate.name

    def get_preference(self, identifier: str, *_: object, **__: object) -> str:
        """By name, so that the same choice comes out whenever."""
        return identifier

    def narrow_requirement_selection(self, identifiers: Iterable[str], *_: object, **__: object) -> list[str]:
        """Names that were in the way of something come first: what cannot be is found out soonest."""
        names = list(identifiers)
        return [name for name in names if name in self._world.troubled] or names

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Wanted]],
        incompatibilities: Mapping[str, Iterator[Chosen]],
    ) -> list[Chosen]:
        """The packages of a name that fit, the highest version first."""
        wanted = list(requirements[identifier])
        excluded = set(incompatibilities[identifier])
        there = self._world.there(identifier, wanted)
        return [one for one in there if one not in excluded and all(each.fits(one) for each in wanted)]

    def is_satisfied_by(self, requirement: Wanted, candidate: Chosen) -> bool:
        """Whether a package is what is wanted."""
        return requirement.fits(candidate)

    def get_dependencies(self, candidate: Chosen) -> list[Wanted]:
        """What a package wants: itself, so that it stays chosen, and what it uses."""
        uses = self._world.wants_of(candidate)
        taken = uses if self._only is None else [one for one in uses if one in self._only]
        return [Wanted(candidate.name, itself=candidate), *taken]


class _Listener(BaseReporter[Wanted, Chosen, str]):
    """Tells how long it takes, and what did not fit together."""

    def __init__(self, world: World) -> None:
        self._world = world

    def starting_round(self, index: int) -> None:
        """Counts."""
        del index
        self._world.rounds += 1

    def resolving_conflicts(self, causes: Collection[RequirementInformation[Wanted, Chosen]]) -> None:
        """Hears of it."""
        self._world.trouble({cause.requirement.name for cause in causes})


def _rank(package: Chosen) -> tuple[bool, Any, str]:
    return (*_precedence(package.version), package.digest or "")


@functools.lru_cache(10_000)
def _precedence(version: str) -> tuple[bool, Any]:
    """What is released comes before what is not, as where a package is named on the command line."""
    from semantic_version.base import Version

    read = Version(version)
    return not read.prerelease, read.precedence_key


def _circle(world: World, found: dict[str, Chosen]) -> list[Chosen]:
    """A way from a package to itself; empty if there is none."""
    uses = {one: {found[wanted.name] for wanted in world.wants_of(one)} for one in found.values()}
    while free := [one for one, used in uses.items() if not used & uses.keys()]:
        for one in free:
            del uses[one]
    if not uses:
        return []
    # What is left leads back to itself sooner or later.
    one = world.package if world.package in uses else min(uses, key=lambda one: one.name)
    way: list[Chosen] = []
    while one not in way:
        way.append(one)
        one = min(uses[one] & uses.keys(), key=lambda one: one.name)
    return [*way[way.index(one) :], one]
