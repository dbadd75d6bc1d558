"""``wherry pack``: a project or component becomes a package, the same bytes whoever packs it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.layout import write_archive
from wherry.artifact.pack import pack as pack_project
from wherry.artifact.pack import pack_file, usual_name
from wherry.build import builder
from wherry.build.locate import find_project
from wherry.build.new import NAMESPACE
from wherry.build.project import read_project
from wherry.cli import output
from wherry.cli.command import Command, option, packed_file_option
from wherry.errors import UsageError
from wherry.store.dependencies import unmet
from wherry.store.local import LocalStore

__all__ = ["pack"]


@click.command(
    cls=Command,
    examples=[
        "wherry pack && wherry run acme/thumbs",
        "wherry pack -o thumbs.oci.tar",
        "wherry pack tool.wasm --name acme/tool --version 1.2.0",
    ],
)
@click.argument("source", metavar="[FILE|DIR]", type=click.Path(), default=".")
@packed_file_option("Write one file for others, and nothing into the store")
@option("--name", metavar="NAME", help="The name of the package, if FILE is one component")
@option("--version", metavar="VERSION", help="Its version", default_text="0.1.0")
def pack(source: str, target: str | None, name: str | None, version: str | None) -> None:
    """Pack a project, or one component: it is found by its name then.

    With `-o` it goes into a file that anybody can run, an OCI layout, which registries and other tools read.
    A project is built first if need be; FILE needs no source. The same inputs give the same digest, which is
    printed.
    """
    blobs = MemoryBlobs()
    if Path(source).is_dir():
        if name is not None or version is not None:
            raise UsageError("`wherry.toml` says the name and version of a project")
        folder = find_project(source)
        built = builder.build(folder, progress=output.progress, colour=output.colourful())
        for one in built:
            sys.stderr.write(one.said)
        project = read_project(folder)
        descriptor = pack_project(folder, blobs, project.components())
    else:
        full = name or f"{NAMESPACE}/{usual_name(source)}"
        descriptor = pack_file(source, blobs, name=full, version=version or "0.1.0")
    if target is not None:
        write_archive(Path(target), blobs, [descriptor])
        click.echo(f"{click.format_filename(target)}  {descriptor.digest}")
        return
    with LocalStore() as store:
        package = store.put(blobs, descriptor)
        click.echo(f"{package.reference}  {package.digest}")
        for _, message in unmet(store, [package.digest]):
            output.warn(message)
