"""What a newcomer types wrong: each time the error says what it was, and the hint what to do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import Terminal
from tests.guests.build import text

if TYPE_CHECKING:
    from pathlib import Path

NAMES = "`namespace/name` of small letters"
LANGUAGES = "`assemblyscript`, `typescript`"
MAKES = "`wherry new` makes a project with one"
PACKS = "`wherry pack` takes a project into the store, `wherry load` a packed file"
LISTS = "`wherry list` shows what there is"
LOOKS = "`./hello` is the f"

# What is typed, how it ends, and words of the error and of the hint.
WRONG: dict[str, tuple[int, str, str]] = {
    "new hello --lang c": (2, "`hello` is there already", "choose another name"),
    "new x --lang cobol": (2, "`cobol` is not one of", LANGUAGES),
    "new x": (2, "--lang is missing", LANGUAGES),
    "new --lang c": (2, "NAME is missing", "--help"),
    "new x --language c": (2, "no option `--language`", "`--lang`"),
    "new . --lang c": (2, "`.` is a folder", "`wherry new NAME --lang c --path .`"),
    "new My-App --lang c": (2, "is no name of a package", NAMES),
    "new a/b/c --lang c": (2, "is no name of a package", NAMES),
    "new my_app --lang c": (2, "is no name of a package", NAMES),
    "build empty": (1, "`empty/wherry.toml`: no such file or directory", MAKES),
    "test nowhere": (1, "no such file or directory", MAKES),
    "pack empty": (1, "no such file or directory", MAKES),
    "pack README.md": (1, "`README.md` is not WebAssembly: it looks like text", ""),
    "pack hello/hello.wat --name Bad": (2, "`Bad` is no name of a package", NAMES),
    "pack hello/hello.wat --version one": (2, "`one` is no version", "`1.2.0`"),
    "run": (125, "FILE is missing", "wherry run ./hello.wasm"),
    "run ./empty": (127, "no such file or directory", MAKES),
    "run nosuch/pkg": (127, "there is no package `nosuch/pkg`", LISTS),
    "run nosuch": (127, "`nosuch` is neither a path nor an installed package", "as `wherry list` has it"),
    "run hello": (127, "`hello` is neither a path nor an installed package", LOOKS),
    "run README.md": (127, "`README.md` is neither a path", "`./README.md` is the file"),
    "run ./README.md": (126, "is not WebAssembly: it looks like text", ""),
    "run local/hello@9": (127, "there is no package `local/hello@9`", "`local/hello@1.0.0`"),
    "run local/hello#other": (127, "has no command `other`", "its commands are: `hello`"),
    "run https://example.com/x.wasm": (127, "is an address", "download it first"),
    "load README.md": (1, "`README.md` is no packed package", "`wherry pack -o FILE` and `wherry save`"),
    "load hello": (2, "`hello` is a project, and no packed package", "`wherry pack hello`"),
    "load nowhere.tar": (1, "`nowhere.tar`: no such file or directory", ""),
    "install nosuch/pkg": (1, "there is no package `nosuch/pkg`", LISTS),
    "install hello": (2, "`hello` names no package", "`acme/hello`"),
    "install ./hello": (2, "is a file or folder", PACKS),
    "install hello.oci.tar": (2, "is a file or folder", PACKS),
    "uninstall local/hello": (1, "nothing of `local/hello` is installed", "`wherry install` lists"),
    "upgrade local/hello": (1, "nothing of `local/hello` is installed", "`wherry install` lists"),
    "tag local/hello stable": (2, "`stable` is no name with a label", "`local/hello@stable`"),
    "remove hello.oci.tar": (2, "is a file or folder", PACKS),
    "remove nosuch/pkg": (1, "there is no package `nosuch/pkg`", LISTS),
    "hello": (2, "there is no command `hello`", "`wherry --help`"),
    "prun": (2, "there is no command `prun`", "`prune`"),
}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A folder with a project, its packed file, a page and an empty folder; the project is in the store."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name in ("hello", "empty"):
        (folder / name).mkdir()
    (folder / "README.md").write_text("# Read me\n")
    (folder / "hello" / "hello.wat").write_bytes(text("hello").read_bytes())
    manifest = (
        '[package]\nname = "local/hello"\nversion = "1.0.0"\n\n[command.hello]\ncomponent = "hello.wat"\n'
    )
    (folder / "hello" / "wherry.toml").write_text(manifest)
    terminal = Terminal(folder)
    assert terminal("pack", "hello").code == 0
    assert terminal("pack", "hello", "-o", "hello.oci.tar").code == 0
    return terminal


@pytest.mark.parametrize("line", WRONG)
def test_what_is_typed_wrong_is_answered(line: str, newcomer: Terminal) -> None:
    """With an error and, wherever there is something to do, a hint; and never with a traceback."""
    code, error, hint = WRONG[line]
    typed = newcomer(*line.split(), WHERRY_BIN=str(newcomer.folder / "bin"))
    assert (typed.code, typed.stdout) == (code, ""), typed
    said, _, hinted = typed.stderr.partition("hint: ")
    assert said.startswith("error: ")
    assert error in said
    assert hint in hinted or (hint == LANGUAGES and hint in said)
    assert bool(hinted) == bool(hint)


def test_what_is_typed_right_works(newcomer: Terminal) -> None:
    """The same things said as the hints say: the table above is of what is wrong, not of what is broken."""
    for line in ("run ./hello", "run local/hello", "run hello.oci.tar", "run ./hello#hello"):
        assert (newcomer(*line.split()).stdout) == "hello\n", line


def test_a_file_of_any_name_is_packed(newcomer: Terminal) -> None:
    """Without `--name` the package is called like the file, as far as names allow."""
    (newcomer.folder / "My_Tool v2.wat").write_bytes(text("hello").read_bytes())
    assert newcomer("pack", "My_Tool v2.wat").stdout.startswith("local/my-tool-v2@0.1.0  ")
    assert newcomer("run", "local/my-tool-v2").stdout == "hello\n"


@pytest.mark.parametrize("said", ["js", "JavaScript", "javascript"])
def test_languages_have_the_names_that_people_use(said: str, wherry: Terminal) -> None:
    """As their files end, and in capitals."""
    assert wherry("new", "x", "--lang", said).code == 0
    assert 'language = "javascript"' in (wherry.folder / "x" / "wherry.toml").read_text()


def test_a_project_is_made_in_the_folder_that_one_stands_in(wherry: Terminal) -> None:
    """With `--path .`, and the folder is still the same one then."""
    before = wherry.folder.stat().st_ino
    assert wherry("new", "hello", "--lang", "c", "--path", ".").stdout == ".\n"
    assert wherry.folder.stat().st_ino == before
    assert sorted(path.name for path in wherry.folder.iterdir()) == [
        ".gitignore",
        "src",
        "tests",
        "wherry.toml",
    ]


def test_a_project_runs_from_the_folders_in_it(newcomer: Terminal) -> None:
    """As it builds from there."""
    (newcomer.folder / "hello" / "deep").mkdir()
    assert newcomer("run", "./hello/deep").stdout == "hello\n"


def test_a_name_that_was_not_the_last_goes_alone(newcomer: Terminal) -> None:
    """`remove` says what still leads to the package."""
    assert newcomer("tag", "local/hello", "local/hello@kept").code == 0
    typed = newcomer("remove", "local/hello")
    assert typed.stdout.splitlines() == [
        "local/hello: removed 0 packages, 0 bytes",
        "local/hello: its package is still called `local/hello@kept`",
    ]
    assert newcomer("pack", "hello").code == 0


def test_where_commands_go_is_put_on_the_path(newcomer: Terminal) -> None:
    """Installing where no shell looks warns each time, and not where one does."""
    bin_ = newcomer.folder / "bin"
    for _ in range(2):
        typed = newcomer("install", "local/hello", WHERRY_BIN=str(bin_))
        assert typed.code == 0
        assert f"`{newcomer.plain(str(bin_))}` is not on the PATH: `export PATH=" in typed.stderr
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    assert newcomer("install", "local/hello", WHERRY_BIN=str(bin_), PATH=path).stderr == ""
    assert newcomer("upgrade", "local/hello", WHERRY_BIN=str(bin_)).stdout == ""
    assert newcomer("uninstall", "local/hello", WHERRY_BIN=str(bin_)).code == 0


@pytest.mark.parametrize(
    ("language", "tool", "where"),
    [("rust", "cargo", "rustup.rs"), ("go", "go", "go.dev/dl"), ("javascript", "node", "nodejs.org")],
)
def test_a_tool_that_is_missing_is_named(
    language: str, tool: str, where: str, wherry: Terminal, tmp_path: Path
) -> None:
    """Running, packing and `doctor` say which, and where it is."""
    wherry("new", "x", "--lang", language)
    for word, code in (("run", 125), ("pack", 1)):
        typed = wherry(word, "./x", PATH=str(tmp_path))
        assert typed.code == code, typed
        assert f"error: `{tool}` is missing" in typed.stderr
        assert where in typed.stderr.partition("hint: ")[2]
    found = json.loads(wherry("doctor", "--format", "json", PATH=str(tmp_path)).stdout)["versions"]
    states = {one["subject"].partition(" ")[0]: one["state"] for one in found}
    assert states[tool] == "missing"
