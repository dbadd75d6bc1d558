"""``wherry run``, for help, for completion and for whoever calls ``wherry.cli.main``.

The words are read by the engine, by the same table that help is drawn from; ``wherry.cli.start`` hands them
over without loading this module.
"""

from __future__ import annotations

from typing import Any

import click

from wherry import _native
from wherry.cli import start
from wherry.cli.command import Command, guest_options

__all__ = ["RunCommand", "run"]

_WORDS = "wherry.words"


class RunCommand(Command):
    """A command whose words are for the engine, as they are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words; read them only for help, and for the shell that completes them."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if _native.run_has_flag(args, "help"):
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.meta[_WORDS] = args
        return []


@click.command(
    cls=RunCommand,
    examples=[
        "wherry run hello.wasm",
        "wherry run --dir data::/in:ro --env TOKEN --timeout 5s tool.wasm --verbose /in/table.csv",
        "wherry run --invoke 'add(2, 3)' calculator.wasm",
    ],
    context_settings={"allow_interspersed_args": False},
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.argument("args", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@guest_options
@click.pass_context
def run(ctx: click.Context, /, **_: Any) -> int:
    """Run a program; everything after FILE is for the program."""
    return start.run(ctx.meta[_WORDS])
