"""Every command of ``wherry``, and how a command line that runs no guest is carried out.

``COMMANDS`` is the table: a name, the module that is imported when the name is typed, and the heading that
``wherry --help`` lists it under.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from wherry import _native
from wherry.cli import output
from wherry.cli.command import OUTPUT, Group, Option, no_such
from wherry.errors import UsageError, WherryError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "Commands", "Entry", "cli", "main", "understood"]


class Entry(NamedTuple):
    """A command that is not imported yet: ``attribute`` of ``module``, listed under ``heading``."""

    module: str
    attribute: str
    heading: str


_PROGRAMS = "Programs"
_PACKAGES = "Packages"
_MACHINE = "This machine"

COMMANDS: dict[str, Entry] = {
    "run": Entry("wherry.cli.run", "run", _PROGRAMS),
    "serve": Entry("wherry.cli.serve", "serve", _PROGRAMS),
    "verify-run": Entry("wherry.cli.verify_run", "verify_run", _PROGRAMS),
    "inspect": Entry("wherry.cli.inspect", "inspect", _PROGRAMS),
    "compile": Entry("wherry.cli.compile", "compile_", _PROGRAMS),
    "policy": Entry("wherry.cli.policy", "policy", _PROGRAMS),
    "new": Entry("wherry.cli.new", "new", _PACKAGES),
    "build": Entry("wherry.cli.build", "build", _PACKAGES),
    "test": Entry("wherry.cli.test", "test", _PACKAGES),
    "bind": Entry("wherry.cli.bind", "bind", _PACKAGES),
    "pack": Entry("wherry.cli.pack", "pack", _PACKAGES),
    "list": Entry("wherry.cli.list", "list_", _PACKAGES),
    "show": Entry("wherry.cli.show", "show", _PACKAGES),
    "diff": Entry("wherry.cli.diff", "diff", _PACKAGES),
    "tag": Entry("wherry.cli.tag", "tag", _PACKAGES),
    "remove": Entry("wherry.cli.remove", "remove", _PACKAGES),
    "prune": Entry("wherry.cli.prune", "prune", _PACKAGES),
    "verify-store": Entry("wherry.cli.verify_store", "verify_store", _PACKAGES),
    "save": Entry("wherry.cli.save", "save", _PACKAGES),
    "load": Entry("wherry.cli.load", "load", _PACKAGES),
    "install": Entry("wherry.cli.install", "install", _PACKAGES),
    "uninstall": Entry("wherry.cli.uninstall", "uninstall", _PACKAGES),
    "upgrade": Entry("wherry.cli.upgrade", "upgrade", _PACKAGES),
    "permissions": Entry("wherry.cli.permissions", "permissions", _PACKAGES),
    "cache": Entry("wherry.cli.cache", "cache", _MACHINE),
    "config": Entry("wherry.cli.config", "config", _MACHINE),
    "doctor": Entry("wherry.cli.doctor", "doctor", _MACHINE),
    "completions": Entry("wherry.cli.completions", "completions", _MACHINE),
    "version": Entry("wherry.cli.version", "version", _MACHINE),
}


class Commands(Group):
    """The group of all commands, none of which is imported before it is typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            command = self.get_command(ctx, name)
            if command is not None:
                headings.setdefault(entry.heading, []).append((name, command.get_short_help_str(limit=80)))
        for heading, records in headings.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - as click calls it
    del parameter
    if value and not ctx.resilient_parsing:
        click.echo(f"wherry {_native.about()[0]}")
        ctx.exit()


cli = Commands(
    "wherry",
    help="Run any WebAssembly program",
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version and exit",
            group=OUTPUT,
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND [ARGS]...",
    examples=[
        "wherry hello.wasm",
        "wherry run --dir data::/in:ro --memory 256MiB tool.wasm /in/table.csv",
        "wherry inspect tool.wasm",
    ],
)
"""All commands, for ``click``."""


def main(words: Sequence[str]) -> int:
    """Carry out a command line, without the name of the program, and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where the locale lacks a character of a package's texts, it is spelled out.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result: Any = cli.main(list(words), prog_name="wherry", standalone_mode=False)
    except click.Abort:
        return output.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return UsageError.command_exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last one who can report it
        known: BaseException = error
        if isinstance(error, click.ClickException):
            known = understood(error, words)
            # Where it came from, for `--debug`.
            known.__cause__ = error
        return output.fail(known, debug="--debug" in words or _native.debug_wanted(), running=False)
    return result if isinstance(result, int) else 0


def understood(error: click.ClickException, words: Sequence[str]) -> WherryError:
    """An error of ``click`` over ``words`` in our words: backticks, no full stop, and a hint."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else " ".join(["wherry", *words[:1]])
    help_hint = f"`{path} --help` shows what there is"
    if isinstance(error, click.NoSuchOption):
        command = ctx.command if ctx is not None else cli
        names = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
        return no_such("option", error.option_name, names, help_hint)
    parameter = getattr(error, "param", None)
    if parameter is not None:
        name = (
            max(parameter.opts, key=len)
            if isinstance(parameter, click.Option)
            else parameter.human_readable_name
        )
        if isinstance(error, click.MissingParameter):
            if isinstance(parameter.type, click.Choice):
                choices = ", ".join(f"`{choice}`" for choice in parameter.type.choices)
                help_hint = f"it is one of {choices}"
            return UsageError(f"{name} is missing", hint=help_hint)
        return UsageError(f"`{name}`: {_plain(error.message)}", hint=help_hint)
    return UsageError(_plain(error.format_message()), hint=help_hint)


def _plain(message: str) -> str:
    """A sentence of ``click`` as a message: quotes as backticks, small first letter, no full stop."""
    message = message.rstrip(".").replace("'", "`")
    return message[:1].lower() + message[1:]
