"""Generated packages of Python for tests: written into a folder, imported under a name of their own."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from wherry.bind.generate import generated
from wherry.bind.languages import Options
from wherry.bind.library import read_library
from wherry.bind.output import write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["bound", "packaged"]


def packaged(component: bytes, name: str, folder: Path) -> Path:
    """The folder of the package that is generated for a component."""
    target = folder / f"{name}-python"
    write(target, generated(read_library(component, name), "python", Options()), overwrite=False)
    return target


def bound(component: bytes | str, name: str, folder: Path, patch: pytest.MonkeyPatch) -> Any:
    """The same, imported; its modules are forgotten after the test."""
    data = component.encode() if isinstance(component, str) else component
    patch.syspath_prepend(str(packaged(data, name, folder)))
    known = set(sys.modules)
    module = importlib.import_module(name)
    for one in set(sys.modules) - known:
        if one.partition(".")[0] == name:
            # Put in where there was none, so that it is taken out again.
            patch.setitem(sys.modules, one, sys.modules.pop(one))
    return module
