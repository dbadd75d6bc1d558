"""Each ``--help``, to the letter, and what holds of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from wherry import _native
from wherry.cli.main import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Terminal


def paths(command: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    """The words of each command from here downwards."""
    yield above
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from paths(below, *above, name)


ALL = [pytest.param(words, id="-".join(words) or "wherry") for words in paths(cli)]


@pytest.mark.parametrize("words", ALL)
def test_help_is_as_reviewed(words: tuple[str, ...], wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """Each help text is the one that was last read by a person."""
    typed = wherry(*words, "--help")
    assert (typed.code, typed.stderr) == (0, "")
    assert typed.stdout == snapshot


@pytest.mark.parametrize("words", ALL)
def test_help_is_complete(words: tuple[str, ...], wherry: Terminal) -> None:
    """Each help text has usage, one line without a full stop, and examples that start with the command."""
    help_ = wherry(*words, "--help").stdout
    usage, _, rest = help_.partition("\n\n")
    assert usage.startswith(" ".join(["Usage: wherry", *words]))
    assert not rest.partition("\n\n")[0].endswith(".")
    examples = help_.partition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all("wherry" in example for example in examples)


def test_h_is_help(wherry: Terminal) -> None:
    """``-h`` is short for ``--help``, for ``run`` too, where it comes before FILE."""
    for words in ([], ["run"], ["version"], ["run", "--memory", "1GiB"]):
        assert wherry(*words, "-h") == wherry(*[word for word in words if word in COMMANDS], "--help")


def test_help_shows_every_row_of_the_table(wherry: Terminal) -> None:
    """The options of ``run`` are the rows of the flag table: name, default and variable."""
    help_ = " ".join(wherry("run", "--help").stdout.split())
    for flag in _native.flags():
        assert f"--{flag.name}" in help_
        assert flag.variable is None or f"variable: {flag.variable}]" in help_


def test_nothing_typed_shows_help(wherry: Terminal) -> None:
    """``wherry`` alone shows its help on stderr, as nothing was done."""
    typed = wherry()
    assert (typed.code, typed.stdout) == (2, "")
    assert typed.stderr == wherry("--help").stdout
