"""A package that uses another: its commands and files, where both come from, and what neither gets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import wherry
from tests.guests.build import c_command
from tests.terminals import Typed, typed

TOOLS = """[package]
name = "acme/tools"
version = "{version}"

[command.show]
component = "files.wasm"
args = ["read"]

[files]
"/words" = "words"

[[needs.dir]]
host = "."
guest = "/here"
why = "to show your files"
"""
APP = """[package]
name = "acme/app"
version = "1.0.0"

[command.app]
component = "files.wasm"
args = ["read"]

[command.put]
component = "files.wasm"
args = ["write"]

[needs]
env = [{ name = "HOME", why = "to find your settings" }]

[dependencies]
"acme/tools" = { path = "../tools", version = "^1", commands = ["show"], files = "/of/tools" }
"""
WORD = "/of/tools/words/word.txt"


@pytest.fixture(autouse=True)
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types in a folder with two projects; with ``answer`` on a terminal."""
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("WHERRY_BIN", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("hello.txt").write_text("hello\n")
    project("tools", TOOLS.format(version="1.0.0"), "first")
    project("app", APP, "mine")


def project(folder: str, text: str, word: str) -> None:
    """Writes a project with a component that is there already, and a file with one word."""
    (Path(folder) / "words").mkdir(parents=True, exist_ok=True)
    shutil.copy(c_command("files"), Path(folder) / "files.wasm")
    (Path(folder) / "words/word.txt").write_text(f"{word}\n")
    (Path(folder) / "wherry.toml").write_text(text)


def put(folder: str) -> None:
    """Packs a project into the store."""
    done = typed("pack", folder)
    assert done.code == 0, done


def loaded(version: str, word: str) -> None:
    """Packs and loads a version of the tools."""
    project("tools", TOOLS.format(version=version), word)
    put("tools")


def test_a_project_beside_another() -> None:
    """Its own command sees the files of the other; the other's command sees nothing of it."""
    assert typed("run", "--env", "HOME", "./app", WORD) == Typed(0, "first\n")
    assert typed("run", "--env", "HOME", "./app#app", "/words/word.txt").code == 1
    assert typed("run", "--dir", ".::/here:ro", "./app#show", "/words/word.txt") == Typed(0, "first\n")
    assert typed("run", "--dir", ".::/here:ro", "./app#show", WORD).code == 1
    project("tools", TOOLS.format(version="1.1.0"), "second")
    assert typed("run", "--env", "HOME", "./app", WORD) == Typed(0, "second\n")


def test_rights_are_each_package_s_own() -> None:
    """Agreeing to what a package asks is no agreement for those that it uses, nor the other way round."""
    loaded("1.0.0", "first")
    put("app")
    assert typed("run", "acme/app", WORD).code == 126
    assert typed("run", "acme/app", WORD, answer="y").code == 0
    assert typed("run", "acme/app", WORD) == Typed(0, "first\n")
    refused = typed("run", "acme/app#show", "/here/hello.txt")
    assert refused.code == 126
    assert "`acme/tools@1.0.0` asks for what nobody has agreed to:\n  read files in `.`" in refused.text
    assert "hint: wherry run --dir .::/here:ro 'acme/app#show'\n" in refused.text
    said = typed("run", "acme/app#show", "/here/hello.txt", answer="y")
    assert (said.code, "acme/tools@1.0.0 asks to\n" in said.text) == (0, True)
    assert typed("run", "acme/app#show", "/here/hello.txt") == Typed(0, "hello\n")
    # The very same package, by its own name.
    assert typed("run", "acme/tools", "/here/hello.txt") == Typed(0, "hello\n")
    assert typed("run", "acme/app", "/here/hello.txt").code == 1
    assert typed("permissions", "revoke", "acme/tools").code == 0
    assert typed("run", "acme/app#show", "/here/hello.txt").code == 126
    assert typed("run", "acme/app", WORD).code == 0


def test_files_of_another_package_are_read_only() -> None:
    """What can write elsewhere cannot write there, in a project neither."""
    put("tools")
    put("app")
    grants = ("--env", "HOME", "--dir", ".::/out")
    for target in ("acme/app#put", "./app#put"):
        assert typed("run", *grants, target, "/out/hello.txt", "changed").code == 0
        assert typed("run", *grants, target, WORD, "changed").code == 1
    assert Path("hello.txt").read_text() == "changed"
    assert typed("run", *grants, "acme/app", WORD) == Typed(0, "first\n")
    assert typed("verify-store").text == "2 whole, 0 damaged\n"


def test_from_python() -> None:
    """The same holds for ``wherry.run``: what it grants goes to the package that is run, and to no other."""
    loaded("1.0.0", "first")
    put("app")
    here = wherry.Policy(dirs=[".::/here:ro"])
    assert wherry.run("acme/app", WORD, policy=here, capture=True).stdout == b"first\n"
    assert wherry.run("acme/app#show", "/words/word.txt", policy=here, capture=True).stdout == b"first\n"
    assert wherry.run("acme/app#show", WORD, policy=here, capture=True).returncode == 1
    with pytest.raises(wherry.errors.GrantError, match=r"read files in `\.`"):
        wherry.run("acme/app#show", "/here/hello.txt")


def test_a_newer_version_is_used_at_once() -> None:
    """What is loaded counts although the run before took the short way; and a new version asks anew."""
    loaded("1.0.0", "first")
    put("app")
    typed("run", "acme/app", WORD, answer="y")
    typed("run", "acme/app#show", "/words/word.txt", answer="y")
    for _ in range(2):
        assert typed("run", "acme/app", WORD) == Typed(0, "first\n")
        assert typed("run", "acme/app#show", "/words/word.txt") == Typed(0, "first\n")
    loaded("1.1.0", "second")
    loaded("2.0.0", "third")
    assert typed("run", "acme/app", WORD) == Typed(0, "second\n")
    refused = typed("run", "acme/app#show", "/words/word.txt")
    assert (refused.code, "`acme/tools@1.1.0` asks" in refused.text) == (126, True)
    assert typed("remove", "acme/tools@1.1.0").code == 0
    assert typed("run", "acme/app", WORD) == Typed(0, "first\n")
    assert typed("run", "acme/app#show", "/words/word.txt") == Typed(0, "first\n")


def test_to_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The saved file brings along what is used: it runs there as it is, and after it was loaded."""
    loaded("1.0.0", "first")
    put("app")
    assert typed("save", "acme/app", "-o", "sent.tar").code == 0
    assert typed("save", "--alone", "acme/app", "-o", "alone.tar").code == 0
    shutil.rmtree("tools")
    monkeypatch.setenv("WHERRY_STORE", str(Path("there").absolute()))
    grant = ("--env", "HOME")
    missing = typed("run", *grant, "alone.tar", WORD)
    assert missing == Typed(
        125,
        "error: `acme/app@1.0.0` wants `acme/tools` ^1, and there is none\n\n"
        "hint: `wherry load FILE` brings `acme/tools` in\n",
    )
    assert typed("run", *grant, "sent.tar", WORD) == Typed(0, "first\n")
    assert typed("run", "--dir", ".::/here:ro", "sent.tar#show", "/here/hello.txt") == Typed(0, "hello\n")
    assert typed("load", "sent.tar").code == 0
    assert typed("run", *grant, "acme/app", WORD) == Typed(0, "first\n")
    assert typed("run", *grant, "alone.tar", WORD) == Typed(0, "first\n")
    refused = typed("remove", "acme/tools")
    assert refused == Typed(
        2,
        "error: `acme/app@1.0.0` uses `acme/tools` ^1\n\n"
        "hint: nothing else that fits is here; `--force` removes it all the same\n",
    )
    assert typed("remove", "acme/tools", "acme/app").code == 0
    assert typed("load", "sent.tar").code == 0
    assert typed("remove", "--force", "acme/tools").code == 0
    checked = typed("verify-store")
    assert checked.code == 0
    assert "`acme/app@1.0.0` wants `acme/tools` ^1, and there is none" in checked.text
    assert typed("run", *grant, "acme/app", WORD).code == 125


def test_shown_and_installed() -> None:
    """The commands of the other package are among those of this one."""
    missing = "`acme/app@1.0.0` wants `acme/tools` ^1, and there is none"
    assert typed("pack", "app", "-o", "app.tar").code == 0
    assert typed("load", "app.tar").text.endswith(f"\nwarning: {missing}\n")
    assert typed("pack", "app").text.endswith(f"\nwarning: {missing}\n")
    assert missing in typed("show", "acme/app").text
    assert typed("install", "acme/app").code == 1
    loaded("1.0.0", "first")
    shown = typed("show", "acme/app").text
    assert "Offers:\n  command app\n  command put\n  command show, of acme/tools\n" in shown
    assert shown.endswith("Uses:\n  acme/tools@1.0.0 (^1)\n")
    (used,) = json.loads(typed("show", "acme/app", "--format", "json").text)["uses"]
    assert (used["name"], used["version"], used["digest"][:7]) == ("acme/tools", "1.0.0", "sha256:")
    assert typed("install", "acme/app").code == 0
    typed("run", "acme/app#show", "/here/hello.txt", answer="y")
    done = subprocess.run(["bin/show", "/here/hello.txt"], check=False, capture_output=True)
    assert done.stdout == b"hello\n"
    assert typed("run", "acme/app#nobody").code == 127
    assert "its commands are: `app`, `put`, `show`" in typed("run", "acme/app#nobody").text


def test_what_the_other_package_has_not() -> None:
    """A command or files that a newer version has no more are missed by name."""
    put("app")
    poor = TOOLS.format(version="1.2.0").replace("command.show", "command.view")
    project("tools", poor, "first")
    put("tools")
    missed = typed("run", "acme/app#show")
    assert missed.code == 127
    assert "`acme/tools@1.2.0` has no command `show`, which `acme/app@1.0.0` uses" in missed.text
    project("tools", poor.replace('[files]\n"/words" = "words"\n', "").replace("1.2.0", "1.3.0"), "first")
    put("tools")
    missed = typed("run", "--env", "HOME", "acme/app")
    assert "`acme/tools@1.3.0` has no files, which `acme/app@1.0.0` uses" in missed.text


def test_tests_of_a_project() -> None:
    """They find commands of both, and grant the other package nothing that nobody agreed to."""
    (Path("app") / "tests").mkdir()
    session = f"$ app {WORD}\nfirst\n\n$ show /here/wherry.toml\n[package]\n...\n"
    (Path("app") / "tests/app.console").write_text(session)
    refused = typed("test", "app")
    assert "1 passed, 1 failed\n" in refused.text
    assert "`acme/tools@1.0.0` asks for what nobody has agreed to" in refused.text
    os.chdir("app")
    typed("run", ".#show", "/here/wherry.toml", answer="y")
    os.chdir("..")
    assert typed("test", "app") == Typed(0, "2 passed, 0 failed\n")


def test_a_folder_alone_is_not_packed() -> None:
    """Nobody else has the folder."""
    project("app", APP.replace('version = "^1", ', ""), "mine")
    assert typed("run", "--env", "HOME", "./app", WORD).code == 0
    refused = typed("pack", "app", "-o", "app.tar")
    assert refused == Typed(
        1,
        "error: `acme/tools` is used from `../tools`, which nobody else has\n\n"
        "hint: say in `[dependencies]` which version of `acme/tools` fits: "
        '`version = "…"` beside `path`\n',
    )
    project("app", APP.replace("^1", "^2"), "mine")
    unfit = typed("run", "--env", "HOME", "./app", WORD)
    assert unfit.code == 125
    assert "wants `acme/tools` ^2 in `../tools`, and there is 1.0.0 in `tools`\n" in unfit.text
