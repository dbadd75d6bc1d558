"""Every example works as it stands: in README, in the documentation and in docstrings.

Python is run, console sessions are typed: each line after ``$`` goes to a shell, and what it prints must be
what stands below it; ``...`` stands for anything. A document is run from top to bottom in one fresh folder.
What sets a machine up (``make demo``, ``pip install .``) is left to ``tests/e2e/test_install.py``.
"""

from __future__ import annotations

import doctest
import re
import shlex
import socket
import subprocess
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil import Example, Sybil
from sybil.document import Document, PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.markdown.codeblock import CodeBlockParser
from sybil.parsers.rest import DocTestParser
from sybil.parsers.rest import PythonCodeBlockParser as RestPythonCodeBlockParser

from tests.guests.build import http_application
from wherry.build.languages import LANGUAGES

if TYPE_CHECKING:
    from tests.conftest import Demo

ROOT = Path(__file__).parent.parent
SETUP = ("git clone ", "cd ", "make ", "pip install ", "python3 -m venv ", ". .venv/")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(path for path in (ROOT / "wherry").rglob("*.py") if ">>> " in path.read_text())
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def type_console(example: Example) -> None:
    """Type the commands of a console session and compare what they print."""
    type_session(example.parsed, f"{example.path}:{example.line}")


def type_session(session: str, where: str) -> None:
    """Type the commands of a session; what tools add in a line that begins with ``note:`` is left out."""
    for command, expected in commands(session):
        if command.startswith(SETUP):
            continue
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        printed = "".join(
            line for line in done.stdout.splitlines(keepends=True) if not line.startswith("note: ")
        )
        if not doctest.OutputChecker().check_output(expected, printed, OPTIONS):
            raise AssertionError(f"{where}: $ {command}\n\nexpected:\n{expected}\nprinted:\n{done.stdout}")


def commands(session: str) -> list[tuple[str, str]]:
    """The commands of a console session, each with what stands below it; ``>`` continues a command."""
    found: list[tuple[str, str]] = []
    for line in textwrap.dedent(session).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith("> "):
            command, _ = found[-1]
            found[-1] = (f"{command}\n{line[2:]}", "")
        elif found:
            command, expected = found[-1]
            found[-1] = (command, f"{expected}{line}\n")
    return found


def write_file(example: Example) -> None:
    """Save what begins with a comment that is the name of a file, as the page says above it."""
    named = re.match(r"(?:;;|//|#) (\S+\.(?:wat|wit|py))\n", example.parsed)
    if named:
        Path(named[1]).write_text(example.parsed)


MARKDOWN = Sybil(
    parsers=[
        CodeBlockParser("console", type_console),
        *(CodeBlockParser(language, write_file) for language in ("wat", "text", "py")),
        PythonCodeBlockParser(doctest_optionflags=OPTIONS),
        SkipParser(),
    ],
    document_types={".md": Document},
)
DOCSTRINGS = Sybil(
    parsers=[DocTestParser(optionflags=OPTIONS), RestPythonCodeBlockParser()],
    document_types={".py": PythonDocStringDocument},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Demo) -> Path:
    """A folder to type in, where ``make demo`` has been."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "demo").symlink_to(demo.folder)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "app.wasm").symlink_to(http_application("lean"))
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("folder")
def test_examples_of_pages_work(page: Path) -> None:
    """What a page tells a reader to type does what the page says."""
    for example in MARKDOWN.parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
@pytest.mark.usefixtures("folder")
def test_examples_of_docstrings_work(module: Path) -> None:
    """What a docstring shows is what happens."""
    for example in DOCSTRINGS.parse(module).examples():
        example.evaluate()


@pytest.mark.parametrize(
    "language",
    [name if name == "c" else pytest.param(name, marks=pytest.mark.slow) for name in LANGUAGES],
)
@pytest.mark.usefixtures("folder")
def test_the_first_package_is_made_alike_in_each_language(language: str) -> None:
    """In the first package of README another language may stand after ``--lang``, and all else stays."""
    _, _, section = (ROOT / "README.md").read_text().partition("\n## Your first package\n")
    session = section.partition("```console\n")[2].partition("```\n")[0]
    assert session.count(" --lang c\n") == 1
    assert session.count("\n") <= 25, "one screen"
    assert f"`{language}`" in section.partition("\n## ")[0]
    type_session(session.replace(" --lang c\n", f" --lang {language}\n"), f"README.md, in {language}")


@pytest.mark.parametrize(
    "language",
    [
        name if name == "c" else pytest.param(name, marks=pytest.mark.slow)
        for name, language in LANGUAGES.items()
        if "http" in language.kinds
    ],
)
def test_the_first_http_application_answers(
    language: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One terminal serves it, the other one asks; for Python as it stands, and so for the others."""
    # On a terminal it draws no progress either.
    (folder / ".curlrc").write_text("silent\n")
    monkeypatch.setenv("CURL_HOME", str(folder))
    _, _, section = (ROOT / "README.md").read_text().partition("\n## Your first HTTP application\n")
    section = section.partition("\n## ")[0]
    serving, asking = (part.partition("```\n")[0] for part in section.split("```text\n")[1:])
    assert f"`{language}`" in section or language == "python"
    assert serving.count(" --lang python ") == 1
    assert section.count("\n") <= 25, "one screen"
    # What else may listen on this machine is no part of the example.
    port = str(free_port(8080))
    serving, asking = (text.replace("8080", port) for text in (serving, asking))
    *made, (command, line) = commands(serving.replace(" --lang python ", f" --lang {language} "))
    for one, expected in made:
        type_session(f"$ {one}\n{expected}", f"README.md, in {language}")
    if port != "8080":
        command += f" --addr 127.0.0.1:{port}"
    with subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == line.rstrip("\n") + "\n"
            type_session(asking, f"README.md, in {language}")
        finally:
            server.terminate()


def free_port(wanted: int) -> int:
    """This port, or another one that nothing listens at."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise AssertionError


def test_readme_has_examples() -> None:
    """The runner finds console sessions and files to save: an empty list would pass all the rest."""
    evaluators = {example.region.evaluator for example in MARKDOWN.parse(ROOT / "README.md").examples()}
    assert {type_console, write_file} < evaluators
