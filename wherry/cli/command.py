"""How commands are declared: options in groups, each with its default and its variable, and examples.

A command is a function with ``@click.command(cls=Command, examples=[...])`` and ``@option(...)``. Commands
that run guests take their options from the flag table of the engine, through ``guest_options``. What a
command does stands in a function that Python users can call too; nothing here knows what any command does.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wherry import _native
from wherry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Decorated = TypeVar("Decorated", bound="Callable[..., object] | click.Command")

__all__ = [
    "OUTPUT",
    "PACKED",
    "SERVED_LIMITS",
    "Command",
    "Group",
    "Help",
    "Option",
    "bound_options",
    "debug_option",
    "format_option",
    "guest_options",
    "no_such",
    "option",
    "packed_file_option",
    "serving_options",
]

OUTPUT = "Output"
"""The group of the options that every command has."""

PACKED = ".oci.tar"
"""How names of files that hold packages end."""

SERVED_LIMITS = (
    "memory",
    "timeout",
    "fuel",
    "stack",
    "max-handles",
    "max-connections",
    "max-outgoing",
    "max-write",
    "max-transfer",
    "connect-timeout",
    "first-byte-timeout",
    "between-bytes-timeout",
)
"""The limits of ``wherry run`` that hold for each request to a server too."""

_SERVED_GRANTS = (
    "dir",
    "env",
    "workdir",
    "allow-net",
    "allow-http",
    "allow-dns",
    "resolver",
    "config",
    "secret",
    "kv",
    "policy",
)

_BOUNDS = frozenset({"max-functions", "max-body", "max-nesting", "max-size"})


class Option(click.Option):
    """An option with the group it is listed in, the variable that sets it too, and the default as text.

    Without ``default_text`` that is ``default``, if it is a text or a number.
    """

    def __init__(
        self,
        *args: Any,
        group: str = "Options",
        variable: str | None = None,
        default_text: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.variable = variable
        default = kwargs.get("default")
        if default_text is None and isinstance(default, str | int) and not isinstance(default, bool):
            default_text = str(default)
        self.default_text = default_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The names and the text of this option as help shows them."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        notes = [
            f"{label}: {value}"
            for label, value in (("default", self.default_text), ("variable", self.variable))
            if value is not None
        ]
        return names, f"{text} [{', '.join(notes)}]" if notes else text


option = functools.partial(click.option, cls=Option)
"""``click.option`` for an ``Option``."""


class Help(click.Command):
    """Help that shows options in groups and ends in examples; every command has ``--debug``."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        if self.help is not None:
            # A docstring ends in a full stop; the one line that says what a command does has none.
            line, gap, rest = self.help.partition("\n\n")
            self.help = line.strip().removesuffix(".") + gap + rest
        if not any(parameter.name == "debug" for parameter in self.params):
            self.params.append(debug_option())

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """``--help``, in the words of the other options."""
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = "Show this and exit"
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the headings of their groups, in order of appearance, output last."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", OUTPUT), []).append(record)
        groups[OUTPUT] = groups.pop(OUTPUT)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they would be typed."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(Help):
    """A command."""


class Group(Help, click.Group):
    """A command that has commands of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands before the options: they are what one looks for here."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, or an error with the name that was meant."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise no_such("command", args[0], names, f"`{ctx.command_path} --help` lists the commands")
        return super().resolve_command(ctx, args)


def no_such(what: str, name: str, names: list[str], otherwise: str) -> UsageError:
    """There is no such command or option; the hint says which was meant, or else ``otherwise``."""
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean `{close[0]}`?" if close else otherwise
    return UsageError(f"there is no {what} `{name}`", hint=hint)


def debug_option() -> Option:
    """The option that every command has; it is read by whatever reports the error."""
    (flag,) = (flag for flag in _native.flags() if flag.name == "debug")
    return Option(
        ["--debug"], is_flag=True, expose_value=False, help=flag.help, group=OUTPUT, variable=flag.variable
    )


def format_option(command: Decorated, default: Callable[[], str] | None = None) -> Decorated:
    """Add ``--format text|json``; unless it is told otherwise, the default comes from the settings."""
    decorate = option(
        "--format",
        type=click.Choice(["text", "json"]),
        default=default or (lambda: _native.setting("format") or "text"),
        metavar="text|json",
        help="How the result is printed",
        group=OUTPUT,
        default_text="text",
        variable="WHERRY_FORMAT",
    )
    return decorate(command)


def packed_file_option(what: str, default: str | None = None) -> Callable[[Decorated], Decorated]:
    """Add ``-o``, which says into which file packages are written."""
    return option(
        "-o",
        "--output",
        "target",
        metavar="OUT",
        type=click.Path(),
        help=what,
        default_text=default,
    )


def guest_options(command: Decorated) -> Decorated:
    """Add the options of every command that runs guests, from the flag table of the engine."""
    for flag in reversed(_native.flags()):
        if flag.name != "help":
            command = option(*_names(flag), **_attributes(flag))(command)
    return command


def serving_options(command: Decorated) -> Decorated:
    """Add the options that say what guests of a server are granted and may use, from the same table."""
    for flag in reversed(_native.flags()):
        if flag.name in {*_SERVED_GRANTS, *SERVED_LIMITS}:
            # Nobody sits before a server with Ctrl-C at hand: its limits are those of embedded guests.
            own = {"default_text": "30s"} if flag.name == "timeout" else {}
            command = option(*_names(flag), **(_attributes(flag) | own))(command)
    return command


def bound_options(command: Decorated) -> Decorated:
    """Add the options that bound what may be compiled, from the same table."""
    for flag in reversed(_native.flags()):
        if flag.name in _BOUNDS:
            command = option(*_names(flag), **_attributes(flag))(command)
    return command


def _names(flag: _native.Flag) -> Iterable[str]:
    if flag.short is not None:
        yield f"-{flag.short}"
    yield f"--{flag.name}"


def _attributes(flag: _native.Flag) -> dict[str, Any]:
    """What ``click`` is told of a row; values are read by the engine, so that they stay text here."""
    attributes: dict[str, Any] = {
        "help": flag.help,
        "group": flag.group,
        "variable": flag.variable,
        "default_text": flag.default if flag.value is not None else None,
        "metavar": "|".join(flag.choices) or flag.value,
    }
    if flag.value is None:
        return attributes | {"is_flag": True}
    return attributes | {"multiple": flag.repeatable, "type": str}
