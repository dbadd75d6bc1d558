"""``wherry list``: the packages on this machine."""

from __future__ import annotations

import click

from wherry.cli import output
from wherry.cli.command import Command, format_option
from wherry.store.catalogue import Catalogue

__all__ = ["list_"]

_DIGITS = len("sha256:") + 12


@click.command("list", cls=Command, examples=["wherry list", "wherry list --format json"])
@format_option
def list_(format: str) -> None:  # noqa: A002 - the name of the option
    """List the packages on this machine, the newest of each name first.

    Without a NAME is what lost it to a later package of the same version; `wherry prune` deletes it.
    """
    with Catalogue() as store:
        packages = store.packages()
        taken = store.size()
    if format == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode([package._asdict() for package in packages])))
    elif packages:
        rows = [("NAME", "DIGEST", "SIZE", "ADDED")]
        for package in packages:
            digest, size = package.digest[:_DIGITS], output.readable_size(package.size)
            added = output.ago(package.added)
            rows += [(name, digest, size, added) for name in package.references or ("",)]
        click.echo("\n".join(output.table(rows)))
        click.echo(f"{output.readable_size(taken)} on the disk")
