"""``wherry remove``: packages go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wherry.cli import output
from wherry.cli.command import Command
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from wherry.store.local import Freed

__all__ = ["freed", "remove"]


@click.command(cls=Command, examples=["wherry remove acme/thumbs@1.1", "wherry remove acme/thumbs"])
@click.argument("names", metavar="PACKAGE...", nargs=-1, required=True)
def remove(names: tuple[str, ...]) -> None:
    """Remove packages from this machine.

    A name with a version or label takes away that one, a name alone all of its versions, a digest the package
    whatever it is called. What another name leads to stays.
    """
    with LocalStore() as store:
        for name in names:
            click.echo(f"{name}: {freed(store.remove(name))}")


def freed(what: Freed) -> str:
    """What was deleted, in words."""
    count = len(what.packages)
    return f"removed {count} package{'' if count == 1 else 's'}, {output.readable_size(what.bytes)}"
