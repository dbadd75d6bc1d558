"""``wherry cache``: compiled code and unpacked packages on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from wherry import _native
from wherry.cli import output
from wherry.cli.command import Command, Group, format_option, option
from wherry.runtime import cache as kept
from wherry.store import unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.runtime.cache import Cleared, Entry
    from wherry.store.unpacked import Unpacked

__all__ = ["cache"]

_DIGITS = 12
_MIB = 1 << 20


@click.group(cls=Group, examples=["wherry cache ls", "wherry cache prune --size 1GiB", "wherry cache clear"])
def cache() -> None:
    """Show and look after what is kept: compiled code and unpacked packages."""


@cache.command(cls=Command, examples=["wherry cache ls", "wherry cache ls --format json"])
@format_option
def ls(format: str) -> None:  # noqa: A002 - the name of the option
    """List what is kept, the last used first."""
    entries: list[Entry | Unpacked] = [*kept.ls(), *unpacked.ls()]
    entries.sort(key=lambda one: -one.used)
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(entries)))
    elif entries:
        click.echo("\n".join(_table(entries)))


@cache.command(cls=Command, examples=["wherry cache path"])
def path() -> None:
    """Print the folder of compiled code, whether it exists or not."""
    click.echo(kept.path())


@cache.command(cls=Command, examples=["wherry cache verify"])
@format_option
def verify(format: str) -> int:  # noqa: A002 - the name of the option
    """Check compiled code against its digests, and remove what is damaged.

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
    Compiled code has to fit, and so have packages that were run from a file; those that run now stay.
    """
    click.echo(_said(kept.prune(size), unpacked.prune(size)))


@cache.command(cls=Command, examples=["wherry cache clear"])
def clear() -> None:
    """Remove everything that is kept, but for packages that run now."""
    click.echo(_said(kept.clear(), unpacked.clear()))


def _said(*cleared: Cleared) -> str:
    files = sum(one.files for one in cleared)
    size = sum(one.bytes for one in cleared)
    return f"removed {files} file{'' if files == 1 else 's'}, {size / _MIB:.1f} MiB"


def _table(entries: Sequence[Entry | Unpacked]) -> list[str]:
    rows = [("DIGEST", "MODE", "FOR", "SIZE", "USED", "NAME")]
    rows += [
        (
            entry.source[:_DIGITS],
            *_kind(entry),
            f"{entry.size / _MIB:.1f} MiB",
            output.ago(entry.used),
            entry.name if entry.name.isprintable() else repr(entry.name),
        )
        for entry in entries
    ]
    return output.table(rows)


def _kind(entry: Entry | Unpacked) -> tuple[str, str]:
    """How code was compiled and for what; of a package that it is unpacked, and for all."""
    return ("unpacked", "all") if entry.form == "package" else (entry.mode, entry.platform)
