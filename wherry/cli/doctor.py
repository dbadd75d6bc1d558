"""``wherry doctor``: what is installed, what is missing or too old, and how to get it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from wherry import _native
from wherry.build.languages import LANGUAGES, toolchain
from wherry.cli.command import Command, format_option
from wherry.errors import WherryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.build.languages import Requirement

__all__ = [
    "TOOLS",
    "Finding",
    "Tool",
    "cache",
    "core",
    "doctor",
    "examine",
    "examine_tool",
    "languages",
    "own_tools",
    "processor",
    "python",
    "settings",
]

State = Literal["ok", "missing", "broken", "old"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and what to do if that is not enough."""

    subject: str
    state: State
    found: str
    hint: str | None = None


@dataclasses.dataclass(frozen=True)
class Tool:
    """A program of the user's that something is built with, and the first version that does."""

    name: str
    purpose: str
    command: tuple[str, ...]
    hint: str
    oldest: str = ""


TOOLS = [
    Tool("rust", "Wherry from source", ("rustc", "--version"), "https://rustup.rs"),
    Tool("gcc", "Wherry from source", ("gcc", "-dumpfullversion"), "apt-get install gcc"),
]

_TIMEOUT = 10.0


def examine() -> dict[str, list[Finding]]:
    """Look at all that running and building need, and at the versions of the user's own tools."""
    # Found out once: for Rust it starts the compiler.
    wanted = [
        (language.title, one)
        for name, language in LANGUAGES.items()
        for one in toolchain(name).requirements()
    ]
    own = own_tools(wanted)
    with ThreadPoolExecutor(len(TOOLS) + len(own)) as pool:
        tools = list(pool.map(examine_tool, [*TOOLS, *own]))
    running = [python(), core(), processor(), settings(), cache()]
    building = [*languages(wanted), *tools[: len(TOOLS)]]
    return {"running": running, "building": building, "versions": tools[len(TOOLS) :]}


def python() -> Finding:
    """The interpreter."""
    return Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")


def core() -> Finding:
    """The compiled part and the engine in it."""
    wherry, wasmtime, target, _ = _native.about()
    return Finding("wherry", "ok", f"{wherry}, wasmtime {wasmtime}, for {target}")


def processor() -> Finding:
    """What the processor has that compiled code makes use of."""
    features = _native.about()[3]
    return Finding("processor", "ok", ", ".join([platform.machine(), *features]))


def settings() -> Finding:
    """Whether the settings that hold here can be read."""
    try:
        said = [setting for setting in _native.explain_settings() if setting.origin != "default"]
    except WherryError as error:
        return Finding("settings", "broken", error.message, error.hint)
    return Finding("settings", "ok", f"{len(said)} set; `wherry config explain` shows them")


def cache() -> Finding:
    """The folder of compiled code: where it is, and whether it can be written."""
    try:
        (path,) = (setting.value for setting in _native.explain_settings() if setting.name == "cache-dir")
    except WherryError:
        return Finding("cache", "broken", "unknown, as the settings cannot be read")
    if path is None:
        return Finding("cache", "broken", "no folder for it", "set `WHERRY_CACHE_DIR`, or `HOME`")
    folder = Path(path)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        hint = "every start compiles anew: set `WHERRY_CACHE_DIR` to a folder that can be written"
        return Finding("cache", "broken", f"{folder} cannot be written", hint)
    return Finding("cache", "ok", str(folder))


def languages(wanted: Iterable[tuple[str, Requirement]]) -> list[Finding]:
    """What each language, by its title, is built with."""
    found = []
    for title, one in wanted:
        subject = f"{one.name} ({title})"
        if one.found is None:
            found.append(Finding(subject, "missing", "not found", one.hint))
        else:
            found.append(Finding(subject, "ok", one.found))
    return found


def own_tools(wanted: Iterable[tuple[str, Requirement]]) -> list[Tool]:
    """Of what languages are built with what Wherry does not fetch: each once, with its languages."""
    purposes: dict[str, list[str]] = {}
    tools = {}
    for title, one in wanted:
        if one.oldest is not None:
            purposes.setdefault(one.name, []).append(title)
            tools[one.name] = one
    return [
        Tool(
            name,
            ", ".join(purposes[name]),
            (one.found or name, "version" if name == "go" else "--version"),
            one.hint,
            one.oldest or "",
        )
        for name, one in tools.items()
    ]


def examine_tool(tool: Tool) -> Finding:
    """One tool: its version, or how to get it."""
    subject = f"{tool.name} ({tool.purpose})"
    missing = Finding(subject, "missing", "not found", tool.hint)
    program = shutil.which(tool.command[0], path=_search_path())
    if program is None:
        return missing
    try:
        done = subprocess.run(
            [program, *tool.command[1:]], capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return missing
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    if found is None:
        return Finding(subject, "ok", done.stdout.strip())
    if _numbers(found[0]) < _numbers(tool.oldest):
        return Finding(subject, "old", f"{found[0]}, where {tool.oldest} is needed", tool.hint)
    return Finding(subject, "ok", found[0])


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".") if number]


def _search_path() -> str:
    """Where programs are looked for: beside this interpreter first, active environment or not."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _preferred_format() -> str:
    """The format that the settings say, or text where they cannot be read: to say so is what this is for."""
    try:
        return _native.setting("format") or "text"
    except WherryError:
        return "text"


@click.command(cls=Command, examples=["wherry doctor", "wherry doctor --format json"])
@functools.partial(format_option, default=_preferred_format)
def doctor(format: str) -> int:  # noqa: A002 - the name of the option
    """Show what is installed, what is missing or too old, and how to get it.

    Ends with 1 when something that running a program needs is broken. What is missing or too old for
    building is listed and does not count.
    """
    found = examine()
    if format == "json":
        click.echo(
            json.dumps(
                {part: [dataclasses.asdict(one) for one in all_] for part, all_ in found.items()}, indent=2
            )
        )
    else:
        click.echo("\n\n".join(f"{part}\n{_table(findings)}" for part, findings in found.items()))
    return int(any(finding.state == "broken" for finding in found["running"]))


def _table(findings: list[Finding]) -> str:
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"  {finding.state:7}  {finding.subject:{width}}  {finding.found}")
        if finding.hint is not None:
            lines.append(f"  {'':7}  {'':{width}}  hint: {finding.hint}")
    return "\n".join(lines)
