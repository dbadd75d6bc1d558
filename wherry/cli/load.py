"""``wherry load``: packages come out of a file."""

from __future__ import annotations

from pathlib import Path

import click

from wherry.cli import output
from wherry.cli.command import Command
from wherry.store.dependencies import unmet
from wherry.store.local import LocalStore

__all__ = ["load"]


@click.command(cls=Command, examples=["wherry load thumbs.oci.tar"])
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
def load(files: tuple[str, ...]) -> None:
    """Take the packages of a file onto this machine.

    FILE is what `wherry pack` or `wherry save` wrote, or the OCI layout of another tool, as one archive or a
    folder. Every byte is checked. Nothing runs, and nothing is granted. What a package uses and is not here
    is said.
    """
    with LocalStore() as store:
        loaded = []
        for file in files:
            for package in store.load(Path(file)):
                click.echo(f"{package.reference}  {package.digest}")
                loaded.append(package.digest)
        for _, message in unmet(store, loaded):
            output.warn(message)
