"""``wherry verify-store``: whether the packages on this machine are whole."""

from __future__ import annotations

import click
import msgspec

from wherry.cli.command import Command, format_option
from wherry.store.local import LocalStore

__all__ = ["verify_store"]


@click.command("verify-store", cls=Command, examples=["wherry verify-store"])
@format_option
def verify_store(format: str) -> int:  # noqa: A002 - the name of the option
    """Read every byte of every package, and say what is damaged.

    Ends with 1 when something is. A damaged package is whole again when it is loaded or packed once more.
    """
    with LocalStore() as store:
        problems = store.verify()
        count = len(store.packages())
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(problems)))
    else:
        for problem in problems:
            click.echo(f"{problem.digest or 'the index'}: {problem.message}")
        damaged = len({problem.digest for problem in problems})
        click.echo(f"{count - damaged} whole, {damaged} damaged")
    return int(bool(problems))
