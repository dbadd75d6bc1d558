"""``wherry version``: what this is made of."""

from __future__ import annotations

import json
import platform

import click

from wherry import _native
from wherry.cli.command import Command, format_option

__all__ = ["version", "versions"]


def versions() -> dict[str, str]:
    """The versions of Wherry and of what it stands on, and what this build is for."""
    wherry, wasmtime, target, _ = _native.about()
    return {"wherry": wherry, "wasmtime": wasmtime, "python": platform.python_version(), "target": target}


@click.command(cls=Command, examples=["wherry version", "wherry version --format json"])
@format_option
def version(format: str) -> None:  # noqa: A002 - the name of the option
    """Show the versions of Wherry, of the engine and of Python."""
    found = versions()
    if format == "json":
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(f"{name} {value}" for name, value in found.items()))
