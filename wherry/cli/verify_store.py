"""``wherry verify-store``: whether the packages on this machine are whole."""

from __future__ import annotations

import click
import msgspec

from wherry.cli import output
from wherry.cli.command import Command, format_option
from wherry.store.dependencies import unmet
from wherry.store.local import LocalStore, Problem

__all__ = ["verify_store"]


@click.command("verify-store", cls=Command, examples=["wherry verify-store"])
@format_option
def verify_store(format: str) -> int:  # noqa: A002 - the name of the option
    """Read every byte of every package, and say what is damaged.

    Ends with 1 when something is. A damaged package is whole again when it is loaded or packed once more.
    Packages that use others which are not here are said too.
    """
    with LocalStore() as store:
        problems = store.verify()
        count = len(store.packages())
        lacking = [Problem(digest, "dependencies", message) for digest, message in unmet(store)]
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(problems + lacking)))
    else:
        for problem in problems:
            click.echo(f"{problem.digest or 'the index'}: {problem.message}")
        damaged = len({problem.digest for problem in problems})
        for problem in lacking:
            output.warn(problem.message)
        click.echo(f"{count - damaged} whole, {damaged} damaged")
    return int(bool(problems))
