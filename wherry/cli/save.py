"""``wherry save``: packages become one file."""

from __future__ import annotations

from pathlib import Path

import click

from wherry.cli.command import PACKED, Command, packed_file_option
from wherry.store.local import LocalStore

__all__ = ["save"]


@click.command(
    cls=Command, examples=["wherry save acme/thumbs", "wherry save acme/thumbs acme/tools@1 -o both.oci.tar"]
)
@click.argument("names", metavar="PACKAGE...", nargs=-1, required=True)
@packed_file_option("Where to write", f"NAME{PACKED}")
def save(names: tuple[str, ...], target: str | None) -> None:
    """Write packages into one file that can be sent to anybody.

    The file is an OCI layout, which `wherry load`, `wherry run` and other tools read. The same packages give
    the same bytes.
    """
    with LocalStore() as store:
        short = (store.find(names[0]).name or "package").rpartition("/")[2]
        path = Path(target or f"{short}{PACKED}")
        for package in store.save(names, path):
            click.echo(f"{package.reference}  {package.digest}")
    click.echo(click.format_filename(path))
