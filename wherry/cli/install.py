"""``wherry install``: commands of packages on the PATH."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import click

from wherry.cli import output
from wherry.cli.command import Command, option
from wherry.store.launchers import Launchers
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["install"]


@click.command(
    cls=Command,
    examples=["wherry install acme/thumbs", "wherry install acme/tools@1.2#resize", "wherry install"],
)
@click.argument("names", metavar="[PACKAGE...]", nargs=-1)
@option("--force", is_flag=True, help="Write over files that are in the way")
def install(names: tuple[str, ...], *, force: bool) -> None:
    """Put the commands of packages on the PATH; without PACKAGE, list what is installed.

    A command goes on running the very package that it was installed from, until `wherry upgrade`. What the
    package asks for is asked at its first run.
    """
    with LocalStore() as store:
        launchers = Launchers(store)
        for name in names:
            for installed in launchers.install(name, force=force):
                click.echo(f"{installed.file}  {installed.reference}")
                _say_namesake(launchers.folder, installed.command)
        if not names:
            for installed in launchers.all():
                click.echo(f"{installed.file}  {installed.reference}  {installed.digest[:19]}")
    if names and str(launchers.folder) not in os.environ.get("PATH", "").split(os.pathsep):
        output.warn(f'`{launchers.folder}` is not on the PATH: `export PATH="{launchers.folder}:$PATH"`')


def _say_namesake(folder: Path, command: str) -> None:
    """Says it where another program has the name of one that was installed: only one of them is found."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    other = shutil.which(command, path=os.pathsep.join(one for one in path if one != str(folder)))
    if other is not None:
        output.warn(f"`{other}` has the same name: which of them `{command}` runs is up to the PATH")
