"""Every promise of ``SECURITY.md`` names its tests, and every test that is named is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()
# A file, then a test or class in it, or one case of its tests.
NAMED = re.compile(r"`((?:tests|crates)/[\w./-]+\.(?:py|rs))(?:::(\w+))?(?:\[([^\]]+)\])?`")
PROMISES = re.findall(r"^- \*\*(.+?)\*\*(.+?)(?=^- |\Z)", PAGE.split("\n## ")[1], re.MULTILINE | re.DOTALL)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]


def is_there(file: str, name: str, case: str) -> bool:
    """Whether a file has a test, class or function of this name, and a case of that name."""
    path = ROOT / file
    if not path.is_file():
        return False
    text = path.read_text()
    defined = not name or re.search(rf"\b(?:def|class|fn) {name}\b", text) is not None
    return defined and (not case or f'"{case}"' in text)


@pytest.mark.parametrize(("file", "name", "case"), sorted(set(NAMED.findall(PAGE))))
def test_what_is_named_is_there(file: str, name: str, case: str) -> None:
    """A test that was renamed or removed leaves a promise without one."""
    assert is_there(file, name, case)


@pytest.mark.parametrize("text", [text for _, text in PROMISES], ids=[promise for promise, _ in PROMISES])
def test_a_promise_names_a_test(text: str) -> None:
    """Itself, or by leading to the lists."""
    assert NAMED.search(text) or "](#each-" in text


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip() for row in ROWS])
def test_a_row_names_a_test(row: str) -> None:
    """Each way out and each limit, in the last column."""
    if row.endswith("| test |"):
        return
    assert NAMED.search(row.split("|")[-2])


def test_the_lists_are_complete() -> None:
    """As many as the sandbox has, so that nobody reads an empty page with content."""
    assert len(PROMISES) > 10
    assert len(ROWS) > 30
    assert not is_there("tests/hostile/test_files.py", "test_nothing_of_this_name", "")
    assert not is_there("tests/hostile/test_files.py", "", "no such case")
    assert not is_there("tests/hostile/test_nothing.py", "", "")
