"""Packages that use one another: what is sent on together, and what cannot be taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import project
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.errors import DependencyError, UsageError
from wherry.store.dependencies import resolve_package, unmet, with_used
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wherry.store.catalogue import Package

    Put = Callable[..., Package]

TEXT = '[package]\nname = "{name}"\nversion = "{version}"\n\n[library]\ncomponent = "add.wasm"\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    """An empty store."""
    with LocalStore(tmp_path / "store") as found:
        yield found


@pytest.fixture
def put(store: LocalStore, tmp_path: Path) -> Put:
    """Puts a package in, by its reference and the lines of its ``[dependencies]``."""
    count = iter(range(100))

    def add(reference: str, uses: str = "", more: str = "") -> Package:
        name, _, version = reference.partition("@")
        folder = tmp_path / f"project-{next(count)}"
        folder.mkdir()
        text = TEXT.format(name=name, version=version) + more
        blobs = MemoryBlobs()
        descriptor = pack(project(folder, f"{text}\n[dependencies]\n{uses}" if uses else text), blobs)
        return store.put(blobs, descriptor)

    return add


class TestUsing:
    """What is found for a package in the store."""

    def test_the_newest_that_is_there(self, store: LocalStore, put: Put) -> None:
        """What comes later is used from then on; what has lost its name, by its digest alone."""
        old = put("acme/tools@1.0.0")
        new = put("acme/tools@1.0.0", more='\n[files]\n"/data" = "data"\n')
        app = put("acme/app@1.0.0", '"acme/tools" = "^1"')
        exact = put("acme/exact@1.0.0", f'"acme/tools" = {{ digest = "{old.digest}" }}')
        assert uses(store, app) == [new.digest]
        assert uses(store, exact) == [old.digest]
        newer = put("acme/tools@1.1.0")
        assert uses(store, app) == [newer.digest]

    def test_all_of_it(self, store: LocalStore, put: Put) -> None:
        """What a used one uses comes too, and each once."""
        base = put("acme/base@1.0.0")
        tools = put("acme/tools@1.0.0", '"acme/base" = "1"')
        app = put("acme/app@1.0.0", '"acme/tools" = "1"\n"acme/base" = "1"')
        found = with_used(store, [app, tools])
        assert [one.digest for one in found] == [app.digest, tools.digest, base.digest]

    def test_what_is_missing(self, store: LocalStore, put: Put) -> None:
        """It is said, and the packages that lack nothing are none of it."""
        put("acme/base@1.0.0")
        app = put("acme/app@1.0.0", '"acme/tools" = "1"')
        put("acme/fine@1.0.0", '"acme/base" = "1"')
        with pytest.raises(DependencyError):
            with_used(store, [app])
        message = "`acme/app@1.0.0` wants `acme/tools` 1, and there is none"
        assert list(unmet(store)) == [(app.digest, message)]
        assert store.verify() == []


class TestTakingOut:
    """What another package uses stays, unless somebody says that it goes."""

    def test_the_last_that_fits(self, store: LocalStore, put: Put) -> None:
        """One of two may go; the other one is refused, with who uses it."""
        put("acme/tools@1.0.0")
        put("acme/tools@1.1.0")
        put("acme/tools@2.0.0")
        put("acme/app@1.0.0", '"acme/tools" = "^1"')
        store.remove("acme/tools@1.0.0")
        for name in ("acme/tools@1.1.0", "acme/tools", store.find("acme/tools@1").digest):
            with pytest.raises(UsageError) as error:
                store.remove(name)
            assert error.value.message == "`acme/app@1.0.0` uses `acme/tools` ^1"
            assert error.value.hint == "nothing else that fits is here; `--force` removes it all the same"
        assert len(store.remove("acme/tools@2").packages) == 1
        assert len(store.remove("acme/tools@1.1.0", force=True).packages) == 1

    def test_with_who_uses_it(self, store: LocalStore, put: Put) -> None:
        """Nothing is in the way once the user has gone."""
        put("acme/tools@1.0.0", '"acme/base" = "1"')
        put("acme/base@1.0.0")
        with pytest.raises(UsageError):
            store.remove("acme/base")
        store.remove("acme/tools")
        store.remove("acme/base")
        assert store.packages() == []

    def test_what_lacked_it_before(self, store: LocalStore, put: Put) -> None:
        """A package that no version fitted loses nothing."""
        put("acme/app@1.0.0", '"acme/tools" = "^2"')
        put("acme/tools@1.0.0")
        assert len(store.remove("acme/tools").packages) == 1

    def test_a_label_that_is_left(self, store: LocalStore, put: Put) -> None:
        """It keeps the package, but no version leads to it, which is what is used."""
        tools = put("acme/tools@1.0.0")
        put("acme/app@1.0.0", '"acme/tools" = "1"')
        store.tag(tools.digest, "acme/tools@kept")
        with pytest.raises(UsageError):
            store.remove("acme/tools@1.0.0")
        assert store.remove("acme/tools@kept").packages == ()

    def test_pruning(self, store: LocalStore, put: Put) -> None:
        """What is used by its digest stays without a name, and goes when nobody uses it any more."""
        old = put("acme/tools@1.0.0")
        put("acme/tools@1.0.0", more='\n[files]\n"/data" = "data"\n')
        put("acme/exact@1.0.0", f'"acme/tools" = {{ digest = "{old.digest}" }}')
        assert store.prune().packages == ()
        with pytest.raises(UsageError):
            store.remove(old.digest)
        store.remove("acme/exact")
        assert store.prune().packages == (old.digest,)

    def test_pruning_a_row(self, store: LocalStore, put: Put) -> None:
        """What only a package without a name uses goes with it."""
        old = put("acme/tools@1.0.0")
        put("acme/tools@1.0.0", more='\n[files]\n"/data" = "data"\n')
        exact = put("acme/exact@1.0.0", f'"acme/tools" = {{ digest = "{old.digest}" }}')
        put("acme/exact@1.0.0")
        assert set(store.prune().packages) == {old.digest, exact.digest}


def uses(store: LocalStore, package: Package) -> list[str | None]:
    """The digests of what a package uses."""
    resolved = resolve_package(store, package)
    assert resolved is not None
    return [one.digest for one in resolved.uses]
