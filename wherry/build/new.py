"""New projects: what ``wherry new`` makes.

A template is a folder of ``templates`` that holds a whole project, in which some words stand for the name.
What is the same for all languages is made here: ``wherry.toml``, tests, interface and ``.gitignore``.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.artifact.reading import FILE_NAME, check_name
from wherry.artifact.refusals import host_error
from wherry.build.languages import LANGUAGES
from wherry.errors import UsageError

if TYPE_CHECKING:
    import os

    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

__all__ = ["NAMESPACE", "TEMPLATES", "new_project"]

TEMPLATES = Path(__file__).with_name("templates")

NAMESPACE = "local"
"""Where names are that are for nobody else."""

_MANIFEST = """[package]
name = "{name}"
version = "0.1.0"
description = "Greets whoever is named"

[build]
language = "{language}"

[{place}]
"""
_WIT = """package {package};

/// What this library offers. Each export is a function that your source implements;
/// types are those of WIT: string, u32, list<u8>, option<string>, result<string, string>
/// and records. `wherry build` checks both sides, and callers see exactly this.
world {world} {{
  /// A greeting for whoever is named.
  export greet: func(name: string) -> string;
}}
"""
_HTTP_TEST = """`wherry test` sends each request after `>` and compares the body of the answer.

> GET /
Hello, World!

> GET /?name=Ada
Hello, Ada!
"""
_COMMAND_TEST = """`wherry test` types each line after `$` and compares what is printed.

$ {short}
Hello, World!

$ {short} Ada
Hello, Ada!
"""
_LIBRARY_TEST = """`wherry test` makes each call after `>` and compares the result.

> greet("Ada")
"Hello, Ada!"
"""


def new_project(
    name: str, language: Language, kind: Kind, folder: str | os.PathLike[str] | None = None
) -> Path:
    """Makes a project in a new folder, named like the package unless ``folder`` says otherwise: its path.

    ``name`` is ``namespace/name``, or a name alone.

    Raises:
        UsageError: The name is none, the language has nothing of this kind, or the folder is there and not
            empty.
        HostIOError: It cannot be written.

    """
    if name.rstrip("/") == ".":
        hint = f"`wherry new NAME --lang {language} --path .` makes it in a folder that is empty"
        raise UsageError("`.` is a folder, and no name of a package", hint=hint)
    if kind not in LANGUAGES[language].kinds:
        able = ", ".join(f"`{one}`" for one in LANGUAGES if kind in LANGUAGES[one].kinds)
        what = f"there is no `--kind {kind}` for {LANGUAGES[language].title} yet"
        raise UsageError(what, hint=f"these languages have it: {able}")
    full = name if "/" in name else f"{NAMESPACE}/{name}"
    check_name(full)
    short = full.rpartition("/")[2]
    target = Path(folder) if folder is not None else Path(short)
    files = _files(full, short, language, kind)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            f"`{target}` is there already", hint="choose another name, or an empty folder with `--path`"
        )
    try:
        # A folder that is there stays the one that it is: somebody may stand in it.
        beside = target if target.exists() else target.parent
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=beside, prefix=".wherry-partial-") as partial:
            whole = Path(partial) / "project"
            for path, text in files.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8", newline="")
            if beside == target:
                for one in whole.iterdir():
                    one.rename(target / one.name)
            else:
                whole.rename(target)
    except OSError as error:
        raise host_error(target, error) from error
    return target


def _files(full: str, short: str, language: Language, kind: Kind) -> dict[str, str]:
    """All files of a new project."""
    words = {"kebab": short, "snake": short.replace("-", "_"), "full": full}
    if language == "python" and words["snake"] in sys.stdlib_module_names:
        words["snake"] = "main"
    words["Pascal"] = "".join(part.capitalize() for part in short.split("-"))
    words["namespace"] = full.partition("/")[0].replace("-", "_")
    source = TEMPLATES / language / kind
    place = f"command.{short}" if kind == "command" else kind
    files = {
        FILE_NAME: _MANIFEST.format(name=full, language=language, place=place),
        ".gitignore": "\n".join(["/build/", *(f"{name}/" for name in LANGUAGES[language].ignored)]) + "\n",
    }
    if kind == "library":
        package = full.replace("/", ":%")
        files[f"wit/{short}.wit"] = _WIT.format(package=f"%{package}", world=f"%{short}").replace(
            "%", _percent(full)
        )
        files[f"tests/{short}.console"] = _LIBRARY_TEST
    elif kind == "http":
        files[f"tests/{short}.console"] = _HTTP_TEST
    else:
        files[f"tests/{short}.console"] = _COMMAND_TEST.format(short=short)
    for path in sorted(source.rglob("*")):
        # pip compiles each file in Python that it installs.
        if path.is_file() and path.parent.name != "__pycache__":
            name = _filled(str(path.relative_to(source)), words).removesuffix(".template")
            files[name] = _filled(path.read_text(encoding="utf-8"), words)
    return files


def _filled(text: str, words: dict[str, str]) -> str:
    """A text of a template with the name in it: ``@kebab@`` and the other ways to write it."""
    return re.sub(r"@(\w+)@", lambda found: words.get(found[1], found[0]), text)


_KEYWORDS = frozenset(
    {
        "as",
        "async",
        "bool",
        "borrow",
        "char",
        "constructor",
        "enum",
        "error-context",
        "export",
        "f32",
        "f64",
        "flags",
        "from",
        "func",
        "future",
        "import",
        "include",
        "interface",
        "list",
        "map",
        "option",
        "own",
        "package",
        "record",
        "resource",
        "result",
        "s16",
        "s32",
        "s64",
        "s8",
        "static",
        "stream",
        "string",
        "tuple",
        "type",
        "u16",
        "u32",
        "u64",
        "u8",
        "union",
        "use",
        "variant",
        "with",
        "world",
    }
)
"""Words of WIT, which names that are the same have a ``%`` before."""


def _percent(full: str) -> str:
    return "%" if {*full.split("/")} & _KEYWORDS else ""
