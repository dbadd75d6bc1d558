"""A secret is known to the guest that asks for it, and appears nowhere else; nor does what was not named."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.cli.conftest import Terminal
from tests.guests.build import c_command, python_command, python_stores, text

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "c2VjcmV0LXZhbHVl"


# Policies in which somebody wrote the value, where no value belongs or what is no TOML.
MISTAKES = {
    "empty": "",
    "p": f'secret = ["TOKEN={VALUE}"]',
    "open": f'secret = ["TOKEN={VALUE}"',
    "bare": f"secret = [TOKEN={VALUE}]",
    "table": f'[secret]\nTOKEN = "{VALUE}"\n',
    "key": f'secrets = ["TOKEN={VALUE}"]',
    "twice": f'secret = ["TOKEN={VALUE}"]\nsecret = ["TOKEN={VALUE}"]\n',
    "env": f'env = ["={VALUE}"]',
}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A folder with the secret in a file."""
    (tmp_path / "token").write_text(f"{VALUE}\n")
    return Terminal(tmp_path)


def everything(terminal: Terminal, *words: str | Path) -> str:
    """All that a command line prints and writes, the secret's own file left out."""
    typed = terminal(*words, TOKEN=VALUE)
    files = [path for path in terminal.folder.rglob("*") if path.is_file() and path.name != "token"]
    written = "".join(path.read_bytes().decode(errors="replace") for path in files)
    return f"{typed}\n{written}"


class TestSecret:
    """``--secret``."""

    def test_the_guest_gets_it(self, terminal: Terminal) -> None:
        """The control: from a variable and from a file, and what a guest prints is its own affair."""
        words = (
            "run",
            "--secret",
            "TOKEN",
            "--secret",
            "OTHER@token",
            python_stores(),
            "get",
            "TOKEN",
            "get",
            "OTHER",
        )
        assert terminal(*words, TOKEN=VALUE).stdout == f"{VALUE}\n{VALUE}\n"

    @pytest.mark.parametrize("secret", ["TOKEN", "TOKEN@token"])
    @pytest.mark.parametrize(
        "flags",
        [
            pytest.param(("--debug",), id="debug"),
            pytest.param(("--audit", "audit.jsonl", "--debug"), id="audit"),
            pytest.param(("--learn", "learned.toml", "--allow-all"), id="learn"),
            pytest.param(("--memory", "1KiB"), id="limit"),
        ],
    )
    def test_nothing_that_is_printed_or_written_holds_it(
        self, terminal: Terminal, flags: tuple[str, ...], secret: str
    ) -> None:
        """A guest that reads it and crashes leaves its name at most."""
        found = everything(
            terminal, "run", "--secret", secret, *flags, python_stores(), "know", "TOKEN", "crash"
        )
        assert VALUE not in found
        assert "exit code 0" not in found

    @pytest.mark.parametrize("secret", ["TOKEN", "TOKEN@token"])
    @pytest.mark.parametrize(
        "flags",
        [
            pytest.param(("--debug",), id="debug"),
            pytest.param(("--profile", "profile.json"), id="profile"),
            pytest.param(("--deterministic", "--receipt", "receipt.json"), id="receipt"),
            pytest.param(("--audit", "audit.jsonl"), id="audit"),
            pytest.param(("--learn", "learned.toml", "--allow-all"), id="learn"),
            pytest.param(("--cache-dir", "cache"), id="cache"),
        ],
    )
    def test_nothing_that_is_written_of_a_crash_holds_it(
        self, terminal: Terminal, flags: tuple[str, ...], secret: str
    ) -> None:
        """A guest that traps with the secret in its memory; each file that was asked for is there."""
        found = everything(terminal, "run", "--secret", secret, *flags, text("knowing"))
        assert "the guest trapped" in found
        assert VALUE not in found
        written = [word for word in flags if word == "cache" or "." in word]
        assert all((terminal.folder / name).exists() for name in written)

    @pytest.mark.skipif(os.name == "nt", reason="files have no modes there")
    def test_a_core_dump_says_that_it_holds_it(self, terminal: Terminal) -> None:
        """It is a picture of the guest's memory: for its owner alone, and named as what it is."""
        (terminal.folder / "core").write_text("an older one, open to all")
        (terminal.folder / "core").chmod(0o644)
        words = ("run", "--secret", "TOKEN", "--coredump", "core", text("knowing"))
        typed = terminal(*words, TOKEN=VALUE)
        assert "holds a core dump of the guest, and what it knew of its secrets: TOKEN" in typed.stderr
        assert VALUE not in str(typed)
        core = terminal.folder / "core"
        assert VALUE.encode() in core.read_bytes()
        assert core.stat().st_mode & 0o777 == 0o600
        plain = terminal("run", "--coredump", "core", c_command("trap"))
        assert "holds a core dump of the guest" in plain.stderr
        assert "secrets" not in plain.stderr

    def test_an_audit_names_it(self, terminal: Terminal) -> None:
        """By its name, as read."""
        terminal("run", "--secret", "TOKEN@token", "--audit", "a", python_stores(), "know", "TOKEN")
        lines = [json.loads(line) for line in (terminal.folder / "a").read_text().splitlines()]
        assert any(line.get("subject") == "secret" and line.get("target") == "TOKEN" for line in lines), lines

    @pytest.mark.parametrize(
        "words",
        [
            pytest.param(("run", "--secret", f"TOKEN={VALUE}"), id="typed-by-mistake"),
            pytest.param(("run", "--secret", VALUE), id="for-its-name"),
            pytest.param(("run", "--policy", "p.toml"), id="in-a-policy"),
            pytest.param(("policy", "explain", "p.toml"), id="explain-mistake"),
            pytest.param(("policy", "explain", "fine.toml"), id="explain"),
            pytest.param(("policy", "diff", "empty.toml", "fine.toml"), id="diff"),
            pytest.param(("policy", "explain", "open.toml"), id="not-closed"),
            pytest.param(("policy", "explain", "bare.toml"), id="not-quoted"),
            pytest.param(("policy", "explain", "table.toml"), id="table"),
            pytest.param(("policy", "explain", "key.toml"), id="wrong-key"),
            pytest.param(("policy", "explain", "twice.toml"), id="twice"),
            pytest.param(("policy", "explain", "env.toml"), id="variable"),
            pytest.param(("run", "--policy", "open.toml"), id="run-not-closed"),
            pytest.param(("run", "--env", f"={VALUE}"), id="variable-typed"),
            pytest.param(("run", "--config", f"={VALUE}"), id="configuration-typed"),
            pytest.param(
                ("run", "--deterministic", "--receipt", "missing/r.json", "--secret", "TOKEN"),
                id="no-receipt",
            ),
            pytest.param(("inspect",), id="inspect"),
            pytest.param(("config", "explain"), id="config"),
        ],
    )
    def test_errors_do_not_hold_it(self, terminal: Terminal, words: tuple[str, ...]) -> None:
        """Not even where it was typed in the wrong place."""
        (terminal.folder / "fine.toml").write_text('secret = ["TOKEN@token", "TOKEN2@token"]')
        for name, written in MISTAKES.items():
            (terminal.folder / f"{name}.toml").write_text(written)
        typed = terminal(
            *words, *([c_command("hello")] if words[0] in ("run", "inspect") else []), TOKEN=VALUE
        )
        assert VALUE not in str(typed)

    def test_python_does_not_show_it(self) -> None:
        """Neither the policy nor what comes of a run."""
        policy = wherry.Policy(secrets={"TOKEN": VALUE})
        done = wherry.run(python_stores(), "know", "TOKEN", "get", "nothing", policy=policy, capture=True)
        assert done.stdout == f"{len(VALUE)}\nNone\n".encode()
        with pytest.raises(wherry.Trap) as crashed:
            wherry.run(python_stores(), "know", "TOKEN", "crash", policy=policy, capture=True)
        shown = [policy, done, done.denials, crashed.value, vars(crashed.value)]
        assert not any(VALUE in f"{one!r}{one}" for one in shown)

    @pytest.mark.parametrize("name", MISTAKES)
    def test_python_s_errors_do_not_hold_it(self, name: str, tmp_path: Path) -> None:
        """A policy that cannot be read, or cannot be made."""
        path = tmp_path / "policy.toml"
        path.write_text(MISTAKES[name])
        if name != "empty":
            with pytest.raises(wherry.UsageError) as read:
                wherry.Policy.from_toml(path)
            assert VALUE not in f"{read.value!r}{read.value}"
        for secrets in ([f"TOKEN={VALUE}"], {"TOK@N": VALUE}, {"": VALUE}, [VALUE]):
            with pytest.raises(wherry.WherryError) as made:
                wherry.Policy(secrets=secrets)
            assert VALUE not in f"{made.value!r}{made.value}"


class TestEnvironment:
    """Variables and arguments: what is named, and nothing of the host."""

    @pytest.mark.parametrize("limits", [(), ("--fuel", "none")])
    def test_a_module_sees_what_is_named(self, terminal: Terminal, limits: tuple[str, ...]) -> None:
        """The name of the file without its path, the arguments, the variables that were granted."""
        typed = terminal(
            "run", "--env", "A=1", "--env", "COPIED", *limits, c_command("environment"), "x y", "", COPIED="2"
        )
        assert typed.stdout == "environment.wasm\nx y\n\n\nA=1\nCOPIED=2\n"

    @pytest.mark.parametrize("name", ["command_02", "command_03"])
    def test_a_component_sees_what_is_named(self, terminal: Terminal, name: str) -> None:
        """A variable of the host is not there unless it is named."""
        unnamed = terminal("run", python_command(name), "a", GREETING="of the host")
        assert unnamed.stdout == "arguments: a\nGREETING: not granted\n"
        named = terminal("run", "--env", "GREETING", python_command(name), "a", GREETING="of the host")
        assert named.stdout == "arguments: a\nGREETING: of the host\n"

    def test_python_passes_nothing_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor its standard input."""
        monkeypatch.setenv("OF_THE_HOST", VALUE)
        done = wherry.run(c_command("environment"), capture=True)
        assert done.stdout == b"environment.wasm\n\n"
        assert wherry.run(c_command("cat"), capture=True).stdout == b""

    @pytest.mark.parametrize("guest", ["environment", "command_02", "command_03"])
    def test_reading_is_noted(self, terminal: Terminal, guest: str) -> None:
        """By name, in each generation of WASI, and without the value."""
        program = c_command(guest) if guest == "environment" else python_command(guest)
        terminal("run", "--env", f"GREETING={VALUE}", "--audit", "a", program)
        text = (terminal.folder / "a").read_text()
        assert VALUE not in text
        lines = [json.loads(line) for line in text.splitlines()]
        assert any(line.get("subject") == "env" and line.get("target") == "GREETING" for line in lines), lines

    def test_the_current_folder_is_not_told(self, terminal: Terminal) -> None:
        """Neither by a variable nor by the name of the program."""
        (terminal.folder / "e.wasm").write_bytes(c_command("environment").read_bytes())
        typed = terminal("run", os.fspath(terminal.folder / "e.wasm"))
        assert typed.stdout == "e.wasm\n\n"
