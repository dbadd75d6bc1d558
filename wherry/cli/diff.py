"""``wherry diff``: what one package is beyond another."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from wherry.artifact.layout import only_artifact
from wherry.cli import output
from wherry.cli.command import Command, format_option
from wherry.store.difference import compare
from wherry.store.local import LocalStore
from wherry.store.location import is_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.blobs import Source
    from wherry.artifact.read import Artifact
    from wherry.store.difference import Difference

__all__ = ["diff"]


@click.command(
    cls=Command, examples=["wherry diff acme/thumbs@1.1 acme/thumbs", "wherry diff old.oci.tar new.oci.tar"]
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@format_option
def diff(before: str, after: str, format: str) -> int:  # noqa: A002 - the name of the option
    """Say what package B is beyond A: files, size, needs, imports and interfaces.

    A line with `+` is what B has, one with `-` what A had. The last line is the step of the version that the
    interfaces need, by the rules of semver.org; ends with 1 when the versions do not say so.
    """
    with contextlib.ExitStack() as open_ones:
        found = compare(_package(before, open_ones), _package(after, open_ones))
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        click.echo("\n".join(map(output.printable, _page(found))))
    return int(not found.enough)


def _package(name: str, open_ones: contextlib.ExitStack) -> tuple[Source, Artifact]:
    """A package in the store, or in a file that holds one."""
    if not is_path(name):
        store = open_ones.enter_context(LocalStore())
        return store.source, store.artifact(store.find(name))
    return open_ones.enter_context(only_artifact(Path(name)))


def _page(found: Difference) -> Iterator[str]:
    """The whole of it as text for a terminal."""
    parts = (
        ("Files", found.files),
        ("Asks for", found.needs),
        ("Imports", found.imports),
        ("Exports", found.exports),
    )
    for heading, changes in parts:
        if changes:
            yield f"{heading}:"
        for change in changes:
            yield from (f"  {line}" for line in str(change).splitlines())
    before, after = found.size
    if before != after:
        yield f"Size: {output.readable_size(before)} -> {output.readable_size(after)}"
    if found.verdict == "same":
        yield "No difference"
    elif found.enough:
        yield f"The interfaces need a {found.verdict} version"
    else:
        yield f"The interfaces need a {found.verdict} version, and the version says {found.step}"
