"""``wherry policy``: what code may do here, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from wherry import api
from wherry.cli import output
from wherry.cli.command import Command, Group, format_option
from wherry.runtime import policy as plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.runtime.policy import Ask, Explanation, Grant

__all__ = ["policy"]


@click.group(
    cls=Group,
    examples=["wherry policy explain tool.wasm", "wherry policy diff old/policy.toml new/policy.toml"],
)
def policy() -> None:
    """Say what programs ask for and what policies grant."""


@policy.command(
    cls=Command,
    examples=["wherry policy explain tool.wasm", "wherry policy explain --format json policy.toml"],
)
@click.argument("file", metavar="FILE", type=click.Path())
@format_option
def explain(file: str, format: str) -> None:  # noqa: A002 - the name of the option
    """Say in plain words what code may do here.

    Of a program: what it asks for, what it gets when nothing is granted, and the flag that grants more. Of a
    policy (.toml): what it grants, with a warning where that is a great deal.
    """
    found = api.find(file, output.progress, place="library")
    explanation = plain.explain(file if found is None else found.component, name=file)
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(explanation)))
    else:
        click.echo("\n".join(_page(explanation)))


@policy.command(
    cls=Command,
    examples=["wherry policy diff policy.toml learned.toml", "wherry policy diff tool-1.wasm tool-2.wasm"],
)
@click.argument("first", metavar="A", type=click.Path())
@click.argument("second", metavar="B", type=click.Path())
@format_option
def diff(first: str, second: str, format: str) -> int:  # noqa: A002 - the name of the option
    """Say what one program or policy asks or grants beyond another.

    A line with `+` is what B has beyond A, one with `-` what A has beyond B. Ends with 1 when B goes
    beyond A.
    """
    difference = plain.diff(first, second)
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(difference)))
    else:
        for words in difference.only_in_first:
            click.echo(f"- {output.printable(words)}")
        for words in difference.only_in_second:
            click.echo(f"+ {output.printable(words)}")
    return int(bool(difference.only_in_second))


def _page(explanation: Explanation) -> Iterator[str]:
    """The whole explanation as text for a terminal."""
    if explanation.kind == "program":
        yield f"{output.printable(explanation.name)} asks for this:"
        yield from (_asked(ask) for ask in explanation.asks)
        if not explanation.asks:
            yield "  nothing: it only computes"
        return
    yield f"Code under {output.printable(explanation.name)}:"
    for grant in explanation.grants:
        yield from _granted(grant)
    if not explanation.grants:
        yield "  reaches nothing but its arguments, standard streams, clocks and randomness"
    if explanation.limits:
        yield "Limits that are not the default:"
    for limit in explanation.limits:
        yield from _granted(limit)


def _asked(ask: Ask) -> str:
    more = f"; more with {ask.flag}" if ask.flag is not None else ""
    return f"  {ask.words}\n    gets: {ask.by_default}{more}"


def _granted(grant: Grant) -> Iterator[str]:
    yield f"  {output.printable(grant.words)}"
    if grant.warning is not None:
        yield f"    warning: {output.printable(grant.warning)}"
