"""What commands in each language can do is what the table in ``docs/build.md`` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import SLOW, TEMPLATED, make
from wherry.build.builder import build

if TYPE_CHECKING:
    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

SOURCES = Path(__file__).parent / "reach"
COMMANDS: dict[Language, tuple[str, str]] = {
    "c": ("command.c", "src/main.c"),
    "cpp": ("command.cpp", "src/main.cpp"),
    "go": ("command.go", "main.go"),
    "javascript": ("command.js", "src/greeter.js"),
    "typescript": ("command.ts", "src/greeter.ts"),
    "python": ("command.py", "src/greeter.py"),
    "rust": ("command.rs", "src/main.rs"),
}
"""For each language the source that does all of it, and where that stands in a project."""


NOT_REPRODUCIBLE = {"javascript", "python", "typescript"}
"""Languages whose interpreter has random numbers in its state; the output of a build says so."""


def test_every_language_is_looked_at() -> None:
    """Each language with commands has a source here."""
    assert {*COMMANDS, "assemblyscript"} == {language for language, kind in TEMPLATED if kind == "command"}


@pytest.mark.parametrize(
    "language",
    [pytest.param(one, marks=[pytest.mark.slow] if (one, "command") in SLOW else []) for one in COMMANDS],
)
def test_commands_reach_files_variables_input_and_exit_codes(language: Language, tmp_path: Path) -> None:
    """Files are read and written where granted, variables and input arrive, exit codes are whole."""
    source, place = COMMANDS[language]
    folder = make(tmp_path, language, "command")
    (folder / place).write_text((SOURCES / source).read_text())
    (built,) = build(folder)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("world\n")
    words, greeting = ("/data/in.txt", "/data/out.txt"), {"GREETING": "Ahoy"}
    dirs = [(tmp_path / "data", "/data")]
    done = wherry.run(built.path, *words, stdin=b"one\ntwo\n", capture=True, dirs=dirs, env=greeting)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"ONE\nTWO\n", b"")
    assert (tmp_path / "data" / "out.txt").read_text() == "Ahoy, world\n"
    refused = wherry.run(built.path, *words, capture=True, env=greeting)
    assert (refused.returncode, refused.stdout) == (3, b"")
    assert b"cannot copy" in refused.stderr


@pytest.mark.parametrize(
    ("language", "kind"),
    [
        pytest.param(*one, id="-".join(one), marks=[] if one[0] == "c" else [pytest.mark.slow])
        for one in TEMPLATED
        if one[0] not in NOT_REPRODUCIBLE
    ],
)
def test_the_same_source_gives_the_same_bytes(language: Language, kind: Kind, tmp_path: Path) -> None:
    """Two folders, one digest: no path, time or user comes into a component."""
    one, two = (make(tmp_path / name, language, kind) for name in ("one", "elsewhere"))
    (first,), (second,) = build(one), build(two)
    assert first.path.read_bytes() == second.path.read_bytes()


@pytest.mark.slow
def test_what_is_not_reproducible_is_said(tmp_path: Path) -> None:
    """A build of a language that gives another digest each time says so."""
    (built,) = build(make(tmp_path, "javascript", "library"))
    assert "note: `greeter` has another digest each time it is built" in built.said


def test_assemblyscript_reaches_variables_and_exit_codes(tmp_path: Path) -> None:
    """It has no files; the rest arrives, and errors of its compiler name the user's file."""
    folder = make(tmp_path, "assemblyscript", "command")
    source = folder / "src" / "greeter.ts"
    source.write_text(
        'console.log(process.env.get("GREETING"));\nprocess.stderr.write(process.argv[1]);\nprocess.exit(7);\n'
    )
    (built,) = build(folder)
    done = wherry.run(built.path, "word", env={"GREETING": "Ahoy"}, capture=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"Ahoy\n", b"word")
    source.write_text('const wrong: i32 = "text";\n')
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert "in src/greeter.ts(1,20)" in raised.value.output
