"""What ``wherry save`` writes goes through the tools of others and comes back as it was."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import FULL, SMALLEST, project
from tests.debian import command
from tests.e2e.commands import cli

if TYPE_CHECKING:
    from pathlib import Path

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
    words, environment = command("skopeo", SKOPEO)
    for source, target in (
        (f"oci-archive:saved.tar:{own}", "oci-archive:copied.tar"),
        (f"oci:saved:{own}", "oci:copied:latest"),
        ("oci-archive:copied.tar", f"oci:back:{own}"),
        (f"oci:back:{own}", f"oci-archive:back.tar:{own}"),
    ):
        subprocess.run(
            [*words, "--insecure-policy", "copy", "--quiet", source, target],
            check=True,
            cwd=tmp_path,
            env=environment,
        )
    for copy in ("copied", "back.tar"):
        there = tmp_path / f"there-{copy}"
        assert typed(there, "load", tmp_path / copy).split() == [reference, digest]
        typed(there, "verify-store")
        (listed,) = json.loads(typed(there, "list", "--format", "json"))
        assert (listed["digest"], listed["references"]) == (digest, [reference])
        assert typed(there, "run", *flags, name) == said
