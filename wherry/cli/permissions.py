"""``wherry permissions``: what packages were allowed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from wherry.cli import output
from wherry.cli.command import Command, Group, format_option
from wherry.errors import NotFoundError
from wherry.store.local import LocalStore
from wherry.store.permissions import Permissions

if TYPE_CHECKING:
    from wherry.store.permissions import Agreement

__all__ = ["permissions"]


@click.group(cls=Group, examples=["wherry permissions list", "wherry permissions revoke acme/thumbs"])
def permissions() -> None:
    """Show and take back what packages were allowed."""


@permissions.command("list", cls=Command, examples=["wherry permissions list"])
@format_option
def list_(format: str) -> None:  # noqa: A002 - the name of the option
    """List what somebody agreed to, by package."""
    with LocalStore() as store:
        agreements = Permissions(store).all()
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(agreements)))
        return
    for agreement in agreements:
        click.echo(f"{_named(agreement)}, agreed {output.ago(agreement.agreed)}")
        for flag in agreement.flags:
            click.echo(output.printable(f"  {shlex.join(flag)}"))


@permissions.command(cls=Command, examples=["wherry permissions revoke acme/thumbs"])
@click.argument("name", metavar="PACKAGE")
def revoke(name: str) -> None:
    """Take back what a package was allowed: its next run asks again.

    PACKAGE is a name for all of its versions, a name with a version, a digest, or the folder of a project.
    """
    with LocalStore() as store:
        remembered = Permissions(store)
        found = [one for one in remembered.all() if name in _names(one)]
        if not found:
            raise NotFoundError(
                f"nothing was agreed to for `{name}`", hint="`wherry permissions list` shows what was"
            )
        for agreement in found:
            remembered.revoke(agreement)
            click.echo(f"{_named(agreement)}: revoked")


def _named(agreement: Agreement) -> str:
    return output.printable(f"{agreement.name}@{agreement.version} ({agreement.subject[:19]})")


def _names(agreement: Agreement) -> set[str]:
    """Everything that an agreement is found by."""
    return {
        agreement.name,
        f"{agreement.name}@{agreement.version}",
        agreement.subject,
        agreement.subject.removeprefix("folder "),
    }
