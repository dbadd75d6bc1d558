"""``wherry cache``: compiled code on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from wherry import _native
from wherry.cli import output
from wherry.cli.command import Command, Group, format_option, option
from wherry.runtime import cache as kept

if TYPE_CHECKING:
    from wherry.runtime.cache import Cleared, Entry

__all__ = ["cache"]

_DIGITS = 12
_MIB = 1 << 20


@click.group(cls=Group, examples=["wherry cache ls", "wherry cache prune --size 1GiB", "wherry cache clear"])
def cache() -> None:
    """Show and look after compiled code that is kept."""


@cache.command(cls=Command, examples=["wherry cache ls", "wherry cache ls --format json"])
@format_option
def ls(format: str) -> None:  # noqa: A002 - the name of the option
    """List what is kept, the last used first."""
    entries = kept.ls()
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(entries)))
    elif entries:
        click.echo("\n".join(_table(entries)))


@cache.command(cls=Command, examples=["wherry cache path"])
def path() -> None:
    """Print the folder, whether it exists or not."""
    click.echo(kept.path())


@cache.command(cls=Command, examples=["wherry cache verify"])
@format_option
def verify(format: str) -> int:  # noqa: A002 - the name of the option
    """Check what is kept against its digests, and remove what is damaged.

    Ends with 1 when something was.
    """
    verdicts = kept.verify()
    damaged = [verdict for verdict in verdicts if verdict.problem is not None]
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(verdicts)))
    else:
        for verdict in damaged:
            click.echo(f"removed {verdict.file}: {verdict.problem}")
        click.echo(f"{len(verdicts) - len(damaged)} whole, {len(damaged)} removed")
    return int(bool(damaged))


@cache.command(cls=Command, examples=["wherry cache prune", "wherry cache prune --size 500MiB"])
@option(
    "--size",
    metavar="SIZE",
    callback=lambda _ctx, _parameter, text: None if text is None else _native.parse_size(text),
    help="Most to keep",
    default_text="as the settings say",
    variable="WHERRY_CACHE_SIZE",
)
def prune(size: int | None) -> None:
    """Remove what no run will use, and what was not used for longest until the rest fits.

    No run will use what a killed process left half written, and code that another version of Wherry compiled.
    """
    click.echo(_said(kept.prune(size)))


@cache.command(cls=Command, examples=["wherry cache clear"])
def clear() -> None:
    """Remove everything that is kept."""
    click.echo(_said(kept.clear()))


def _said(cleared: Cleared) -> str:
    files = f"{cleared.files} file{'' if cleared.files == 1 else 's'}"
    return f"removed {files}, {cleared.bytes / _MIB:.1f} MiB"


def _table(entries: list[Entry]) -> list[str]:
    rows = [("DIGEST", "MODE", "FOR", "SIZE", "USED", "NAME")]
    rows += [
        (
            entry.source[:_DIGITS],
            entry.mode,
            entry.platform,
            f"{entry.size / _MIB:.1f} MiB",
            output.ago(entry.used),
            entry.name if entry.name.isprintable() else repr(entry.name),
        )
        for entry in entries
    ]
    return output.table(rows)
