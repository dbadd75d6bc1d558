"""The module that componentize-py starts from; it runs in the guest, and at build time first.

It imports the user's module, and whatever functions of it import later, as nothing can be imported then.
For a command it is ``wasi:cli/run``: it calls ``main`` of the module, or runs the module as a program if it
has none. For what answers requests see ``wherry_answering.py``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import linecache
import sys
import traceback
from importlib.machinery import FileFinder, SourceFileLoader
from typing import TYPE_CHECKING, Never

import componentize_py_runtime  # type: ignore[import-not-found]
import wherry_settings  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

_ALWAYS = ("_strptime", "encodings.idna", "encodings.latin_1", "encodings.utf_16", "encodings.cp1252")
_NOT_THE_USERS = ("wit_world", "componentize_py", "wherry_")


class NotYet(BaseException):
    """Only a run can do this, and the guest is being built: no handler of exceptions is to go on after it."""


def _refuse(*_: object) -> Never:
    raise NotYet(
        "a module is imported when it is built, and requests and other calls of the host are not possible "
        "then: make them in a function"
    )


# What componentize-py has in place of the host's functions would trap, and name no line of the user's.
_call_host = componentize_py_runtime.call_import
componentize_py_runtime.call_import = _refuse


class _Loader(SourceFileLoader):
    """Compiles modules under the names that the user's files have, which tracebacks show with their lines."""

    def path_stats(self, path: str) -> Mapping[str, float]:
        """Refuse: what was compiled before has other names in it."""
        raise OSError(path)

    def source_to_code(self, data: bytes, path: str, **options: int) -> CodeType:  # type: ignore[override]
        """Compile a module; lines of the user's own are kept, as no file is there when it runs."""
        shown = _shown(path)
        if path.startswith(_USERS) and isinstance(data, bytes):
            text = importlib.util.decode_source(data)
            linecache.cache[shown] = (len(text), None, text.splitlines(keepends=True), shown)
        return super().source_to_code(data, shown, **options)


def _shown(path: str) -> str:
    """The name of a file as the user has it: the guest sees folders by number."""
    for folder, name in wherry_settings.FOLDERS.items():
        if path.startswith(folder):
            return f"{name}{path.removeprefix(folder)}"
    return path


_USERS = next(iter(wherry_settings.FOLDERS))
sys.path_hooks.insert(0, FileFinder.path_hook((_Loader, [".py"])))
sys.path_importer_cache.clear()


def _read(file: str) -> ast.Module:
    with open(file, encoding="utf-8") as source:  # noqa: PTH123 - less to load into each guest
        return ast.parse(source.read(), _shown(file))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The names that a source imports anywhere, in functions too; some are no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _import_each(names: Iterator[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001, S112 - it may be for another system, or no module at all
            continue


def _import_later() -> None:
    """Imports what modules of the user and of dependencies may import later."""
    seen: set[str] = set()
    while waiting := [name for name in sys.modules if name not in seen]:
        for name in waiting:
            seen.add(name)
            module = sys.modules[name]
            file = getattr(module, "__file__", None) or ""
            if name.startswith(_NOT_THE_USERS) or file.startswith("/python/") or not file.endswith(".py"):
                continue
            spec = module.__spec__
            _import_each(_imported(_read(file), spec.parent or "" if spec else ""))
    _import_each(iter(_ALWAYS))


_spec = importlib.util.find_spec(wherry_settings.MODULE)
assert _spec is not None  # noqa: S101 - it was there a moment ago
assert _spec.origin is not None  # noqa: S101
_tree = _read(_spec.origin)
_program = wherry_settings.KIND == "command" and not any(
    isinstance(node, ast.FunctionDef) and node.name == "main" for node in _tree.body
)
if _program:
    # A program that has no `main` does its work when it is imported, so that it is not.
    _import_each(_imported(_tree, ""))
else:
    if wherry_settings.KIND == "http":
        import wherry_answering
        import wherry_ssl

        wherry_ssl.install()
    try:
        _module = importlib.import_module(wherry_settings.MODULE)
    except SystemExit as ending:
        _reason = (
            "a module is imported when it is built, and this one ends the guest then: do so in a function"
        )
        raise NotYet(_reason).with_traceback(ending.__traceback__) from None
_import_later()

if wherry_settings.KIND == "command":
    from wit_world import exports  # type: ignore[import-not-found]
    from wit_world.imports import exit as _exit  # type: ignore[import-not-found]

    _code = None
    if _program:
        with open(_spec.origin, "rb") as _source:  # noqa: PTH123
            _code = _Loader(wherry_settings.MODULE, _spec.origin).source_to_code(_source.read(), _spec.origin)

    class Run(exports.Run):  # type: ignore[misc]
        """The entry of the command."""

        def run(self) -> None:
            """Run the user's module; its exit code is carried whole."""
            code: object = None
            try:
                if _code is not None:
                    exec(_code, {"__name__": "__main__", "__file__": _code.co_filename})  # noqa: S102
                else:
                    code = _module.main()
            except SystemExit as ending:
                code = ending.code
            except BaseException as error:  # noqa: BLE001 - as the interpreter does
                # Without this function, which is not the user's.
                trace = error.__traceback__.tb_next if error.__traceback__ else None
                traceback.print_exception(error.with_traceback(trace))
                code = 1
            if isinstance(code, str):
                sys.stderr.write(f"{code}\n")
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            if isinstance(code, int) and code:
                _exit.exit_with_code(code & 0xFF)

elif wherry_settings.KIND == "http" and not hasattr(_module, "IncomingHandler"):
    _answering = wherry_answering.find(_module)

    class IncomingHandler:
        """The entry of what answers requests."""

        def handle(self, request: object, response_out: object) -> None:
            """Answer one request."""
            wherry_answering.answer_with(_answering, request, response_out)

else:
    # The classes that implement the world, under the names that componentize-py looks for.
    globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})

componentize_py_runtime.call_import = _call_host
