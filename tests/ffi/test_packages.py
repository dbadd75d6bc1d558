"""Packages of the store by name, from C: what the store itself says that a name leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import SMALLEST, project
from tests.ffi.conftest import run
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSIONS = ("1.2.3", "1.10.0", "1.2.2", "2.0.0-rc.1")
NOT_FOUND, IO, INVALID, USAGE = 1, 2, 5, 24


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with several versions of one package, whose components differ by their bytes."""
    with LocalStore(tmp_path / "store") as store:
        for version in VERSIONS:
            folder = tmp_path / version
            folder.mkdir()
            blobs = MemoryBlobs()
            made = project(folder, SMALLEST.replace("1.0.0", version))
            component = made / "add.wasm"
            # A custom section with the version as its name.
            section = bytes([len(version)]) + version.encode()
            component.write_bytes(component.read_bytes() + bytes([0, len(section)]) + section)
            store.put(blobs, pack(made, blobs), [("acme/add", "stable")] if version == "1.2.2" else [])
    return tmp_path / "store"


@pytest.mark.parametrize(
    "wanted",
    ["acme/add", "acme/add@1", "acme/add@1.2", "acme/add@1.2.2", "acme/add@2.0.0-rc.1", "acme/add@stable"],
)
def test_a_name_leads_where_the_store_says(wanted: str, store: Path, program: Callable[..., Path]) -> None:
    """The newest, a version that fits, one before a release, a label; and by digest, whole or in part."""
    with LocalStore(store) as opened:
        package = opened.find(wanted).digest
        (component,) = opened.artifact(package).components
    expected = component.descriptor.digest.removeprefix("sha256:")
    for said in (wanted, package, f"@{package}", package[:20], f"acme/add@{package}"):
        assert run(program("named"), store, said).stdout == f"{expected}\n"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("acme/other", NOT_FOUND),
        ("acme/add@3", NOT_FOUND),
        ("acme/other@stable", NOT_FOUND),
        ("acme/add#again", USAGE),
        ("acme/add@<1.3", USAGE),
        ("sha256:", USAGE),
    ],
)
def test_a_name_that_leads_nowhere(
    wanted: str, status: int, store: Path, program: Callable[..., Path]
) -> None:
    """An error says which name, and where it was looked for."""
    printed = run(program("named"), store, wanted).stdout
    assert printed.startswith(f"error {status} "), printed


def test_bytes_that_are_not_those_of_their_digest(store: Path, program: Callable[..., Path]) -> None:
    """A component that was changed in the store is not taken for it, nor is a store without its database."""
    with LocalStore(store) as opened:
        (component,) = opened.artifact(opened.find("acme/add")).components
    blob = store / "blobs" / "sha256" / component.descriptor.digest.removeprefix("sha256:")
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes() + bytes([0, 2, 1, 65]))
    printed = run(program("named"), store, "acme/add").stdout
    assert printed.startswith(f"error {INVALID} the bytes of `acme/add` are not those of its digest")
    (store / "index.db").unlink()
    assert run(program("named"), store, "acme/add").stdout.startswith(f"error {NOT_FOUND} there is no store")
