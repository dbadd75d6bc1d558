"""Each error that flags, settings and commands can end in, to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Terminal

RUN = {
    "file-missing": "run",
    "file-missing-after-flags": "run --memory 1GiB",
    "file-is-no-path": "run tool",
    "file-lies-here": "run present",
    "file-does-not-exist": "run ./missing.wasm",
    "file-does-not-exist-without-run": "missing.wasm",
    "flag-unknown": "run --memroy 1GiB f.wasm",
    "flag-unknown-and-like-none": "run --xyzzy f.wasm",
    "flag-short-unknown": "run -x f.wasm",
    "flag-long-with-one-dash": "run -memory 1GiB f.wasm",
    "flag-without-value": "run --dir",
    "flag-short-without-value": "run -e",
    "switch-with-value": "run --quiet=yes f.wasm",
    "size-of-unknown-unit": "run --memory 256MX f.wasm",
    "size-of-nothing": "run --memory= f.wasm",
    "size-negative": "run --memory -1 f.wasm",
    "size-too-large": "run --memory 99999999999999999999 f.wasm",
    "size-in-part": "run --memory 0.3 f.wasm",
    "size-none-where-there-is-none": "run --memory none f.wasm",
    "stack-too-small": "run --stack 1KiB f.wasm",
    "stack-too-large": "run --stack 1GiB f.wasm",
    "duration-of-unknown-unit": "run --timeout 5parsecs f.wasm",
    "duration-zero": "run --timeout 0 f.wasm",
    "duration-endless": "run --timeout 999999999d f.wasm",
    "count-of-unknown-unit": "run --fuel 3x f.wasm",
    "count-too-large": "run --max-handles 5G f.wasm",
    "dir-missing": "run --dir missing f.wasm",
    "dir-empty": "run --dir= f.wasm",
    "dir-guest-empty": "run --dir folder:: f.wasm",
    "dir-is-a-device": "run --dir /dev/null::/in f.wasm",
    "dir-with-one-colon": "run --dir folder:/in f.wasm",
    "dir-read-write": "run --dir folder:rw f.wasm",
    "dir-in-capitals": "run --dir folder:RO f.wasm",
    "dir-twice": "run --dir folder::/in --dir .::/in/ f.wasm",
    "env-not-set": "run --env MISSING f.wasm",
    "env-without-name": "run --env =value f.wasm",
    "env-empty": "run --env= f.wasm",
    "env-file-missing": "run --env-file missing f.wasm",
    "env-file-is-a-folder": "run --env-file folder f.wasm",
    "env-file-malformed": "run --env-file malformed f.wasm",
    "env-file-with-open-quote": "run --env-file unquoted f.wasm",
    "workdir-empty": "run --workdir= f.wasm",
    "target-elsewhere": "run --target aarch64-linux f.wasm",
    "profile-nowhere": "run --profile= f.wasm",
    "format-unknown": "run --format yaml f.wasm",
}

COMMANDS = {
    "command-unknown": "rnu",
    "command-unknown-and-like-none": "xyzzy",
    "command-unknown-in-a-group": "config explian",
    "option-unknown": "version --fromat json",
    "option-unknown-and-like-none": "version --xyzzy",
    "option-without-value": "version --format",
    "option-of-wrong-value": "version --format yaml",
    "argument-missing": "completions",
    "argument-of-wrong-value": "completions tcsh",
    "argument-too-many": "version now",
}

FILES = {
    "setting-unknown": "memroy = '1GiB'",
    "setting-unknown-and-like-none": "\nxyzzy = 1",
    "setting-in-a-table": "[limits]\nmemory = '1GiB'",
    "setting-of-wrong-type": "memory = 1.5",
    "setting-of-wrong-value": "memory = '1XB'",
    "switch-of-wrong-type": "quiet = [true]",
    "switch-of-wrong-value": "quiet = 'perhaps'",
    "not-toml": "memory: 1GiB",
    "grant": "dir = '/'",
    "grant-of-variables": "env = ['HOME']",
    "precompiled": "precompiled = true",
}


@pytest.fixture
def furnished(wherry: Terminal) -> Terminal:
    """A terminal in a folder with something in it."""
    (wherry.folder / "folder").mkdir()
    (wherry.folder / "present").touch()
    (wherry.folder / "malformed").write_text("# comment\nA=1\n=2\n")
    (wherry.folder / "unquoted").write_text("A='1\n")
    return wherry


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in RUN.items()])
def test_run_is_refused(line: str, furnished: Terminal, snapshot: SnapshotAssertion) -> None:
    """What ``run`` cannot do is said with a hint, and with the code that Docker has for it."""
    typed = furnished(*line.split())
    assert typed.code in {125, 126, 127}
    assert str(typed) == snapshot


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in COMMANDS.items()])
def test_command_is_refused(line: str, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """What other commands cannot understand is said with a hint, and ends in 2."""
    typed = wherry(*line.split())
    assert typed.code == 2
    assert str(typed) == snapshot


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FILES.items()])
def test_file_is_refused(text: str, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """A settings file that makes no sense is refused with its line, by ``run`` and by ``config`` alike."""
    wherry.project(text)
    typed = wherry("config", "explain")
    assert typed.code == 2
    assert str(typed) == snapshot
    ran = wherry("run", "./f.wasm")
    assert (ran.code, ran.stderr) == (125, typed.stderr)


def test_project_names_no_cache(wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """A project's file may come from a stranger and does not choose where trusted code lies; the user may."""
    wherry.project("cache-dir = '/tmp/elsewhere'")
    assert str(wherry("config", "explain")) == snapshot
    wherry.project("")
    wherry.user("cache-dir = '/tmp/elsewhere'")
    assert wherry("config", "explain").code == 0


def test_user_file_grants_nothing(wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """Not even the user's own file grants anything: a grant is for one run."""
    wherry.user("dir = '.'")
    assert str(wherry("config", "explain")) == snapshot


@pytest.mark.parametrize("variable", ["WHERRY_MEMORY", "WHERRY_TIMEOUT", "WHERRY_QUIET", "WHERRY_FORMAT"])
def test_variable_is_refused(variable: str, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """A variable that makes no sense is named."""
    typed = wherry("run", "./f.wasm", **{variable: "perhaps"})
    assert typed.code == 125
    assert str(typed) == snapshot


def test_settings_that_cannot_be_read(wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """A folder where a file should be is an error, and not the same as no file."""
    (wherry.folder / ".wherry.toml").mkdir()
    assert str(wherry("run", "./f.wasm")) == snapshot


def test_debug_shows_the_trace(wherry: Terminal) -> None:
    """``--debug``, a variable or a setting adds where in Wherry the error came from; nothing else does."""
    assert "Traceback" not in wherry("run", "./missing.wasm", "--debug").stderr
    assert "Traceback" in wherry("run", "--debug", "./missing.wasm").stderr
    assert "Traceback" in wherry("./missing.wasm", WHERRY_DEBUG="1").stderr
    assert "Traceback" in wherry("completions", "--debug").stderr
    wherry.user("debug = true")
    assert "Traceback" in wherry("./missing.wasm").stderr
    assert "Traceback" not in wherry("./missing.wasm", WHERRY_DEBUG="0").stderr
