"""Packing: a Wasm OCI artifact as other tools know it, and the same digest whoever packs it and wherever."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.artifact.projects import FULL, SMALLEST, add, greeter, hello, project
from tests.guests.build import binary, text
from wherry.artifact import oci
from wherry.artifact.blobs import MemoryBlobs, digest_of
from wherry.artifact.pack import MOST_README, pack, pack_file
from wherry.artifact.read import read_artifact, verify
from wherry.errors import NotFoundError, PackError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

# The digests that these projects have today have to be theirs on every machine and with every later version.
DIGESTS = {
    "smallest": (SMALLEST, "sha256:eed0f0dbd266d2909f6b7c66fd059c243cd43e496eda3e320f9b8a936d191efd"),
    "full": (FULL, "sha256:ce459e8fb5671754d3259288dc705d9f9eae751848aa30539f39a1ff428c6684"),
}
NOBODY = 65534
# Packs as who it is started by, and then, where it may, as somebody else: what is imported stays in reach.
PACK = f"""
import os, sys
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
print(pack(".", MemoryBlobs()).digest)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
print(pack(".", MemoryBlobs()).digest)
"""


def packed(folder: Path, manifest: str = SMALLEST) -> tuple[MemoryBlobs, oci.Descriptor]:
    """A project, packed into memory."""
    blobs = MemoryBlobs()
    return blobs, pack(project(folder, manifest), blobs)


def test_one_component_is_exactly_a_wasm_oci_artifact(tmp_path: Path) -> None:
    """Config, layer and media types are those of the guide, and nothing else is there but annotations."""
    blobs, descriptor = packed(tmp_path)
    layer = {"digest": digest_of(add()), "mediaType": "application/wasm", "size": len(add())}
    config = {
        "architecture": "wasm",
        "component": {"exports": ["add"], "imports": []},
        "created": "1970-01-01T00:00:00Z",
        "layerDigests": [digest_of(add())],
        "os": "wasip2",
    }
    written = json.dumps(config, separators=(",", ":")).encode()
    assert json.loads(blobs.blobs[descriptor.digest]) == {
        "annotations": {
            "org.opencontainers.image.title": "acme/add",
            "org.opencontainers.image.version": "1.0.0",
            "wherry.toml": SMALLEST,
        },
        "config": {
            "digest": digest_of(written),
            "mediaType": "application/vnd.wasm.config.v0+json",
            "size": len(written),
        },
        "layers": [layer],
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "schemaVersion": 2,
    }
    assert blobs.blobs[digest_of(written)] == written
    assert blobs.blobs[digest_of(add())] == add()


def test_configuration_names_imports_and_exports(tmp_path: Path) -> None:
    """Interfaces, functions and types, as the component has them."""
    (tmp_path / "greeter.wasm").write_bytes(greeter())
    blobs = MemoryBlobs()
    artifact = read_artifact(
        blobs, pack_file(tmp_path / "greeter.wasm", blobs, name="acme/greeter", version="1.0.0")
    )
    assert artifact.config is not None
    assert artifact.config.component == oci.ComponentConfig(
        exports=("wave",), imports=("acme:greetings/english@1.0.0", "log")
    )


def test_core_module_stays_what_it_is(tmp_path: Path) -> None:
    """A module of WASI 0.1 is for `wasip1`, and has no component to describe."""
    blobs, descriptor = packed(
        tmp_path, SMALLEST.replace("[library]", "[command.hello]").replace("add.w", "hello.w")
    )
    artifact = read_artifact(blobs, descriptor)
    assert artifact.config is not None
    assert (artifact.config.os, artifact.config.component) == ("wasip1", None)
    assert blobs.blobs[artifact.components[0].descriptor.digest] == hello()


def test_components_and_files_are_further_layers(tmp_path: Path) -> None:
    """Each component is there once, with the places that it serves; files come last."""
    blobs, descriptor = packed(tmp_path, FULL)
    artifact = read_artifact(blobs, descriptor)
    assert [component.places for component in artifact.components] == [
        ("command.hello", "command.again"),
        ("library",),
    ]
    assert [layer.media_type for layer in artifact.image.layers] == [
        "application/wasm",
        "application/wasm",
        "application/vnd.wherry.files.v1.tar",
    ]
    annotations = artifact.image.annotations or {}
    assert annotations["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert artifact.readme == "# Tools\n\nFür alles.\n"
    paths = {member.path for member in verify(blobs, artifact) if not member.folder}
    assert {
        "etc/tools/settings.ini",
        "data/Grüße/日本.txt",
        "data/empty file",
        "only/deep/deeper/c.bin",
    } <= paths
    assert not {"only/skipped.tmp", "only/deep/b.txt"} & paths
    assert {"data/skipped.tmp", "data/deep/b.txt"} <= paths


@pytest.mark.parametrize(("manifest", "digest"), DIGESTS.values(), ids=DIGESTS.keys())
def test_digests_stay_what_they_are(manifest: str, digest: str, tmp_path: Path) -> None:
    """A package that was packed by an earlier version or elsewhere has the same digest here."""
    assert packed(tmp_path, manifest)[1].digest == digest


@pytest.mark.parametrize("language", ["C", "de_DE.UTF-8"])
def test_digest_is_the_same_for_everybody(language: str, tmp_path: Path) -> None:
    """Another folder, owner, user, umask, time, locale, time zone and order of files: one digest."""
    _, expected = packed(tmp_path / "mine", FULL)
    theirs = tmp_path / "theirs and others'"
    copy_in_another_order(tmp_path / "mine", theirs)
    if os.geteuid() == 0:
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(tmp_path),
        "USER": "somebody",
        "LC_ALL": language,
        "TZ": "Pacific/Auckland",
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": "1234567890",
    }
    done = subprocess.run(
        [sys.executable, "-c", PACK],
        check=True,
        capture_output=True,
        text=True,
        cwd=theirs,
        env=environment,
        umask=0o077,
    )
    assert done.stdout.split() == [expected.digest] * 2


def copy_in_another_order(source: Path, target: Path) -> None:
    """The same files, made one after the other in another order, with other rights and times."""
    paths = sorted(path for path in source.rglob("*"))
    random.Random(5).shuffle(paths)  # noqa: S311 - the point is that it can be repeated
    for path in paths:
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(0o700 if random.Random(copy.name).random() < 0.5 else 0o400)  # noqa: S311 - the same
            os.utime(copy, (1, 1_000_000_000))


def test_single_file_is_packed_by_what_it_is(tmp_path: Path) -> None:
    """A command gets its name from the package, anything else is a library."""
    for data, place in ((hello(), "command.tool"), (add(), "library")):
        (tmp_path / "file.wasm").write_bytes(data)
        blobs = MemoryBlobs()
        artifact = read_artifact(
            blobs, pack_file(tmp_path / "file.wasm", blobs, name="acme/tool", version="0.1.0")
        )
        assert artifact.manifest is not None
        assert [name for name, _ in artifact.manifest.places()] == [place]
        assert artifact.at(place) == artifact.components[0]
    with pytest.raises(UsageError, match="`tool` is no name of a package"):
        pack_file(tmp_path / "file.wasm", MemoryBlobs(), name="tool", version="0.1.0")


def test_components_can_come_from_elsewhere(tmp_path: Path) -> None:
    """What was built takes the place of what the manifest leaves out."""
    folder = project(tmp_path, SMALLEST.replace('component = "add.wasm"\n', ""))
    with pytest.raises(PackError, match="there is no component for `library`") as caught:
        pack(folder, MemoryBlobs())
    assert caught.value.hint == "build it first: `wherry build`"
    blobs = MemoryBlobs()
    assert read_artifact(blobs, pack(folder, blobs, {"library": folder / "add.wasm"})).at("library")


def test_the_text_format_is_packed_as_what_it_stands_for(tmp_path: Path) -> None:
    """It has the digest of the package of the binary form; what is wrong in a text has its line."""
    (tmp_path / "tool.wat").write_bytes(text("unnamed").read_bytes())
    (tmp_path / "tool.wasm").write_bytes(binary(text("unnamed")).read_bytes())
    digests = {
        pack_file(tmp_path / name, MemoryBlobs(), name="acme/tool", version="1.0.0").digest
        for name in ("tool.wat", "tool.wasm")
    }
    assert len(digests) == 1
    (tmp_path / "tool.wat").write_text("(module\n  (fnuc))")
    with pytest.raises(PackError, match=r"tool\.wat:2:"):
        pack_file(tmp_path / "tool.wat", MemoryBlobs(), name="acme/tool", version="1.0.0")


@pytest.mark.parametrize(
    ("component", "entry", "why"),
    [
        pytest.param("tool.wasm", "other", None, id="function"),
        pytest.param("tool.wasm", "", None, id="empty-name"),
        pytest.param("tool.wasm", "taking", "it exports no function `taking` without", id="takes-something"),
        pytest.param("tool.wasm", "memory", "it exports no function `memory` without", id="no-function"),
        pytest.param("tool.wasm", "nothing", "it exports no function `nothing` without", id="not-there"),
        pytest.param("add.wasm", "add", "it is a component, which says itself where", id="component"),
    ],
)
def test_an_entry_is_a_function_of_the_module(
    component: str, entry: str, why: str | None, tmp_path: Path
) -> None:
    """It takes nothing and gives nothing; all else is refused when it is packed, not when it is run."""
    folder = project(tmp_path)
    (folder / "tool.wasm").write_bytes(binary(text("unnamed")).read_bytes())
    manifest = SMALLEST.replace("[library]", f'[command.tool]\nentry = "{entry}"')
    (folder / "wherry.toml").write_text(manifest.replace("add.wasm", component))
    if why is None:
        pack(folder, MemoryBlobs())
        return
    with pytest.raises(PackError, match=f"cannot be `command.tool`: {why}"):
        pack(folder, MemoryBlobs())


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    """A missing or wrong component, a missing file, a readme that is too long: each says which."""
    folder = project(tmp_path)
    for manifest, error, message in (
        (SMALLEST.replace("add.wasm", "missing.wasm"), NotFoundError, "`.*missing.wasm`: no such file"),
        (
            SMALLEST.replace("add.wasm", "README.md"),
            PackError,
            "`.*README.md` is not WebAssembly: it looks like text",
        ),
        (SMALLEST.replace("[library]", "[command.add]"), PackError, "`.*add.wasm` cannot be `command.add`: "),
        (SMALLEST + '[files]\n"/data" = "nothing"\n', PackError, "`.*nothing`: no such file or folder"),
        (
            SMALLEST + '[files]\n"/x" = "data"\n"/x/a.txt" = "settings.ini"\n',
            PackError,
            "would both be `x/a.txt`",
        ),
        (
            SMALLEST.replace("[library]", 'readme = "long.md"\n[library]'),
            PackError,
            "over the bound of 131,072",
        ),
    ):
        (folder / "long.md").write_bytes(bytes(MOST_README + 1))
        (folder / "wherry.toml").write_text(manifest)
        with pytest.raises(error, match=message):
            pack(folder, MemoryBlobs())
    (folder / "wherry.toml").unlink()
    with pytest.raises(NotFoundError, match=r"wherry\.toml`: no such file"):
        pack(folder, MemoryBlobs())
