"""``wherry show``: what a package is, offers and asks for."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from wherry.artifact.layout import only_artifact
from wherry.cli import output
from wherry.cli.command import Command, format_option
from wherry.errors import DependencyError
from wherry.runtime import cache
from wherry.store.catalogue import Package
from wherry.store.dependencies import resolve_package
from wherry.store.local import LocalStore
from wherry.store.location import is_path
from wherry.store.wanted import Resolved, wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.manifest import Manifest
    from wherry.artifact.read import Artifact

__all__ = ["show"]


@click.command(
    cls=Command,
    examples=[
        "wherry show acme/thumbs",
        "wherry show acme/thumbs@1.2 --format json",
        "wherry show thumbs.oci.tar",
    ],
)
@click.argument("name", metavar="PACKAGE")
@format_option
def show(name: str, format: str) -> None:  # noqa: A002 - the name of the option
    """Show what a package is, what it offers, and what it asks for.

    PACKAGE is a name, with a version, label or digest if need be: `acme/thumbs`, `acme/thumbs@1.2`. It may
    also be a file that holds one package, which is looked at before it is loaded.
    """
    uses: Resolved | DependencyError | None = None
    with contextlib.ExitStack() as open_ones:
        if is_path(name) and not Path(name).is_dir():
            _, artifact = open_ones.enter_context(only_artifact(Path(name)))
            package = _in_file(artifact, Path(name))
        else:
            store = open_ones.enter_context(LocalStore())
            package = store.find(name)
            artifact = store.artifact(package)
            uses = _uses(store, package)
    compiled = sum(
        entry.size
        for entry in cache.ls()
        if any(one.descriptor.digest == f"sha256:{entry.source}" for one in artifact.components)
    )
    if format == "json":
        said = {
            "package": package._asdict(),
            "compiled": compiled,
            "form": artifact.form,
            "manifest": artifact.manifest,
            "uses": uses.uses if isinstance(uses, Resolved) else (),
        }
        click.echo(msgspec.json.format(msgspec.json.encode(said)))
    else:
        click.echo("\n".join(map(output.printable, _page(package, artifact, compiled, uses))))


def _in_file(artifact: Artifact, path: Path) -> Package:
    """What is known of a package that is not in the store."""
    said = artifact.manifest.package if artifact.manifest is not None else None
    name, version, description = (said.name, said.version, said.description) if said else (None, None, None)
    size = sum(blob.size for blob in artifact.blobs())
    own = (f"{name}@{version}",) if said else ()
    return Package(artifact.digest, name, version, description, own, size, path.stat().st_mtime)


def _uses(store: LocalStore, package: Package) -> Resolved | DependencyError | None:
    """What a package uses, or why it cannot have that."""
    try:
        return resolve_package(store, package)
    except DependencyError as error:
        return error


def _page(
    package: Package, artifact: Artifact, compiled: int, uses: Resolved | DependencyError | None
) -> Iterator[str]:
    """The whole of it as text for a terminal."""
    yield package.reference if package.description is None else f"{package.reference}: {package.description}"
    yield f"  digest    {package.digest}"
    yield f"  names     {', '.join(package.references) or 'none'}"
    yield f"  size      {output.readable_size(package.size)}, compiled {output.readable_size(compiled)}"
    yield f"  added     {output.ago(package.added)}"
    if artifact.manifest is None:
        count = len(artifact.components)
        yield f"  form      made by another tool: {count} component{'' if count == 1 else 's'}"
        return
    yield from _said(artifact.manifest)
    if artifact.manifest.dependencies:
        yield "Uses:"
        if uses is None:
            yield from (f"  {name}" for name in artifact.manifest.dependencies)
    if isinstance(uses, DependencyError):
        yield f"  {uses.message}"
    elif uses is not None:
        wanted = {one.name: f" ({one.said})" for one in wants(uses.package, artifact.manifest)}
        yield from (f"  {one.reference}{wanted.get(one.name, '')}" for one in uses.uses)


def _said(manifest: Manifest) -> Iterator[str]:
    for what, value in (("licence", manifest.package.licence), ("source", manifest.package.repository)):
        if value is not None:
            yield f"  {what:9} {value}"
    yield "Offers:"
    for place, offered in manifest.places():
        kind, _, name = place.partition(".")
        said = f": {offered.description}" if offered.description is not None else ""
        yield f"  {kind} {name}".rstrip() + said
    for name, owner in manifest.borrowed().items():
        yield f"  command {name}, of {owner}"
    needs = list(manifest.needs.asked())
    limits = msgspec.to_builtins(manifest.needs.limits) if manifest.needs.limits is not None else {}
    if needs or limits:
        yield "Asks for:"
    for flag, need in needs:
        optional = " (optional)" if need.optional else ""
        yield f"  {' '.join((f'--{flag}', *need.flags()))}{optional}: {need.why}"
    for flag, value in limits.items():
        if value is not None:
            yield f"  --{flag} {value}"
