"""``wherry prune``: what no name leads to goes."""

from __future__ import annotations

import click

from wherry.cli.command import Command
from wherry.cli.remove import freed
from wherry.store.local import LocalStore

__all__ = ["prune"]


@click.command(cls=Command, examples=["wherry prune"])
def prune() -> None:
    """Delete packages without a name, and what killed processes left behind.

    A package loses its name when another one of the same version is packed.
    """
    with LocalStore() as store:
        click.echo(freed(store.prune()))
