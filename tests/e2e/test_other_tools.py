"""What ``wherry save`` writes goes through the tools of others and comes back as it was."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.artifact.projects import FULL, SMALLEST, add, greeter, hello, project
from tests.debian import command
from tests.e2e.commands import cli
from tests.guests.build import CACHE
from tests.servers import free_port
from tests.terminals import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

SKOPEO = ("skopeo", "libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1")
MODULE = '[package]\nname = "acme/hello"\nversion = "1.0.0"\n\n[command.hello]\ncomponent = "hello.wasm"\n'
ADDING = ("--invoke", "add(2, 3)")
PACKAGES = {
    "one core module": (MODULE, "acme/hello", (), "hello\n"),
    "one component": (SMALLEST, "acme/add", ADDING, "5\n"),
    "components and files": (FULL, "acme/tools", ADDING, "5\n"),
}


def typed(store: Path, *words: str | Path) -> str:
    """What a command line says, with packages in a store of its own."""
    done = cli(*words, stdin=b"", WHERRY_STORE=str(store))
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def skopeo(folder: Path, source: str, target: str) -> None:
    """Copies from one form or place to another."""
    words, environment = command("skopeo", SKOPEO)
    plain = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
    subprocess.run([*words, *plain, source, target], check=True, cwd=folder, env=environment)


@pytest.mark.parametrize(
    ("manifest", "name", "flags", "said"), PACKAGES.values(), ids=[key.replace(" ", "-") for key in PACKAGES]
)
def test_skopeo_copies_there_and_back(
    manifest: str, name: str, flags: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """From the saved file through all forms of layouts: the digest stays, and the copy runs by name."""
    packed = tmp_path / "packed.oci.tar"
    typed(tmp_path / "here", "pack", project(tmp_path / "project", manifest), "-o", packed)
    reference, digest = typed(tmp_path / "here", "load", packed).split()
    typed(tmp_path / "here", "save", name, "-o", tmp_path / "saved.tar")
    with tarfile.open(tmp_path / "saved.tar") as saved:
        saved.extractall(tmp_path / "saved", filter="data")
    own = reference.replace("@", ":")
    for source, target in (
        (f"oci-archive:saved.tar:{own}", "oci-archive:copied.tar"),
        (f"oci:saved:{own}", "oci:copied:latest"),
        ("oci-archive:copied.tar", f"oci:back:{own}"),
        (f"oci:back:{own}", f"oci-archive:back.tar:{own}"),
    ):
        skopeo(tmp_path, source, target)
    for copy in ("copied", "back.tar"):
        there = tmp_path / f"there-{copy}"
        assert typed(there, "load", tmp_path / copy).split() == [reference, digest]
        typed(there, "verify-store")
        (listed,) = json.loads(typed(there, "list", "--format", "json"))
        assert (listed["digest"], listed["references"]) == (digest, [reference])
        assert typed(there, "run", *flags, name) == said


@pytest.fixture(scope="module")
def other_tool() -> Path:
    """The program in ``oci-wasm``, which takes some minutes to compile for the first time."""
    target = CACHE / "other-tool-target"
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked"],
        check=True,
        cwd=Path(__file__).parent / "oci-wasm",
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    return target / "release" / "other-tool"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on loopback: where it is."""
    where = f"127.0.0.1:{free_port()}"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": where},
    }
    (tmp_path / "registry.yml").write_text(json.dumps(settings))
    with serving(tmp_path / "registry.yml", where):
        yield where


@contextmanager
def serving(settings: Path, where: str) -> Iterator[None]:
    """The registry of Debian, from when it listens."""
    words, environment = command("docker-registry", ("docker-registry",))
    process = subprocess.Popen(
        [*words, "serve", settings], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host, _, port = where.partition(":")
    deadline = time.monotonic() + DEADLINE
    try:
        while True:
            assert process.poll() is None, "the registry ended"
            assert time.monotonic() < deadline
            try:
                socket.create_connection((host, int(port)), 1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)  # it is polled for, with a deadline
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestTheCrateOfWkg:
    """What ``wkg`` and ``wash`` push and pull with, through a registry."""

    @pytest.mark.parametrize(
        "case", [(add, ADDING, "5\n"), (hello, (), "hello\n")], ids=["component", "module"]
    )
    def test_what_it_pushes_runs(self, case: Any, other_tool: Path, registry: str, tmp_path: Path) -> None:
        """As a file, and by the name that it has there."""
        code, flags, said = case
        (tmp_path / "code.wasm").write_bytes(code())
        subprocess.run([other_tool, "push", tmp_path / "code.wasm", f"{registry}/acme/code:edge"], check=True)
        skopeo(tmp_path, f"docker://{registry}/acme/code:edge", "oci-archive:theirs.tar:acme/code:edge")
        store = tmp_path / "store"
        assert typed(store, "run", *flags, tmp_path / "theirs.tar") == said
        assert typed(store, "load", tmp_path / "theirs.tar").startswith("acme/code@edge  sha256:")
        assert typed(store, "run", *flags, "acme/code") == said
        assert typed(store, "verify-store") == "1 whole, 0 damaged\n"

    @pytest.mark.parametrize("code", [add, hello, greeter], ids=["component", "module", "imports"])
    def test_what_we_pack_is_pulled(self, code: Any, other_tool: Path, registry: str, tmp_path: Path) -> None:
        """It finds one layer, and the configuration that it would have written itself but for the time."""
        (tmp_path / "code.wasm").write_bytes(code())
        packed = tmp_path / "ours.tar"
        typed(tmp_path, "pack", tmp_path / "code.wasm", "--name", "acme/code", "-o", packed)
        skopeo(tmp_path, "oci-archive:ours.tar", f"docker://{registry}/acme/ours:1")
        subprocess.run([other_tool, "push", tmp_path / "code.wasm", f"{registry}/acme/theirs:1"], check=True)
        ours, theirs = (
            subprocess.run(
                [other_tool, "pull", f"{registry}/acme/{whose}:1", tmp_path / whose],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.splitlines()
            for whose in ("ours", "theirs")
        )
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes() == code()
        assert ours[1:] == theirs[1:]
        with tarfile.open(packed) as archive:
            assert f"blobs/sha256/{ours[0].removeprefix('sha256:')}" in archive.getnames()
        skopeo(tmp_path, f"docker://{registry}/acme/theirs:1", "oci:theirs-layout:latest")
        skopeo(tmp_path, f"docker://{registry}/acme/ours:1", "oci:ours-layout:latest")
        (image, config), (their_image, their_config) = (
            documents(tmp_path / f"{whose}-layout", digest)
            for whose, digest in (("ours", ours[0]), ("theirs", theirs[0]))
        )
        assert config.pop("created") == "1970-01-01T00:00:00Z"
        assert their_config.pop("created")
        assert config == their_config
        assert {key: value for key, value in image.items() if key not in {"annotations", "config"}} == {
            key: value for key, value in their_image.items() if key not in {"annotations", "config"}
        }
        assert image["config"]["mediaType"] == their_image["config"]["mediaType"]


def documents(layout: Path, digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The image manifest and the configuration of an artifact, without members that say nothing."""
    blobs = layout / "blobs/sha256"
    image = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
    config = json.loads((blobs / image["config"]["digest"].removeprefix("sha256:")).read_bytes())
    return said_in(image), said_in(config)


def said_in(found: Any) -> Any:
    """A document without its members that are ``null``."""
    if isinstance(found, dict):
        return {key: said_in(value) for key, value in found.items() if value is not None}
    return [said_in(value) for value in found] if isinstance(found, list) else found
