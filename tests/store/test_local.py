"""The store on this machine: what is put in is found, and what is taken out is gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.artifact.projects import FULL, SMALLEST, Made, add, project
from wherry import _native
from wherry.artifact import oci
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.layout import LayoutArchive, LayoutFolder
from wherry.artifact.pack import pack
from wherry.errors import ArtifactError, HostIOError, NotFoundError, StoreError, UsageError
from wherry.store.local import LocalStore
from wherry.store.location import store_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Shelf:
    """A store, and a folder to pack projects in."""

    store: LocalStore
    folder: Path
    count: int = 0

    def packed(self, version: str = "1.0.0", manifest: str = SMALLEST) -> tuple[MemoryBlobs, oci.Descriptor]:
        """A package that is in no store yet."""
        self.count += 1
        folder = self.folder / f"project-{self.count}"
        folder.mkdir()
        blobs = MemoryBlobs()
        return blobs, pack(project(folder, manifest.replace("1.0.0", version)), blobs)

    def put(self, *versions: str) -> list[str]:
        """Puts versions of one package in: their digests."""
        return [self.store.put(*self.packed(version)).digest for version in versions]

    def blobs(self) -> set[str]:
        """The digests of all bytes on the disk."""
        return {f"sha256:{path.name}" for path in (self.store.path / "blobs/sha256").iterdir()}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty store."""
    with LocalStore(tmp_path / "store") as store:
        yield Shelf(store, tmp_path)


class TestFinding:
    """A name leads to the package that is meant."""

    @pytest.mark.parametrize(
        ("wanted", "version"),
        [
            ("acme/add", "1.10.0"),
            ("acme/add@1", "1.10.0"),
            ("acme/add@1.2", "1.2.3"),
            ("acme/add@<1.2.3", "1.2.2"),
            ("acme/add@2.0.0-rc.1", "2.0.0-rc.1"),
        ],
    )
    def test_the_highest_version_that_fits(self, shelf: Shelf, wanted: str, version: str) -> None:
        """By the rules of semver, not by letters, and not one before a release unless it is named."""
        shelf.put("1.2.3", "1.10.0", "1.2.2", "2.0.0-rc.1")
        assert shelf.store.find(wanted).version == version

    def test_before_a_release(self, shelf: Shelf) -> None:
        """Where there is nothing else, it is what is meant."""
        shelf.put("2.0.0-rc.1", "2.0.0-rc.2")
        assert shelf.store.find("acme/add").version == "2.0.0-rc.2"

    def test_by_digest(self, shelf: Shelf) -> None:
        """Whole, or the first digits, with or without the name."""
        first, second = shelf.put("1.0.0", "1.0.1")
        for wanted in (first, f"@{first}", first[:20], f"acme/add@{first}"):
            assert shelf.store.find(wanted).digest == first
        assert shelf.store.find(second[:20]).version == "1.0.1"
        with pytest.raises(NotFoundError):
            shelf.store.find(f"acme/other@{first}")

    def test_digits_that_fit_several(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error lists them."""
        digests = shelf.put("1.0.0", "1.0.1")
        index = shelf.store.index()
        monkeypatch.setattr(index, "with_digest", lambda _: index.packages())
        with pytest.raises(UsageError) as error:
            shelf.store.find("sha256:abcdef")
        assert all(digest in (error.value.hint or "") for digest in digests)

    @pytest.mark.parametrize(
        ("wanted", "hint"),
        [
            ("acme/adds", "did you mean `acme/add`?"),
            ("acme/add@3", "there is `acme/add@1.0.0`"),
            ("acme/add@nightly", "there is `acme/add@1.0.0`"),
            ("other/thing", "`wherry list`"),
            ("sha256:abcdef", "`wherry list`"),
        ],
    )
    def test_what_is_not_there(self, shelf: Shelf, wanted: str, hint: str) -> None:
        """The error says what there is instead."""
        shelf.put("1.0.0")
        with pytest.raises(NotFoundError) as error:
            shelf.store.find(wanted)
        assert hint in (error.value.hint or "")

    def test_a_label(self, shelf: Shelf) -> None:
        """It leads where it was put last; versions cannot be given away."""
        first, second = shelf.put("1.0.0", "1.0.1")
        for digest in (first, second):
            shelf.store.tag(digest, "acme/add@nightly")
            assert shelf.store.find("acme/add@nightly").digest == digest
        assert shelf.store.find(second).references == ("acme/add@1.0.1", "acme/add@nightly")
        for wrong in ("acme/add", "acme/add@1.0.0", first, "acme/add@nightly#hello"):
            with pytest.raises(UsageError):
                shelf.store.tag(first, wrong)

    def test_the_same_version_again(self, shelf: Shelf) -> None:
        """What was packed last has the name; the other one is there under its digest until it is pruned."""
        (first,) = shelf.put("1.0.0")
        blobs, changed = shelf.packed(manifest=SMALLEST.replace("[library]", "keywords = ['x']\n\n[library]"))
        shelf.store.put(blobs, changed)
        assert shelf.store.find("acme/add").digest == changed.digest
        assert shelf.store.find(first).references == ()
        assert shelf.store.prune().packages == (first,)
        assert [package.digest for package in shelf.store.packages()] == [changed.digest]

    def test_a_store_that_is_not_there_yet(self, shelf: Shelf) -> None:
        """It is empty, and looking makes none."""
        assert shelf.store.packages() == []
        assert shelf.store.verify() == []
        assert shelf.store.prune().bytes == 0
        with pytest.raises(NotFoundError):
            shelf.store.remove("acme/add")
        assert not shelf.store.path.exists()


class TestTakingOut:
    """What nothing leads to is deleted, and nothing else."""

    def test_one_version(self, shelf: Shelf) -> None:
        """Its own bytes go; what it shares with another version stays."""
        first, second = shelf.put("1.0.0", "1.0.1")
        before = shelf.blobs()
        freed = shelf.store.remove("acme/add@1.0.0")
        assert freed.packages == (first,)
        assert before - shelf.blobs() == {first}
        assert 0 < freed.bytes < shelf.store.size()
        assert shelf.store.find("acme/add").digest == second
        assert shelf.store.verify() == []

    def test_all_of_a_name(self, shelf: Shelf) -> None:
        """Without a version each of them goes."""
        shelf.put("1.0.0", "1.0.1")
        assert len(shelf.store.remove("acme/add").packages) == 2
        assert shelf.store.packages() == []
        assert shelf.blobs() == set()

    def test_a_package_with_a_label_stays(self, shelf: Shelf) -> None:
        """Something leads to it still."""
        (digest,) = shelf.put("1.0.0")
        shelf.store.tag(digest, "acme/add@kept")
        assert shelf.store.remove("acme/add@1.0.0").packages == ()
        assert shelf.store.find("acme/add").digest == digest
        assert shelf.store.remove("acme/add@kept").packages == (digest,)

    def test_by_digest(self, shelf: Shelf) -> None:
        """Whatever leads to it."""
        (digest,) = shelf.put("1.0.0")
        shelf.store.tag(digest, "acme/add@kept")
        assert shelf.store.remove(digest).packages == (digest,)
        assert shelf.store.packages() == []

    def test_what_a_killed_process_left(self, shelf: Shelf) -> None:
        """Half-written bytes and those that no package names."""
        shelf.put("1.0.0")
        folder = shelf.store.path / "blobs/sha256"
        (folder / ".partial-1").write_bytes(b"x" * 10)
        (folder / ("ab" * 32)).write_bytes(b"y" * 20)
        before = shelf.store.size()
        assert shelf.store.prune().bytes == 30
        assert shelf.store.size() == before
        assert shelf.store.verify() == []


class TestTravelling:
    """``save`` and ``load``."""

    def test_there_and_back(self, shelf: Shelf, tmp_path: Path) -> None:
        """Several packages with what they are called keep their digests, whatever the order."""
        added = shelf.store.put(*shelf.packed())
        tools = shelf.store.put(*shelf.packed(manifest=FULL))
        shelf.store.tag("acme/add", "acme/add@nightly")
        shelf.store.save(["acme/add", "acme/tools@2.1.0-rc.1"], tmp_path / "both.tar")
        shelf.store.save(["acme/tools@2.1.0-rc.1", "acme/add"], tmp_path / "again.tar")
        assert (tmp_path / "both.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
        with LocalStore(tmp_path / "other") as other:
            found = {package.digest for package in other.load(tmp_path / "both.tar")}
            assert found == {added.digest, tools.digest}
            assert other.find("acme/tools@2.1.0-rc.1").digest == tools.digest
            assert other.verify() == []

    def test_the_name_travels_as_other_tools_read_it(self, shelf: Shelf, tmp_path: Path) -> None:
        """As ``skopeo copy oci-archive:both.tar:acme/add:1.0.0`` wants it."""
        shelf.put("1.0.0")
        shelf.store.save(["acme/add"], tmp_path / "one.tar")
        with LayoutArchive(tmp_path / "one.tar") as layout:
            (found,) = layout.index()
        assert (found.annotations or {})[oci.Annotation.REFERENCE] == "acme/add:1.0.0"

    def test_of_another_tool(self, shelf: Shelf, tmp_path: Path) -> None:
        """It has no name of its own: the one that the layout has for it is kept, if it can be one."""
        made = Made()
        image = made.image([made.put(oci.WASM_LAYER, add())])
        layout = LayoutFolder.create(tmp_path / "layout")
        for data in made.blobs.values():
            layout.add([data])
        name = {oci.Annotation.REFERENCE: "acme/alien:edge"}
        layout.write_index([msgspec.structs.replace(image, annotations=name)])
        (found,) = shelf.store.load(tmp_path / "layout")
        assert (found.name, found.references) == (None, ("acme/alien@edge",))
        assert shelf.store.find("acme/alien").digest == found.digest

    @pytest.mark.parametrize("foreign", [False, True])
    def test_a_file_gives_no_names_of_others(self, shelf: Shelf, tmp_path: Path, *, foreign: bool) -> None:
        """A label in somebody's file never leads a name that was there to another package than before."""
        digest = shelf.put("1.0.0")[0]
        shelf.store.tag(digest, "acme/add@stable")
        made = Made()
        layers = [made.put(oci.WASM_LAYER, add())]
        text = SMALLEST.replace("acme/add", "evil/add")
        image = made.image(layers, **({} if foreign else {"annotations": {"wherry.toml": text}}))
        layout = LayoutFolder.create(tmp_path / "layout")
        for data in made.blobs.values():
            layout.add([data])
        names = ("acme/add:stable", "acme/add:other", "evil/add:stable")
        layout.write_index(
            [msgspec.structs.replace(image, annotations={oci.Annotation.REFERENCE: name}) for name in names]
        )
        shelf.store.load(tmp_path / "layout")
        assert shelf.store.find("acme/add@stable").digest == digest
        with pytest.raises(NotFoundError):
            shelf.store.find("acme/add@other")
        assert shelf.store.find("evil/add@stable").digest == image.digest

    def test_a_damaged_file(self, shelf: Shelf, tmp_path: Path) -> None:
        """It is refused, and nothing of it is found."""
        shelf.put("1.0.0")
        shelf.store.save(["acme/add"], tmp_path / "one.tar")
        data = bytearray((tmp_path / "one.tar").read_bytes())
        data[-2000] ^= 1
        (tmp_path / "one.tar").write_bytes(data)
        with LocalStore(tmp_path / "other") as other:
            with pytest.raises(ArtifactError):
                other.load(tmp_path / "one.tar")
            assert other.packages() == []


class TestAtOnce:
    """What another process does between two steps of this one."""

    def test_a_store_that_was_made_meanwhile(self, shelf: Shelf, tmp_path: Path) -> None:
        """Who has looked when there was none sees it, puts into it, and prunes nothing of it."""
        with LocalStore(tmp_path / "store") as early:
            assert early.packages() == []
            (digest,) = shelf.put("1.0.0")
            assert early.prune().bytes == 0
            assert early.find("acme/add").digest == digest
            second = early.put(*shelf.packed("1.1.0")).digest
        assert {package.digest for package in shelf.store.packages()} == {digest, second}
        assert shelf.store.verify() == []

    def test_what_was_removed_meanwhile(self, shelf: Shelf) -> None:
        """No name leads to it, and the error does not speak of damage."""
        (digest,) = shelf.put("1.0.0")
        with LocalStore(shelf.store.path) as other:
            other.remove(digest)
        with pytest.raises(HostIOError, match="at the same time") as caught:
            shelf.store.index().refer("acme/add", "late", digest)
        assert caught.value.hint == "try again"
        assert shelf.store.verify() == []

    def test_what_was_taken_back_meanwhile(self, shelf: Shelf) -> None:
        """What a name runs is noted only as long as nothing has changed since it was found out."""
        shelf.put("1.0.0")
        index = shelf.store.index()
        state = index.state()
        index.note("acme/add", '["first"]', state)
        assert _native.run_noted("acme/add", shelf.store.path) == ["first"]
        with LocalStore(shelf.store.path) as other:
            other.index(make=True).disagree("sha256:of another package")
        assert _native.run_noted("acme/add", shelf.store.path) is None
        index.note("acme/add", '["late"]', state)
        assert _native.run_noted("acme/add", shelf.store.path) is None
        index.note("acme/add", '["anew"]', index.state())
        assert _native.run_noted("acme/add", shelf.store.path) == ["anew"]


class TestDamage:
    """What happened to the disk is found, and said."""

    def test_changed_and_missing_bytes(self, shelf: Shelf) -> None:
        """Each with the package that it belongs to."""
        first, second = shelf.put("1.0.0", "1.0.1")
        manifest = shelf.store.blob(first)
        manifest.write_bytes(manifest.read_bytes().replace(b"1.0.0", b"6.6.6"))
        shelf.store.blob(second).unlink()
        found = {problem.digest: problem.reason for problem in shelf.store.verify()}
        assert found == {first: "wrong-digest", second: "missing-blob"}

    def test_a_package_put_in_again_is_whole(self, shelf: Shelf) -> None:
        """What is missing comes back."""
        blobs, descriptor = shelf.packed()
        shelf.store.put(blobs, descriptor)
        for digest in shelf.blobs():
            shelf.store.blob(digest).unlink()
        shelf.store.put(blobs, descriptor)
        assert shelf.store.verify() == []

    def test_bytes_that_changed_are_mended(self, shelf: Shelf) -> None:
        """Their number is right, and they are others: found, and put right by the package put in again."""
        blobs, descriptor = shelf.packed()
        shelf.store.put(blobs, descriptor)
        for digest in shelf.blobs():
            blob = shelf.store.blob(digest)
            blob.write_bytes(blob.read_bytes()[:-1] + b"!")
        assert [problem.reason for problem in shelf.store.verify()] == ["wrong-digest"]
        shelf.store.put(blobs, descriptor)
        assert shelf.store.verify() == []

    @pytest.mark.parametrize("harm", ["changed", "longer", "gone", "more", "link"])
    def test_files_of_a_package(self, shelf: Shelf, harm: str) -> None:
        """What was written for guests to see is looked at as well, and written anew where it is not that."""
        blobs, descriptor = shelf.packed(manifest=FULL)
        digest = shelf.store.put(blobs, descriptor).digest
        folder = shelf.store.files(shelf.store.artifact(shelf.store.find(digest)))
        assert shelf.store.verify() == []
        file = folder / "etc/tools/settings.ini"
        match harm:
            case "changed":
                file.write_bytes(b"[ALL]\n")
            case "longer":
                file.write_bytes(b"[all]\n\n")
            case "gone":
                file.unlink()
            case "more":
                (folder / "more").write_bytes(b"")
            case _:
                file.rename(shelf.folder / "elsewhere")
                file.symlink_to(shelf.folder / "elsewhere")
        (problem,) = shelf.store.verify()
        assert (problem.digest, problem.reason) == (digest, "wrong-files")
        shelf.store.put(blobs, descriptor)
        assert shelf.store.files(shelf.store.artifact(shelf.store.find(digest))) == folder
        assert shelf.store.verify() == []
        assert file.read_bytes() == b"[all]\n"

    def test_an_index_that_is_none(self, shelf: Shelf) -> None:
        """The error says what to do."""
        shelf.store.path.mkdir()
        (shelf.store.path / "index.db").write_bytes(b"no database " * 100)
        with pytest.raises(StoreError, match="damaged"):
            shelf.store.packages()

    def test_an_index_of_a_newer_version(self, shelf: Shelf) -> None:
        """It is not touched."""
        shelf.put("1.0.0")
        shelf.store.index()._database.execute("PRAGMA user_version = 99")
        shelf.store.close()
        with pytest.raises(StoreError, match="newer"):
            shelf.store.packages()

    def test_a_place_that_is_a_file(self, shelf: Shelf) -> None:
        """The error names it."""
        shelf.store.path.write_bytes(b"")
        with pytest.raises(HostIOError, match="store"):
            shelf.store.put(*shelf.packed())


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable of ours, that of the desktop, the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("WHERRY_STORE", raising=False)
    assert Path(store_folder()) == tmp_path / ".local/share/wherry/store"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Path(store_folder()) == tmp_path / "data/wherry/store"
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "mine"))
    assert Path(store_folder()) == tmp_path / "mine"
    assert LocalStore().path == tmp_path / "mine"
