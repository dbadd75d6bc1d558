"""``wherry policy``: explain and diff, and the policy that ``wherry run --policy`` reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command, python_stores, text

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Terminal

_WIDE = """
dir = ["data::/in:ro", "/", "/etc:ro"]
env = ["TOKEN=hunter2"]
allow-net = ["*:*", "*.com:443", "10.0.0.0/8:5432", "localhost:80", "db.example.com:5432"]
allow-http = ["GET https://api.example.com/v1"]
allow-listen = ["0.0.0.0:8080", "127.0.0.1:8081"]
allow-dns = true
config = ["mode=hunter2"]
kv = "store.db"
random = 7
memory = "1GiB"
timeout = "none"
max-transfer = "none"
"""


def policies(wherry: Terminal, **texts: str) -> None:
    """Write policies beside a folder ``data``."""
    (wherry.folder / "data").mkdir(exist_ok=True)
    for name, toml in texts.items():
        (wherry.folder / f"{name}.toml").write_text(toml)


class TestExplain:
    """What code may do here."""

    def test_time_and_chance(self, wherry: Terminal) -> None:
        """What a guest sees of them, and that a run repeats."""
        policies(
            wherry,
            host='clock = "host"\nrandom = "host"\n',
            none='clock = "none"\nrandom = "none"\n',
            own='clock = "0"\nrandom = 7\ndeterministic = true\n',
        )
        for name, said in (
            ("host", ["sees the clock of this machine", "sees the randomness of this machine"]),
            ("none", ["sees no clock", "sees no randomness"]),
            (
                "own",
                [
                    "sees a clock of its own: 1970-01-01T00:00:00Z+1us",
                    "gives the same on each run and machine",
                ],
            ),
        ):
            typed = wherry("policy", "explain", f"{name}.toml")
            assert typed.code == 0
            assert all(words in typed.stdout for words in said), typed

    def test_policy(self, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
        """Each grant in plain words, with a warning where it is wide, and no values."""
        policies(wherry, wide=_WIDE)
        typed = wherry("policy", "explain", "wide.toml")
        assert str(typed) == snapshot
        assert "hunter2" not in str(typed)

    def test_home(self, wherry: Terminal) -> None:
        """The home folder, and what it lies in, is a wide grant; a folder in it is not."""
        policies(wherry, home='dir = ["data"]')
        data = wherry.folder / "data"
        assert "home folder" in wherry("policy", "explain", "home.toml", HOME=str(data)).stdout
        assert (
            "home folder" in wherry("policy", "explain", "home.toml", HOME=str(data / "..") + "/data").stdout
        )
        assert "home folder" not in wherry("policy", "explain", "home.toml", HOME=str(wherry.folder)).stdout

    def test_program(self, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
        """What it asks for, what it gets, and the flag for more."""
        (wherry.folder / "files.wasm").write_bytes(c_command("files").read_bytes())
        assert str(wherry("policy", "explain", "files.wasm")) == snapshot

    def test_nothing(self, wherry: Terminal) -> None:
        """Neither asks nor grants anything."""
        policies(wherry, empty="")
        assert "reaches nothing but" in wherry("policy", "explain", "empty.toml").stdout
        assert "nothing: it only computes" in wherry("policy", "explain", text("add")).stdout

    def test_what_is_not_here_is_a_warning(self, wherry: Terminal) -> None:
        """A policy of another machine can be read."""
        policies(wherry, other='dir = ["missing"]\nsecret = ["NOT_SET_HERE"]')
        typed = wherry("policy", "explain", "other.toml")
        assert typed.code == 0
        assert "not here: there is no folder `missing`" in typed.stdout

    @pytest.mark.parametrize("name", ["wide.toml", "stores.wasm"])
    def test_json(self, wherry: Terminal, name: str) -> None:
        """One object, with the same words."""
        policies(wherry, wide=_WIDE)
        (wherry.folder / "stores.wasm").write_bytes(python_stores().read_bytes())
        found = json.loads(wherry("policy", "explain", "--format", "json", name).stdout)
        assert set(found) == {"name", "kind", "asks", "grants", "limits"}
        assert "hunter2" not in str(found)
        assert found["asks"] or {grant["flag"] for grant in found["grants"]} >= {"dir", "env", "allow-dns"}


class TestDiff:
    """What one grants or asks beyond the other."""

    @pytest.mark.parametrize(
        ("first", "second", "code", "lines"),
        [
            pytest.param(_WIDE, _WIDE, 0, [], id="same"),
            pytest.param('dir = ["."]', 'dir = ["data:ro"]', 0, ["- "], id="narrower"),
            pytest.param('dir = ["data:ro"]', 'dir = ["data"]', 1, ["+ reads, writes"], id="writes"),
            pytest.param("", "allow-dns = true", 1, ["+ looks up any name"], id="new"),
            pytest.param('memory = "1GiB"', 'memory = "2GiB"', 1, ["+ has a higher limit"], id="limit"),
            pytest.param(
                'allow-net = ["*.example.com:443"]',
                'allow-net = ["a.example.com:443", "b.example.org:443"]',
                1,
                ["- connects to any host below", "+ connects to b.example.org, port 443"],
                id="covered",
            ),
        ],
    )
    def test_policies(self, wherry: Terminal, first: str, second: str, code: int, lines: list[str]) -> None:
        """What is covered by a wider grant is not beyond it; the code is 1 when the second goes beyond."""
        policies(wherry, a=first, b=second)
        typed = wherry("policy", "diff", "a.toml", "b.toml")
        found = typed.stdout.splitlines()
        assert (typed.code, len(found)) == (code, len(lines)), typed
        assert all(one.startswith(start) for one, start in zip(found, lines, strict=True)), typed

    def test_program_beyond_a_policy(self, wherry: Terminal) -> None:
        """What it asks for and the policy does not grant; with the grant, nothing."""
        policies(wherry, none="", files='dir = ["data"]')
        guest = c_command("files")
        typed = wherry("policy", "diff", "none.toml", guest)
        assert (typed.code, "+ reads and writes files" in typed.stdout) == (1, True)
        assert "files" not in wherry("policy", "diff", "files.toml", guest).stdout


class TestRun:
    """``--policy``."""

    def test_it_grants_what_it_says(self, wherry: Terminal) -> None:
        """Beside a flag that adds to it; without it nothing is granted."""
        (wherry.folder / "below").mkdir()
        (wherry.folder / "below" / "p.toml").write_text('config = ["a=1", "b=2"]\nkv = "store.db"')
        words = ("get", "a", "get", "b", "get", "c", "put", "k", "v")
        assert wherry("run", python_stores(), *words[:6]).stdout == "None\n" * 3
        typed = wherry(
            "run", "--config", "c=3", "--policy", "below/p.toml", "--config=b=4", python_stores(), *words
        )
        assert typed.stdout == "1\n4\n3\nNone\n", typed
        assert (wherry.folder / "below" / "store.db").exists()

    def test_what_is_wrong_in_it_is_named(self, wherry: Terminal, snapshot: SnapshotAssertion) -> None:
        """With line, column and what was meant."""
        policies(wherry, bad='memory = "1GiB"\n\nallow-dn = true\n')
        assert str(wherry("run", "--policy", "bad.toml", text("hello"))) == snapshot
