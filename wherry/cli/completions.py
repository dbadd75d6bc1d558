"""``wherry completions``: the script that teaches a shell the commands and their options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from wherry.cli.command import Command
from wherry.errors import InternalError

__all__ = ["completions", "script"]


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    from wherry.cli.main import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise InternalError(f"no completion for `{shell}`")
    return completion(cli, {}, "wherry", "_WHERRY_COMPLETE").source()


@click.command(
    cls=Command,
    examples=[
        "wherry completions bash > ~/.local/share/bash-completion/completions/wherry",
        "wherry completions zsh > ~/.zfunc/_wherry",
        "wherry completions fish > ~/.config/fish/completions/wherry.fish",
    ],
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completions(shell: str) -> None:
    """Print the completion script for a shell: bash, zsh or fish."""
    click.echo(script(shell))
