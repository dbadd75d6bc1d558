"""``wherry tag``: another name for a package."""

from __future__ import annotations

import click

from wherry.cli.command import Command
from wherry.store.local import LocalStore

__all__ = ["tag"]


@click.command(cls=Command, examples=["wherry tag acme/thumbs@1.2 acme/thumbs@stable"])
@click.argument("package", metavar="PACKAGE")
@click.argument("name", metavar="NAME@LABEL")
def tag(package: str, name: str) -> None:
    """Give a package another name.

    LABEL is a word such as `stable`; versions are what packages say of themselves. A label that leads to
    another package leads here from now on.
    """
    with LocalStore() as store:
        found = store.tag(package, name)
    click.echo(f"{name}  {found.digest}")
