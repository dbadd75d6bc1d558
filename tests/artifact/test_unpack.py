"""Unpacking: all of a package or nothing, nowhere but in the target, and nothing left behind."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import FULL, SMALLEST, Made, add, hello, project
from tests.artifact.test_tree import ENTRIES, FORMS, PATHS, archive
from wherry.artifact import oci
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.artifact.read import read_artifact
from wherry.artifact.unpack import FILES, unpack, unpack_files
from wherry.errors import ArtifactError, DigestError, HostIOError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITH_FILES = f'{SMALLEST}[files]\n"/data" = "data"\n'
HOSTILE = {
    **{name: archive((path, b"")) for name, (path, _) in PATHS.items()},
    **{name: data for name, (data, _) in (ENTRIES | FORMS).items()},
}


def snapshot(folder: Path) -> list[tuple[str, int, bytes]]:
    """Everything in a folder: paths, kinds and bytes."""
    return sorted(
        (str(path.relative_to(folder)), path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    )


def packed(folder: Path, manifest: str) -> tuple[MemoryBlobs, oci.Descriptor]:
    """A project, packed into memory."""
    blobs = MemoryBlobs()
    return blobs, pack(project(folder, manifest), blobs)


def test_package_is_unpacked_as_it_was_packed(tmp_path: Path) -> None:
    """Manifest, components and files are there; what is read is what was packed."""
    blobs, descriptor = packed(tmp_path / "project", FULL)
    unpack(read_artifact(blobs, descriptor), blobs, tmp_path / "target")
    target = tmp_path / "target"
    assert sorted(path.name for path in target.iterdir()) == [
        "component-1.wasm",
        "component-2.wasm",
        "files",
        "wherry.toml",
    ]
    assert (target / "wherry.toml").read_text() == FULL
    assert (target / "component-1.wasm").read_bytes() == hello()
    assert (target / "component-2.wasm").read_bytes() == add()
    assert (target / FILES / "etc/tools/settings.ini").read_bytes() == b"[all]\n"

    def plain(folder: Path) -> list[tuple[str, bytes]]:
        return [(name, data) for name, _, data in snapshot(folder)]

    assert plain(target / FILES / "data") == plain(tmp_path / "project" / "data")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_rights_and_times_are_those_of_the_package(umask: int, tmp_path: Path) -> None:
    """Whoever unpacks it, files can be read by all and are of no time."""
    blobs, descriptor = packed(tmp_path / "project", FULL)
    before = os.umask(umask)
    try:
        unpack_files(read_artifact(blobs, descriptor), blobs, tmp_path / "target")
    finally:
        os.umask(before)
    found = [path.stat() for path in (tmp_path / "target").rglob("*")]
    assert {stat.filemode(one.st_mode) for one in found} == {"drwxr-xr-x", "-rw-r--r--"}
    assert {one.st_mtime for one in found if stat.S_ISREG(one.st_mode)} == {0}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_before_anything_is_written(data: bytes, tmp_path: Path) -> None:
    """Nothing is made, in the target or beside it."""
    made = Made()
    layers = [made.put(oci.WASM_LAYER, add()), made.put(oci.FILES_LAYER, data)]
    artifact = read_artifact(made, made.image(layers, annotations={"wherry.toml": WITH_FILES}))
    (tmp_path / "beside").mkdir()
    before = snapshot(tmp_path)
    with pytest.raises(ArtifactError):
        unpack(artifact, made, tmp_path / "target")
    with pytest.raises(ArtifactError):
        unpack_files(artifact, made, tmp_path / "target")
    assert snapshot(tmp_path) == before


def test_same_package_without_the_hostile_part_is_unpacked(tmp_path: Path) -> None:
    """What was refused above was refused for what is in its archive."""
    made = Made()
    layers = [
        made.put(oci.WASM_LAYER, add()),
        made.put(oci.FILES_LAYER, archive(("data", None), ("data/a", b"1"))),
    ]
    artifact = read_artifact(made, made.image(layers, annotations={"wherry.toml": WITH_FILES}))
    unpack_files(artifact, made, tmp_path / "target")
    assert (tmp_path / "target" / "data" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("kind", ["folder", "file", "link", "link to nothing"])
def test_target_that_is_there_stays(kind: str, tmp_path: Path) -> None:
    """Whatever stands at the target is left alone, and so is what it leads to."""
    blobs, descriptor = packed(tmp_path / "project", SMALLEST)
    target = tmp_path / "target"
    (tmp_path / "elsewhere").mkdir()
    match kind:
        case "folder":
            target.mkdir()
        case "file":
            target.write_text("mine")
        case "link":
            target.symlink_to(tmp_path / "elsewhere")
        case _:
            target.symlink_to(tmp_path / "nothing")
    before = snapshot(tmp_path)
    with pytest.raises(HostIOError, match="is there already"):
        unpack(read_artifact(blobs, descriptor), blobs, target)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", [3, 100])
def test_all_of_it_is_on_the_disk_before_it_has_its_name(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a few files, or many at once with all else; what cannot be brought there leaves nothing."""
    folder = project(tmp_path / "project", WITH_FILES)
    for at in range(number):
        (folder / "data" / f"{at}.txt").write_text(str(at))
    blobs = MemoryBlobs()
    artifact = read_artifact(blobs, pack(folder, blobs))
    unpack(artifact, blobs, tmp_path / "whole")
    assert (tmp_path / "whole" / FILES / "data" / "2.txt").read_text() == "2"

    def broken(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("wherry.artifact.unpack.os.fsync", broken)
    monkeypatch.setattr("wherry.artifact.unpack._native.sync_disk", broken)
    with pytest.raises(HostIOError, match="input/output error"):
        unpack(artifact, blobs, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "whole"]


@pytest.mark.parametrize("after", [0, 1, 5])
def test_full_disk_leaves_nothing_behind(after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in the middle ends in an error of the host, and nothing of the package is there."""
    blobs, descriptor = packed(tmp_path / "project", FULL)
    left = [after]
    write = os.write

    def full(file: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return write(file, data)

    before = snapshot(tmp_path)
    monkeypatch.setattr("wherry.artifact.unpack.os.write", full)
    with pytest.raises(HostIOError, match="no space left on device"):
        unpack(read_artifact(blobs, descriptor), blobs, tmp_path / "target")
    monkeypatch.undo()
    assert snapshot(tmp_path) == before


def half(data: bytes) -> bytes:
    """Bytes that end early."""
    return data[: len(data) // 2]


def other(data: bytes) -> bytes:
    """As many bytes, of which one is another: in a file, where there are some."""
    return data.replace(b"a\n\0", b"A\n\0") if b"a\n\0" in data else data[:-1] + b"\xff"


@pytest.mark.parametrize("part", ["component", "files"])
@pytest.mark.parametrize("change", [half, other])
def test_source_that_changes_leaves_nothing_behind(
    part: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Bytes that are gone or others after they were checked end in an error, and no file has them."""
    blobs, descriptor = packed(tmp_path / "project", WITH_FILES)
    artifact = read_artifact(blobs, descriptor)
    assert artifact.files is not None
    digest = artifact.files.digest if part == "files" else artifact.components[0].descriptor.digest

    class Changing(MemoryBlobs):
        """Gives the bytes out whole twice, and others the third time."""

        opened = 0

        def open(self, wanted: str) -> io.BytesIO:
            self.opened += wanted == digest
            whole = blobs.blobs[wanted]
            return io.BytesIO(change(whole) if wanted == digest and self.opened > 2 else whole)

    before = snapshot(tmp_path)
    with pytest.raises(DigestError):
        unpack(artifact, Changing(), tmp_path / "target")
    assert snapshot(tmp_path) == before
