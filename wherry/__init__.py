"""Run any WebAssembly program, from a terminal and from Python.

Every public name is imported when it is first used, so that ``import wherry`` and the start of the command
line cost next to nothing: even the tree of errors takes a tenth of the time that an interpreter does. A new
name gets its line in ``_SOURCES``, for Python, and in the block above it, for type checkers. Even
``__future__`` is a module that has to be found and read: nothing that every start imports asks for it.
"""

# Not from `typing`, which takes 8 ms to import; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry import errors
    from wherry._native import Function as Function
    from wherry._native import Limits as Limits
    from wherry._native import Policy as Policy
    from wherry.api import inspect as inspect
    from wherry.api import load as load
    from wherry.api import run as run
    from wherry.api import start as start
    from wherry.errors import *  # noqa: F403 - the tree of errors is public whole
    from wherry.runtime import aio as aio
    from wherry.runtime.component import Component as Component
    from wherry.runtime.instance import Instance as Instance
    from wherry.runtime.instance import left_behind as left_behind
    from wherry.runtime.program import Completed as Completed
    from wherry.runtime.program import Denial as Denial
    from wherry.runtime.program import Running as Running
    from wherry.runtime.sandbox import Sandbox as Sandbox
    from wherry.runtime.streams import Future as Future
    from wherry.runtime.streams import Stream as Stream
    from wherry.runtime.values import Err as Err
    from wherry.runtime.values import Ok as Ok
    from wherry.runtime.values import Record as Record
    from wherry.runtime.values import Resource as Resource
    from wherry.runtime.values import Some as Some
    from wherry.runtime.values import Variant as Variant

    __version__: str
    __all__ = ["__version__"]
    __all__ += errors.__all__

_SOURCES: dict[str, str] = {
    "Completed": "wherry.runtime.program",
    "Component": "wherry.runtime.component",
    "Denial": "wherry.runtime.program",
    "Err": "wherry.runtime.values",
    "Function": "wherry._native",
    "Future": "wherry.runtime.streams",
    "Instance": "wherry.runtime.instance",
    "Limits": "wherry._native",
    "Ok": "wherry.runtime.values",
    "Policy": "wherry._native",
    "Record": "wherry.runtime.values",
    "Resource": "wherry.runtime.values",
    "Running": "wherry.runtime.program",
    "Sandbox": "wherry.runtime.sandbox",
    "Some": "wherry.runtime.values",
    "Stream": "wherry.runtime.streams",
    "Variant": "wherry.runtime.values",
    "aio": "wherry.runtime",
    "inspect": "wherry.api",
    "left_behind": "wherry.runtime.instance",
    "load": "wherry.api",
    "run": "wherry.api",
    "start": "wherry.api",
}
"""The module that each public name but the errors comes from."""


def __getattr__(name: str) -> object:
    """The public name, imported from where it is defined."""
    # Asked for each module of the package that is imported from it, before the module is looked for.
    if name[0] == "_" and name not in {"__version__", "__all__"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    from importlib import import_module

    value: object
    if name == "aio":
        value = import_module("wherry.runtime.aio")
    elif name in _SOURCES:
        value = getattr(import_module(_SOURCES[name]), name)
    elif name == "__version__":
        value = import_module("wherry._native").about()[0]
    elif name == "__all__":
        value = __dir__()
    elif name in (tree := import_module("wherry.errors")).__all__:
        value = getattr(tree, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    from wherry import errors

    return sorted(["__version__", *_SOURCES, *errors.__all__])
