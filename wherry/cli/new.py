"""``wherry new``: a project that builds and runs as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from wherry.build.languages import LANGUAGES
from wherry.build.new import new_project
from wherry.cli.command import Command, option

if TYPE_CHECKING:
    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

__all__ = ["new"]


@click.command(
    cls=Command,
    examples=[
        "wherry new hello --lang rust && cd hello && wherry run .",
        "wherry new acme/thumbs --lang python --kind library",
    ],
)
@click.argument("name", metavar="NAME")
@option("--lang", type=click.Choice(list(LANGUAGES)), required=True, help="The language")
@option(
    "--kind",
    type=click.Choice(["command", "library"]),
    default="command",
    help="A program that people run, or functions that programs call",
    default_text="command",
)
@option(
    "--path", metavar="DIR", type=click.Path(), help="Where to make it", default_text="a folder named NAME"
)
def new(name: str, lang: str, kind: str, path: str | None) -> None:
    """Make a project that builds and runs as it is.

    NAME is `namespace/name`, or a name alone for what stays here. The project has a test, and `wherry build`,
    `wherry run .` and `wherry test` work in it at once.
    """
    made = new_project(name, cast("Language", lang), cast("Kind", kind), path)
    click.echo(made)
