"""``wherry bind``: typed bindings to a library, as a package of a host language."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from wherry import api
from wherry.bind import generate
from wherry.bind.languages import Name, Options
from wherry.cli import output
from wherry.cli.command import Command, format_option, option

if TYPE_CHECKING:
    from typing import Literal

    from wherry.bind.library import Library
    from wherry.bind.output import Change

__all__ = ["bind"]

_OUTDATED = 1


@click.command(
    cls=Command,
    examples=[
        "wherry bind acme/thumbs --lang python",
        "wherry bind ./thumbs --lang typescript -o web/thumbs",
        "wherry bind acme/thumbs --lang c --check",
    ],
)
@click.argument("program", metavar="PACKAGE")
@option("--lang", "language", type=click.Choice(get_args(Name)), required=True, help="The language to write")
@option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=click.Path(),
    help="Write the package into this folder",
    default_text="NAME-LANG",
)
@option("--name", metavar="NAME", help="What the written package is called", default_text="that of PACKAGE")
@option(
    "--errors",
    type=click.Choice(["throw", "return"]),
    help="TypeScript: throw the error of a result, or return it as a value",
    default_text="throw",
)
@option("--stubs", is_flag=True, help="Python: types alone, for `wherry.packages` in editors")
@option("--check", is_flag=True, help="Write nothing; fail if what is in DIR is not current")
@option("--force", is_flag=True, help="Replace files that `wherry bind` did not write")
@format_option
def bind(
    program: str,
    *,
    language: Name,
    folder: str | None,
    name: str | None,
    errors: Literal["throw", "return"] | None,
    stubs: bool,
    check: bool,
    force: bool,
    format: str,  # noqa: A002 - the name of the option
) -> int:
    """Write typed bindings to a library, as a package of a language.

    PACKAGE is a package in the store, the folder of a project, a packed file, or a component. The result has
    the component inside and is ready to build and to publish. The same input gives the same bytes.
    """
    library = _library(program)
    target = folder if folder is not None else generate.usual_folder(library, language)
    options = Options(name, errors, stubs)
    if check:
        outdated = generate.check(library, language, target, options)
        _show(outdated, str(target), format)
        return _OUTDATED if outdated else 0
    changed = generate.bind(library, language, target, options, overwrite=force, progress=output.progress)
    _show(changed, str(target), format)
    return 0


def _library(program: str) -> Library:
    """The library that is meant."""
    found = api.find(program, output.progress, place="library")
    return generate.find_library(program) if found is None else generate.library_of(found)


def _show(changed: list[Change], folder: str, format: str) -> None:  # noqa: A002 - the name of the option
    """What changed, or would."""
    if format == "json":
        records = [{"path": one.path, "change": one.kind} for one in changed]
        click.echo(msgspec.json.encode({"folder": folder, "changes": records}))
        return
    for one in changed:
        click.echo(f"{one.kind:<8}{click.format_filename(folder)}/{one.path}")
    if not changed:
        click.echo(f"{click.format_filename(folder)}  current")
    sys.stdout.flush()
