"""A component becomes a package of a host language: what ``wherry bind`` does.

``generated`` makes the files, ``bind`` writes them into a folder, and ``check`` says whether a folder has
them. The same component, options and version of Wherry give the same bytes everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.bind import output
from wherry.bind.languages import LANGUAGES, Options, Refusal, generator
from wherry.bind.library import read_library
from wherry.errors import HostIOError, NotFoundError, UsageError

if TYPE_CHECKING:
    import os

    from wherry.bind.languages import Files, Name
    from wherry.bind.library import Library
    from wherry.bind.output import Change
    from wherry.build.launch import Launch
    from wherry.build.tools import Progress

__all__ = ["bind", "check", "find_library", "generated", "library_of", "refusals", "usual_folder"]


def _quiet(what: str, seconds: float | None) -> None:
    """Nobody looks on."""


def find_library(path: str | os.PathLike[str]) -> Library:
    """The library in a file of WebAssembly, in binary or text form.

    Raises:
        NotFoundError: There is no such file.
        LoadError: It is no component.
        UsageError: It is WebAssembly without types.

    """
    path = Path(path)
    name = path.name.partition(".")[0]
    return read_library(_native.binary_form(_read(path), str(path)), name)


def library_of(found: Launch) -> Library:
    """The library of a package or project that was found by its name."""
    data = _read(found.component)
    if found.manifest is None:
        return read_library(data, found.name)
    package = found.manifest.package
    return read_library(data, package.name, package.version, package.description)


def generated(
    library: Library, language: Name, options: Options | None = None, progress: Progress = _quiet
) -> Files:
    """The files of the package that ``library`` becomes in ``language``, formatted, by their paths.

    Raises:
        UsageError: The language cannot express something of it; each is named.
        ToolError: The formatter of the language is missing and cannot be fetched.

    """
    options = options if options is not None else Options()
    for name in ("errors", "stubs"):
        if getattr(options, name) and name not in LANGUAGES[language].options:
            raise UsageError(f"`--{name}` means nothing for {LANGUAGES[language].title}")
    refused = refusals(library, language, options)
    if refused is not None:
        raise refused
    module = generator(language)
    files = module.format(module.generate(library, options), progress)
    return dict(sorted(files.items()))


def refusals(library: Library, language: Name, options: Options | None = None) -> UsageError | None:
    """Why there can be no bindings to ``library`` in ``language``, each reason by its name."""
    if not any(scope.functions for scope in library.exports):
        return UsageError(
            f"`{library.name}` exports no functions: there is nothing to call",
            hint="`wherry inspect` says what it is for",
        )
    found = [Refusal(repr(one), "it is no name of WIT") for one in library.unnamed()]
    # Generators may take every name for words.
    found = found or generator(language).refusals(library, options if options is not None else Options())
    if not found:
        return None
    lines = "".join(f"\n  {one.what}: {one.why}" for one in found)
    return UsageError(f"`{library.name}` has what {LANGUAGES[language].title} cannot express:{lines}")


def bind(
    library: Library,
    language: Name,
    folder: str | os.PathLike[str],
    options: Options | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = _quiet,
) -> list[Change]:
    """Writes the package that ``library`` becomes into ``folder``, whole or not at all: what changed there.

    What an earlier run wrote is replaced, and taken away where it is no longer made. A file that somebody
    else wrote, or changed since, is replaced with ``overwrite`` only.

    Raises:
        UsageError: As ``generated``, and where a file of somebody else's is in the way.
        HostIOError: It cannot be written.

    """
    files = generated(library, language, options, progress)
    return output.write(Path(folder), files, overwrite=overwrite)


def check(
    library: Library, language: Name, folder: str | os.PathLike[str], options: Options | None = None
) -> list[Change]:
    """What ``bind`` would change in ``folder``; nothing, if its files are current."""
    return output.changes(Path(folder), generated(library, language, options))


def usual_folder(library: Library, language: Name) -> Path:
    """Where the result goes unless the user says otherwise: ``thumbs-python`` in this folder."""
    return Path(f"{library.short}-{language}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"`{path}` does not exist") from error
    except OSError as error:
        raise HostIOError(f"`{path}`: {(error.strerror or str(error)).lower()}") from error
