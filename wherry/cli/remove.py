"""``wherry remove``: packages go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wherry.cli import output
from wherry.cli.command import Command, option
from wherry.errors import UsageError
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.store.local import Freed

__all__ = ["freed", "remove"]


@click.command(cls=Command, examples=["wherry remove acme/thumbs@1.1", "wherry remove acme/thumbs"])
@click.argument("names", metavar="PACKAGE...", nargs=-1, required=True)
@option("--force", is_flag=True, help="Remove also what other packages use")
def remove(names: tuple[str, ...], *, force: bool) -> None:
    """Remove packages from this machine.

    A name with a version or label takes away that one, a name alone all of its versions, a digest the package
    whatever it is called. What another name leads to stays. The last version that fits what another package
    uses is not removed.
    """
    with LocalStore() as store:
        waiting = list(names)
        while waiting:
            refused: dict[str, UsageError] = {}
            for name in waiting:
                try:
                    for line in _said(store, name, store.remove(name, force=force)):
                        click.echo(line)
                except UsageError as error:
                    refused[name] = error
            if len(refused) == len(waiting):
                raise refused[waiting[0]]
            # What was used by something that has gone by now.
            waiting = list(refused)


def _said(store: LocalStore, name: str, what: Freed) -> Iterator[str]:
    """What is said of a name that is gone."""
    yield f"{name}: {freed(what)}"
    for digest in what.kept:
        others = store.find(digest).references
        still = f"called {', '.join(f'`{one}`' for one in others)}" if others else "installed"
        yield f"{name}: its package is still {still}"


def freed(what: Freed) -> str:
    """What was deleted, in words."""
    count = len(what.packages)
    return f"removed {count} package{'' if count == 1 else 's'}, {output.readable_size(what.bytes)}"
