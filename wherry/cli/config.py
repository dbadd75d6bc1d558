"""``wherry config``: what holds here and now, and who said so."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wherry import _native
from wherry.cli.command import Command, Group, format_option

__all__ = ["config", "explain", "files"]


def files() -> dict[str, Path]:
    """The settings files that are looked at, the stronger first, whether they exist or not."""
    project, user = _native.settings_files()
    return {"project": Path(project)} | ({} if user is None else {"user": Path(user)})


@click.group(cls=Group, examples=["wherry config explain"])
def config() -> None:
    """Show settings and where they come from."""


@config.command(
    cls=Command, examples=["wherry config explain", "WHERRY_MEMORY=1GiB wherry config explain --format json"]
)
@format_option
def explain(format: str) -> None:  # noqa: A002 - the name of the option
    """Show every setting, its value, and who set it.

    A flag comes before a variable, then the file of the project in the current folder, then the user's own.
    Grants are not settings: they are said anew for each run.
    """
    settings = _native.explain_settings()
    if format == "json":
        click.echo(json.dumps(_as_data(settings), indent=2))
        return
    for name, path in files().items():
        click.echo(f"{name} file: {path}{'' if path.exists() else ' (none)'}")
    click.echo()
    width = max(len(setting.name) for setting in settings)
    value_width = max(len(setting.value or "") for setting in settings)
    for setting in settings:
        click.echo(f"{setting.name:{width}}  {setting.value or '':{value_width}}  {setting.origin}")


def _as_data(settings: list[_native.Setting]) -> dict[str, object]:
    return {
        "files": {name: {"path": str(path), "exists": path.exists()} for name, path in files().items()},
        "settings": [
            {
                "name": setting.name,
                "value": setting.value,
                "origin": setting.origin,
                "variable": setting.variable,
            }
            for setting in settings
        ],
    }
