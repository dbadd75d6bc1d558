"""``wherry test``: the tests of a project, run against its components."""

from __future__ import annotations

import click

from wherry.build.locate import find_project
from wherry.build.testing import Outcome, run_tests
from wherry.cli import output
from wherry.cli.command import Command
from wherry.errors import WherryError

__all__ = ["test"]


@click.command(cls=Command, examples=["wherry test", "wherry test ../thumbs"])
@click.argument("folder", metavar="[DIR]", type=click.Path(), default=".")
def test(folder: str) -> int:
    """Build a project and run its tests against what was built.

    A test is a session in `tests/NAME.console`: after `$` a command of the package, after `>` a call of its
    library or a request such as `GET /`, and below each what is printed, in which `...` stands for anything.
    Ends with 1 if one failed.
    """
    outcomes = list(run_tests(find_project(folder), progress=output.progress))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        output.report(WherryError(refusal(outcome)))
    click.echo(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


def refusal(outcome: Outcome) -> str:
    """What to say of a step that did not print what it should."""
    step = outcome.step
    lines = [f"{step.file}:{step.line}: `{step.text}` did not print what is expected"]
    for name, text in (("expected", step.expected), ("printed", outcome.printed)):
        lines += [f"  {name}:", *(f"    {line}" for line in text.splitlines() or ["(nothing)"])]
    return "\n".join(lines)
