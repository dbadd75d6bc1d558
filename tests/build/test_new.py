"""``wherry new`` makes projects that build and run as they are, whatever the language and kind."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import SLOW, TEMPLATED, make
from wherry.artifact.reading import read_manifest
from wherry.build.builder import build
from wherry.build.languages import LANGUAGES
from wherry.build.new import new_project
from wherry.build.testing import run_tests

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

MOST_LINES = 60
MODULES = {("assemblyscript", "command"), ("go", "command")}
"""What stays a core module, as the table in the documentation says."""
ALL = [
    pytest.param(*one, id="-".join(one), marks=[pytest.mark.slow] if one in SLOW else []) for one in TEMPLATED
]


@pytest.mark.parametrize(("language", "kind"), ALL)
def test_a_new_project_works(language: Language, kind: Kind, tmp_path: Path) -> None:
    """As a new user would: build it, run its tests, run it or call it from Python."""
    folder = make(tmp_path, language, kind, name="first-try")
    (built,) = build(folder)
    assert built.fresh
    outcomes = list(run_tests(folder))
    assert outcomes
    assert [outcome.printed for outcome in outcomes if not outcome.passed] == []
    if kind == "command":
        done = wherry.run(built.path, "Ada", capture=True)
        assert (done.returncode, done.stdout) == (0, b"Hello, Ada!\n")
    elif kind == "library":
        with wherry.load(built.path).instantiate() as instance:
            assert instance.greet("Ægir") == "Hello, Ægir!"
    (again,) = build(folder)
    assert (again.fresh, again.path) == (False, built.path)
    fits = wherry.inspect(built.path)
    assert fits.form == ("module" if (language, kind) in MODULES else "component")
    assert fits.fits(kind)


@pytest.mark.parametrize(("language", "kind"), [pytest.param(*one, id="-".join(one)) for one in TEMPLATED])
def test_a_new_project_is_small(language: Language, kind: Kind, tmp_path: Path) -> None:
    """The whole project, with test and interface, is under 60 lines, and no line is long."""
    folder = make(tmp_path, language, kind)
    texts = [
        path.read_text() for path in folder.rglob("*") if path.is_file() and path.name != "package-lock.json"
    ]
    assert sum(len(text.splitlines()) for text in texts) < MOST_LINES
    assert all(len(line) <= 100 for text in texts for line in text.splitlines())
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in texts)
    assert not any(re.search(r"@\w+@", path.read_text()) for path in folder.rglob("src/*"))


@pytest.mark.parametrize(("language", "kind"), [pytest.param(*one, id="-".join(one)) for one in TEMPLATED])
def test_a_new_project_has_no_word_of_the_template(language: Language, kind: Kind, tmp_path: Path) -> None:
    """A package can be named like a keyword of WIT, and no file or text keeps a placeholder."""
    folder = make(tmp_path, language, kind, name="record")
    manifest = read_manifest(folder)
    assert (manifest.reference, next(manifest.places())[0]) == (
        "acme/record@0.1.0",
        "command.record" if kind == "command" else kind,
    )
    assert list(folder.rglob("*@*")) == []


FORMATTERS: dict[str, list[str]] = {
    "c": ["clang-format", "--dry-run", "--Werror"],
    "cpp": ["clang-format", "--dry-run", "--Werror"],
    "rust": ["rustfmt", "--check", "--edition", "2024"],
    "python": ["ruff", "format", "--check", "--line-length", "88", "--isolated"],
    "go": ["gofmt", "-d"],
}
"""What says that a source is formatted: ends with 1, or prints what it would change, if it is not."""


@pytest.mark.parametrize(
    ("language", "kind"), [pytest.param(*one, id="-".join(one)) for one in TEMPLATED if one[0] in FORMATTERS]
)
def test_sources_are_formatted_by_the_formatter_of_the_language(
    language: Language, kind: Kind, tmp_path: Path
) -> None:
    """The formatter of the language has nothing to change in what is made."""
    folder = make(tmp_path, language, kind)
    suffixes = {*LANGUAGES[language].suffixes}
    files = [path for path in folder.rglob("*") if path.suffix in suffixes]
    assert files
    program = shutil.which(FORMATTERS[language][0])
    assert program is not None, f"`{FORMATTERS[language][0]}` is missing: pip install -r requirements/dev.txt"
    command = [program, *FORMATTERS[language][1:], *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout if language == "go" else "") == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Hello", "is no name of a package"),
        ("a/b/c", "is no name of a package"),
        ("../up", "is no name of a package"),
        ('x"\nevil = "', "is no name of a package"),
        ("", "is no name of a package"),
    ],
)
def test_what_is_no_name_is_refused(name: str, why: str, tmp_path: Path) -> None:
    """A name that no package can have makes no project, and nothing is left behind."""
    with pytest.raises(wherry.UsageError, match=why):
        new_project(name, "c", "library", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_a_language_has_not_is_refused(tmp_path: Path) -> None:
    """The refusal names the languages that have it, and nothing is left behind."""
    with pytest.raises(wherry.UsageError, match="no `--kind http` for AssemblyScript yet"):
        new_project("hello", "assemblyscript", "http", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """A folder with anything in it stays as it is; an empty one is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(wherry.UsageError, match="is there already"):
        make(tmp_path, "c", "command", name="full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert (make(tmp_path, "c", "command", name="empty") / "wherry.toml").is_file()
