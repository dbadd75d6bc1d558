"""``wherry verify-run``: do the run of a receipt again, and hold the two against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from wherry.cli import output
from wherry.cli.command import Command, format_option, option
from wherry.errors import WherryError
from wherry.runtime.receipts import verify_run as verify

if TYPE_CHECKING:
    from wherry.runtime.receipts import Difference

__all__ = ["verify_run"]

_PLACES = "Where things are"


@click.command(
    "verify-run",
    cls=Command,
    examples=[
        "wherry verify-run receipt.json < input.txt",
        "wherry verify-run --file tool.wasm --dir data::/in receipt.json",
        "wherry verify-run --env TOKEN=abc --format json receipt.json",
    ],
)
@click.argument("receipt", metavar="RECEIPT", type=click.Path())
@option("--file", metavar="FILE", help="The program, if it is somewhere else now", group=_PLACES)
@option(
    "--dir",
    "dirs",
    metavar="HOST::GUEST",
    multiple=True,
    help="A folder, as it was before the run, if it is somewhere else now",
    group=_PLACES,
)
@option(
    "--env",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="A variable that the run was given, if it has another value here",
    group=_PLACES,
)
@option(
    "--config",
    metavar="NAME=VALUE",
    multiple=True,
    help="A value of the configuration that the run was given",
    group=_PLACES,
)
@option(
    "--secret",
    "secrets",
    metavar="NAME[@FILE]",
    multiple=True,
    help="A secret that the run was given",
    group=_PLACES,
)
@option("--timeout", metavar="DURATION", help="Longest wall time", group="Limits", default_text="none")
@format_option
def verify_run(
    receipt: str,
    *,
    file: str | None,
    dirs: tuple[str, ...],
    env: tuple[str, ...],
    config: tuple[str, ...],
    secrets: tuple[str, ...],
    timeout: str | None,
    format: str,  # noqa: A002 - the name of the option
) -> int:
    """Do the run of a receipt again, and say whether the receipt holds.

    Standard input has to be what it was. Folders that the program may write are copied, and never changed.
    """
    differences = verify(
        receipt, file=file, dirs=dirs, env=env, config=config, secrets=secrets, timeout=timeout
    )
    if format == "json":
        found = {"verified": not differences, "differences": [one._asdict() for one in differences]}
        click.echo(msgspec.json.encode(found))
    elif differences:
        output.report(WherryError(refusal(receipt, differences)))
    else:
        click.echo(f"`{receipt}` holds: the same program, inputs and settings gave the same outputs and fuel")
    return 1 if differences else 0


def refusal(receipt: str, differences: list[Difference]) -> str:
    """What to say of a receipt that does not hold: each field, and its two values."""
    lines = [f"`{receipt}` does not hold"]
    lines += [f"  {one.field}: the receipt says {one.receipt}, it is {one.run}" for one in differences]
    causes = {cause: None for one in differences for cause in one.causes}
    if causes:
        lines.append(f"either was altered: what is named here, or one of {', '.join(causes)}")
    return "\n".join(lines)
