"""Projects and packed files are run by one word: what ``wherry run .``, ``pack`` and ``test`` do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.build.projects import make
from tests.guests.build import text
from wherry import api

if TYPE_CHECKING:
    from pathlib import Path


_OTHER = r"""#include <stdio.h>

int main(int argc, char **argv) {
  FILE *in = fopen("/etc/words/word.txt", "r");
  char word[20] = {0};
  if (in == NULL || fgets(word, sizeof word, in) == NULL) return 5;
  printf("%s%d %s\n", word, argc - 1, argv[1]);
  return 0;
}
"""
_SESSIONS = """$ greeter Ada
Hello, Bob!

$ greeter Ada
Hello, ...!

$ greeter < wherry.toml
Hello, World!
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package in C with two commands, a library and a file."""
    folder = make(tmp_path_factory.mktemp("launch"), "c", "command")
    manifest = folder / "wherry.toml"
    (folder / "other").mkdir()
    (folder / "other" / "main.c").write_text(_OTHER)
    (folder / "words").mkdir()
    (folder / "words" / "word.txt").write_text("word\n")
    text = manifest.read_text()
    text += '\n[command.other]\nsource = "other"\nargs = ["first"]\n\n[files]\n"/etc/words" = "words"\n'
    manifest.write_text(text)
    return folder


def wherry(folder: Path, *words: str) -> tuple[int, str, str]:
    """What comes of a command line that is typed in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "wherry", *words], check=False, cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_a_project_runs_by_its_folder(project: Path) -> None:
    """It is built when need be; the command named like the package is the main one, ``#`` names another."""
    assert wherry(project, "run", ".", "Ada") == (0, "Hello, Ada!\n", "")
    assert wherry(project, ".", "Ada") == (0, "Hello, Ada!\n", "")
    assert wherry(project.parent, "run", "./greeter#other", "x") == (0, "word\n2 first\n", "")
    code, _, said = wherry(project, "run", ".#nobody")
    assert code == 127
    assert "`.` has no command `nobody`" in said
    assert "`greeter`, `other`" in said


def test_a_path_that_is_no_name_of_a_package_needs_no_mark(project: Path, tmp_path: Path) -> None:
    """Three parts are a folder; two are a package, even where a folder is called so."""
    shutil.copytree(project, tmp_path / "some" / "deep" / "greeter")
    assert wherry(tmp_path, "run", "some/deep/greeter", "Ada") == (0, "Hello, Ada!\n", "")
    code, _, said = wherry(tmp_path / "some", "run", "deep/greeter")
    assert code != 0
    assert "hint: `./deep/greeter` is the file of that name" in said


def test_grants_stand_before_the_project(project: Path) -> None:
    """Flags of ``run`` hold for projects, and what follows the folder is the program's."""
    assert (
        wherry(project, "run", "--env", "A=b", "--timeout", "60s", "--", ".", "--help")[1]
        == "Hello, --help!\n"
    )


def test_a_packed_package_runs_as_the_project_does(project: Path, tmp_path: Path) -> None:
    """The file holds all: commands, their arguments, files; packed again it has the same digest."""
    code, said, _ = wherry(project, "pack", "-o", str(tmp_path / "x.oci.tar"))
    assert code == 0
    digest = said.split()[1]
    assert wherry(tmp_path, "run", "x.oci.tar", "Ada") == (0, "Hello, Ada!\n", "")
    assert wherry(tmp_path, "run", "x.oci.tar#other", "x") == (0, "word\n2 first\n", "")
    assert wherry(project, "pack", "-o", str(tmp_path / "y.oci.tar"))[1].split()[1] == digest
    assert (tmp_path / "x.oci.tar").read_bytes() == (tmp_path / "y.oci.tar").read_bytes()


def test_a_component_is_packed_without_source(project: Path, tmp_path: Path) -> None:
    """``pack FILE`` makes a package of one component."""
    wherry(project, "build")
    component = str(project / "build" / "greeter.wasm")
    packing = ("pack", component, "--name", "acme/hi", "--version", "2.0.0", "-o", "hi.oci.tar")
    code, said, _ = wherry(tmp_path, *packing)
    assert (code, said.split()[0]) == (0, "hi.oci.tar")
    assert wherry(tmp_path, "run", "hi.oci.tar", "Ada") == (0, "Hello, Ada!\n", "")


def test_a_broken_packed_file_is_refused(project: Path, tmp_path: Path) -> None:
    """A file that was cut does not run, and the whole one beside it does."""
    wherry(project, "pack", "-o", str(tmp_path / "x.oci.tar"))
    data = (tmp_path / "x.oci.tar").read_bytes()
    (tmp_path / "cut.oci.tar").write_bytes(data[: len(data) // 2])
    assert wherry(tmp_path, "run", "cut.oci.tar")[0] == 126
    assert wherry(tmp_path, "run", "x.oci.tar")[0] == 0


def test_a_library_says_how_it_is_called(tmp_path: Path) -> None:
    """``run`` of a library names ``--invoke``, which calls it."""
    folder = make(tmp_path, "c", "library")
    code, _, said = wherry(folder, "run", ".")
    assert code == 125
    assert "`wherry run --invoke 'FUNCTION(ARGS)' .` calls a function of it" in said
    assert wherry(folder, "run", "--invoke", 'greet("Ada")', ".") == (0, '"Hello, Ada!"\n', "")


def test_what_does_not_build_does_not_run(tmp_path: Path) -> None:
    """``run .`` shows the compiler's words and ends with 125; ``build`` with 1."""
    folder = make(tmp_path, "c", "command")
    (folder / "src" / "main.c").write_text("int main(void) { return x; }\n")
    for word, expected in (("run", 125), ("build", 1), ("test", 1), ("pack", 1)):
        code, out, said = wherry(folder, word, ".")
        assert (code, out) == (expected, ""), word
        assert said.startswith("src/main.c:1:25: error: use of undeclared identifier 'x'\n")


def test_a_test_that_fails_says_what_was_printed(tmp_path: Path) -> None:
    """Expected and printed stand below file and line; exit codes count, and so does input."""
    folder = make(tmp_path, "c", "command")
    (folder / "tests" / "greeter.console").write_text(_SESSIONS)
    code, out, said = wherry(folder, "test")
    assert (code, out) == (1, "2 passed, 1 failed\n")
    assert "tests/greeter.console:1: `greeter Ada` did not print what is expected" in said
    assert "  expected:\n    Hello, Bob!\n  printed:\n    Hello, Ada!\n" in said
    source = folder / "src" / "main.c"
    source.write_text(source.read_text().replace("return 0;", "return 2;"))
    (folder / "tests" / "greeter.console").write_text(
        "$ greeter\nHello, World!\n[exit 2]\n\n$ greeter\nHello, World!\n"
    )
    code, out, _ = wherry(folder, "test")
    assert (code, out) == (1, "1 passed, 1 failed\n")


def test_what_a_package_needs_its_tests_get(tmp_path: Path) -> None:
    """Tests are granted what ``[needs]`` ask for, and nothing else."""
    folder = make(tmp_path, "c", "command")
    source = '#include <stdio.h>\n\nint main(void) {\n  return fopen("/data/x.txt", "r") == NULL;\n}\n'
    (folder / "src" / "main.c").write_text(source)
    (folder / "data").mkdir()
    (folder / "data" / "x.txt").write_text("")
    (folder / "tests" / "greeter.console").write_text("$ greeter\n")
    assert wherry(folder, "test")[0] == 1
    manifest = folder / "wherry.toml"
    need = '\n[[needs.dir]]\nguest = "/data"\nhost = "data"\nwhy = "to read"\n'
    manifest.write_text(manifest.read_text() + need)
    assert wherry(folder, "test")[0] == 0


def test_tests_get_whatever_has_a_name(tmp_path: Path) -> None:
    """A variable may be called as what stands in help for what only the user can say."""
    folder = make(tmp_path, "c", "command")
    source = '#include <stdlib.h>\n\nint main(void) {\n  return getenv("PATH") == NULL;\n}\n'
    (folder / "src" / "main.c").write_text(source)
    (folder / "tests" / "greeter.console").write_text("$ greeter\n")
    manifest = folder / "wherry.toml"
    needs = '\n[[needs.env]]\nname = "PATH"\nwhy = "it"\n\n[[needs.dir]]\nguest = "/data"\nwhy = "it"\n'
    manifest.write_text(manifest.read_text() + needs)
    assert wherry(folder, "test") == (0, "1 passed, 0 failed\n", "")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A project without source: its manifest names a module in the text format, and where it starts."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "tool.wat").write_bytes(text("unnamed").read_bytes())
    manifest = (
        '[package]\nname = "acme/tool"\nversion = "1.0.0"\n\n[command.tool]\ncomponent = "tool.wat"\n\n'
    )
    manifest += '[command.other]\ncomponent = "tool.wat"\nentry = "other"\n'
    (folder / "wherry.toml").write_text(manifest)
    return folder


def test_a_command_starts_where_its_manifest_says(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder, from the packed file, by name, and in tests; here it is in the text format."""
    monkeypatch.setenv("WHERRY_STORE", str(texts.parent / "store"))
    assert wherry(texts, "pack", "-o", "tool.tar")[0] == 0
    assert wherry(texts, "load", "tool.tar")[0] == 0
    for place in (".", "./tool.tar", "acme/tool"):
        assert wherry(texts, "run", place)[0] == 7
        assert wherry(texts, "run", f"{place}#other")[0] == 8
    monkeypatch.chdir(texts)
    for place in (".", "./tool.tar", "acme/tool"):
        assert api.run(place, capture=True).returncode == 7
        assert api.run(f"{place}#other", capture=True).returncode == 8
    (texts / "tests").mkdir()
    (texts / "tests" / "x.console").write_text("$ tool\n[exit 7]\n\n$ other\n[exit 8]\n")
    assert wherry(texts, "test") == (0, "2 passed, 0 failed\n", "")


def test_a_source_that_is_webassembly_already_is_no_source(texts: Path) -> None:
    """The error says which key takes it."""
    manifest = texts / "wherry.toml"
    manifest.write_text(manifest.read_text().replace("component =", "source ="))
    code, _, said = wherry(texts, "build")
    assert code == 1
    assert "tool.wat` is WebAssembly already" in said
    assert '`component = "tool.wat"` in place of `source` takes it' in said


def test_tests_see_the_files_of_the_package(project: Path, tmp_path: Path) -> None:
    """Commands under test have the files and arguments that they have when they are run."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    (folder / "tests" / "greeter.console").write_text("$ other x\nword\n2 first\n")
    assert wherry(folder, "test") == (0, "1 passed, 0 failed\n", "")


def test_what_a_test_writes_builds_nothing(tmp_path: Path) -> None:
    """Commands under test stay the ones that were built, whatever they do to the project's files."""
    folder = make(tmp_path, "c", "command")
    source = (
        '#include <stdio.h>\n\nint main(void) {\n  return fputs("wrong", fopen("/src/main.c", "w")) < 0;\n}\n'
    )
    (folder / "src" / "main.c").write_text(source)
    manifest = folder / "wherry.toml"
    need = '\n[[needs.dir]]\nguest = "/src"\nhost = "src"\nwrite = true\nwhy = "to write"\n'
    manifest.write_text(manifest.read_text() + need)
    (folder / "tests" / "greeter.console").write_text("$ greeter\n\n$ greeter\n")
    assert wherry(folder, "test") == (0, "2 passed, 0 failed\n", "")
    assert (folder / "src" / "main.c").read_text() == "wrong"
