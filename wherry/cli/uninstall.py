"""``wherry uninstall``: commands of packages go from the PATH."""

from __future__ import annotations

import click

from wherry.cli.command import Command
from wherry.store.launchers import Launchers
from wherry.store.local import LocalStore

__all__ = ["uninstall"]


@click.command(cls=Command, examples=["wherry uninstall acme/thumbs"])
@click.argument("names", metavar="PACKAGE...", nargs=-1, required=True)
def uninstall(names: tuple[str, ...]) -> None:
    """Take the commands of packages from the PATH. The packages stay."""
    with LocalStore() as store:
        for name in names:
            for installed in Launchers(store).uninstall(name):
                click.echo(f"removed {installed.file}")
