"""Python guests: dependencies, what is captured when they are built, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import make
from wherry.build import python
from wherry.build.builder import build

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.build.project import Kind

_USES = """import sys
from datetime import datetime

STARTED = [len(sys.modules) > 0]
STARTED.append(print("captured", file=sys.stderr))


def main() -> None:
    import json
    from humanize import intcomma

    print(intcomma(1234567), json.dumps(STARTED), datetime.strptime("2026", "%Y").year)
"""


@pytest.mark.slow
def test_dependencies_and_late_imports_are_there(tmp_path: Path) -> None:
    """A wheel of pure Python goes in, with what functions import; start-up happened before."""
    folder = make(tmp_path, "python", "command")
    project = folder / "pyproject.toml"
    project.write_text(
        project.read_text().replace("dependencies = []", 'dependencies = ["humanize==4.12.3"]')
    )
    (folder / "src" / "greeter.py").write_text(_USES)
    (built,) = build(folder)
    assert "has another digest each time it is built" in built.said
    done = wherry.run(built.path, capture=True, timeout=120)
    assert (done.stdout, done.stderr) == (b"1,234,567 [true, null] 2026\n", b"")


@pytest.mark.slow
def test_a_program_without_main_runs_as_one(tmp_path: Path) -> None:
    """A script does its work when it is run, not when it is built; its exit code is carried whole."""
    folder = make(tmp_path, "python", "command")
    script = "import sys\n\nprint(__name__, len(sys.argv))\nraise SystemExit(9)\n"
    (folder / "src" / "greeter.py").write_text(script)
    (built,) = build(folder)
    assert "__main__" not in built.said
    done = wherry.run(built.path, "a", capture=True, timeout=120)
    assert (done.returncode, done.stdout) == (9, b"__main__ 2\n")


def test_native_code_is_named(tmp_path: Path) -> None:
    """A dependency that has no wheel of pure Python is refused by its name."""
    folder = make(tmp_path, "python", "command")
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("dependencies = []", 'dependencies = ["uvloop==0.21.0"]'))
    with pytest.raises(wherry.BuildError, match=r"`uvloop==0\.21\.0` has no wheel of pure Python"):
        build(folder)


_INNER = 'def inner(name):\n    raise ValueError(f"no {name}")\n\n\n'
_RAISES: dict[Kind, str] = {
    "command": f"{_INNER}def main():\n    inner('Ada')\n",
    "library": f"{_INNER}\nclass WitWorld:\n    def greet(self, name):\n        return inner(name)\n",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "flags", "code", "line"),
    [("command", [], 1, 2), ("library", ["--invoke", 'greet("Ada")'], 134, 2)],
)
def test_exceptions_name_the_user_s_files_and_lines(
    kind: Kind, flags: list[str], code: int, line: int, tmp_path: Path
) -> None:
    """Who calls sees a traceback on standard error, with names as the user has them, and nothing of ours."""
    folder = make(tmp_path, "python", kind)
    (folder / "src" / "greeter.py").write_text(_RAISES[kind])
    (built,) = build(folder)
    command = [sys.executable, "-m", "wherry", "run", *flags, str(built.path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code
    shown = f'  File "src/greeter.py", line {line}, in inner\n    raise ValueError(f"no {{name}}")\n'
    assert f"{shown}ValueError: no Ada\n" in done.stderr
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "src/greeter.py", line ')
    assert not (folder / "src" / "__pycache__").exists()


@pytest.mark.slow
def test_an_error_in_a_module_is_shown_with_its_line(tmp_path: Path) -> None:
    """A traceback at build time names the file as the user does."""
    folder = make(tmp_path, "python", "library")
    (folder / "src" / "greeter.py").write_text("import wit_world\n\nWORD = 1 / 0\n")
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    begins = (
        'Traceback (most recent call last):\n  File "src/greeter.py", line 3, in <module>\n    WORD = 1 / 0\n'
    )
    assert raised.value.output.startswith(begins)
    assert raised.value.output.endswith("\nZeroDivisionError: division by zero\n")


@pytest.mark.slow
def test_a_name_that_python_cannot_have_is_said(tmp_path: Path) -> None:
    """A parameter called `self` is refused before anything is compiled."""
    folder = make(tmp_path, "python", "library")
    wit = folder / "wit" / "greeter.wit"
    wit.write_text(wit.read_text().replace("name: string", "self: string"))
    with pytest.raises(
        wherry.BuildError, match="a name that Python has no form for: duplicate argument 'self'"
    ):
        build(folder)


_TOOL = 'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\nAssertionError: '
_TRAPPED = """

Caused by:
    0: error while executing at wasm backtrace:
           0: 0x1b5f4 - libc.so!abort
    1: wasm trap: call stack exhausted
"""
_RAISED = """Traceback (most recent call last):
  File "/0/wherry_guest.py", line 7, in _read
    return ast.parse()
           ~~~^^
  File "/python/ast.py", line 46, in parse
    return compile(
        flags)
  File "src/x.py", line 1
    x = [
        ^
SyntaxError: never closed


Caused by:
    SyntaxError: never closed (x.py, line 1)
"""
_SHOWN = """Traceback (most recent call last):
  File "src/x.py", line 1
    x = [
        ^
SyntaxError: never closed
"""


@pytest.mark.parametrize(
    ("said", "message", "output"),
    [
        ("as it says\n", "compiling x failed", "as it says\n"),
        (f"{_TOOL}no world\n", "compiling x failed: no world", ""),
        (
            f"{_TOOL}no world\n\nCaused by:\n    it has none\n",
            "compiling x failed: no world: it has none",
            "",
        ),
        (f"told\n{_TOOL}{_TRAPPED}", "compiling x failed: wasm trap: call stack exhausted", "told\n"),
        (f"{_TOOL}{_RAISED}", "compiling x failed", _SHOWN),
    ],
    ids=["other", "message", "cause", "trap", "traceback"],
)
def test_what_the_tool_says_is_never_lost(said: str, message: str, output: str) -> None:
    """A traceback of the guest is shown; without one the reason is in the message, and what to do."""
    failed = wherry.BuildError("compiling x failed")
    failed.output = said
    found = python._explained(failed, [])
    assert (found.message, found.output) == (message, output)
    assert (found.hint is not None) == ("wasm trap" in message)


def test_a_name_of_python_s_own_is_no_name_of_a_module(tmp_path: Path) -> None:
    """A new project has another one; a module that has it would be loaded in place of Python's."""
    folder = make(tmp_path, "python", "command", "site")
    assert (folder / "src" / "main.py").exists()
    (folder / "src" / "main.py").rename(folder / "src" / "site.py")
    with pytest.raises(
        wherry.BuildError, match=r"`site` in .* has the name of one of Python's own modules"
    ) as caught:
        build(folder)
    assert "main.py" in str(caught.value.hint)
