"""What is public is what ``__all__`` lists, and all of it is documented."""

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
from wherry import _native

PRIVATE = {"wherry._native", "wherry.__main__"}
MODULES = sorted(
    {
        module.name
        for module in pkgutil.walk_packages(wherry.__path__, "wherry.")
        if module.name not in PRIVATE and not module.name.rpartition(".")[2].startswith("_")
    }
)


@pytest.mark.parametrize("name", ["wherry", *MODULES])
def test_what_is_listed_is_there_and_documented(name: str) -> None:
    """Each module has a docstring, and so has each class and function that its ``__all__`` lists."""
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    for member in getattr(module, "__all__", ()):
        value = getattr(module, member)
        if isinstance(value, type | types.FunctionType):
            assert inspect.getdoc(value), member


@pytest.mark.parametrize("member", wherry.__all__)
def test_what_is_public_says_where_it_is_from(member: str) -> None:
    """A name of ``wherry`` is listed by the module that defines it, and that is no private one."""
    value = getattr(wherry, member)
    home = getattr(value, "__module__", "wherry")
    assert home not in PRIVATE
    if isinstance(value, type | types.FunctionType) and home != "wherry":
        assert member in importlib.import_module(home).__all__


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
        if name is None or not (line.strip() == name or "── " in line):
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


def test_limits_are_those_of_the_command_line() -> None:
    """``wherry.Limits`` names each limit that has a flag, without the ``max-``, and no others."""
    flags = [flag.name.removeprefix("max-") for flag in _native.flags() if flag.group == "Limits"]
    assert list(inspect.signature(wherry.Limits).parameters) == [flag.replace("-", "_") for flag in flags]


def test_grants_are_those_of_the_command_line() -> None:
    """``wherry.Policy`` names each grant that has a flag, without the ``allow-``, and no others."""
    flags = [flag for flag in _native.flags() if flag.group.startswith("Grants")]
    names = [flag.name.removeprefix("allow-").replace("-", "_") for flag in flags]
    names.remove("policy")  # `Policy.from_toml`
    names.append("deterministic")  # under another heading in help, as it is more than a grant
    plural = {"dir": "dirs", "secret": "secrets"}
    assert list(inspect.signature(wherry.Policy).parameters) == [plural.get(name, name) for name in names]


def test_import_is_lazy() -> None:
    """Modules of the command line stay unloaded until they are used: start-up time is a feature."""
    program = "import sys, wherry; print(sorted({'click', 'rich', 'msgspec', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
