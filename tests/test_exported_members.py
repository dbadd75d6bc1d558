"""What is public is what ``__all__`` says, and all of it is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
import types

import pytest

import wherry
import wherry.errors

PRIVATE = {"wherry._native", "wherry.__main__"}
MODULES = sorted(
    {
        module.name
        for module in pkgutil.walk_packages(wherry.__path__, "wherry.")
        if module.name not in PRIVATE and not module.name.rpartition(".")[2].startswith("_")
    }
)


@pytest.mark.parametrize("name", ["wherry", *MODULES])
def test_all_is_what_is_public(name: str) -> None:
    """``__all__`` lists what the module defines without an underscore, and nothing that is not there."""
    module = importlib.import_module(name)
    listed = set(getattr(module, "__all__", ()))
    defined = {
        member
        for member, value in vars(module).items()
        if not member.startswith("_")
        and isinstance(value, type | types.FunctionType)
        and value.__module__ == name
    }
    assert defined <= listed, "public, but not listed"
    for member in listed:
        assert getattr(module, member) is not None, member


@pytest.mark.parametrize("name", ["wherry", *MODULES])
def test_what_is_public_is_documented(name: str) -> None:
    """Each module, and each public class and function, has a docstring."""
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    for member in getattr(module, "__all__", ()):
        value = getattr(module, member)
        if isinstance(value, type | types.FunctionType):
            assert inspect.getdoc(value), member


def test_every_error_is_at_the_front() -> None:
    """``wherry.X`` is ``wherry.errors.X`` for every exception, as the docstring of the tree promises."""
    for name in wherry.errors.__all__:
        assert getattr(wherry, name) is getattr(wherry.errors, name), name


def test_every_error_stands_in_the_tree() -> None:
    """The tree drawn in ``wherry.errors`` shows each exception below its base class."""
    drawn = (wherry.errors.__doc__ or "").splitlines()
    depth: dict[str, int] = {}
    above: list[str] = []
    bases: dict[str, str] = {}
    for line in drawn:
        name = next((word for word in line.split() if word in wherry.errors.__all__), None)
        if name is None or "``" in line:
            continue
        depth[name] = line.index(name)
        above = [one for one in above if depth[one] < depth[name]]
        if above:
            bases[name] = above[-1]
        above.append(name)
    for name in wherry.errors.__all__:
        error = getattr(wherry.errors, name)
        if issubclass(error, wherry.errors.WherryError) and error is not wherry.errors.WherryError:
            assert bases.get(name) == error.__bases__[0].__name__, name


def test_import_is_lazy() -> None:
    """Modules of the command line stay unloaded until they are used: start-up time is a feature."""
    program = "import sys, wherry; print(sorted({'click', 'rich', 'msgspec', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
