"""``wherry build``: the components of a project from their source."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from wherry.build import builder
from wherry.build.locate import find_project
from wherry.cli import output
from wherry.cli.command import Command, format_option, option
from wherry.errors import UsageError, WherryError

if TYPE_CHECKING:
    from wherry.build.builder import Built

__all__ = ["build"]


@click.command(
    cls=Command, examples=["wherry build", "wherry build ../thumbs --force", "wherry build --watch"]
)
@click.argument("folder", metavar="[DIR]", type=click.Path(), default=".")
@option("--force", is_flag=True, help="Build even what has not changed")
@option("--watch", is_flag=True, help="Build again after each change, until Ctrl-C")
@format_option
def build(folder: str, *, force: bool, watch: bool, format: str) -> None:  # noqa: A002 - the name of the option
    """Build the components of a project from their source.

    DIR is the folder with `wherry.toml`, or one below it; without it, it is this one. What has not changed is
    not built again. Components are in `build`, the tools that made them in a folder of Wherry's own.
    """
    project = find_project(folder)
    colour = output.colourful()
    if not watch:
        show(builder.build(project, progress=output.progress, force=force, colour=colour), format)
        return
    if force:
        raise UsageError("`--watch` builds what changes", hint="leave out `--force`, or `--watch`")
    for found in builder.watch(project, progress=output.progress, colour=colour):
        if isinstance(found, WherryError):
            output.report(found)
        elif isinstance(found, list):
            show(found, format)


def show(built: list[Built], format: str) -> None:  # noqa: A002 - the name of the option
    """What was built: its size, and how long it took."""
    for one in built:
        sys.stderr.write(one.said)
    if format == "json":
        records = [
            {
                "path": str(one.path),
                "places": one.places,
                "size": one.size,
                "seconds": round(one.seconds, 3),
                "built": one.fresh,
            }
            for one in built
        ]
        click.echo(msgspec.json.encode(records))
        return
    for one in built:
        took = f"{one.seconds:.1f} s" if one.fresh else "unchanged"
        click.echo(f"{click.format_filename(one.path)}  {output.readable_size(one.size)}  {took}")
    sys.stdout.flush()
