"""``wherry upgrade``: installed commands run the newest version that fits."""

from __future__ import annotations

import click

from wherry.cli.command import Command
from wherry.store.launchers import Launchers
from wherry.store.local import LocalStore

__all__ = ["upgrade"]


@click.command(cls=Command, examples=["wherry upgrade"])
def upgrade() -> None:
    """Let installed commands run the newest version on this machine that fits.

    What was installed as `acme/thumbs@1.2` stays with 1.2. What a new version asks for beyond the old one is
    asked at its first run.
    """
    with LocalStore() as store:
        for before, after in Launchers(store).upgrade():
            click.echo(f"{after.file}  {after.reference}  {before.digest[:19]} -> {after.digest[:19]}")
