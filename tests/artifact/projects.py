"""Projects to pack, and artifacts made by hand: what the tests of this folder share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.guests.build import binary, text
from wherry.artifact import oci
from wherry.artifact.blobs import MemoryBlobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["FULL", "SMALLEST", "Made", "add", "describe", "greeter", "hello", "project"]

SMALLEST = '[package]\nname = "acme/add"\nversion = "1.0.0"\n\n[library]\ncomponent = "add.wasm"\n'
"""A package with one component and no files."""

FULL = """[package]
name = "acme/tools"
version = "2.1.0-rc.1"
description = "Tools of all sorts"
licence = "Apache-2.0"
keywords = ["tools"]
readme = "README.md"
repository = "https://example.com/acme/tools"

[command.hello]
component = "hello.wasm"

[command.again]
component = "copy/hello.wasm"

[library]
component = "add.wasm"

[files]
"/data" = "data"
"/etc/tools/settings.ini" = "settings.ini"
"/only" = { path = "data", exclude = ["*.tmp", "deep/b*"] }
"""
"""A package with two components, one of them under two names, and files."""

_GREETER = """
(component
  (type $greetings (instance (type $greet (func (param "name" string) (result string)))
    (export "greet" (func (type $greet)))))
  (import "acme:greetings/english@1.0.0" (instance (type $greetings)))
  (import "log" (func (param "line" u32)))
  (core module $main (func (export "f")))
  (core instance $main (instantiate $main))
  (func (export "wave") (canon lift (core func $main "f"))))
"""


def add() -> bytes:
    """A component with one function and no imports."""
    return binary(text("add")).read_bytes()


def greeter() -> bytes:
    """A component with an interface and a function among its imports."""
    return binary(_GREETER).read_bytes()


def hello() -> bytes:
    """A core module, a command of WASI 0.1."""
    return binary(text("hello")).read_bytes()


def project(folder: Path, manifest: str = SMALLEST) -> Path:
    """A project with everything that ``SMALLEST`` and ``FULL`` speak of."""
    contents: dict[str, bytes] = {
        "wherry.toml": manifest.encode(),
        "add.wasm": add(),
        "hello.wasm": hello(),
        "copy/hello.wasm": hello(),
        "README.md": "# Tools\n\nFür alles.\n".encode(),
        "settings.ini": b"[all]\n",
        "data/a.txt": b"a\n",
        "data/skipped.tmp": b"not in /only",
        "data/deep/b.txt": b"not in /only either",
        "data/deep/deeper/c.bin": bytes(range(256)) * 5,
        "data/empty file": b"",
        "data/Grüße/日本.txt": b"unicode",
        f"data/{'long-' * 30}/name.txt": b"a path of more than 100 bytes",
    }
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "data" / "empty folder").mkdir(parents=True)
    return folder


class Made(MemoryBlobs):
    """Artifacts made by hand: ``image`` puts one together as another tool, or somebody hostile, would."""

    def put(self, media_type: str, data: bytes, /, **more: Any) -> dict[str, Any]:
        """Takes in bytes: their descriptor, in the order of keys that most tools write."""
        digest, size = self.add([data])
        return {"mediaType": media_type, "digest": digest, "size": size, **more}

    def image(
        self,
        layers: Iterable[Mapping[str, Any]],
        config: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> oci.Descriptor:
        """An image manifest; without ``config`` it is that of a Wasm OCI artifact of the layers."""
        described = list(layers)
        document = {
            "schemaVersion": 2,
            "mediaType": oci.IMAGE_MANIFEST,
            "config": config or self.put(oci.WASM_CONFIG, describe(described)),
            "layers": described,
            **more,
        }
        return self.document(json.dumps(document, separators=(",", ":")).encode())

    def document(self, data: bytes) -> oci.Descriptor:
        """Any bytes, named as an image manifest."""
        digest, size = self.add([data])
        return oci.Descriptor(oci.IMAGE_MANIFEST, digest, size)


def describe(layers: Iterable[Mapping[str, Any]], **changed: Any) -> bytes:
    """The configuration of a Wasm OCI artifact with these layers."""
    config: dict[str, Any] = {
        "created": "2026-01-01T00:00:00Z",
        "author": None,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer["digest"] for layer in layers],
        "component": {"exports": [], "imports": [], "target": None},
    }
    return json.dumps(config | changed, separators=(",", ":")).encode()
