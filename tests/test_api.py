"""Packages by name from Python, by the resolver of ``wherry run``, and no right that nobody gave."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

import wherry
from tests.artifact.projects import SMALLEST, add
from tests.build.projects import make
from tests.guests.build import c_command
from tests.terminals import WHERRY
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.layout import write_archive
from wherry.artifact.pack import pack
from wherry.store.local import LocalStore
from wherry.store.permissions import Permissions, asked

MANIFEST = """[package]
name = "acme/cat"
version = "1.0.0"

[command.cat]
component = "files.wasm"
args = ["read"]

[command.write]
component = "files.wasm"
args = ["write"]
workdir = "/here"

[files]
"/own" = "own"

[needs]
dir = [{ host = ".", guest = "/here", write = true, why = "to show your files" }]
limits = { memory = "64MiB" }
"""


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a command that asks for a folder, and a library that asks for nothing; a packed file."""
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("here\n")
    tools, sums = tmp_path / "tools", tmp_path / "sums"
    (tools / "own").mkdir(parents=True)
    (tools / "own" / "text").write_text("own\n")
    shutil.copy(c_command("files"), tools / "files.wasm")
    (tools / "wherry.toml").write_text(MANIFEST)
    sums.mkdir()
    (sums / "add.wasm").write_bytes(add())
    (sums / "wherry.toml").write_text(SMALLEST)
    with LocalStore() as store:
        for folder in (tools, sums):
            blobs = MemoryBlobs()
            descriptor = pack(folder, blobs)
            store.put(blobs, descriptor)
    write_archive(tmp_path / "sums.oci.tar", blobs, [descriptor])
    return tmp_path


def agree(reference: str) -> None:
    """What a person does who says yes on a terminal."""
    with LocalStore() as store:
        package = store.find(reference)
        manifest = store.artifact(package).manifest
        assert manifest is not None
        flags = [one.flag for one in asked(manifest.needs)]
        Permissions(store).agree(package.digest, "acme/cat", "1.0.0", flags)


@pytest.mark.parametrize(
    "name", ["acme/add", "acme/add@1", "./sums.oci.tar", "sums.oci.tar", "./sums", "sums/add.wasm"]
)
@pytest.mark.usefixtures("packed")
def test_every_way_to_name_a_library(name: str) -> None:
    """Store, packed file, project and file lead to the same functions."""
    component = wherry.load(name)
    assert component.name == name
    with component.instantiate() as instance:
        assert instance.add(2, 3) == 5
    assert wherry.inspect(name).exports[0].entries[0].signature == "add: func(a: u32, b: u32) -> u32"
    with wherry.Sandbox(component) as sandbox:
        assert sandbox.add(4, 5) == 9


@pytest.mark.usefixtures("packed")
def test_nothing_is_granted_that_nobody_agreed_to() -> None:
    """The error says what is asked, and how to give it; after the agreement the same call gets through."""
    with pytest.raises(wherry.GrantError, match=r"(?s)nobody has agreed to:.*`\.`") as refused:
        wherry.run("acme/cat#cat", "/here/here.txt", capture=True)
    assert "wherry run acme/cat#cat" in (refused.value.hint or "")
    agree("acme/cat")
    done = wherry.run("acme/cat#cat", "/here/here.txt", capture=True)
    assert (done.args, done.stdout) == (("cat", "read", "/here/here.txt"), b"here\n")
    assert wherry.run("acme/cat#write", "new", "text", capture=True).returncode == 0
    assert Path("new").read_text() == "text"
    with wherry.start("acme/cat#cat", "/here/here.txt") as running:
        assert list(running) == [b"here\n"]


@pytest.mark.usefixtures("packed")
def test_what_the_caller_grants_is_all_but_the_own_files() -> None:
    """A policy takes the place of the agreement; the files of the package are always there, to be read."""
    agree("acme/cat")
    nothing = wherry.Policy()
    done = wherry.run("acme/cat#cat", "/here/here.txt", policy=nothing, capture=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert wherry.run("acme/cat#cat", "/own/text", policy=nothing, capture=True).stdout == b"own\n"
    given = wherry.run("acme/cat#cat", "/x/here.txt", dirs=[(".", "/x")], capture=True)
    assert given.stdout == b"here\n"
    written = wherry.run("acme/cat#write", "/own/text", "x", dirs=[(".", "/here")], capture=True)
    assert written.returncode == 1


@pytest.mark.usefixtures("packed")
def test_limits_that_were_agreed_to() -> None:
    """They hold where the caller sets none, and a timeout joins them."""
    agree("acme/cat")
    component = pickle.loads(pickle.dumps(wherry.load("acme/cat#cat")))  # noqa: S301
    assert component.origin is not None
    assert component.origin.limits is not None
    assert component.origin.limits.memory == 64 << 20
    assert wherry.run(component, "/here/here.txt", timeout=20, capture=True).stdout == b"here\n"
    tight = wherry.Limits(memory="64KiB")
    with pytest.raises(wherry.LimitError):
        wherry.run(component, "/here/here.txt", limits=tight, capture=True)


def test_a_project_is_built(tmp_path: Path) -> None:
    """The folder of a project is enough."""
    folder = make(tmp_path, "c", "library")
    with wherry.load(str(folder)).instantiate() as instance:
        assert instance.greet("Ada") == "Hello, Ada!"


@pytest.mark.usefixtures("packed")
@pytest.mark.parametrize("name", ["acme/nowhere", "acme/cat#dog", "acme/cat", "Acme/x", "nowhere.tar", "."])
def test_what_there_is_not(name: str) -> None:
    """An error of Wherry says it, in Python as on the command line."""
    with pytest.raises(wherry.WherryError) as raised:
        wherry.run(name)
    assert raised.value.message


def test_a_file_has_the_name_of_a_package(packed: Path) -> None:
    """The hint says how the file is meant."""
    (packed / "some").mkdir()
    (packed / "some" / "tool").write_bytes(b"")
    with pytest.raises(wherry.NotFoundError) as raised:
        wherry.load("some/tool")
    assert raised.value.hint == "`./some/tool` is the file of that name"


@pytest.mark.usefixtures("packed")
def test_inspect_takes_names() -> None:
    """``wherry inspect`` of a package is that of its library."""
    import subprocess

    done = subprocess.run([*WHERRY, "inspect", "acme/add"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("acme/add")
