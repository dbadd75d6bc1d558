"""The records of the formats: OCI image manifests and indexes, and the configuration of a Wasm OCI artifact.

After the OCI image specification 1.1 (descriptor.md, manifest.md, image-index.md, image-layout.md) and the
CNCF guide "Wasm OCI Artifact layout". Members that these have and we do not use are passed over when read;
the bytes are kept.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "DIGEST",
    "EMPTY_CONFIG",
    "FILES_LAYER",
    "FIXED_TIME",
    "IMAGE_CONFIG",
    "IMAGE_INDEX",
    "IMAGE_MANIFEST",
    "SPIN_APPLICATION",
    "WASM_CONFIG",
    "WASM_LAYER",
    "WASM_LAYERS",
    "Annotation",
    "ComponentConfig",
    "Descriptor",
    "ImageIndex",
    "ImageManifest",
    "WasmConfig",
]

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
WASM_CONFIG = "application/vnd.wasm.config.v0+json"
WASM_LAYER = "application/wasm"
FILES_LAYER = "application/vnd.wherry.files.v1.tar"
SPIN_APPLICATION = "application/vnd.fermyon.spin.application.v1+config"

WASM_LAYERS = frozenset(
    {
        WASM_LAYER,
        "application/vnd.wasm.content.layer.v1+wasm",  # wasm-to-oci, Spin
        "application/vnd.module.wasm.content.layer.v1+wasm",  # wasmCloud before 1.0, Envoy
        "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",  # runwasi
    }
)
"""Media types of layers that are a component or core module and nothing else."""

FIXED_TIME = "1970-01-01T00:00:00Z"
"""When every package was made: a real time would give each packing another digest."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The one form of a digest: others of the specification (sha512) are not read."""

_Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
_Size = Annotated[int, Meta(ge=0)]
_MediaType = Annotated[str, Meta(min_length=1, max_length=255)]


class Annotation:
    """The keys of annotations that Wherry writes. Pages of registries show those of OCI."""

    MANIFEST = "wherry.toml"
    README = "wherry.readme"
    PLACES = "wherry.places"
    TITLE = "org.opencontainers.image.title"
    VERSION = "org.opencontainers.image.version"
    DESCRIPTION = "org.opencontainers.image.description"
    LICENCES = "org.opencontainers.image.licenses"
    SOURCE = "org.opencontainers.image.source"
    REFERENCE = "org.opencontainers.image.ref.name"


class _Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What all records have: names as JSON has them, and no member that says nothing."""


class Descriptor(_Record, frozen=True):
    """Names some bytes: their type, digest and size."""

    media_type: _MediaType
    digest: _Digest
    size: _Size
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None


class ImageManifest(_Record, frozen=True, kw_only=True):
    """One artifact: a configuration, and layers in order."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


class ImageIndex(_Record, frozen=True, kw_only=True):
    """Several artifacts, or what a layout holds."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str | None = None
    annotations: dict[str, str] | None = None


class ComponentConfig(_Record, frozen=True):
    """The names of what a component exports and imports, in the order of the file."""

    exports: tuple[str, ...]
    imports: tuple[str, ...]
    target: str | None = None


class WasmConfig(_Record, frozen=True, kw_only=True):
    """The configuration of a Wasm OCI artifact.

    ``os`` is ``wasip1`` for a core module and ``wasip2`` for a component, which alone has ``component``.
    """

    created: str | UnsetType = UNSET
    author: str | None = None
    architecture: str
    os: str
    layer_digests: tuple[_Digest, ...]
    component: ComponentConfig | None = None
