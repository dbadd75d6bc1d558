"""Anybody's artifact, read without trusting it: Wherry's own, and those of other tools.

``read_artifact`` looks at the image manifest and the configuration and says what there is; ``verify`` reads
every byte. Nothing is written by either. What other tools write is recognised by its layers: one layer of
WebAssembly is a component or core module whatever stands beside it in the configuration (``wkg``,
``oci-wasm``, wasmCloud, ``oras``), and an application of Spin names its components in a layer of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from wherry.artifact import oci
from wherry.artifact.blobs import check_blob, read_blob
from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.documents import decode
from wherry.artifact.reading import parse_manifest
from wherry.artifact.refusals import malformed, over, shown, unsupported
from wherry.artifact.tree import check_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.blobs import Source
    from wherry.artifact.headers import Member
    from wherry.artifact.manifest import Manifest

__all__ = ["Artifact", "Component", "read_artifact", "verify"]

_OPERATING_SYSTEMS = ("wasip1", "wasip2")
_FORMS = {
    oci.IMAGE_INDEX: "an index of several images",
    "application/vnd.docker.distribution.manifest.v2+json": "an image of Docker's own form",
    "application/vnd.docker.distribution.manifest.list.v2+json": "a list of images of Docker's own form",
    "application/vnd.oci.artifact.manifest.v1+json": "an artifact manifest, which OCI has withdrawn",
}


@dataclass(frozen=True)
class Component:
    """A layer that is a component or core module.

    ``places`` are those of ``wherry.toml`` that it serves, such as ``command.thumbs``; of other tools'
    artifacts it has none, and ``name`` is what the tool calls it, if it does.
    """

    descriptor: oci.Descriptor
    places: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Artifact:
    """An artifact as its image manifest describes it. ``data`` are the bytes that ``descriptor`` names.

    ``form`` is ``wherry``, ``spin``, or ``wasm`` for a single component of any other tool. The first of
    ``components`` is the main one. ``manifest`` is there for ``wherry`` alone, ``config`` where it is that
    of a Wasm OCI artifact.
    """

    form: Literal["wherry", "wasm", "spin"]
    descriptor: oci.Descriptor
    data: bytes
    image: oci.ImageManifest
    config: oci.WasmConfig | None
    manifest: Manifest | None
    components: tuple[Component, ...]
    files: oci.Descriptor | None

    @property
    def digest(self) -> str:
        """The name that everything else uses."""
        return self.descriptor.digest

    @property
    def readme(self) -> str | None:
        """The page about the package, in Markdown."""
        return (self.image.annotations or {}).get(oci.Annotation.README)

    def at(self, place: str) -> Component | None:
        """The component for a place such as ``command.thumbs``."""
        return next((component for component in self.components if place in component.places), None)

    def blobs(self) -> Iterator[oci.Descriptor]:
        """Everything that belongs to it, itself first, each once."""
        seen = set()
        for descriptor in (self.descriptor, self.image.config, *self.image.layers):
            if descriptor.digest not in seen:
                seen.add(descriptor.digest)
                yield descriptor


def read_artifact(source: Source, descriptor: oci.Descriptor, bounds: Bounds = BOUNDS) -> Artifact:
    """The artifact whose image manifest ``descriptor`` names.

    Raises:
        MalformedArtifactError: It is not of its form, or says different things in different places.
        DigestError: Manifest or configuration are not the bytes that were named.
        UnsupportedArtifactError: It is of a form that Wherry does not know.
        ArtifactLimitError: It is over a bound.
        ManifestError: Its ``wherry.toml`` is wrong.

    """
    if descriptor.media_type != oci.IMAGE_MANIFEST:
        what = _FORMS.get(descriptor.media_type, f"of the unknown type `{shown(descriptor.media_type)}`")
        raise unsupported("unknown-manifest", f"`{descriptor.digest}` is {what}")
    data = _document(source, descriptor, bounds)
    image = decode(data, oci.ImageManifest, "the image manifest", bounds)
    _check_image(image, bounds)
    config = _read_config(source, image, bounds)
    annotations = image.annotations or {}
    if oci.Annotation.MANIFEST in annotations:
        name = f"wherry.toml in {descriptor.digest}"
        manifest = parse_manifest(annotations[oci.Annotation.MANIFEST], name)
        _check_annotations(manifest, annotations)
        components, files = _own_layers(image, manifest)
        return Artifact("wherry", descriptor, data, image, config, manifest, components, files)
    form, components = _foreign_layers(source, image, bounds)
    return Artifact(form, descriptor, data, image, config, None, components, None)


def verify(source: Source, artifact: Artifact, bounds: Bounds = BOUNDS) -> list[Member]:
    """Reads every byte of an artifact: its files and folders.

    Raises:
        ArtifactError: Something is missing, or is not what was named.

    """
    for descriptor in artifact.blobs():
        check_blob(source, descriptor)
    for component in artifact.components:
        with source.open(component.descriptor.digest) as stream:
            if stream.read(4) != b"\0asm":
                raise malformed("not-wasm", f"`{component.descriptor.digest}` is no WebAssembly")
    if artifact.files is None:
        return []
    with source.open(artifact.files.digest) as stream:
        members = check_tree(stream, artifact.files.size, bounds)
    if artifact.manifest is not None:
        _check_files(artifact.manifest, members)
    return members


def _check_files(manifest: Manifest, members: list[Member]) -> None:
    """The archive holds what ``[files]`` speaks of, folders that lead there, and nothing else."""
    wanted = {guest.strip("/") for guest in manifest.files}
    leading = {above for path in wanted for above in _above(path)}
    spoken_of = all(
        "" in wanted
        or member.path in wanted
        or (member.folder and member.path in leading)
        or any(above in wanted for above in _above(member.path))
        for member in members
    )
    if not spoken_of or wanted - {member.path for member in members} - {""}:
        raise malformed("contradiction", "the files are not those that `wherry.toml` speaks of")


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _document(source: Source, descriptor: oci.Descriptor, bounds: Bounds) -> bytes:
    """The bytes of a document, which has to be small."""
    if descriptor.size > bounds.document:
        raise over(f"the size of `{descriptor.digest}`", bounds.document, "document-size")
    return read_blob(source, descriptor)


def _check_image(image: oci.ImageManifest, bounds: Bounds) -> None:
    if image.schema_version != 2:  # noqa: PLR2004 - the one version there is (manifest.md)
        raise unsupported(
            "unknown-version", f"the image manifest is of version {image.schema_version}, not 2"
        )
    if image.media_type not in {None, oci.IMAGE_MANIFEST}:
        raise malformed("contradiction", "the image manifest says that it is something else")
    if len(image.layers) > bounds.layers:
        raise over("the number of layers", bounds.layers, "layers")
    for found in (image.annotations, *(layer.annotations for layer in image.layers)):
        _check_size_of(found or {}, bounds)
    for layer in image.layers:
        if layer.media_type in oci.WASM_LAYERS and layer.size > bounds.component:
            raise over("the size of a component", bounds.component, "component-size")
        if layer.media_type == oci.FILES_LAYER and layer.size > 2 * bounds.files:
            raise over("the size of the archive of files", 2 * bounds.files, "files-size")


def _check_size_of(annotations: dict[str, str], bounds: Bounds) -> None:
    if len(annotations) > bounds.annotations:
        raise over("the number of annotations", bounds.annotations, "annotations")
    for key, value in annotations.items():
        if max(len(key), len(value)) > bounds.annotation:
            raise over("the length of an annotation", bounds.annotation, "annotation-size")


def _read_config(source: Source, image: oci.ImageManifest, bounds: Bounds) -> oci.WasmConfig | None:
    """The configuration, where it is that of a Wasm OCI artifact; another is checked and passed over."""
    data = _document(source, image.config, bounds)
    if image.config.media_type != oci.WASM_CONFIG:
        return None
    config = decode(data, oci.WasmConfig, "the configuration", bounds)
    if config.architecture != "wasm" or config.os not in _OPERATING_SYSTEMS:
        what = f"`{shown(config.os)}` on `{shown(config.architecture)}`"
        raise unsupported(
            "unknown-target", f"the configuration is for {what}, not for `wasip1` or `wasip2` on `wasm`"
        )
    if config.layer_digests != tuple(layer.digest for layer in image.layers):
        raise malformed("contradiction", "the configuration names other layers than the image manifest")
    return config


def _check_annotations(manifest: Manifest, annotations: dict[str, str]) -> None:
    """What registries show of a package is what it says itself."""
    package = manifest.package
    for key, said in ((oci.Annotation.TITLE, package.name), (oci.Annotation.VERSION, package.version)):
        if annotations.get(key, said) != said:
            raise malformed("contradiction", f"the annotation `{key}` is not what `wherry.toml` says")


def _own_layers(
    image: oci.ImageManifest, manifest: Manifest
) -> tuple[tuple[Component, ...], oci.Descriptor | None]:
    """The components with the places that they serve, and the files."""
    offered = [place for place, _ in manifest.places()]
    code = [layer for layer in image.layers if layer.media_type == oci.WASM_LAYER]
    files = [layer for layer in image.layers if layer.media_type == oci.FILES_LAYER]
    for layer in image.layers:
        if layer.media_type not in {oci.WASM_LAYER, oci.FILES_LAYER}:
            raise unsupported("unknown-layer", f"a layer is of the unknown type `{shown(layer.media_type)}`")
    if list(image.layers) != code + files or len(files) != bool(manifest.files):
        raise malformed("contradiction", "the layers are not those that `wherry.toml` speaks of")
    if len(code) == 1:
        components = [Component(code[0], tuple(offered))]
    else:
        said = ((layer.annotations or {}).get(oci.Annotation.PLACES, "").split() for layer in code)
        components = [Component(layer, tuple(places)) for layer, places in zip(code, said, strict=True)]
    served = [place for component in components for place in component.places]
    if sorted(served) != sorted(offered) or not all(component.places for component in components):
        raise malformed("contradiction", "the components are not those that `wherry.toml` speaks of")
    return tuple(components), files[0] if files else None


class _SpinSource(msgspec.Struct):
    """Where Spin has the code of a component."""

    digest: str | None = None


class _SpinComponent(msgspec.Struct):
    """A component of an application of Spin."""

    id: str
    source: _SpinSource


class _SpinApplication(msgspec.Struct):
    """A locked application of Spin, as far as it says which layers are components."""

    components: tuple[_SpinComponent, ...]


def _foreign_layers(
    source: Source, image: oci.ImageManifest, bounds: Bounds
) -> tuple[Literal["wasm", "spin"], tuple[Component, ...]]:
    """The components in an artifact of another tool."""
    code = {layer.digest: layer for layer in image.layers if layer.media_type in oci.WASM_LAYERS}
    applications = [layer for layer in image.layers if layer.media_type == oci.SPIN_APPLICATION]
    if len(applications) == 1:
        data = _document(source, applications[0], bounds)
        found = decode(data, _SpinApplication, "the application of Spin", bounds).components
        if not found or any(component.source.digest not in code for component in found):
            raise malformed("contradiction", "the application of Spin names a component that is no layer")
        return "spin", tuple(Component(code[one.source.digest or ""], name=one.id) for one in found)
    if len(image.layers) == 1 and code:
        return "wasm", (Component(image.layers[0]),)
    if len(code) > 1:
        # The guide: "If a consumer sees more than a single layer … they should reject it".
        raise unsupported(
            "many-layers", f"there are {len(code)} components, and nothing says which does what"
        )
    types = sorted({shown(layer.media_type) for layer in image.layers})
    what = f"its layers are {', '.join(f'`{one}`' for one in types[:5])}" if types else "it has no layers"
    raise unsupported("unknown-layer", f"this is no package of WebAssembly: {what}")
