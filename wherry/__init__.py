"""Run any WebAssembly program, from a terminal and from Python.

Every public name is imported when it is first used, so that ``import wherry`` and the start of the command
line cost next to nothing: even the tree of errors takes a tenth of the time that an interpreter does. A new
name gets its line in ``_SOURCES``, for Python, and in the block above it, for type checkers.
"""

from __future__ import annotations

# Not from `typing`, which takes 8 ms to import; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry import errors
    from wherry.errors import *  # noqa: F403 - the tree of errors is public whole

    __version__: str
    __all__ = ["__version__"]
    __all__ += errors.__all__

_SOURCES: dict[str, str] = {}
"""The module that each public name but the errors comes from."""


def __getattr__(name: str) -> object:
    """The public name, imported from where it is defined."""
    from importlib import import_module

    value: object
    if name in _SOURCES:
        value = getattr(import_module(_SOURCES[name]), name)
    elif name == "__version__":
        value = import_module("wherry._native").about()[0]
    elif name == "__all__":
        value = __dir__()
    elif name[0] != "_" and name in (tree := import_module("wherry.errors")).__all__:
        value = getattr(tree, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    from wherry import errors

    return sorted(["__version__", *_SOURCES, *errors.__all__])
