"""The files of a generated package of C: header, sources, component, and what CMake and pkg-config need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import wherry
from wherry.bind.c.comments import comment, plain
from wherry.bind.c.functions import Functions
from wherry.bind.c.spelling import Spelling, prefix_of
from wherry.bind.c.types import Types
from wherry.bind.c.values import Values

if TYPE_CHECKING:
    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library

__all__ = ["write_project"]

_TEMPLATES = Path(__file__).with_name("templates")


def write_project(library: Library, options: Options) -> Files:
    """The files, not yet formatted."""
    prefix = prefix_of(options.name or library.short)
    functions = Functions(library, Values(Types(library, Spelling(library, prefix))))
    functions.declare_types()
    words = _words(library, prefix, functions)
    files = {
        f"include/{prefix}.h": _filled("header.h", words),
        # The source comes before the values that it uses: they are made while it is written.
        f"src/{prefix}.c": _filled("source.c", words),
        f"src/{prefix}_values.h": _filled("values.h", {**words, "VALUES": functions.values.functions}),
        f"src/{prefix}_component.c": _filled("component.c", words),
        "CMakeLists.txt": _filled("CMakeLists.txt", words),
        f"cmake/{prefix}-config.cmake.in": _filled("config.cmake.in", words),
        f"cmake/{prefix}.pc.in": _filled("library.pc.in", words),
        "README.md": _filled("README.md", words),
    }
    return {**{path: text.encode() for path, text in files.items()}, f"src/{prefix}.wasm": library.component}


def _words(library: Library, prefix: str, functions: Functions) -> dict[str, str]:
    """What stands where a template has a name between two at-signs."""
    name = re.sub(r"[^ -~]|[\"\\\\?*$]", "_", library.name)
    title = name if library.version is None else f"{name}@{library.version}"
    component = f"wherry_{prefix}_component"
    has_imports = bool(functions.tables)
    version = (library.version or "0.0.0").partition("-")[0].partition("+")[0]
    return {
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "NAME": title,
        "VERSION": version,
        "WHERRY": wherry.__version__,
        "DIGEST": library.digest,
        "ABOUT": comment(
            f"{title}: bindings that `wherry bind` wrote. Do not edit.", library.description, library.docs()
        ),
        "DESCRIPTION": plain(library.description or title)
        .replace("\n", " ")
        .replace('"', "'")
        .replace("$", ""),
        "TYPES": "\n".join(line for line in functions.values.types.lines if line),
        "TABLES": functions.table_types(),
        "PROTOTYPES": functions.prototypes(),
        "IMPORTS_PARAMETER": f"const {prefix}_imports *imports, " if has_imports else "",
        "IMPORTS_VALUE": "imports" if has_imports else "NULL",
        "IMPORTS_SAID": " `imports` is copied." if has_imports else "",
        "COMPONENT": component,
        "EXPORTS": functions.export_table(),
        "CALLBACKS": functions.callbacks(),
        "IMPORTED": functions.import_tables(),
        "LIBRARY": functions.library_row(name, component),
        "FUNCTIONS": functions.definitions(),
        "OPEN": "NULL, &imports, &" if has_imports else "NULL, &",
    }


def _filled(name: str, words: dict[str, str]) -> str:
    # In one pass: what authors write may look like a name between at-signs.
    text = (_TEMPLATES / name).read_text()
    return re.sub(r"@([A-Z_]+)@", lambda found: words.get(found[1], found[0]), text)
