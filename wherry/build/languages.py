"""The table of languages: how each is recognised, checked, and built.

A language is a module of this package with one ``Language`` in it. This table names them without importing
any, so that a build loads what it needs.
"""

from __future__ import annotations

import importlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from wherry.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wherry.artifact.manifest import Language as Name
    from wherry.build.project import Kind, Target
    from wherry.build.tools import Progress

__all__ = [
    "LANGUAGES",
    "Job",
    "Language",
    "Product",
    "Requirement",
    "Toolchain",
    "find_language",
    "node",
    "toolchain",
]


@dataclass(frozen=True)
class Job:
    """One component to build.

    ``folder`` is that of the project, in which tools are run so that they name files as the user does;
    ``work`` is a folder that stays between builds and is the target's own; ``bindings`` is where the user's
    editor finds what is generated. ``colour`` says whether messages go to a terminal.
    """

    target: Target
    folder: Path
    work: Path
    bindings: Path
    progress: Progress
    colour: bool


@dataclass(frozen=True)
class Product:
    """What came out: core module or component, what the tools said, and files outside the project it is of.

    ``embed`` says that the types of the interfaces have to be put into the core module, and ``adapt`` that it
    is made a component; ``hint`` what to do if that cannot be.
    """

    data: bytes
    said: str = ""
    inputs: Sequence[Path] = ()
    embed: bool = False
    adapt: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Requirement:
    """Something that has to be on the machine: whether it is there, and how to get it if it is not.

    ``oldest`` is the first version that does, of a program that is the user's own and not fetched.
    """

    name: str
    found: str | None
    hint: str
    oldest: str | None = None


class Toolchain(Protocol):
    """What a module of a language has."""

    def requirements(self) -> list[Requirement]:
        """What it needs and what of that was found; what is fetched on first use counts as found."""
        ...

    def identity(self) -> str:
        """The versions of all tools that decide what comes out: a change of it is a reason to build."""
        ...

    def build(self, job: Job) -> Product:
        """Build.

        Raises:
            BuildError: The source is wrong; the error holds what the tool said.
            ToolError: Something is missing that it needs.

        """
        ...


@dataclass(frozen=True)
class Language:
    """A row of the table: names for people, what marks a project of it, and where its sources are.

    ``ignored`` are folders that are no source, ``written`` files of the project that its tools write,
    and ``kinds`` what can be built of it.
    """

    title: str
    module: str
    markers: tuple[str, ...]
    suffixes: tuple[str, ...]
    sources: tuple[str, ...] = ("src",)
    ignored: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("command", "library")

    def default_source(self, folder: Path) -> str:
        """The first of ``sources`` that is there, or the first."""
        return next((name for name in self.sources if (folder / name).exists()), self.sources[0])


LANGUAGES: dict[Name, Language] = {
    "rust": Language(
        "Rust",
        "wherry.build.rust",
        ("Cargo.toml",),
        (".rs",),
        sources=(".",),
        ignored=("target",),
        written=("Cargo.lock",),
        kinds=("command", "library", "http"),
    ),
    "go": Language(
        "Go",
        "wherry.build.go",
        ("go.mod",),
        (".go",),
        sources=(".",),
        kinds=("command", "library", "http"),
    ),
    "python": Language(
        "Python",
        "wherry.build.python",
        ("pyproject.toml",),
        (".py",),
        sources=("src", "."),
        ignored=(".venv", "__pycache__"),
        kinds=("command", "library", "http"),
    ),
    "assemblyscript": Language(
        "AssemblyScript",
        "wherry.build.assemblyscript",
        ("asconfig.json",),
        (),
        ignored=("node_modules",),
    ),
    "typescript": Language(
        "TypeScript",
        "wherry.build.typescript",
        ("tsconfig.json",),
        (".ts", ".mts"),
        ignored=("node_modules",),
        kinds=("command", "library", "http"),
    ),
    "javascript": Language(
        "JavaScript",
        "wherry.build.javascript",
        ("package.json",),
        (".js", ".mjs"),
        ignored=("node_modules",),
        kinds=("command", "library", "http"),
    ),
    "c": Language("C", "wherry.build.c", (), (".c",), kinds=("command", "library", "http")),
    "cpp": Language("C++", "wherry.build.cpp", (), (".cpp", ".cc", ".cxx")),
}
"""Every language, in the order in which a project is looked at."""


def node() -> list[Requirement]:
    """Node, on which tools from npm run, and npm, which fetches them."""
    hint = "https://nodejs.org has it, 20 or later"
    oldest = {"node": "20", "npm": "10"}
    return [Requirement(name, shutil.which(name), hint, first) for name, first in oldest.items()]


def find_language(folder: Path, source: str | None) -> Name:
    """The language of a source, by its files and the marks beside it; a project may have several.

    Raises:
        BuildError: It has none of them, or of several languages.

    """
    marked = _marked(folder)
    if source is not None and source.endswith((".wasm", ".wat")):
        what = f"`{folder / source}` is WebAssembly already"
        raise BuildError(what, hint=f'`component = "{source}"` in place of `source` takes it as it is')
    if source is not None:
        own = _marked(folder / source) or _alone_in(folder / source)
        # AssemblyScript has files of TypeScript, and a mark to tell them apart.
        if own is not None and (own, marked) != ("typescript", "assemblyscript"):
            return own
    if marked is not None:
        return marked
    looked = folder / (source or "src")
    found = _written_in([looked, *looked.rglob("*"), *folder.glob("*")])
    if len(found) == 1:
        return found[0]
    if not found:
        what = f"`{folder}` has no source of a language that Wherry knows"
    else:
        what = f"`{folder}` has sources of {' and '.join(LANGUAGES[name].title for name in found)}"
    names = ", ".join(f"`{name}`" for name in LANGUAGES)
    raise BuildError(what, hint=f"`language` in `[build]` says which it is: {names}")


def _marked(folder: Path) -> Name | None:
    """The language whose mark is in a folder."""
    for name, language in LANGUAGES.items():
        if any((folder / marker).is_file() for marker in language.markers):
            return name
    return None


def _alone_in(source: Path) -> Name | None:
    """The language of a file, or the only one that a folder has files of."""
    found = _written_in([source, *source.rglob("*")])
    return found[0] if len(found) == 1 else None


def _written_in(files: list[Path]) -> list[Name]:
    """The languages that there are files of."""
    suffixes = {file.suffix for file in files}
    return [name for name, language in LANGUAGES.items() if suffixes & {*language.suffixes}]


def toolchain(name: Name) -> Toolchain:
    """The module of a language."""
    return cast("Toolchain", importlib.import_module(LANGUAGES[name].module))
