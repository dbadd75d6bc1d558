"""Commands that tell about this installation: ``version``, ``doctor``, ``completions``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wherry import _native
from wherry.cli import doctor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal


def test_version_names_what_it_stands_on(wherry: Terminal) -> None:
    """``version`` names Wherry, the engine, Python and the system; ``--version`` the first alone."""
    own, engine, target, _ = _native.about()
    python = ".".join(map(str, sys.version_info[:3]))
    expected = f"wherry {own}\nwasmtime {engine}\npython {python}\ntarget {target}\n"
    assert wherry("version").stdout == expected
    assert wherry("--version").stdout == f"wherry {own}\n"


def test_doctor_looks_at_what_running_needs(wherry: Terminal) -> None:
    """Everything that running needs is there, and the JSON holds what the text shows."""
    typed = wherry("doctor", "--format", "json")
    assert typed.code == 0
    found = json.loads(typed.stdout)
    assert {finding["state"] for finding in found["running"]} == {"ok"}
    text = wherry("doctor").stdout
    for finding in [*found["running"], *found["building"], *found["versions"]]:
        assert finding["subject"] in text


def test_doctor_names_broken_settings(wherry: Terminal) -> None:
    """Settings that stop every run are shown with their line, and the exit code is 1."""
    wherry.project("memroy = 1")
    typed = wherry("doctor", WHERRY_FORMAT="text")
    assert typed.code == 1, typed
    assert "there is no setting `memroy`" in typed.stdout
    assert "did you mean `memory`?" in typed.stdout


def test_missing_tool_comes_with_how_to_get_it() -> None:
    """A tool that is not there is missing, not an error, and the hint says how to get it."""
    tool = doctor.Tool("zag", "Zag guests", ("no-such-program", "--version"), "pip install zag")
    finding = doctor.examine_tool(tool)
    assert (finding.state, finding.hint) == ("missing", "pip install zag")


def test_tool_that_fails_counts_as_missing() -> None:
    """A module that the interpreter cannot find is a tool that is not there."""
    tool = doctor.Tool("zag", "Zag guests", (sys.executable, "-m", "no_such_module"), "pip install zag")
    assert doctor.examine_tool(tool).state == "missing"


def test_version_of_a_tool_is_found() -> None:
    """The version is the first thing in the output that looks like one."""
    tool = doctor.Tool("zag", "Zag guests", (sys.executable, "-c", "print('zag v1.2.3 (x)')"), "")
    assert doctor.examine_tool(tool).found == "1.2.3"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        pytest.param("tool 1.24.13", "old", id="below"),
        pytest.param("tool version tool1.25 linux/amd64", "ok", id="at"),
        pytest.param("v1.100.0", "ok", id="by-number-and-not-by-letter"),
        pytest.param("tool of today", "ok", id="no-version"),
    ],
)
def test_a_tool_that_is_too_old_is_named(said: str, state: str) -> None:
    """A version below the oldest that does is shown with the one that is needed and how to get it."""
    command = (sys.executable, "-c", f"print({said!r})")
    finding = doctor.examine_tool(doctor.Tool("zag", "Zag guests", command, "get zag", "1.25"))
    assert finding.state == state
    if state == "old":
        assert (finding.found, finding.hint) == ("1.24.13, where 1.25 is needed", "get zag")


def test_doctor_shows_versions_of_the_tools_that_builds_use(wherry: Terminal, tmp_path: Path) -> None:
    """What cargo, rustc, go, node and npm say, and what to do where one is too old: as text and JSON."""
    old = {"go": "go version go1.22.1 linux/amd64", "node": "v18.20.4"}
    for name, said in old.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    found = json.loads(wherry("doctor", "--format", "json", PATH=path).stdout)["versions"]
    states = {finding["subject"].partition(" ")[0]: finding["state"] for finding in found}
    assert states == {"cargo": "ok", "rustc": "ok", "go": "old", "node": "old", "npm": "ok"}
    typed = wherry("doctor", PATH=path)
    assert typed.code == 0
    assert "old      go (Go)" in typed.stdout
    assert "1.22.1, where 1.25 is needed" in typed.stdout
    assert "hint: https://go.dev/dl has it, 1.25 or later" in typed.stdout
    assert "18.20.4, where 20 is needed" in typed.stdout
    usual = json.loads(wherry("doctor", "--format", "json").stdout)["versions"]
    assert {finding["state"] for finding in usual} == {"ok"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_for_the_shell(shell: str, wherry: Terminal, tmp_path: Path) -> None:
    """The script is printed, and a shell that is installed reads it without complaint."""
    typed = wherry("completions", shell)
    assert (typed.code, typed.stderr) == (0, "")
    assert "_WHERRY_COMPLETE" in typed.stdout
    program = shutil.which(shell)
    if program is not None:
        script = tmp_path / "script"
        script.write_text(typed.stdout)
        subprocess.run([program, "-n", script], check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("wherry vers", ["version"], id="command"),
        pytest.param("wherry config ex", ["explain"], id="command-in-a-group"),
        pytest.param("wherry run --mem", ["--memory"], id="flag-of-the-table"),
        pytest.param("wherry completions z", ["zsh"], id="value"),
    ],
)
def test_completion_completes(words: str, expected: list[str], wherry: Terminal) -> None:
    """What the shell asks is answered with commands, flags and values."""
    count = str(len(words.split()) - 1)
    typed = wherry(_WHERRY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert [line.partition(",")[2] for line in typed.stdout.splitlines()] == expected
