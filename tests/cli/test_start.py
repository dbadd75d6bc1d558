"""The start of the process: which way a command line takes, what that imports, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "wherry.data/scripts/wherry"
HEAVY = {
    "__future__",
    "asyncio",
    "click",
    "enum",
    "importlib",
    "importlib.metadata",
    "json",
    "msgspec",
    "pathlib",
    "re",
    "rich",
    "signal",
    "typing",
    "warnings",
}


def imported(*words: str, folder: Path) -> set[str]:
    """What a command line imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPT, *words],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["run", "hello.wat"], id="run"),
        pytest.param(["hello.wat"], id="without-run"),
        pytest.param(
            ["run", "--memory", "1GiB", "--env", "A=1", "hello.wat", "--help"], id="guest-s-own-help"
        ),
    ],
)
def test_running_imports_next_to_nothing(words: list[str], tmp_path: Path) -> None:
    """A run loads neither ``click`` nor what the standard library has of weight, and no table of errors."""
    (tmp_path / "hello.wat").write_text('(module (func (export "_start")))')
    # What the interpreter itself loads, such as for an editable install, is not ours to save.
    command = [sys.executable, "-X", "importtime", "-c", "pass"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    bare = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    loaded = imported(*words, folder=tmp_path) - bare
    assert not loaded & {*HEAVY, "wherry.errors", "wherry.cli.main", "wherry.cli.output"}


@pytest.mark.parametrize("command", ["cache", "compile", "config", "doctor", "inspect", "version"])
def test_commands_do_not_import_one_another(command: str, tmp_path: Path) -> None:
    """The module of a command is imported when the command is typed."""
    program = f"""
import sys
from wherry.cli.start import main
sys.argv = ["wherry", "{command}", "--help"]
main()
print(*sorted(sys.modules), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    modules = {name for name in done.stderr.split() if name.startswith("wherry.cli.")}
    shared = {"command", "main", "output", "start"}
    assert modules == {f"wherry.cli.{name}" for name in {command, *shared}}


def test_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    """Whoever reads the output may stop reading: no message, no traceback."""
    command = f"{sys.executable} -m wherry config explain | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 128 + 13}
    assert done.stderr == ""
