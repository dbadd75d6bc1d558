"""A project becomes an artifact: the same bytes, whoever packs it and wherever.

``pack`` goes by a ``wherry.toml`` and components that are built; ``pack_file`` makes a package of a single
file. What is written is a Wasm OCI artifact as other tools know it, with ``wherry.toml`` as an annotation; a
package of several components or with files has further layers. No clock, user, right or order of a folder
comes into it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.artifact import oci
from wherry.artifact.bounds import BOUNDS
from wherry.artifact.documents import encode
from wherry.artifact.manifest import Command, FilesFrom, Http
from wherry.artifact.paths import on_disk
from wherry.artifact.reading import FILE_NAME, check_name, parse_manifest
from wherry.artifact.tree import collect, pack_tree
from wherry.errors import LoadError, NotFoundError, PackError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from wherry.artifact.blobs import Sink
    from wherry.artifact.manifest import Library, Manifest
    from wherry.artifact.tree import Entry

__all__ = ["MOST_README", "pack", "pack_file", "usual_name"]

MOST_README = 128 << 10
"""The most bytes of a readme: it travels as an annotation."""


@dataclass
class _Code:
    """A component or core module, and the places that it serves."""

    data: bytes
    places: list[str]


def pack(
    project: str | os.PathLike[str],
    sink: Sink,
    components: Mapping[str, str | os.PathLike[str]] | None = None,
) -> oci.Descriptor:
    """Packs the project in a folder into ``sink``: the descriptor of its image manifest.

    ``components`` says for places (``command.NAME``, ``library``, ``http``) which file is packed there, in
    place of what ``wherry.toml`` says.

    Raises:
        NotFoundError: There is no ``wherry.toml``.
        ManifestError: It is wrong.
        PackError: A component or file is missing, or is something that no package holds.

    """
    folder = Path(project)
    text = _read(folder / FILE_NAME).decode("utf-8-sig", "replace")
    manifest = parse_manifest(_read(folder / FILE_NAME), str(folder / FILE_NAME))
    _check_uses(manifest)
    files = {place: Path(path) for place, path in (components or {}).items()}
    for place, wanted in manifest.places():
        if place not in files:
            if wanted.component is None:
                raise PackError(f"there is no component for `{place}`", hint="build it first: `wherry build`")
            files[place] = folder / on_disk(wanted.component)
    return _pack(folder, text, manifest, files, sink)


def pack_file(file: str | os.PathLike[str], sink: Sink, *, name: str, version: str) -> oci.Descriptor:
    """Packs one component or core module as a package of its own, which asks for nothing.

    Raises:
        NotFoundError: There is no such file.
        UsageError: Name or version are none.
        PackError: The file is something that no package holds.

    """
    from wherry.runtime.inspect import inspect

    path = Path(file)
    found = inspect(_wasm(path))
    check_name(name, version)
    place = "http" if found.fits("http") else "library"
    if found.fits("command"):
        place = f"command.{name.rpartition('/')[2]}"
    text = f'[package]\nname = "{name}"\nversion = "{version}"\n\n[{place}]\n'
    manifest = parse_manifest(text, "the package")
    return _pack(
        path.parent, text, manifest, dict.fromkeys((one for one, _ in manifest.places()), path), sink
    )


def usual_name(file: str | os.PathLike[str]) -> str:
    """What the package of a file is called if nobody says: as the file is, as far as names allow."""
    return re.sub(r"[^a-z0-9]+", "-", Path(file).name.partition(".")[0].lower()).strip("-")


def _pack(
    folder: Path, text: str, manifest: Manifest, files: Mapping[str, Path], sink: Sink
) -> oci.Descriptor:
    """Writes layers, configuration and image manifest, in this order: what names others comes after them."""
    code = _code(manifest, files)
    entries = list(_entries(folder, manifest))
    annotations = _annotations(folder, text, manifest)
    layers = []
    for one in code:
        digest, size = sink.add([one.data])
        places = {oci.Annotation.PLACES: " ".join(one.places)} if len(code) > 1 else None
        layers.append(oci.Descriptor(oci.WASM_LAYER, digest, size, places))
    if manifest.files:
        digest, size = sink.add(pack_tree(entries))
        layers.append(oci.Descriptor(oci.FILES_LAYER, digest, size))
    config = _add(sink, oci.WASM_CONFIG, _config(code[0].data, layers))
    image = oci.ImageManifest(
        schema_version=2,
        media_type=oci.IMAGE_MANIFEST,
        config=config,
        layers=tuple(layers),
        annotations=annotations,
    )
    return _add(sink, oci.IMAGE_MANIFEST, image)


def _check_uses(manifest: Manifest) -> None:
    """Whether others can have what it uses: a folder is the packer's alone."""
    for name, wanted in manifest.uses():
        if wanted.version is None and wanted.digest is None:
            raise PackError(
                f"`{name}` is used from `{wanted.path}`, which nobody else has",
                hint=f'say in `[dependencies]` which version of `{name}` fits: `version = "…"` beside `path`',
            )


def _add(sink: Sink, media_type: str, record: object) -> oci.Descriptor:
    digest, size = sink.add([encode(record)])
    return oci.Descriptor(media_type, digest, size)


def _code(manifest: Manifest, files: Mapping[str, Path]) -> list[_Code]:
    """Each component once, the main one first."""
    found: dict[bytes, _Code] = {}
    for place, wanted in manifest.places():
        data = _wasm(files[place])
        _check_fits(place, wanted, files[place], data)
        found.setdefault(data, _Code(data, [])).places.append(place)
    return list(found.values())


def _check_fits(place: str, wanted: Command | Library | Http, file: Path, data: bytes) -> None:
    """Whether the file can be what ``wherry.toml`` says."""
    from wherry.runtime.inspect import inspect

    kind = "command" if isinstance(wanted, Command) else "http" if isinstance(wanted, Http) else "library"
    try:
        inspection = inspect(data)
    except LoadError as error:
        raise PackError(f"`{file}` cannot be `{place}`: {error.message}", hint=error.hint) from error
    why = None
    if isinstance(wanted, Command) and wanted.entry is not None:
        signatures = {one.name: one.signature for group in inspection.exports for one in group.entries}
        if inspection.form != "module":
            why = "it is a component, which says itself where it starts: leave out `entry`"
        elif not signatures.get(wanted.entry, "").endswith(": func()"):
            why = f"it exports no function `{wanted.entry}` without parameters and results"
    else:
        why = next((one.why for one in inspection.places if one.name == kind and not one.fits), None)
    if why is not None:
        hint = f"`wherry inspect {file}` says what it is"
        raise PackError(f"`{file}` cannot be `{place}`: {why}", hint=hint)


def _wasm(file: Path) -> bytes:
    """The bytes of a component or core module, those that it stands for if it is in the text format."""
    from wherry import _native

    data = _read(file)
    if len(data) > BOUNDS.component:
        raise PackError(f"`{file}` is over the bound of {BOUNDS.component:,} bytes")
    if data.startswith(b"\0asm"):
        return data
    try:
        return _native.binary_form(data, str(file))
    except LoadError as error:
        raise PackError(error.message, hint=error.hint) from error


def _config(main: bytes, layers: list[oci.Descriptor]) -> oci.WasmConfig:
    """The configuration, which describes the main component."""
    from wherry.wit import model

    interface = model.read(main)
    component = None
    if isinstance(interface, model.World):
        component = oci.ComponentConfig(
            exports=tuple(item.name for item in interface.exports),
            imports=tuple(item.name for item in interface.imports),
        )
    return oci.WasmConfig(
        created=oci.FIXED_TIME,
        architecture="wasm",
        os="wasip1" if component is None else "wasip2",
        layer_digests=tuple(layer.digest for layer in layers),
        component=component,
    )


def _entries(folder: Path, manifest: Manifest) -> Iterator[Entry]:
    """The files of the package, each under its path in the guest without the slash in front."""
    for guest, wanted in manifest.files.items():
        source = wanted if isinstance(wanted, FilesFrom) else FilesFrom(path=wanted)
        yield from collect(folder / on_disk(source.path), guest.strip("/"), source.exclude)


def _annotations(folder: Path, text: str, manifest: Manifest) -> dict[str, str]:
    package = manifest.package
    readme = None
    if package.readme is not None:
        data = _read(folder / on_disk(package.readme))
        if len(data) > MOST_README:
            raise PackError(f"`{folder / package.readme}` is over the bound of {MOST_README:,} bytes")
        readme = data.decode("utf-8", "replace")
    found = {
        oci.Annotation.MANIFEST: text,
        oci.Annotation.README: readme,
        oci.Annotation.TITLE: package.name,
        oci.Annotation.VERSION: package.version,
        oci.Annotation.DESCRIPTION: package.description,
        oci.Annotation.LICENCES: package.licence,
        oci.Annotation.SOURCE: package.repository,
    }
    return {key: value for key, value in found.items() if value is not None}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"`{path}`: no such file or directory") from error
    except OSError as error:
        raise PackError(f"`{path}`: {(error.strerror or str(error)).lower()}") from error
