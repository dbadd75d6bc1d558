"""Packages get what somebody agreed to, once for each digest, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guests.build import c_command
from tests.terminals import DEADLINE, QUESTION, WHERRY, Typed, on_terminal, read_until, shown, typed

MANIFEST = """[package]
name = "{name}"
version = "{version}"

[command.cat]
component = "files.wasm"
args = ["read"]

[needs]
dir = [{{ host = ".", guest = "/here", why = "to show your files" }}]
"""
OPTIONAL = MANIFEST.replace('why = "to show', 'optional = true, why = "to show')
CTRL_C, CTRL_D = "\x03", "\x04"
MORE = 'env = [{ name = "HOME", why = "to find your settings" }]\n'


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types in a folder with a file and packages in a store of its own; with ``answer`` on a terminal."""
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    Path("hello.txt").write_text("hello\n")

    for name, version, more in [
        ("acme/cat", "1.0.0", ""),
        ("acme/cat", "1.1.0", MORE),
        ("other/cat", "1.0.0", ""),
    ]:
        folder = Path(f"{name.replace('/', '-')}-{version}")
        folder.mkdir()
        shutil.copy(c_command("files"), folder / "files.wasm")
        (folder / "wherry.toml").write_text(MANIFEST.format(name=name, version=version) + more)
        assert typed("pack", str(folder), "-o", f"{folder}.tar").code == 0
        assert typed("load", f"{folder}.tar").code == 0


def test_without_a_terminal() -> None:
    """It is refused, and the command that is printed works when pasted."""
    refused = typed("run", "acme/cat@1.0.0", "/here/hello.txt")
    assert refused.code == 126
    assert "read files in `.`, which it calls /here: to show your files\n" in refused.text
    command = refused.text.rpartition("hint: ")[2].split()
    assert typed(*command[1:], "/here/hello.txt") == Typed(0, "hello\n")
    # Having typed it once is no agreement.
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt").code == 126


def test_asked_once() -> None:
    """What was agreed to holds without a terminal too, and for this package alone."""
    question = (
        "acme/cat@1.0.0 asks to\n"
        "  read files in `.`, which it calls /here: to show your files\n"
        "Allow it? [y/N] "
    )
    said = typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    assert said.code == 0
    assert question in said.text
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt") == Typed(0, "hello\n")
    assert typed("run", "other/cat", "/here/hello.txt").code == 126
    assert typed("run", "acme/cat", "/here/hello.txt").code == 126


@pytest.mark.parametrize("answer", ["n", "", "no", "yess"])
def test_no_is_no(answer: str) -> None:
    """Nothing runs, and the next run asks again."""
    said = typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer=answer)
    assert said.code == 126
    assert "\nhello\n" not in said.text
    assert "Allow it?" in typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="n").text


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 126)], ids=["Ctrl-C", "Ctrl-D"])
def test_no_answer_is_no(key: str, code: int) -> None:
    """Whoever goes away instead of answering has agreed to nothing."""
    said = typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer=key)
    assert said.code == code
    assert "\nhello\n" not in said.text
    assert typed("permissions", "list") == Typed(0, "")


def test_what_was_typed_before_the_question_is_no_answer() -> None:
    """Neither keys that were pressed while nothing was asked, nor a pipe with many a yes."""
    with on_terminal("run", "acme/cat@1.0.0", "/here/hello.txt") as (process, terminal):
        os.write(terminal, b"y\nyes\n")
        read_until(terminal, QUESTION)
        os.write(terminal, b"\n")
        while shown(terminal):
            pass
        assert process.wait(DEADLINE) == 126
    piped = [*WHERRY, "run", "acme/cat@1.0.0", "/here/hello.txt"]
    assert subprocess.run(piped, check=False, input=b"y\n", capture_output=True).returncode == 126
    assert typed("permissions", "list") == Typed(0, "")


def pack_and_load(name: str, version: str, why: str) -> None:
    """One more package, with reasons of its own."""
    folder = Path(f"{name.replace('/', '-')}-{version}-more")
    folder.mkdir()
    shutil.copy(c_command("files"), folder / "files.wasm")
    text = MANIFEST.format(name=name, version=version).replace("to show your files", why)
    (folder / "wherry.toml").write_text(text)
    assert typed("pack", str(folder), "-o", f"{folder}.tar").code == 0
    assert typed("load", f"{folder}.tar").code == 0


def test_another_package_under_the_same_name() -> None:
    """It has the name and version that were agreed to, and is another: it is asked for anew."""
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt") == Typed(0, "hello\n")
    pack_and_load("acme/cat", "1.0.0", "to show them otherwise")
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt").code == 126


def test_a_label_that_leads_elsewhere() -> None:
    """What the label led to was allowed; what it leads to now is not, until someone agrees."""
    typed("tag", "acme/cat@1.0.0", "acme/cat@mine")
    typed("run", "acme/cat@mine", "/here/hello.txt", answer="y")
    assert typed("run", "acme/cat@mine", "/here/hello.txt") == Typed(0, "hello\n")
    typed("tag", "other/cat", "acme/cat@mine")
    assert typed("run", "acme/cat@mine", "/here/hello.txt").code == 126


def test_a_long_reason_is_one_line() -> None:
    """No row of spaces lets it look as if it ended and something else began."""
    pack_and_load("acme/long", "1.0.0", f"to read.{' ' * 80}It asks for nothing else.")
    said = typed("run", "acme/long", "/here/hello.txt", answer="n")
    assert (
        "  read files in `.`, which it calls /here: to read. It asks for nothing else.\nAllow it?"
        in said.text
    )


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_store_that_others_write(mode: int) -> None:
    """What stands there of agreements may be somebody else's: it counts for nothing, and that is said."""
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt") == Typed(0, "hello\n")
    Path("store").chmod(mode)
    refused = typed("run", "acme/cat@1.0.0", "/here/hello.txt")
    assert refused.code == 126
    assert "others can write to `" in refused.text
    agreed = typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    assert agreed.text.endswith("hello\n")
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt").code == 126
    Path("store").chmod(0o755)
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt") == Typed(0, "hello\n")


def test_an_index_of_somebody_else() -> None:
    """Neither a link to one that others write, nor bytes that are none."""
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    Path("store/index.db").rename("elsewhere.db")
    Path("elsewhere.db").chmod(0o666)
    Path("store/index.db").symlink_to(Path("elsewhere.db").absolute())
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt").code == 126
    Path("store/index.db").unlink()
    Path("store/index.db").write_bytes(b"no database" * 100)
    damaged = typed("run", "acme/cat@1.0.0", "/here/hello.txt")
    assert damaged.code != 0
    assert "index.db` is damaged" in damaged.text
    assert "hint: " in damaged.text


def test_the_next_version_asks_for_more() -> None:
    """What is new is told apart, and until someone agrees there is nothing of it."""
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    refused = typed("run", "acme/cat", "/here/hello.txt", answer="n")
    assert refused.code == 126
    assert (
        "acme/cat@1.1.0 asks for what 1.0.0 was allowed:\n"
        "  read files in `.`, which it calls /here: to show your files\n"
        "now also:\n"
        "  read the variable HOME: to find your settings\n"
    ) in refused.text
    assert typed("run", "acme/cat", "/here/hello.txt", answer="y").code == 0
    assert typed("run", "acme/cat", "/here/hello.txt").text == "hello\n"


def test_taken_back() -> None:
    """The next run asks again."""
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    listed = typed("permissions", "list")
    assert listed.text.startswith("acme/cat@1.0.0 (sha256:")
    assert listed.text.endswith("agreed now\n  --dir .::/here:ro\n")
    assert typed("permissions", "revoke", "acme/cat").code == 0
    assert typed("run", "acme/cat@1.0.0", "/here/hello.txt").code == 126
    assert typed("permissions", "revoke", "acme/cat").code == 1


def test_a_policy_says_all() -> None:
    """Who hands in a policy is not asked, and the package gets that and no more."""
    Path("policy.toml").write_text('dir = [".::/here:ro"]\n')
    allowed = typed("run", "--policy", "policy.toml", "acme/cat@1.0.0", "/here/hello.txt")
    Path("policy.toml").write_text("")
    refused = typed("run", "--policy", "policy.toml", "acme/cat@1.0.0", "/here/hello.txt")
    assert (allowed, refused.code) == (Typed(0, "hello\n"), 1)


def test_a_packed_file() -> None:
    """It is asked for the same way, by its digest, whatever the file is called."""
    assert typed("run", "acme-cat-1.0.0.tar", "/here/hello.txt").code == 126
    typed("run", "acme/cat@1.0.0", "/here/hello.txt", answer="y")
    shutil.copy("acme-cat-1.0.0.tar", "copy.tar")
    assert typed("run", "copy.tar", "/here/hello.txt") == Typed(0, "hello\n")


def test_what_a_package_does_without() -> None:
    """Where nobody can be asked it runs without that; who is at a terminal later is asked all the same."""
    folder = Path("optional")
    folder.mkdir()
    shutil.copy(c_command("files"), folder / "files.wasm")
    (folder / "wherry.toml").write_text(OPTIONAL.format(name="acme/modest", version="1.0.0"))
    assert typed("pack", "optional", "-o", "optional.tar").code == 0
    assert typed("load", "optional.tar").code == 0
    assert typed("run", "acme/modest", "/here/hello.txt").code == 1
    said = typed("run", "acme/modest", "/here/hello.txt", answer="y")
    assert "which it calls /here (optional): to show your files\nAllow it? [y/N] " in said.text
    assert said.code == 0
    assert typed("run", "acme/modest", "/here/hello.txt") == Typed(0, "hello\n")
