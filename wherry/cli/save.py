"""``wherry save``: packages become one file."""

from __future__ import annotations

from pathlib import Path

import click

from wherry.cli.command import PACKED, Command, option, packed_file_option
from wherry.store.dependencies import with_used
from wherry.store.local import LocalStore

__all__ = ["save"]


@click.command(
    cls=Command, examples=["wherry save acme/thumbs", "wherry save acme/thumbs acme/tools@1 -o both.oci.tar"]
)
@click.argument("names", metavar="PACKAGE...", nargs=-1, required=True)
@packed_file_option("Where to write", f"NAME{PACKED}")
@option("--alone", is_flag=True, help="Leave out what the packages use")
def save(names: tuple[str, ...], target: str | None, *, alone: bool) -> None:
    """Write packages, with all that they use, into one file that can be sent to anybody.

    The file is an OCI layout, which `wherry load`, `wherry run` and other tools read. The same packages give
    the same bytes.
    """
    with LocalStore() as store:
        found = [store.find(name) for name in names]
        short = (found[0].name or "package").rpartition("/")[2]
        path = Path(target or f"{short}{PACKED}")
        wanted = found if alone else with_used(store, found)
        for package in store.save([one.digest for one in wanted], path):
            click.echo(f"{package.reference}  {package.digest}")
    click.echo(click.format_filename(path))
