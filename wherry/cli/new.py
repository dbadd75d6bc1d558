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


_ALSO: dict[str, Language] = {
    "c++": "cpp",
    "golang": "go",
    "js": "javascript",
    "py": "python",
    "rs": "rust",
    "ts": "typescript",
}


class _LanguageName(click.Choice[str]):
    """A language, by any of the names that people have for it."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(_ALSO.get(value.lower(), value.lower()), param, ctx)


@click.command(
    cls=Command,
    examples=[
        "wherry new hello --lang rust && cd hello && wherry run .",
        "wherry new acme/thumbs --lang python --kind library",
        "wherry new shop --lang go --kind http && cd shop && wherry serve .",
    ],
)
@click.argument("name", metavar="NAME")
@option("--lang", type=_LanguageName(list(LANGUAGES)), required=True, help="The language")
@option(
    "--kind",
    type=click.Choice(["command", "library", "http"]),
    default="command",
    help="A program that people run, functions that programs call, or an application that answers HTTP",
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
