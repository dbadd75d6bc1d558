"""What packages in the store use of one another: for running them, sending them on and taking them away.

``StorePackages`` is what ``resolve`` chooses from. A package uses whatever fits at the moment, so that all
this is found out when it is asked for; packages that use nothing are told by their bytes, without reading
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.errors import ArtifactError, DependencyError, NotFoundError, PackageError
from wherry.store.wanted import Chosen, Resolved, Wanted, wants

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from wherry.artifact.manifest import Manifest
    from wherry.artifact.read import Artifact
    from wherry.store.catalogue import Package
    from wherry.store.index import Row
    from wherry.store.local import LocalStore

__all__ = ["StorePackages", "kept_by_digest", "resolve_package", "unmet", "users", "with_used"]


class StorePackages:
    """The packages of a store, each read once."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self._artifacts: dict[str, Artifact] = {}

    def names(self) -> list[str]:
        """The names of all packages."""
        return self.store.index().names()

    def named(self, name: str) -> list[Chosen]:
        """The packages of a name, one for each version."""
        known = self.store.index().named(name)
        return [Chosen(name, label, row.digest) for label, released, row in known if released]

    def with_digest(self, digest: str) -> list[Chosen]:
        """The package of a digest, though its name may lead to another by now."""
        rows = self.store.index().with_digest(digest)
        return [found for row in rows if (found := _chosen(row)) is not None]

    def manifest(self, digest: str) -> Manifest:
        """What a package says of itself.

        Raises:
            ArtifactError: It is damaged, or of another tool.

        """
        manifest = self.artifact(digest).manifest
        if manifest is None:
            raise ArtifactError(f"`{digest}` is of another tool, and does not say what it offers")
        return manifest

    def artifact(self, digest: str) -> Artifact:
        """A package as it is described; the same each time."""
        if digest not in self._artifacts:
            self._artifacts[digest] = self.store.artifact(digest)
        return self._artifacts[digest]


def resolve_package(store: LocalStore, package: Package) -> Resolved | None:
    """What a package in the store uses; ``None`` for one of another tool.

    Raises:
        DependencyError: It cannot have that.
        ArtifactError: A package is damaged.

    """
    return _resolved(StorePackages(store), package.digest)


def with_used(store: LocalStore, packages: Iterable[Package]) -> list[Package]:
    """Packages, and after them all that they use.

    Raises:
        DependencyError: One cannot have what it uses.

    """
    found = {package.digest: package for package in packages}
    read = StorePackages(store)
    for digest in list(found):
        resolved = _resolved(read, digest)
        for one in resolved.uses if resolved is not None else ():
            if one.digest is not None and one.digest not in found:
                found[one.digest] = store.find(one.digest)
    return list(found.values())


def unmet(store: LocalStore, among: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """The packages, of all or ``among`` some digests, that cannot have what they use: digest, and why."""
    packages = StorePackages(store)
    for row in _using(store):
        if among is not None and row.digest not in among:
            continue
        try:
            _resolved(packages, row.digest)
        except DependencyError as error:
            yield row.digest, error.message
        except (PackageError, NotFoundError):  # which is said where bytes are looked at
            continue


def users(store: LocalStore, going: Collection[str], labels: Collection[tuple[str, str]]) -> list[Wanted]:
    """What packages that stay want of others and could not have any more.

    ``going`` are digests of packages that are to go, ``labels`` names with versions that lead nowhere then.
    """
    packages = StorePackages(store)
    found = []
    for row in _using(store):
        if row.digest in going or (user := _chosen(row)) is None:
            continue
        for wanted in _wants(packages, user):
            before = {*packages.named(wanted.name)}
            if wanted.digest is not None:
                before |= {one for one in packages.with_digest(wanted.digest) if one.name == wanted.name}
            after = {
                one
                for one in before
                if one.digest not in going
                and ((one.name, one.version) not in labels or one.digest == wanted.digest)
            }
            if any(map(wanted.fits, before)) and not any(map(wanted.fits, after)):
                found.append(wanted)
    return found


def kept_by_digest(store: LocalStore) -> set[str]:
    """The packages that others use by their digest, which need no name therefore; and what these use so."""
    packages = StorePackages(store)
    index = store.index()
    waiting = {digest for _, _, digest in index.references()} | {digest for *_, digest in index.installed()}
    using = {row.digest: one for row in _using(store) if (one := _chosen(row)) is not None}
    kept: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in using:
            wanted = {one.digest for one in _wants(packages, using[digest]) if one.digest is not None}
            waiting |= wanted - kept
            kept |= wanted
    return kept


def _resolved(packages: StorePackages, digest: str) -> Resolved | None:
    manifest = packages.artifact(digest).manifest
    if manifest is None:
        return None
    chosen = Chosen(manifest.package.name, manifest.package.version, digest)
    if not manifest.dependencies:
        return Resolved(chosen, ())
    from wherry.store.resolve import resolve

    return resolve(chosen, manifest, packages)


def _using(store: LocalStore) -> Iterator[Row]:
    """The packages that may use others: the word stands in their bytes."""
    for row in store.index().packages():
        try:
            if b"dependencies" in store.blob(row.digest).read_bytes():
                yield row
        except OSError:  # it is damaged, or another process takes it away
            continue


def _wants(packages: StorePackages, package: Chosen) -> Sequence[Wanted]:
    """What a package uses; nothing if it is damaged, or gone meanwhile."""
    try:
        return wants(package, packages.manifest(package.digest or ""))
    except (PackageError, NotFoundError):
        return ()


def _chosen(row: Row) -> Chosen | None:
    """A package that says its name."""
    return Chosen(row.name, row.version, row.digest) if row.name and row.version else None
