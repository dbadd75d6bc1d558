"""How errors, hints and warnings are written."""

from __future__ import annotations

import pytest

from wherry import errors
from wherry.cli import output


@pytest.fixture
def failed() -> errors.WherryError:
    """An error with a hint."""
    return errors.GrantError("there is no folder `data`", hint="make it first")


def test_hint_follows_after_a_blank_line(
    failed: errors.WherryError, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message, a blank line, the hint; nothing on stdout."""
    output.report(failed)
    assert capsys.readouterr() == ("", "error: there is no folder `data`\n\nhint: make it first\n")


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        pytest.param({"NO_COLOR": "", "FORCE_COLOR": ""}, False, id="no-terminal"),
        pytest.param({"NO_COLOR": "", "FORCE_COLOR": "1"}, True, id="forced"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, id="refused-and-forced"),
    ],
)
def test_colour_is_the_users_choice(
    variables: dict[str, str],
    *,
    coloured: bool,
    failed: errors.WherryError,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``NO_COLOR`` comes before ``FORCE_COLOR``, and that before what stderr is."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    output.report(failed)
    assert ("\x1b[" in capsys.readouterr().err) is coloured


def test_stack_of_the_guest_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A trap shows the guest's stack, innermost first, with as much as the guest tells of each function."""
    trap = errors.Trap("the guest divided by zero")
    trap.frames = (
        ("divide", "maths", "maths.c", 12),
        ("main", "maths", None, None),
        (None, None, None, None),
    )
    output.report(trap)
    assert capsys.readouterr().err.splitlines() == [
        "error: the guest divided by zero",
        "  at divide (maths.c:12)",
        "  at main in maths",
        "  at (no name)",
    ]


def test_deep_stack_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack of thousands of functions does not scroll the message away."""
    trap = errors.Trap("endless")
    trap.frames = (("f", None, None, None),) * 5000
    output.report(trap)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 34
    assert lines[-1] == "  and 4968 more"


@pytest.mark.parametrize(
    ("error", "running", "code"),
    [
        pytest.param(errors.UsageError("x"), True, 125, id="run-usage"),
        pytest.param(errors.UsageError("x"), False, 2, id="usage"),
        pytest.param(errors.NotFoundError("x"), True, 127, id="run-not-found"),
        pytest.param(errors.NotFoundError("x"), False, 1, id="not-found"),
        pytest.param(errors.TimeLimitError("x"), True, 124, id="run-time"),
        pytest.param(errors.MemoryLimitError("x"), True, 137, id="run-memory"),
        pytest.param(RuntimeError("x"), True, 125, id="run-fault"),
        pytest.param(RuntimeError("x"), False, 70, id="fault"),
        pytest.param(KeyboardInterrupt(), True, 130, id="run-ctrl-c"),
        pytest.param(KeyboardInterrupt(), False, 130, id="ctrl-c"),
    ],
)
def test_exit_codes(error: BaseException, *, running: bool, code: int) -> None:
    """``run`` has the codes of Docker and of the shell; other commands have 1, 2 and 70."""
    assert output.fail(error, debug=False, running=running) == code


def test_fault_of_ours_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that nobody foresaw is called a fault of Wherry, without a traceback."""
    output.fail(RuntimeError("the moon is full"), debug=False, running=False)
    message = capsys.readouterr().err
    assert message.startswith("error: a fault in Wherry: RuntimeError: the moon is full\n\nhint: ")
    assert "Traceback" not in message


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_progress_is_for_terminals(
    *, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal one line tells how compiling goes and then disappears; elsewhere nothing is written."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    output.progress("compiling", 2.4)
    output.progress("compiling", None)
    written = "\r\x1b[2Kcompiling, 2 s\r\x1b[2K" if terminal else ""
    assert capsys.readouterr().err == written


def test_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning goes to stderr, as a line of its own."""
    output.warn("nothing is cached")
    assert capsys.readouterr() == ("", "warning: nothing is cached\n")
