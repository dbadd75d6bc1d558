"""``wherry permissions``: what packages were allowed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from wherry import api
from wherry.cli import output
from wherry.cli.command import Command, Group, format_option
from wherry.errors import NotFoundError, UsageError
from wherry.store.local import LocalStore
from wherry.store.permissions import Permissions, asked

if TYPE_CHECKING:
    from wherry.store.permissions import Agreement

__all__ = ["permissions"]


@click.group(
    cls=Group, examples=["wherry permissions allow acme/thumbs", "wherry permissions revoke acme/thumbs"]
)
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


@permissions.command(cls=Command, examples=["wherry permissions allow acme/thumbs"])
@click.argument("program", metavar="PACKAGE")
def allow(program: str) -> None:
    """Allow a package what it asks for, so that it can be imported in Python.

    PACKAGE is what `wherry run` takes. What only a run can say, such as which folder, is not among it.
    """
    found = api.find(program, output.progress, place="library")
    if found is None or found.manifest is None:
        raise UsageError(f"`{program}` is no package, and asks for nothing")
    package = found.manifest.package
    wanted = [one for one in asked(found.manifest.needs) if not one.open]
    with LocalStore() as store:
        Permissions(store).agree(found.subject, package.name, package.version, [one.flag for one in wanted])
    for one in wanted:
        click.echo(output.printable(f"{found.manifest.reference} may {one.words}"))
    if not wanted:
        click.echo(f"{found.manifest.reference} asks for nothing")


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
