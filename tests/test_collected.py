"""No test is left out by the name of its folder."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parent


def test_every_folder_with_tests_is_looked_into(pytestconfig: pytest.Config) -> None:
    """The names that pytest passes over, `build` among them unless told, are of none of these folders."""
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {part for file in TESTS.rglob("test_*.py") for part in file.relative_to(TESTS).parent.parts}
    assert "build" in folders
    assert [name for name in folders if any(fnmatch(name, pattern) for pattern in passed_over)] == []
