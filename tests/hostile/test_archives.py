"""Saved files that lie, from end to end: refused by their own error, with nothing written or left anywhere.

What each document and header may be is tested in ``tests/artifact``; here whole files go through the two ways
into a machine, loading and running. A plain unpacker falls for the same files: the positive control.
"""

from __future__ import annotations

import base64
import io
import json
import resource
import tarfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.artifact.projects import SMALLEST, Made, add, project
from tests.hostile.saved_files import Mutator, laid_out, member
from wherry.artifact import oci
from wherry.artifact.blobs import digest_of
from wherry.artifact.headers import END
from wherry.artifact.layout import write_archive
from wherry.artifact.pack import pack
from wherry.artifact.unpack import holds_files
from wherry.build.launch import launch
from wherry.errors import ArtifactError, ManifestError, WherryError
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WITH_FILES = f'{SMALLEST}\n[files]\n"/data" = "data"\n'


class Machine(NamedTuple):
    """A folder in which everything that loading and running write has its place, and one beside it."""

    folder: Path
    store: LocalStore

    def takes(self, data: bytes) -> WherryError | None:
        """Why a file is not loaded, if it is not; it is never run then either."""
        file = self.folder / "theirs.tar"
        file.write_bytes(data)
        refused = _refusal(lambda: self.store.load(file))
        other = _refusal(lambda: launch(self.store, str(file), lambda *_: None, place="library"))
        assert (refused is None) <= (other is None or not isinstance(other, ArtifactError))
        return refused

    def state(self) -> dict[str, bytes | None]:
        """Every file and folder but the index, the lock and the file that was read."""
        known = {"theirs.tar", "index.db", "lock"}
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(self.folder.rglob("*"))
            if path.name not in known
        }


def _refusal(action: Callable[[], object]) -> WherryError | None:
    try:
        action()
    except WherryError as error:
        return error
    return None


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with one package on it, so that its store is there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "escaped").write_bytes(b"mine")
    with LocalStore(tmp_path / "store") as store:
        blobs = Made()
        store.put(blobs, blobs.image([blobs.put(oci.WASM_LAYER, add())]))
        (tmp_path / "cache/wherry/packages").mkdir(parents=True)
        yield Machine(tmp_path, store)


def saved(folder: Path, manifest: str = WITH_FILES) -> bytes:
    """What ``wherry save`` writes of a package of ours."""
    made = Made()
    write_archive(folder / "ours.tar", made, [pack(project(folder / "project", manifest), made)])
    data = (folder / "ours.tar").read_bytes()
    (folder / "ours.tar").unlink()
    return data


def records(**said: str) -> bytes:
    """Records of an extended header."""
    parts = []
    for key, value in said.items():
        rest = len(f" {key.replace('_', '.')}={value}\n".encode())
        length = rest + len(str(rest + len(str(rest))))
        parts.append(f"{length} {key.replace('_', '.')}={value}\n".encode())
    return b"".join(parts)


def described(made: Made, **more: Any) -> dict[str, Any]:
    """A whole artifact in a layout: its descriptor."""
    image = made.image([made.put(oci.WASM_LAYER, add())])
    return {"mediaType": image.media_type, "digest": image.digest, "size": image.size} | more


def with_member(more: bytes) -> bytes:
    """A good layout, and one thing more."""
    made = Made()
    return laid_out(made, described(made), more=more)


def other_bytes() -> bytes:
    """A blob under the name of another."""
    made = Made()
    artifact = described(made)
    layer = digest_of(add())
    made.blobs[layer] = add()[:-1] + b"\xff"
    return laid_out(made, artifact)


def embedded() -> bytes:
    """A layer that is not there, but in its descriptor, and where the net has it."""
    made = Made()
    layer = made.put(oci.WASM_LAYER, add())
    more = {"data": base64.b64encode(add()).decode(), "urls": ["http://127.0.0.1:1/x"]}
    image = made.image([layer | more])
    del made.blobs[layer["digest"]]
    return laid_out(made, {"mediaType": image.media_type, "digest": image.digest, "size": image.size})


def index_of_indexes() -> bytes:
    """An index that leads to an index."""
    made = Made()
    inner = json.dumps({"schemaVersion": 2, "manifests": [described(made)]}).encode()
    return laid_out(made, made.put(oci.IMAGE_INDEX, inner))


def index_of_itself() -> bytes:
    """An index whose descriptor stands for an image manifest, and is one that names itself."""
    made = Made()
    text = '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"sha256:%064d","size":2}]}'
    return laid_out(made, made.put(oci.IMAGE_MANIFEST, (text % (oci.IMAGE_INDEX, 0)).encode()))


def half_an_index() -> bytes:
    """Two artifacts, of which the second is damaged."""
    made = Made()
    return laid_out(made, described(made), made.put(oci.IMAGE_MANIFEST, b"{}"))


def code_that_is_files() -> bytes:
    """An archive, in the place of a component."""
    made = Made()
    layer = made.put(oci.WASM_LAYER, member("../escaped", b"theirs") + END)
    image = made.image([layer])
    return laid_out(made, {"mediaType": image.media_type, "digest": image.digest, "size": image.size})


ESCAPING = b"../escaped"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "path": (lambda: with_member(member("../escaped", b"theirs")), "parent-path"),
    "long name of GNU": (
        lambda: with_member(
            member("././@LongLink", ESCAPING + b"\0", kind=b"L") + member("plain", b"theirs")
        ),
        "unknown-entry",
    ),
    "path in an extended header": (
        lambda: with_member(
            member("PaxHeader", records(path="../escaped"), kind=b"x") + member("plain", b"theirs")
        ),
        "parent-path",
    ),
    "path for all that follows": (
        lambda: with_member(
            member("PaxHeader", records(path="../escaped"), kind=b"g") + member("plain", b"theirs")
        ),
        "unknown-entry",
    ),
    "size in an extended header": (
        lambda: with_member(
            member("PaxHeader", records(size="512"), kind=b"x")
            + member("plain", b"", size=b"00000000000\0")
            + member("../escaped", b"")
        ),
        "unknown-entry",
    ),
    "file with holes": (
        lambda: with_member(
            member(
                "PaxHeader",
                records(GNU_sparse_major="1", GNU_sparse_minor="0", GNU_sparse_realsize=str(1 << 40)),
                kind=b"x",
            )
            + member("plain", b"0\n")
        ),
        "unknown-entry",
    ),
    "size in base 256": (
        lambda: with_member(member("plain", b"theirs", size=b"\x80" + bytes(10) + b"\x06")),
        "damaged",
    ),
    "hard link": (lambda: with_member(member("plain", b"", kind=b"1", link=ESCAPING)), "link"),
    "symbolic link": (lambda: with_member(member("plain", b"", kind=b"2", link=ESCAPING)), "link"),
    "pipe": (lambda: with_member(member("plain", b"", kind=b"6")), "device"),
    "name that ends early": (lambda: with_member(member("", b"", name=b"plain\0/../../escaped")), "nul"),
    "blob twice": (
        lambda: with_member(member(f"blobs/sha256/{digest_of(add())[7:]}", b"theirs")),
        "duplicate",
    ),
    "blob of another name": (other_bytes, "wrong-digest"),
    "blob in its descriptor": (embedded, "missing-blob"),
    "index of indexes": (index_of_indexes, "unknown-manifest"),
    "index in disguise": (index_of_itself, "not-of-the-form"),
    "second is damaged": (half_an_index, "not-of-the-form"),
    "files for code": (code_that_is_files, "not-wasm"),
    "compressed": (lambda: b"\x1f\x8b\x08\0" + bytes(2000), "no-archive"),
}


@pytest.mark.parametrize(("make", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_refused_with_nothing_left(make: Callable[[], bytes], reason: str, machine: Machine) -> None:
    """Loading and running say the same, and every file on the machine is what it was."""
    data = make()
    before = machine.state()
    refused = machine.takes(data)
    assert isinstance(refused, ArtifactError)
    assert refused.reason == reason
    assert refused.message.isprintable()
    assert machine.state() == before
    assert machine.store.verify() == []


def test_same_files_without_the_lie_are_taken(machine: Machine) -> None:
    """What the hostile ones are made of."""
    made = Made()
    assert machine.takes(laid_out(made, described(made))) is None
    assert machine.takes(with_member(member("plain", b"theirs"))) is None
    assert machine.takes(saved(machine.folder)) is None


@pytest.mark.parametrize(
    ("lie", "harm"),
    [
        ("path", "escaped"),
        ("long name of GNU", "escaped"),
        ("path in an extended header", "escaped"),
        ("path for all that follows", "escaped"),
        ("size in base 256", "inside/plain"),
        ("hard link", "linked"),
        ("pipe", "pipe"),
        ("blob twice", "other"),
        ("name that ends early", "inside/plain"),
    ],
)
def test_a_plain_unpacker_falls_for_them(lie: str, harm: str, tmp_path: Path) -> None:
    """It writes beside the folder, believes what two readers take differently, or makes what hangs."""
    (tmp_path / "escaped").write_bytes(b"mine")
    with tarfile.open(fileobj=io.BytesIO(HOSTILE[lie][0]())) as opened:
        opened.extractall(tmp_path / "inside", filter="fully_trusted")  # noqa: S202 - this is what it shows
    plain = tmp_path / "inside/plain"
    match harm:
        case "escaped":
            assert (tmp_path / "escaped").read_bytes() == b"theirs"
        case "linked":
            assert plain.stat().st_ino == (tmp_path / "escaped").stat().st_ino
        case "pipe":
            assert plain.is_fifo()
        case "other":
            assert (tmp_path / f"inside/blobs/sha256/{digest_of(add())[7:]}").read_bytes() == b"theirs"
        case _:
            assert (tmp_path / harm).exists()


SLOWLY = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20)]


@pytest.mark.parametrize("seed", [0, *SLOWLY])
def test_any_changed_file_is_refused_or_whole(seed: int, machine: Machine) -> None:
    """Whatever chance makes of a good file: an error of ours with nothing left, or a whole package."""
    data = saved(machine.folder)
    mutator = Mutator(seed, data)
    reasons: dict[str, int] = {}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = time.process_time()
    for _ in range(80):
        before = machine.state()
        refused = machine.takes(mutator.next())
        assert refused is None or isinstance(refused, ArtifactError | ManifestError), refused
        assert refused is None or refused.message.replace("\n", "").isprintable()
        reason = getattr(refused, "reason", type(refused).__name__)
        reasons[reason] = reasons.get(reason, 0) + 1
        if refused is not None:
            assert machine.state() == before, reason
    assert machine.store.verify() == []
    for package in machine.store.packages():
        artifact = machine.store.artifact(package)
        assert holds_files(artifact, machine.store.source, machine.store.files(artifact))
    assert len(reasons) > 8, reasons
    assert (machine.folder / "escaped").read_bytes() == b"mine"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100 << 10  # KiB
    assert time.process_time() - spent < 60
