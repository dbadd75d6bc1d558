"""The table of host languages, and what a module of one has.

A language is a module of this package with the functions of ``Generator``. The table names them without
importing any. What a language cannot express it says in ``refusals``, by the name of what is in the way,
before anything is written.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from wherry.bind.library import Library
    from wherry.build.tools import Progress

__all__ = ["LANGUAGES", "Files", "Generator", "Language", "Name", "Options", "Refusal", "generator"]

Name: TypeAlias = Literal["python", "typescript", "c"]
"""A host language."""

Files: TypeAlias = "dict[str, bytes]"
"""What was generated: paths below the folder of the result, with ``/``, and their bytes."""


@dataclass(frozen=True)
class Options:
    """What the user chooses.

    ``name`` is what the generated package is called in its ecosystem; without it that is made of the name of
    the library. ``errors`` says, for languages that have both, whether the error of a ``result`` is thrown
    or returned as a value; ``None`` is the usual way of the language. ``stubs`` asks for types alone, for
    editors, where the language has such a form.
    """

    name: str | None = None
    errors: Literal["throw", "return"] | None = None
    stubs: bool = False


@dataclass(frozen=True)
class Refusal:
    """Something that a language cannot express: ``what`` is the name of it, ``why`` what is in the way."""

    what: str
    why: str


class Generator(Protocol):
    """What a module of a language has."""

    def refusals(self, library: Library, options: Options) -> list[Refusal]:
        """What of ``library`` cannot be expressed; anything in it means that nothing is generated."""
        ...

    def generate(self, library: Library, options: Options) -> Files:
        """The files of a package of the ecosystem, the component among them; the same for the same input."""
        ...

    def format(self, files: Files, progress: Progress) -> Files:
        """The files as the pinned formatter of the language has them; a language may write them so at once.

        Raises:
            ToolError: The formatter is missing and cannot be fetched.

        """
        ...


@dataclass(frozen=True)
class Language:
    """A row of the table: the name for people, the module, and which options it knows."""

    title: str
    module: str
    options: tuple[str, ...] = ()


LANGUAGES: dict[Name, Language] = {
    "python": Language("Python", "wherry.bind.python", ("stubs",)),
    "typescript": Language("TypeScript", "wherry.bind.typescript", ("errors",)),
    "c": Language("C", "wherry.bind.c"),
}
"""Every language."""


def generator(name: Name) -> Generator:
    """The module of a language."""
    return cast("Generator", importlib.import_module(LANGUAGES[name].module))
