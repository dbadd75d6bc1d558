"""``wherry compile``: compile ahead of time, for this machine or another."""

from __future__ import annotations

import click

from wherry import _native, api
from wherry.cli import output as talk
from wherry.cli.command import Command, bound_options, option
from wherry.runtime.compile import precompile

__all__ = ["compile_"]


@click.command(
    "compile",
    cls=Command,
    examples=[
        "wherry compile tool.wasm",
        "wherry compile tool.wasm -o tool-arm.cwasm --target aarch64-unknown-linux-gnu",
        "wherry compile tool.wasm -o tool.cwasm --target pulley64 && wherry run tool.cwasm",
    ],
)
@click.argument("file", metavar="FILE", type=click.Path())
@option(
    "-o", "--output", metavar="OUT", type=click.Path(), help="Where to write", default_text="FILE with .cwasm"
)
@option(
    "--target",
    type=click.Choice(_native.targets()),
    metavar="TRIPLE",
    help="What to compile for; `pulley64` is the portable interpreter",
    default_text="this machine",
)
@option(
    "--mode",
    type=click.Choice(_native.modes()),
    default="plain",
    metavar="MODE",
    help="The engine mode: " + ", ".join(_native.modes()),
    default_text="plain, that of `wherry run`",
)
@bound_options
def compile_(file: str, output: str | None, target: str | None, mode: str, **bounds: str | None) -> None:
    """Compile a program ahead of time, for this machine or another.

    FILE may also be the name of a package, a project or a packed file.
    The result is machine code: run it only if you, or someone you trust, compiled it.
    """
    found = api.find(file, talk.progress, place="library")
    source = file if found is None else found.component
    if found is not None and output is None:
        output = f"{found.name}.cwasm"

    def show(seconds: float | None) -> None:
        talk.progress(f"compiling {file}", seconds)

    limits = _native.Limits(**{name: text for name, text in bounds.items() if text is not None})
    try:
        written = precompile(
            source, output, target=target, mode=mode, limits=limits, progress=show, apart=False
        )
    finally:
        show(None)
    click.echo(written)
