"""``wherry run`` behaves as a native program: in pipes, with redirections, on a terminal, under Ctrl-C."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command, python_command, text
from tests.terminals import DEADLINE, WHERRY, on_terminal, read_until

if TYPE_CHECKING:
    from pathlib import Path

ISATTY = """
#include <stdio.h>
#include <unistd.h>
int main(void) { printf("%d%d%d\\n", isatty(0), isatty(1), isatty(2)); return 0; }
"""

TWO_PARTS = """
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char byte;
    write(1, "first", 5);
    while (read(0, &byte, 1) == 1 && byte != '.') {}
    write(1, "second", 6);
    return 0;
}
"""


def shell(line: str, *, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Type a line into ``bash``; ``wherry`` is the one under test, and a failure in a pipe counts."""
    start = f'set -o pipefail; wherry() {{ {shlex.join(WHERRY)} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", start], cwd=folder, check=False, capture_output=True, timeout=DEADLINE
    )


@pytest.fixture(scope="module", name="isatty")
def _isatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("guests") / "isatty.c"
    source.write_text(ISATTY)
    return c_command("isatty", source=source)


@pytest.fixture(scope="module", name="two_parts")
def _two_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("guests") / "two_parts.c"
    source.write_text(TWO_PARTS)
    return c_command("two_parts", source=source)


class TestPipes:
    """Bytes pass as they are, at once, and a closed pipe is no error to talk about."""

    @pytest.mark.parametrize("guest", ["cat.c", "command_02"])
    def test_all_bytes_pass(self, guest: str) -> None:
        """Every byte value, and more of them than any buffer between holds."""
        everything = bytes(range(256)) * 20_000
        program, sent = c_command("cat"), everything
        if guest == "command_02":
            program, sent = python_command(guest), b"some words\n" * 1000
        done = subprocess.run(
            [*WHERRY, "run", program], input=sent, check=True, capture_output=True, timeout=DEADLINE
        )
        received = everything if guest == "cat.c" else sent.upper()
        assert done.stdout.endswith(received)
        assert done.stderr == b""

    def test_output_comes_at_once(self, two_parts: Path) -> None:
        """What the guest wrote is there while it waits for more; it sees input whose end has not come."""
        with subprocess.Popen(
            [*WHERRY, "run", two_parts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.read(5) == b"first"
            process.stdin.write(b"x.")
            assert process.stdout.read(6) == b"second"
            assert process.wait(DEADLINE) == 0

    def test_guest_takes_only_what_it_reads(self, two_parts: Path, tmp_path: Path) -> None:
        """The next program in a shell's group reads on where the guest stopped, as after any program."""
        (tmp_path / "in").write_bytes(b"for the guest.rest")
        done = shell(f"(wherry run {two_parts}; cat) < in", folder=tmp_path)
        assert done.stdout == b"firstsecondrest"

    @pytest.mark.parametrize(
        ("line", "stdout"),
        [
            pytest.param("wherry run {flood} 0 | head -n 1", b"line 0\n", id="endless-output"),
            pytest.param("wherry run {flood} 10000000 | head -n 1", b"line 0\n", id="much-output"),
            pytest.param("wherry run --invoke 'add(1, 2)' {add} | true", b"", id="invoke"),
        ],
    )
    def test_a_closed_pipe_ends_quietly(self, line: str, stdout: bytes, tmp_path: Path) -> None:
        """``... | head -1`` ends at once, and nothing is said."""
        done = shell(line.format(flood=c_command("flood"), add=text("add")), folder=tmp_path)
        assert (done.stdout, done.stderr) == (stdout, b"")
        assert done.returncode in {0, 128 + signal.SIGPIPE}

    def test_files_and_devices(self, tmp_path: Path) -> None:
        """Redirections to and from files, appending, and both outputs into one."""
        (tmp_path / "in").write_bytes(b"\x00\xff\n")
        done = shell(
            f"wherry run {c_command('cat')} < in > out && wherry run {c_command('cat')} < in >> out"
            f" && wherry run {c_command('exit')} 0 > both 2>&1 && wherry run {c_command('cat')} < /dev/null",
            folder=tmp_path,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / "out").read_bytes() == b"\x00\xff\n" * 2
        assert sorted((tmp_path / "both").read_bytes().splitlines()) == [b"err", b"out"]

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_streams(self, closed: str, tmp_path: Path) -> None:
        """A program started without a stream runs."""
        done = shell(f"wherry run {c_command('exit')} 7 {closed}", folder=tmp_path)
        assert done.returncode == 7, done

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """The guest gets the error of its write, and ends as it sees fit."""
        done = shell(f"wherry run {c_command('flood')} 1000000 > /dev/full", folder=tmp_path)
        assert (done.returncode, done.stderr) == (1, b"")


class TestTerminal:
    """On a terminal."""

    def test_guest_sees_a_terminal(self, isatty: Path) -> None:
        """``isatty`` of all three streams is true on a terminal."""
        with on_terminal("run", isatty) as (process, terminal):
            assert read_until(terminal, b"\n") == b"111\r\n"
            assert process.wait(DEADLINE) == 0

    @pytest.mark.parametrize(
        ("redirection", "seen"),
        [
            pytest.param("< /dev/null", b"011\r\n", id="stdin"),
            pytest.param("2> /dev/null", b"110\r\n", id="stderr"),
        ],
    )
    def test_guest_sees_what_is_redirected(self, isatty: Path, redirection: str, seen: bytes) -> None:
        """Each stream is told apart."""
        line = f"{shlex.join([*WHERRY, 'run', str(isatty)])} {redirection}"
        ours, theirs = pty.openpty()
        process = subprocess.Popen(["bash", "-c", line], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            assert read_until(ours, b"\n") == seen
        finally:
            process.wait(DEADLINE)
            os.close(ours)

    def test_lines_as_they_are_typed(self) -> None:
        """A line arrives when Enter is pressed, and Ctrl-D ends the input."""
        with on_terminal("run", c_command("cat")) as (process, terminal):
            os.write(terminal, b"hello\n")
            # Once by the terminal's echo, once by the guest.
            read_until(terminal, b"hello\r\nhello\r\n")
            os.write(terminal, b"\x04")
            assert process.wait(DEADLINE) == 0

    @pytest.mark.parametrize(
        ("guest", "words", "shows"),
        [
            pytest.param("spin", [], b"spinning", id="computing"),
            pytest.param("sleep", ["600000"], b"sleeping", id="waiting"),
            pytest.param("cat", [], b"", id="reading"),
        ],
    )
    def test_ctrl_c_ends_a_guest(self, guest: str, words: list[str], shows: bytes) -> None:
        """Whatever it does, at once, with 130 and without a message."""
        with on_terminal("run", c_command(guest), *words) as (process, terminal):
            if guest == "cat":
                os.write(terminal, b"ready\n")
                shows = b"ready\r\nready\r\n"
            read_until(terminal, shows)
            os.write(terminal, b"\x03")
            assert process.wait(DEADLINE) == 130
            rest = read_until(terminal, b"^C")
            assert b"error" not in rest
            assert b"Traceback" not in rest

    def test_ctrl_c_ends_compiling(self, tmp_path: Path) -> None:
        """What takes long shows how long, and ends when one does not want to wait; the line is cleared."""
        stores = "".join(f"(i32.store offset={at} (local.get 0) (i32.const {at}))" for at in range(200))
        function = f"(func (param i32) {stores})"
        (tmp_path / "slow.wat").write_text(f"(module (memory 1) {function * 5000})")
        with on_terminal("run", "--no-cache", tmp_path / "slow.wat") as (process, terminal):
            read_until(terminal, b"compiling")
            os.write(terminal, b"\x03")
            assert process.wait(DEADLINE) == 130
            assert read_until(terminal, b"\r\x1b[2K").endswith(b"\r\x1b[2K")


class TestSignals:
    """Signals without a terminal."""

    @pytest.mark.parametrize(
        ("number", "code"),
        [
            pytest.param(signal.SIGINT, 130, id="interrupt"),
            pytest.param(signal.SIGTERM, -signal.SIGTERM, id="terminate"),
        ],
    )
    def test_signal_ends_a_guest(self, number: signal.Signals, code: int) -> None:
        """As it would end a native program."""
        command = [*WHERRY, "run", str(c_command("spin"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"spinning\n"
            process.send_signal(number)
            assert process.wait(DEADLINE) == code
            assert process.stderr.read() == b""

    def test_profile_is_written_on_ctrl_c(self, tmp_path: Path) -> None:
        """A person stops a long run, and looks where its time went."""
        command = [*WHERRY, "run", "--profile", str(tmp_path / "out.json"), str(c_command("spin"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"spinning\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 130
        assert (tmp_path / "out.json").stat().st_size > 0
