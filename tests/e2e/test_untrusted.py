"""Strangers' code: what ``examples/untrusted`` and its page in the documentation promise."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.untrusted.untrusted import (
    HOSTILE,
    javascript_interpreter,
    python_interpreter,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
LANGUAGES = ["Python", "JavaScript"]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """A language of snippets."""
    return str(request.param)


@pytest.fixture
def interpreter(language: str) -> Path:
    """What runs them."""
    if language == "Python":
        return python_interpreter()
    made = javascript_interpreter()
    if made is None:
        pytest.skip("there is no npm to make the interpreter with")
    return made


def held() -> tuple[int, int]:
    """Threads and open files of this process."""
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_each_snippet_ends_as_it_should(language: str, interpreter: Path) -> None:
    """A hundred of them, of which ten are hostile; friendly ones are answered whatever the others do."""
    outcomes = run_all(interpreter, language, 100)
    assert [outcome for outcome in outcomes if not outcome.expected] == []
    assert sum(outcome.error is None for outcome in outcomes) >= 90


def test_each_hostile_snippet_is_tried(language: str) -> None:
    """The thousand of the example hold each of them more than once."""
    assert 2 * len(HOSTILE[language]) < 1_000 // 10


@pytest.mark.slow
def test_a_thousand_snippets_leave_nothing_behind(language: str, interpreter: Path) -> None:
    """Memory, threads and files are those of before."""

    def after(work: Callable[[], object]) -> tuple[tuple[int, int], int]:
        work()
        return held(), resident()

    before, memory = after(lambda: run_all(interpreter, language, 200))
    outcomes = run_all(interpreter, language, 1_000)
    assert [outcome for outcome in outcomes if not outcome.expected] == []
    del outcomes
    assert held() == before
    assert resident() < memory * 1.05


def test_the_example_runs(tmp_path: Path) -> None:
    """As a person would start it; what it prints says that all went as it should."""
    script = [sys.executable, "examples/untrusted/untrusted.py"]
    done = subprocess.run([*script, "20"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Python: 20 snippets in ")
    assert done.stdout.count(" 0 ended otherwise than expected") == 1 + (shutil.which("npm") is not None)
    subprocess.run([*script, "--prepare", tmp_path / "made"], cwd=ROOT, check=True)
    assert (tmp_path / "made" / "python.wasm").exists()
