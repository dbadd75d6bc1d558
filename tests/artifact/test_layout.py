"""OCI layouts: folders and archives that other tools read, and that are read whoever wrote them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.artifact.projects import FULL, project
from wherry.artifact import oci
from wherry.artifact.bounds import Bounds
from wherry.artifact.headers import END, header, padding
from wherry.artifact.layout import LayoutArchive, LayoutFolder, open_layout, write_archive
from wherry.artifact.pack import pack
from wherry.artifact.read import read_artifact, verify
from wherry.errors import ArtifactError, DigestError, HostIOError, MalformedArtifactError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "acme/tools@2.1.0-rc.1"


@pytest.fixture
def layout(tmp_path: Path) -> LayoutFolder:
    """A folder with one package that has a name."""
    made = LayoutFolder.create(tmp_path / "layout")
    descriptor = pack(project(tmp_path / "project", FULL), made)
    made.write_index([msgspec.structs.replace(descriptor, annotations={oci.Annotation.REFERENCE: NAME})])
    return made


def archived(layout: LayoutFolder, path: Path) -> Path:
    """The same as one file."""
    write_archive(path, layout, layout.index())
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folder_is_an_oci_layout(layout: LayoutFolder) -> None:
    """It holds what the specification says, each blob under its digest, and nothing unfinished."""
    names = sorted(path.name for path in layout.path.iterdir())
    assert names == ["blobs", "index.json", "oci-layout"]
    assert (layout.path / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    index = json.loads((layout.path / "index.json").read_bytes())
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": NAME}
    artifact = read_artifact(layout, layout.index()[0])
    blobs = {f"sha256:{path.name}" for path in (layout.path / "blobs" / "sha256").iterdir()}
    assert blobs == {blob.digest for blob in artifact.blobs()}
    verify(layout, artifact)


def test_archive_holds_the_same_and_is_always_the_same(layout: LayoutFolder, tmp_path: Path) -> None:
    """Two archives of one artifact are the same bytes; a plain unpacker makes the folder from it."""
    one, two = archived(layout, tmp_path / "one.tar"), archived(layout, tmp_path / "two.tar")
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    assert contents(tmp_path / "unpacked") == contents(layout.path)
    with LayoutArchive(one) as archive:
        assert archive.index() == layout.index()
        artifact = read_artifact(archive, archive.index()[0])
        assert verify(archive, artifact) == verify(layout, read_artifact(layout, layout.index()[0]))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_archives_of_other_tools_are_read(layout: LayoutFolder, tmp_path: Path) -> None:
    """Names that begin with ``./``, owners, times, and files of others beside the layout are no hindrance."""
    (layout.path / "manifest.json").write_text("[]")
    other = str(tmp_path / "other.tar")
    command = ["tar", "--format=gnu", "--owner=somebody", "-cf", other, "-C", str(layout.path), "."]
    subprocess.run(command, check=True)
    opened = open_layout(tmp_path / "other.tar")
    assert isinstance(opened, LayoutArchive)
    with opened:
        verify(opened, read_artifact(opened, opened.index()[0]))
    assert isinstance(open_layout(layout.path), LayoutFolder)


def archive(*entries: tuple[str, bytes], end: bytes = END) -> bytes:
    """An archive with these files."""
    return b"".join(header(name, len(data)) + data + padding(len(data)) for name, data in entries) + end


def linked() -> bytes:
    """An archive in which the index is a link to a file of the host."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as written:
        info = tarfile.TarInfo("index.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        written.addfile(info)
    return stream.getvalue()


VERSION = ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
INDEX = ("index.json", b'{"schemaVersion":2,"manifests":[]}')
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "cut"),
    "no archive": (b"#!/bin/sh\n" * 100, "no-archive"),
    "short text": (b"hello\n", "no-archive"),
    "compressed": (b"\x1f\x8b\x08" + bytes(600), "no-archive"),
    "a component": (b"\0asm\x0d\0\x01\0" + bytes(600), "no-archive"),
    "cut": (archive(VERSION, INDEX)[:1300], "cut"),
    "no end": (archive(VERSION, INDEX, end=b""), "cut"),
    "behind the end": (archive(VERSION, INDEX) + archive(INDEX), "trailing-data"),
    "no version": (archive(INDEX), "no-layout"),
    "no index": (archive(VERSION), "no-layout"),
    "another version": (archive(("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), INDEX), "unknown-version"),
    "version of another form": (archive(("oci-layout", b"{}"), INDEX), "not-of-the-form"),
    "index of another form": (archive(VERSION, ("index.json", b"[]")), "not-of-the-form"),
    "index that is no JSON": (archive(VERSION, ("index.json", b"\0")), "not-json"),
    "long index": (archive(VERSION, ("index.json", b" " * 3000)), "document-size"),
    "two indexes": (archive(VERSION, INDEX, INDEX), "duplicate"),
    "link": (linked(), "link"),
    "path that leads out": (archive(VERSION, INDEX, ("../../.bashrc", b"")), "parent-path"),
    "absolute path": (archive(VERSION, INDEX, ("/etc/passwd", b"")), "absolute-path"),
    "many entries": (archive(VERSION, INDEX, *((f"f{number}", b"") for number in range(9))), "entries"),
}


@pytest.mark.parametrize(("data", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    """Each has its own error, and nothing is written anywhere."""
    path = tmp_path / "hostile.tar"
    path.write_bytes(data)
    bounds = Bounds(document=2000, archive_entries=10)
    with pytest.raises(ArtifactError) as caught, LayoutArchive(path, bounds) as opened:
        opened.index(bounds)
    assert caught.value.reason == reason
    assert list(tmp_path.iterdir()) == [path]


def test_archive_without_artifacts_is_none_the_less_one(tmp_path: Path) -> None:
    """What the hostile ones are made from is read."""
    (tmp_path / "plain.tar").write_bytes(archive(VERSION, INDEX))
    with LayoutArchive(tmp_path / "plain.tar") as opened:
        assert opened.index() == ()


def link_blob(layout: LayoutFolder, blob: Path, outside: Path) -> None:
    """A blob is a link to a file elsewhere, which even has its bytes."""
    del layout
    blob.rename(outside)
    blob.symlink_to(outside)


def pipe_blob(layout: LayoutFolder, blob: Path, outside: Path) -> None:
    """A blob is a pipe, on which a reader would wait for ever."""
    del layout, outside
    blob.unlink()
    os.mkfifo(blob)


def folder_blob(layout: LayoutFolder, blob: Path, outside: Path) -> None:
    """A blob is a folder."""
    del layout, outside
    blob.unlink()
    blob.mkdir()


def no_blob(layout: LayoutFolder, blob: Path, outside: Path) -> None:
    """A blob is not there."""
    del layout, outside
    blob.unlink()


def link_index(layout: LayoutFolder, blob: Path, outside: Path) -> None:
    """The index is a link."""
    del blob
    (layout.path / "index.json").rename(outside)
    (layout.path / "index.json").symlink_to(outside)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (link_blob, "link"),
        (pipe_blob, "no-file"),
        (folder_blob, "no-file"),
        (no_blob, "missing-blob"),
        (link_index, "link"),
    ],
)
def test_hostile_folders_are_refused(
    change: Callable[[LayoutFolder, Path, Path], None], reason: str, layout: LayoutFolder, tmp_path: Path
) -> None:
    """Links, pipes and folders in the place of files are refused at once."""
    artifact = read_artifact(layout, layout.index()[0])
    layer = artifact.image.layers[0].digest.removeprefix("sha256:")
    change(layout, layout.path / "blobs" / "sha256" / layer, tmp_path / "outside")
    with pytest.raises(MalformedArtifactError) as caught:
        verify(layout, read_artifact(layout, layout.index()[0]))
    assert caught.value.reason == reason


def test_wrong_bytes_leave_no_archive(layout: LayoutFolder, tmp_path: Path) -> None:
    """An archive is there whole or not at all, and what stood in its place stays."""
    digest = read_artifact(layout, layout.index()[0]).image.layers[0].digest
    blob = layout.path / "blobs" / "sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    (tmp_path / "out.tar").write_text("before")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DigestError):
        write_archive(tmp_path / "out.tar", layout, layout.index())
    assert (tmp_path / "out.tar").read_text() == "before"
    assert sorted(tmp_path.iterdir()) == before


def test_unfinished_blobs_leave_nothing(layout: LayoutFolder) -> None:
    """Where the bytes that are taken in end in an error, nothing of them stays."""

    def failing() -> object:
        yield b"some"
        raise KeyboardInterrupt

    before = contents(layout.path)
    with pytest.raises(KeyboardInterrupt):
        layout.add(failing())  # type: ignore[arg-type]  # what it yields before it fails is bytes
    assert contents(layout.path) == before


def test_host_errors_are_named(tmp_path: Path) -> None:
    """A missing file, a folder that is there already and one that cannot be written each say so."""
    with pytest.raises(NotFoundError, match="no such file"):
        open_layout(tmp_path / "nothing.tar")
    with pytest.raises(HostIOError, match="file exists"):
        LayoutFolder.create(tmp_path)
    made = LayoutFolder.create(tmp_path / "made")
    with pytest.raises(HostIOError, match="no such file or directory"):
        write_archive(tmp_path / "no folder" / "out.tar", made, [])
