"""``wherry serve`` asks for what a package wants, as ``run`` does, and opens a browser when told to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command
from tests.requesting import request
from tests.terminals import DEADLINE, QUESTION, WHERRY, on_terminal, read_until, typed
from wherry import GrantError, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    const char *greeting = getenv("GREETING"), *more = getenv("MORE");
    printf("Content-Type: text/plain\\n\\n%s %s", greeting ? greeting : "-", more ? more : "-");
    return 0;
}
"""
MANIFEST = """[package]
name = "acme/greet"
version = "{version}"

[command.greet]
component = "greet.wasm"

[http]
command = "greet"

[needs]
env = [{{ name = "GREETING", why = "to greet with it" }}]
"""
ANYWHERE = "127.0.0.1:0"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in a store of its own, whose command tells two variables."""
    monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("GREETING", "hello")
    monkeypatch.chdir(tmp_path)
    Path("greet.c").write_text(PROGRAM)
    Path("greet").mkdir()
    shutil.copy(c_command("greet", source=Path("greet.c")), "greet/greet.wasm")
    load("1.0.0")


def load(version: str, needs: str = "") -> None:
    """Put a version of it into the store."""
    Path("greet/wherry.toml").write_text(MANIFEST.format(version=version) + needs)
    assert typed("pack", "greet", "-o", "greet.tar").code == 0
    assert typed("load", "greet.tar").code == 0


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """``wherry serve`` with these words, where nobody can be asked; with its URL."""
    command = [*WHERRY, "serve", *words, "--addr", ANYWHERE]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def agree(*words: str, answer: bytes = b"y\n", until: bytes = b"serving `") -> str:
    """What is shown on a terminal where a person answers."""
    with on_terminal("serve", *words, "--addr", ANYWHERE) as (_, terminal):
        seen = read_until(terminal, QUESTION)
        os.write(terminal, answer)
        return (seen + read_until(terminal, until)).decode().replace("\r\n", "\n")


def test_without_a_terminal_it_is_refused() -> None:
    """Nothing listens, and the command that is printed serves it, with no agreement for later."""
    refused = typed("serve", "acme/greet", "--addr", ANYWHERE)
    assert refused.code == 1
    assert "read the variable GREETING: to greet with it\n" in refused.text
    hint = refused.text.rpartition("hint: ")[2].split()
    assert hint == ["wherry", "serve", "--env", "GREETING", "acme/greet"]
    with serving(*hint[2:]) as url:
        assert request(url).text == "hello -"
    with pytest.raises(GrantError, match="nobody has agreed to") as caught:
        edge.serve("acme/greet", address=ANYWHERE)
    assert "`wherry serve acme/greet` asks on a terminal" in str(caught.value.hint)


def test_it_is_asked_once_for_each_digest() -> None:
    """What was agreed to holds without a terminal and in Python, beside flags, and for no other version."""
    assert "acme/greet@1.0.0 asks to\n  read the variable GREETING" in agree("acme/greet")
    with serving("acme/greet", "--env", "MORE=more") as url:
        assert request(url).text == "hello more"
    with edge.serve("acme/greet", address=ANYWHERE) as server:
        assert request(server.url).text == "hello -"
        load("1.1.0")
        with pytest.raises(GrantError):
            server.reload()
        assert request(server.url).text == "hello -"
    assert typed("serve", "acme/greet", "--addr", ANYWHERE).code == 1


def test_no_is_no() -> None:
    """Nothing is served, and nothing remembered."""
    agree("acme/greet", answer=b"n\n", until=b"was not allowed what it asks for")
    assert typed("permissions", "list").text == ""


def test_flags_answer_and_the_rest_is_asked_for() -> None:
    """What is typed is not asked; a policy file says all."""
    load("1.1.0", '[needs.limits]\nmemory = "64MiB"\n')
    said = agree("acme/greet", "--env", "GREETING=typed")
    assert "use memory up to 64MiB" in said
    assert "GREETING" not in said
    Path("policy.toml").write_text('env = ["MORE=policy"]\n')
    with serving("acme/greet", "--policy", "policy.toml") as url:
        assert request(url).text == "- policy"


def test_applications_of_a_configuration_are_asked_for() -> None:
    """Unless their policy is there; the hint names the file."""
    Path("edge.toml").write_text('[[application]]\ntarget = "acme/greet"\n')
    refused = typed("serve", "edge.toml", "--addr", ANYWHERE)
    assert refused.code == 1
    assert "hint: `wherry serve acme/greet` asks on a terminal; `policy` in `edge.toml` says" in refused.text
    agree("edge.toml")
    with serving("edge.toml") as url:
        assert request(url).text == "hello -"


def test_a_browser_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given the URL, which answers by then."""
    Path("browser.py").write_text(
        "import sys, urllib.request\n"
        "answer = urllib.request.urlopen(sys.argv[1]).read().decode()\n"
        "open('seen.part', 'w').write(f'{sys.argv[1]} {answer}')\n"
        "__import__('os').rename('seen.part', 'seen')\n"
    )
    monkeypatch.setenv("BROWSER", f"{sys.executable} {Path('browser.py').absolute()} %s")
    with serving("greet.tar", "--env", "GREETING=seen", "--open") as url:
        deadline = time.monotonic() + DEADLINE
        while not Path("seen").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert Path("seen").read_text() == f"{url} seen -"
