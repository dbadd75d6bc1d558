"""``wherry upgrade``: installed commands run the newest version that fits."""

from __future__ import annotations

import click

from wherry.cli.command import Command
from wherry.store.launchers import Launchers
from wherry.store.local import LocalStore

__all__ = ["upgrade"]


@click.command(cls=Command, examples=["wherry upgrade", "wherry upgrade acme/thumbs"])
@click.argument("names", metavar="[PACKAGE...]", nargs=-1)
def upgrade(names: tuple[str, ...]) -> None:
    """Let installed commands run the newest version on this machine that fits.

    Without PACKAGE all of them. What was installed as `acme/thumbs@1.2` stays with 1.2. What a new
    version asks for beyond the old one is asked at its first run.
    """
    with LocalStore() as store:
        launchers = Launchers(store)
        for before, after in [one for name in names or (None,) for one in launchers.upgrade(name)]:
            click.echo(f"{after.file}  {after.reference}  {before.digest[:19]} -> {after.digest[:19]}")
