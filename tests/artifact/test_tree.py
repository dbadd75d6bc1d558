"""The archive of files: one for each tree, and refused where it is any other, however it lies."""

from __future__ import annotations

import io
import os
import tarfile
import unicodedata
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wherry.artifact.bounds import Bounds
from wherry.artifact.headers import BLOCK, END, header, padding
from wherry.artifact.paths import check_path
from wherry.artifact.tree import check_tree, collect, pack_tree
from wherry.errors import (
    ArtifactError,
    ArtifactLimitError,
    MalformedArtifactError,
    PackError,
    UnsafeEntryError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
SMALL = Bounds(path=200, segment=50, folders=4, entries=5, file=1000, files=1500)


def archive(*entries: tuple[str, bytes | None], end: bytes = END) -> bytes:
    """An archive with files, and folders where there are no bytes, with headers as ours are."""
    parts = []
    for path, data in entries:
        size = len(data or b"")
        parts.append(header(path, size, folder=data is None) + (data or b"") + padding(size))
    return b"".join(parts) + end


def nested(path: str, data: bytes | None = b"") -> bytes:
    """An archive with one file, and all the folders that it lies in."""
    names = path.split("/")
    above = ["/".join(names[:count]) for count in range(1, len(names))]
    return archive(*((folder, None) for folder in above), (path, data))


def foreign(*infos: tarfile.TarInfo, data: bytes = b"", form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive that Python's own library writes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as written:
        for info in infos:
            written.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    """A member of an archive, of any kind."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def read(data: bytes, bounds: Bounds = SMALL) -> list[tuple[str, bool, int]]:
    """What an archive holds."""
    return [(one.path, one.folder, one.size) for one in check_tree(io.BytesIO(data), len(data), bounds)]


PATHS: dict[str, tuple[str, str]] = {
    "absolute": ("/etc/passwd", "absolute-path"),
    "parent": ("../escaped", "parent-path"),
    "parent within": ("a/../../escaped", "parent-path"),
    "parent at the end": ("a/..", "parent-path"),
    "backslash": ("..\\escaped", "backslash"),
    "drive": ("C:escaped", "drive-letter"),
    "drive and slash": ("c:/escaped", "drive-letter"),
    "network": ("//server/share", "absolute-path"),
    "dot": ("a/./b", "dotted-path"),
    "empty name": ("a//b", "dotted-path"),
    "line end": ("a\nb", "control-character"),
    "escape": ("a\x1b[2Jb", "control-character"),
    "delete": ("a\x7fb", "control-character"),
    "C1": ("a\x9bb", "control-character"),
    "turned": ("a\u202egpj.exe", "turned-text"),
    "decomposed": (unicodedata.normalize("NFD", "Grüße"), "not-normal"),
    "stream": ("file:stream", "reserved-name"),
    "wildcard": ("a*b", "reserved-name"),
    "dot at the end": ("a.", "reserved-name"),
    "space at the end": ("a ", "reserved-name"),
    "device": ("sub/NUL", "reserved-name"),
    "device with an ending": ("com1.txt", "reserved-name"),
}
LIMITS: dict[str, tuple[bytes, str]] = {
    "long path": (nested("/".join(["n" * 49] * 4 + ["n"])), "path-length"),
    "long name": (archive(("n" * 51, b"")), "name-length"),
    "deep": (nested("a/b/c/d/e"), "path-depth"),
    "entries": (archive(*((f"f{number}", b"") for number in range(6))), "entries"),
    "one file": (archive(("f", bytes(1001))), "file-size"),
    "all files": (archive(("f", bytes(800)), ("g", bytes(800))), "files-size"),
    "endless header": (foreign(entry("n" * 100_000)), "path-length"),
}
ENTRIES: dict[str, tuple[bytes, str]] = {
    "symbolic link": (foreign(entry("link", tarfile.SYMTYPE, "/etc")), "link"),
    "hard link": (foreign(entry("link", tarfile.LNKTYPE, "/etc/passwd")), "link"),
    "link with a long target": (foreign(entry("link", tarfile.SYMTYPE, "x" * 150)), "unknown-entry"),
    "character device": (foreign(entry("null", tarfile.CHRTYPE)), "device"),
    "block device": (foreign(entry("disk", tarfile.BLKTYPE)), "device"),
    "pipe": (foreign(entry("pipe", tarfile.FIFOTYPE)), "device"),
    "sparse file": (foreign(entry("sparse", tarfile.GNUTYPE_SPARSE)), "unknown-entry"),
    "name of GNU": (foreign(entry("n" * 150), form=tarfile.GNU_FORMAT), "unknown-entry"),
    "no UTF-8": (foreign(entry(os.fsdecode(b"\xff")), form=tarfile.USTAR_FORMAT), "not-unicode"),
    "twice": (archive(("a", b"1"), ("a", b"2")), "duplicate"),
    "folder twice": (archive(("a", None), ("a", None)), "duplicate"),
    "file and folder": (archive(("a", b""), ("a/b", b"")), "file-and-folder"),
    "folder and file": (archive(("a", None), ("a", b"")), "file-and-folder"),
    "capitals": (archive(("README", b""), ("readme", b"")), "twin"),
    "capitals above": (archive(("A", None), ("A/x", b""), ("a", None), ("a/y", b"")), "twin"),
    "no folder": (archive(("a/x", b"")), "no-folder"),
    "no folder above": (archive(("a", None), ("a/b/x", b"")), "no-folder"),
    "folder after": (archive(("a/x", b""), ("a", None)), "no-folder"),
    "sharp s": (archive(("STRASSE", b""), ("straße", b"")), "twin"),
    "one sign": (archive(("\u00c5", b""), ("\u00e5", b"")), "twin"),
}
FORMS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "cut"),
    "no archive": (b"\x7fELF" + bytes(BLOCK), "damaged"),
    "cut in a header": (archive(("a", b"1"))[:300], "cut"),
    "cut in a file": (archive(("a", bytes(900)))[: 2 * BLOCK], "cut"),
    "cut before the end": (archive(("a", b"1"), end=b""), "cut"),
    "half an end": (archive(("a", b"1"), end=END[:BLOCK]), "cut"),
    "behind the end": (archive(("a", b"1")) + archive(("b", b"2")), "trailing-data"),
    "a byte behind the end": (archive(("a", b"1")) + b"\1", "trailing-data"),
    "empty blocks behind the end": (archive(("a", b"1")) + bytes(BLOCK), "trailing-data"),
    "hidden in the padding": (archive(("a", b"1"), ("b", b"")).replace(b"1\0\0", b"1\0x", 1), "hidden-data"),
    "a size that lies": (header("a", 10_000) + END, "cut"),
    "a size without end": (header("a", 8**11 - 1) + END, "cut"),
    "damaged": (archive(("a", b"1")).replace(b"ustar", b"uster", 1), "damaged"),
    "order": (archive(("b", b""), ("a", b"")), "not-canonical"),
    "order of names, not of bytes": (archive(("a-b", b""), ("a", None), ("a/c", b"")), "not-canonical"),
    "a folder's files apart": (archive(("a", None), ("b", b""), ("a/c", b"")), "not-canonical"),
    "owner": (foreign(entry("a"), form=tarfile.USTAR_FORMAT), "not-canonical"),
    "compressed": (b"\x1f\x8b" + bytes(1000), "damaged"),
}


@pytest.mark.parametrize(("path", "reason"), PATHS.values(), ids=PATHS.keys())
def test_paths_that_are_not_the_same_everywhere_are_refused(path: str, reason: str) -> None:
    """A path that leads out, or that some system takes for another, has an error of its own."""
    with pytest.raises(UnsafeEntryError) as caught:
        read(archive((path, b"")))
    assert caught.value.reason == reason
    assert caught.value.message.isprintable()
    assert read(archive(("a plain name.txt", b""))) == [("a plain name.txt", False, 0)]


@pytest.mark.parametrize(("path", "reason"), [("", "empty-path"), ("a\0b", "nul")], ids=["empty", "NUL"])
def test_paths_that_no_header_of_ours_can_hold_are_refused(path: str, reason: str) -> None:
    """What our headers cannot even say is refused as well."""
    with pytest.raises(UnsafeEntryError) as caught:
        check_path(path)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("data", "reason"), LIMITS.values(), ids=LIMITS.keys())
def test_archives_over_a_bound_are_refused(data: bytes, reason: str) -> None:
    """Each bound has its own error, and the same archive passes where the bound is higher."""
    with pytest.raises(ArtifactLimitError) as caught:
        read(data)
    assert caught.value.reason == reason
    if reason != "path-length" or len(data) < 10_000:
        assert read(data, Bounds())


@pytest.mark.parametrize(("data", "reason"), ENTRIES.values(), ids=ENTRIES.keys())
def test_entries_that_no_package_holds_are_refused(data: bytes, reason: str) -> None:
    """Links, devices and two names for one file each have their error."""
    with pytest.raises((UnsafeEntryError, MalformedArtifactError)) as caught:
        read(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("data", "reason"), FORMS.values(), ids=FORMS.keys())
def test_archives_of_another_form_are_refused(data: bytes, reason: str) -> None:
    """What is cut, goes on, hides something or is written in another way has its error."""
    with pytest.raises(MalformedArtifactError) as caught:
        read(data)
    assert caught.value.reason == reason


def test_bounds_are_where_they_are_said_to_be() -> None:
    """Just below and at a bound an archive passes."""
    assert len(read(archive(*((f"f{number}", b"") for number in range(5))))) == 5
    assert read(archive(("f", bytes(1000))))
    assert read(nested("a/b/c/d"))
    assert read(archive(("n" * 50, b"")))


def plain_unpacker_escapes(folder: Path) -> None:
    """A path with `..` writes beside the target."""
    unpack_plainly(archive(("../escaped", b"!")), folder)
    assert (folder / "escaped").read_bytes() == b"!"


def plain_unpacker_follows(folder: Path) -> None:
    """A link, and a file through it, write where the link leads."""
    (folder / "outside").mkdir()
    data = foreign(entry("link", tarfile.SYMTYPE, "../outside"), entry("link/file"))
    unpack_plainly(data, folder)
    assert (folder / "outside" / "file").exists()


def plain_unpacker_makes_pipes(folder: Path) -> None:
    """A pipe is made, on which a reader would wait for ever."""
    unpack_plainly(foreign(entry("pipe", tarfile.FIFOTYPE)), folder)
    assert (folder / "target" / "pipe").is_fifo()


def plain_unpacker_takes_the_last(folder: Path) -> None:
    """Of two files under one name the last one wins, whatever was looked at before."""
    unpack_plainly(archive(("a", b"checked"), ("a", b"other")), folder)
    assert (folder / "target" / "a").read_bytes() == b"other"


def plain_unpacker_stops_early(folder: Path) -> None:
    """What stands behind the end is passed over in silence."""
    unpack_plainly(archive(("a", b"1")) + archive(("b", b"2")), folder)
    assert [path.name for path in (folder / "target").iterdir()] == ["a"]


def plain_unpacker_prints(folder: Path) -> None:
    """A name with orders to a terminal is made as it is."""
    unpack_plainly(archive(("a\x1b[2J", b"")), folder)
    assert [path.name for path in (folder / "target").iterdir()] == ["a\x1b[2J"]


def unpack_plainly(data: bytes, folder: Path) -> None:
    """Python's own library, as it was before it had filters, and as others are."""
    (folder / "target").mkdir()
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        opened.extractall(folder / "target", filter="fully_trusted")  # noqa: S202 - this is what it shows


@pytest.mark.parametrize(
    "falls",
    [
        plain_unpacker_escapes,
        plain_unpacker_follows,
        plain_unpacker_makes_pipes,
        plain_unpacker_takes_the_last,
        plain_unpacker_stops_early,
        plain_unpacker_prints,
    ],
)
def test_plain_unpackers_fall_for_these_archives(falls: Callable[[Path], None], tmp_path: Path) -> None:
    """The archives that are refused above do harm where they are not: the tests would see it."""
    falls(tmp_path)


def test_one_tree_has_one_archive(tmp_path: Path) -> None:
    """Packing what was read gives the same bytes; names beyond ASCII and long ones are kept."""
    for name in ("b", "a/b", "a-b", "a b/c", "Grüße/日本", f"{'x' * 60}/{'y' * 60}"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "empty").mkdir()
    data = b"".join(pack_tree(collect(tmp_path, "top")))
    found = read(data, Bounds())
    assert [path for path, folder, _ in found if folder] == [
        "top",
        "top/Grüße",
        "top/a",
        "top/a b",
        "top/empty",
        f"top/{'x' * 60}",
    ]
    with tarfile.open(fileobj=io.BytesIO(data)) as other:
        assert [(one.name, one.isdir(), one.size) for one in other] == found
        assert {(one.uid, one.gid, one.mtime, one.uname) for one in other} == {(0, 0, 0, "")}


def test_decomposed_names_are_packed_composed(tmp_path: Path) -> None:
    """A system that keeps names in another normal form gives the same archive."""
    (tmp_path / unicodedata.normalize("NFD", "Grüße")).write_bytes(b"1")
    assert read(b"".join(pack_tree(collect(tmp_path, "")))) == [("Grüße", False, 1)]


UNPACKABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (lambda folder: (folder / "link").symlink_to("/etc"), "is a symbolic link"),
    "link to nothing": (lambda folder: (folder / "link").symlink_to("nothing"), "is a symbolic link"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe"), "is neither file nor folder"),
    "reserved": (lambda folder: (folder / "a:b").write_bytes(b""), "holds one of"),
    "twins": (
        lambda folder: [(folder / name).write_bytes(b"") for name in ("a", "A")],
        "are one file where capitals",
    ),
    "no UTF-8": (lambda folder: os.close(os.open(os.fsencode(folder) + b"/\xff", os.O_CREAT)), "is no UTF-8"),
}


@pytest.mark.parametrize(("make", "message"), UNPACKABLE.values(), ids=UNPACKABLE.keys())
def test_what_cannot_travel_is_said_when_it_is_packed(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    """Whoever packs hears of it, not whoever unpacks."""
    make(tmp_path)
    with pytest.raises(PackError, match=message):
        list(pack_tree(collect(tmp_path, "data")))


def test_file_that_changes_is_no_package(tmp_path: Path) -> None:
    """A file that grows while it is read is an error, not an archive with a wrong header."""
    growing = tmp_path / "log"
    growing.write_bytes(b"1")
    pieces = pack_tree(collect(tmp_path, ""))
    next(pieces)
    growing.write_bytes(b"12")
    with pytest.raises(PackError, match="changed while it was packed"):
        list(pieces)


def refusal(look: Callable[[T], object], what: T) -> ArtifactError | None:
    """Why something is refused, if it is."""
    try:
        look(what)
    except ArtifactError as error:
        return error
    return None


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4).map("/".join))
@example("a/../b")
@example("con")
@example("a" * 300)
def test_accepted_paths_are_plain(path: str) -> None:
    """Whatever the path: where it is accepted, no system takes it for another or for one outside."""
    refused = refusal(check_path, path)
    if refused is not None:
        assert refused.reason
        assert refused.message.isprintable()
        return
    names = path.split("/")
    assert not {"", ".", ".."} & set(names)
    assert not set(path) & set('\\:<>"|?*\0')
    assert unicodedata.normalize("NFC", path) == path
    assert path.encode().decode() == path
    assert os.path.normpath(f"/root/{path}") == f"/root/{path}"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_archives_are_refused_or_of_another_tree(data: st.DataObject) -> None:
    """One byte changed is refused, or is another name or another file: no tree has a second archive."""
    whole = archive(("Grüße", b"6"), ("a", None), ("a/b", b"12345"))
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    refused = refusal(tree, bytes(changed))
    assert refused or tree(bytes(changed)) != tree(whole)


def tree(data: bytes) -> list[tuple[str, bool, bytes]]:
    """What an archive holds, with the bytes of its files."""
    found = check_tree(io.BytesIO(data), len(data))
    return [(one.path, one.folder, data[one.offset : one.offset + one.size]) for one in found]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_an_error(data: bytes) -> None:
    """No bytes bring the reader down."""
    refused = refusal(read, data)
    assert refused is None or refused.reason
