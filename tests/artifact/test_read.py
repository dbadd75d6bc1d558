"""Anybody's artifact: those of other tools are read, and hostile ones refused with an error of their own."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wherry
from tests.artifact.projects import FULL, SMALLEST, Made, add, describe, hello, project
from tests.artifact.test_tree import archive
from wherry.artifact import oci
from wherry.artifact.blobs import MemoryBlobs, copy, digest_of, read_blob
from wherry.artifact.bounds import Bounds
from wherry.artifact.documents import decode, encode
from wherry.artifact.pack import pack
from wherry.artifact.read import Artifact, read_artifact, verify
from wherry.errors import (
    ArtifactError,
    ArtifactLimitError,
    DigestError,
    MalformedArtifactError,
    ManifestError,
    UnsupportedArtifactError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TITLE = "org.opencontainers.image.title"


def wkg(made: Made) -> oci.Descriptor:
    """What `wkg publish` and `oci-wasm` write: every member of the configuration, nothing else."""
    layer = made.put("application/wasm", add())
    config = describe([layer], created="2026-03-01T09:30:12.157187041Z", component=interfaces())
    return made.image([layer], made.put(oci.WASM_CONFIG, config))


def wkg_annotated(made: Made) -> oci.Descriptor:
    """What `wkg oci push --annotation` writes."""
    layer = made.put("application/wasm", add())
    config = describe([layer], author="Somebody <somebody@example.com>", component=interfaces())
    annotations = {"org.opencontainers.image.description": "Adds", TITLE: "add"}
    return made.image([layer], made.put(oci.WASM_CONFIG, config), annotations=annotations)


def wasmcloud(made: Made) -> oci.Descriptor:
    """What `wash push` writes today: the same, with a time among the annotations."""
    layer = made.put("application/wasm", add(), annotations={TITLE: "add.wasm"})
    config = made.put(oci.WASM_CONFIG, describe([layer], component=interfaces()))
    return made.image(
        [layer], config, annotations={"org.opencontainers.image.created": "2026-03-01T09:30:12Z"}
    )


def wasmcloud_before(made: Made) -> oci.Descriptor:
    """What `wash push` wrote before 1.0."""
    layer = made.put("application/vnd.module.wasm.content.layer.v1+wasm", add())
    return made.image([layer], made.put("application/vnd.wasmcloud.actor.archive.config", b"{}"))


def wasm_to_oci(made: Made) -> oci.Descriptor:
    """What `wasm-to-oci push` writes."""
    layer = made.put("application/vnd.wasm.content.layer.v1+wasm", add(), annotations={TITLE: "add.wasm"})
    return made.image([layer], made.put("application/vnd.wasm.config.v1+json", b"{}"))


def oras(made: Made) -> oci.Descriptor:
    """What `oras push --artifact-type … add.wasm:application/wasm` writes."""
    layer = made.put("application/wasm", add(), annotations={TITLE: "add.wasm"})
    config = made.put(oci.EMPTY_CONFIG, b"{}", data="e30=")
    return made.image([layer], config, artifactType="application/vnd.wasm.component.v1+wasm")


def spin(made: Made) -> oci.Descriptor:
    """What `spin registry push` writes: components, files and the locked application, each a layer."""
    code = made.put("application/vnd.wasm.content.layer.v1+wasm", add())
    asset = made.put("application/vnd.wasm.content.layer.v1+data", b"<html></html>")
    application = {
        "spin_lock_version": 1,
        "metadata": {"name": "adder", "version": "0.1.0"},
        "triggers": [
            {"id": "t", "trigger_type": "http", "trigger_config": {"component": "adder", "route": "/..."}}
        ],
        "components": [
            {
                "id": "adder",
                "source": {"content_type": "application/wasm", "digest": code["digest"]},
                "files": [{"digest": asset["digest"], "path": "index.html"}],
            }
        ],
    }
    locked = made.put(oci.SPIN_APPLICATION, json.dumps(application).encode())
    config = {
        "architecture": "wasm",
        "os": "wasip1",
        "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": locked["digest"]}},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return made.image([code, asset, locked], made.put(oci.IMAGE_CONFIG, json.dumps(config).encode()))


def interfaces() -> dict[str, Any]:
    """What `oci-wasm` says of a component."""
    return {"exports": ["add"], "imports": [], "target": None}


@pytest.mark.parametrize(
    "tool",
    [wkg, wkg_annotated, wasmcloud, wasmcloud_before, wasm_to_oci, oras, spin],
    ids=lambda tool: tool.__name__,
)
def test_artifacts_of_other_tools_run(tool: Callable[[Made], oci.Descriptor]) -> None:
    """Whoever wrote it: its component is found, checked, loaded and called."""
    made = Made()
    descriptor = tool(made)
    artifact = read_artifact(made, descriptor)
    verify(made, artifact)
    assert artifact.manifest is None
    assert artifact.form == ("spin" if tool is spin else "wasm")
    (component,) = artifact.components
    assert component.name == ("adder" if tool is spin else None)
    with wherry.load(read_blob(made, component.descriptor)).instantiate() as guest:
        assert guest.add(2, 3) == 5


def test_artifact_keeps_its_bytes_and_digest() -> None:
    """What was read is copied as it was: members that we do not know stay, and so does the digest."""
    made = Made()
    descriptor = wkg_annotated(made)
    artifact = read_artifact(made, descriptor)
    there = MemoryBlobs()
    for blob in artifact.blobs():
        copy(made, there, blob)
    assert there.blobs == made.blobs
    assert read_artifact(there, descriptor) == artifact
    assert artifact.digest == digest_of(artifact.data)


def own(made: Made, manifest: str = SMALLEST, **more: Any) -> oci.Descriptor:
    """A package of ours by hand."""
    layers = more.pop("layers", None) or [made.put("application/wasm", add())]
    annotations = {"wherry.toml": manifest, TITLE: "acme/add"} | more.pop("annotations", {})
    return made.image(layers, annotations=annotations, **more)


def raw(text: str) -> Callable[[Made], oci.Descriptor]:
    """Bytes in the place of an image manifest."""
    return lambda made: made.document(text.encode())


def layer_of(made: Made, media_type: str = "application/wasm", data: bytes | None = None) -> dict[str, Any]:
    """A layer with the component of these tests, or with ``data``."""
    return made.put(media_type, add() if data is None else data)


def with_config(**changed: Any) -> Callable[[Made], oci.Descriptor]:
    """An artifact whose configuration says something else."""

    def make(made: Made) -> oci.Descriptor:
        layer = layer_of(made)
        return made.image([layer], made.put(oci.WASM_CONFIG, describe([layer], **changed)))

    return make


def lying(**changed: Any) -> Callable[[Made], oci.Descriptor]:
    """An artifact whose layer is described wrongly."""
    return lambda made: made.image([layer_of(made) | changed])


def missing_layer(made: Made) -> oci.Descriptor:
    """An artifact of which a layer is not there."""
    layer = layer_of(made)
    del made.blobs[layer["digest"]]
    return made.image([layer])


def other_bytes(made: Made) -> oci.Descriptor:
    """An artifact with other bytes, as many, under the digest of a layer."""
    layer = layer_of(made)
    made.blobs[layer["digest"]] = add()[:-1] + b"\xff"
    return made.image([layer])


def other_manifest(made: Made) -> oci.Descriptor:
    """Another image manifest under the digest that was asked for."""
    descriptor = made.image([layer_of(made)])
    made.blobs[descriptor.digest] = made.blobs[descriptor.digest].replace(
        b'"schemaVersion":2', b'"schemaVersion":3'
    )
    return descriptor


def many(count: int, **more: Any) -> Callable[[Made], oci.Descriptor]:
    """An artifact with ``count`` layers."""
    return lambda made: made.image([layer_of(made)] * count, **more)


def spin_naming_nothing(made: Made) -> oci.Descriptor:
    """An application of Spin whose component is no layer."""
    locked = made.put(
        oci.SPIN_APPLICATION, b'{"components":[{"id":"../../x","source":{"digest":"sha256:00"}}]}'
    )
    return made.image([layer_of(made, "application/vnd.wasm.content.layer.v1+wasm"), locked])


def with_tree(made: Made, *entries: tuple[str, bytes | None]) -> oci.Descriptor:
    """A package that speaks of `/data` and `/srv/one`, with an archive of these files."""
    manifest = f'{SMALLEST}[files]\n"/data" = "data"\n"/srv/one" = "one"\n'
    return own(made, manifest, layers=[layer_of(made), layer_of(made, oci.FILES_LAYER, archive(*entries))])


HOSTILE: dict[str, tuple[Callable[[Made], oci.Descriptor], type[Exception], str]] = {
    "no JSON": (raw("hello"), MalformedArtifactError, "not-json"),
    "cut": (raw('{"schemaVersion":2,"layers":['), MalformedArtifactError, "not-json"),
    "trailing": (raw('{"schemaVersion":2} {}'), MalformedArtifactError, "not-json"),
    "no UTF-8": (lambda made: made.document(b'{"a":"\xff"}'), MalformedArtifactError, "not-json"),
    "another form": (raw("[]"), MalformedArtifactError, "not-of-the-form"),
    "a member missing": (raw('{"schemaVersion":2,"layers":[]}'), MalformedArtifactError, "not-of-the-form"),
    "a key twice": (raw('{"layers":[],"layers":[1]}'), MalformedArtifactError, "duplicate-key"),
    "a huge number": (raw(f'{{"schemaVersion":{"9" * 400}}}'), MalformedArtifactError, "huge-number"),
    "beyond 2^53": (raw(f'{{"schemaVersion":{1 << 53}}}'), MalformedArtifactError, "huge-number"),
    "half a character": (raw('{"a":["\\ud83d"]}'), MalformedArtifactError, "not-unicode"),
    "half a character in a key": (raw('{"\\uDE00":1}'), MalformedArtifactError, "not-unicode"),
    "half a character in wherry.toml": (
        lambda made: own(made, f"{SMALLEST}# \ud83d\n"),
        MalformedArtifactError,
        "not-unicode",
    ),
    "a fraction": (raw('{"schemaVersion":2.0}'), MalformedArtifactError, "no-integer"),
    "no number": (raw('{"schemaVersion":NaN}'), MalformedArtifactError, "no-integer"),
    "deep": (raw("[" * 100_000), ArtifactLimitError, "document-depth"),
    "deep and closed": (raw(f'{{"a":{"[" * 40}{"]" * 40}}}'), ArtifactLimitError, "document-depth"),
    "long": (raw(" " * 5_000_000), ArtifactLimitError, "document-size"),
    "another version": (
        lambda made: made.image([layer_of(made)], schemaVersion=1),
        UnsupportedArtifactError,
        "unknown-version",
    ),
    "says it is an index": (
        lambda made: made.image([layer_of(made)], mediaType=oci.IMAGE_INDEX),
        MalformedArtifactError,
        "contradiction",
    ),
    "is an index": (
        lambda made: oci.Descriptor(oci.IMAGE_INDEX, made.image([]).digest, 1),
        UnsupportedArtifactError,
        "unknown-manifest",
    ),
    "is something": (
        lambda made: oci.Descriptor("text/\x1b[2Jplain", made.image([]).digest, 1),
        UnsupportedArtifactError,
        "unknown-manifest",
    ),
    "a digest of another sort": (
        lying(digest="md5:d41d8cd98f00b204e9800998ecf8427e"),
        MalformedArtifactError,
        "not-of-the-form",
    ),
    "a digest with a path": (
        lying(digest="sha256:../../../../etc/passwd"),
        MalformedArtifactError,
        "not-of-the-form",
    ),
    "a negative size": (lying(size=-1), MalformedArtifactError, "not-of-the-form"),
    "a size as text": (lying(size="1"), MalformedArtifactError, "not-of-the-form"),
    "a size too large": (lying(size=len(add()) + 1), DigestError, "wrong-size"),
    "a size too small": (lying(size=len(add()) - 1), DigestError, "wrong-size"),
    "a size of a bomb": (lying(size=1 << 50), ArtifactLimitError, "component-size"),
    "other bytes": (other_bytes, DigestError, "wrong-digest"),
    "another manifest": (other_manifest, DigestError, "wrong-digest"),
    "a layer missing": (missing_layer, MalformedArtifactError, "missing-blob"),
    "other layers in the configuration": (
        with_config(layerDigests=[digest_of(b"")]),
        MalformedArtifactError,
        "contradiction",
    ),
    "another processor": (with_config(architecture="amd64"), UnsupportedArtifactError, "unknown-target"),
    "another system": (with_config(os="linux\x1b[2J"), UnsupportedArtifactError, "unknown-target"),
    "configuration of another form": (with_config(layerDigests=3), MalformedArtifactError, "not-of-the-form"),
    "no WebAssembly": (
        lambda made: made.image([layer_of(made, data=b"\x7fELF")]),
        MalformedArtifactError,
        "not-wasm",
    ),
    "no layers": (many(0), UnsupportedArtifactError, "unknown-layer"),
    "many layers": (
        lambda made: made.image([layer_of(made), layer_of(made, data=hello())]),
        UnsupportedArtifactError,
        "many-layers",
    ),
    "too many layers": (many(501), ArtifactLimitError, "layers"),
    "an image of a container": (
        lambda made: made.image([layer_of(made, "application/vnd.oci.image.layer.v1.tar+gzip")]),
        UnsupportedArtifactError,
        "unknown-layer",
    ),
    "too many annotations": (
        many(1, annotations={str(number): "" for number in range(257)}),
        ArtifactLimitError,
        "annotations",
    ),
    "a long annotation": (
        many(1, annotations={"a": "x" * (1 << 20) + "x"}),
        ArtifactLimitError,
        "annotation-size",
    ),
    "an annotation that is no text": (
        many(1, annotations={"a": 1}),
        MalformedArtifactError,
        "not-of-the-form",
    ),
    "Spin naming nothing": (spin_naming_nothing, MalformedArtifactError, "contradiction"),
    "another name in the annotations": (
        lambda made: own(made, annotations={TITLE: "acme/trusted"}),
        MalformedArtifactError,
        "contradiction",
    ),
    "files that nobody speaks of": (
        lambda made: own(made, layers=[layer_of(made), layer_of(made, oci.FILES_LAYER, bytes(1024))]),
        MalformedArtifactError,
        "contradiction",
    ),
    "files that are not there": (
        lambda made: own(made, f'{SMALLEST}[files]\n"/a" = "a"\n'),
        MalformedArtifactError,
        "contradiction",
    ),
    "files that are others": (
        lambda made: with_tree(made, ("etc", None), ("etc/a", b"1")),
        MalformedArtifactError,
        "contradiction",
    ),
    "more files than are said": (
        lambda made: with_tree(made, ("data", None), ("data/a", b"1"), ("etc", None)),
        MalformedArtifactError,
        "contradiction",
    ),
    "fewer files than are said": (
        lambda made: with_tree(made, ("srv", None)),
        MalformedArtifactError,
        "contradiction",
    ),
    "files first": (
        lambda made: own(
            made,
            f'{SMALLEST}[files]\n"/a" = "a"\n',
            layers=[layer_of(made, oci.FILES_LAYER, bytes(1024)), layer_of(made)],
        ),
        MalformedArtifactError,
        "contradiction",
    ),
    "a place twice": (
        lambda made: own(
            made,
            layers=[
                layer_of(made) | {"annotations": {"wherry.places": "library"}},
                layer_of(made, data=hello()) | {"annotations": {"wherry.places": "library"}},
            ],
        ),
        MalformedArtifactError,
        "contradiction",
    ),
    "a component for nothing": (
        lambda made: own(
            made,
            layers=[
                layer_of(made) | {"annotations": {"wherry.places": "library"}},
                layer_of(made, data=hello()),
            ],
        ),
        MalformedArtifactError,
        "contradiction",
    ),
    "a layer of another type": (
        lambda made: own(made, layers=[layer_of(made), layer_of(made, "application/x-sh", b"rm -rf /")]),
        UnsupportedArtifactError,
        "unknown-layer",
    ),
    "a bomb of files": (
        lambda made: own(
            made,
            f'{SMALLEST}[files]\n"/a" = "a"\n',
            layers=[layer_of(made), layer_of(made, oci.FILES_LAYER, bytes(1024)) | {"size": 1 << 50}],
        ),
        ArtifactLimitError,
        "files-size",
    ),
}


def read_whole(made: Made, descriptor: oci.Descriptor) -> Artifact:
    """Reads an artifact and all of its bytes."""
    artifact = read_artifact(made, descriptor)
    verify(made, artifact)
    return artifact


@pytest.mark.parametrize(("make", "error", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_artifacts_are_refused(
    make: Callable[[Made], oci.Descriptor], error: type[ArtifactError], reason: str
) -> None:
    """Each has its own class, reason and message, and the message gives no orders to a terminal."""
    made = Made()
    with pytest.raises(error) as caught:
        read_whole(made, make(made))
    assert caught.value.reason == reason
    assert caught.value.message.isprintable()
    assert caught.value.exit_code == 126


def test_what_is_not_changed_passes() -> None:
    """The artifacts that the hostile ones are made from are read: each is refused for what was changed."""
    made = Made()
    assert read_whole(made, own(made)).form == "wherry"
    assert read_whole(made, many(1)(made)).form == "wasm"
    assert read_whole(made, with_config()(made)).form == "wasm"
    assert read_whole(made, lying()(made)).form == "wasm"
    said = [("data", None), ("data/a", b"1"), ("srv", None), ("srv/one", b"1")]
    assert read_whole(made, with_tree(made, *said)).files
    whole = json.dumps("😀").strip('"')
    assert whole == r"\ud83d\ude00"
    assert read_whole(made, made.image([layer_of(made)], annotations={"a": "😀"})).form == "wasm"
    deep = made.image([layer_of(made)], unknown=json.loads("[" * 25 + "]" * 25))
    assert read_whole(made, deep).form == "wasm"


def test_a_plain_reader_falls_for_these() -> None:
    """A reader without these checks takes the last of two keys, rounds numbers and believes sizes."""
    assert json.loads('{"layers":[],"layers":[1]}') == {"layers": [1]}
    assert json.loads('{"size":9007199254740993.0}') == {"size": 9007199254740992}
    made = Made()
    descriptor = other_bytes(made)
    layer = json.loads(made.blobs[descriptor.digest])["layers"][0]
    assert len(made.blobs[layer["digest"]]) == layer["size"]
    assert digest_of(made.blobs[layer["digest"]]) != layer["digest"]


def test_wrong_manifest_in_an_artifact_says_where() -> None:
    """An error of somebody's `wherry.toml` names the artifact that it came with."""
    made = Made()
    descriptor = own(made, "[package]\nname = 1\n")
    with pytest.raises(ManifestError, match=f"`wherry.toml in {descriptor.digest}` has 2 errors"):
        read_artifact(made, descriptor)


def test_bounds_can_be_set(tmp_path: Path) -> None:
    """At a bound an artifact passes, above it does not."""
    blobs = MemoryBlobs()
    descriptor = pack(project(tmp_path, FULL), blobs)
    assert read_artifact(blobs, descriptor, Bounds(layers=3)).files
    with pytest.raises(ArtifactLimitError, match="the number of layers is over the bound of 2"):
        read_artifact(blobs, descriptor, Bounds(layers=2))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_manifests_are_refused_or_harmless(data: st.DataObject) -> None:
    """Bytes changed anywhere in an image manifest bring nothing down: an error of ours, or an artifact."""
    made = Made()
    whole = bytearray(made.blobs[own(made).digest])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ArtifactError, ManifestError):
        read_whole(made, made.document(bytes(whole)))


def test_canonical_documents_read_back() -> None:
    """What we write we read; keys are in order and nothing stands between them."""
    config = oci.WasmConfig(created=oci.FIXED_TIME, architecture="wasm", os="wasip1", layer_digests=())
    written = encode(config)
    assert (
        written == b'{"architecture":"wasm","created":"1970-01-01T00:00:00Z","layerDigests":[],"os":"wasip1"}'
    )
    assert decode(written, oci.WasmConfig, "it") == config
