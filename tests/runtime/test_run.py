"""``wherry.run``: the shape and habits of ``subprocess.run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import c_command, text

if TYPE_CHECKING:
    from pathlib import Path


class TestStreams:
    """What goes in and what comes out, as bytes."""

    def test_output_is_captured(self) -> None:
        """Both streams, apart."""
        done = wherry.run(c_command("exit"), "0", capture=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", b"err\n")

    def test_output_is_not_captured_unless_asked(self, capfd: pytest.CaptureFixture[str]) -> None:
        """It goes where the process writes."""
        done = wherry.run(c_command("exit"), "0")
        assert (done.stdout, done.stderr) == (None, None)
        assert capfd.readouterr() == ("out\n", "err\n")

    def test_stdin_is_empty_unless_given(self) -> None:
        """A guest that reads gets the end of the file at once."""
        assert wherry.run(c_command("cat"), capture=True).stdout == b""

    def test_bytes_pass_through_unchanged(self) -> None:
        """All byte values, and more of them than any buffer between."""
        everything = bytes(range(256)) * 4096
        assert wherry.run(c_command("cat"), stdin=everything, capture=True).stdout == everything

    def test_files_as_streams(self, tmp_path: Path) -> None:
        """An open file may be stdin or stdout."""
        (tmp_path / "in").write_bytes(b"from a file")
        with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
            wherry.run(c_command("cat"), stdin=source, stdout=target)
        assert (tmp_path / "out").read_bytes() == b"from a file"

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"stdin": "text"}, r"stdin=text\.encode\(\)"),
            ({"stdin": object()}, "not `object`"),
            ({"stdout": "path"}, r"open\(path"),
            ({"env": {"LEVEL": 3}}, '"LEVEL": "3"'),
        ],
        ids=["stdin-text", "stdin-object", "stdout-path", "env-number"],
    )
    def test_what_is_of_the_wrong_type(self, wrong: Any, told: str) -> None:
        """The error says what to give instead."""
        with pytest.raises(wherry.UsageError, match=told):
            wherry.run(c_command("hello"), **wrong)

    def test_arguments_are_not_a_list(self) -> None:
        """As one might know it from ``subprocess``."""
        with pytest.raises(wherry.UsageError, match="each stands by itself"):
            wherry.run(c_command("exit"), ["0"])  # type: ignore[arg-type]


class TestStreaming:
    """Output is read while the guest runs."""

    def test_lines_arrive_before_the_end(self) -> None:
        """The first line of a guest that sleeps is there while it sleeps."""
        with wherry.start(c_command("sleep"), "60000") as running:
            assert next(iter(running)) == b"sleeping\n"

    def test_all_lines_in_order(self) -> None:
        """Iterating ends with the guest, whose outcome can then be asked for."""
        with wherry.start(c_command("flood"), "100000") as running:
            assert b"".join(running) == wherry.run(c_command("flood"), "100000", capture=True).stdout
            assert running.wait().returncode == 0

    def test_output_that_nobody_reads_holds_the_guest_up(self) -> None:
        """An endless writer does not fill the memory, and ends when it is left."""
        with wherry.start(c_command("flood"), "0") as running:
            assert next(iter(running)) == b"line 0\n"
            with pytest.raises(TimeoutError):
                running.wait(0.2)

    def test_errors_arrive_in_wait(self) -> None:
        """What ``run`` would have raised."""
        with wherry.start(c_command("spin"), timeout=0.2) as running:
            assert b"".join(running) == b"spinning\n"
            with pytest.raises(wherry.TimeLimitError):
                running.wait()


class TestOutcome:
    """How a program ends."""

    @pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 128, 134, 137, 255])
    def test_every_exit_code_is_passed_on(self, code: int) -> None:
        """Also those that a shell gives a meaning."""
        assert wherry.run(c_command("exit"), str(code), capture=True).returncode == code

    def test_proc_exit_of_a_core_module(self) -> None:
        """Codes over 125 are codes, not errors."""
        assert wherry.run(text("exit")).returncode == 131

    def test_check_raises_for_a_failure(self) -> None:
        """The exception carries the code, and what was captured."""
        with pytest.raises(wherry.GuestExit, match="3") as raised:
            wherry.run(c_command("exit"), "3", capture=True, check=True)
        assert (raised.value.code, raised.value.stdout, raised.value.stderr) == (3, b"out\n", b"err\n")

    def test_check_is_quiet_about_success(self) -> None:
        """Nothing is raised for 0."""
        assert wherry.run(c_command("exit"), "0", capture=True, check=True).returncode == 0

    def test_a_trap_is_raised(self) -> None:
        """A guest that breaks has no exit code; the exception has its stack, with names and lines."""
        with pytest.raises(wherry.Trap, match="unreachable") as raised:
            wherry.run(c_command("trap", "-g"), capture=True)
        functions = [function for function, *_ in raised.value.frames]
        assert functions[:2] == ["give_up", "work"]
        file, line = raised.value.frames[0][2:]
        assert file is not None
        assert file.endswith("trap.c")
        assert line == 7

    def test_a_program_of_the_snapshot_before_01(self) -> None:
        """``wasi_unstable`` runs as WASI 0.1 does."""
        assert wherry.run(text("unstable"), capture=True).stdout == b"hello\n"


class TestGrants:
    """Nothing is granted by default."""

    def test_arguments_and_variables(self) -> None:
        """The name of the program comes first; the environment holds what was given and nothing else."""
        done = wherry.run(c_command("environment"), "a b", "ü", "", env={"NAME": "wert=1"}, capture=True)
        assert done.stdout == "environment.wasm\na b\nü\n\n\nNAME=wert=1\n".encode()

    def test_no_folder_without_a_grant(self, tmp_path: Path) -> None:
        """The guest cannot open what exists."""
        (tmp_path / "secret").write_text("secret")
        done = wherry.run(c_command("files"), "read", str(tmp_path / "secret"), capture=True)
        assert done.returncode == 1
        assert done.stdout == b""

    def test_a_granted_folder(self, tmp_path: Path) -> None:
        """Reading and writing, under the guest's own name for it."""
        dirs = [f"{tmp_path}::/data"]
        wherry.run(c_command("files"), "write", "/data/new", "text", dirs=dirs, check=True)
        assert (tmp_path / "new").read_text() == "text"
        done = wherry.run(c_command("files"), "read", "/data/new", dirs=dirs, capture=True)
        assert done.stdout == b"text"

    def test_a_read_only_folder(self, tmp_path: Path) -> None:
        """Writing fails in the guest."""
        dirs = [f"{tmp_path}::/data:ro"]
        done = wherry.run(c_command("files"), "write", "/data/new", "text", dirs=dirs, capture=True)
        assert done.returncode == 1
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("way", ["../secret", "/data/../secret", "/data/link", "/data/link/../../secret"])
    def test_no_way_leads_out_of_a_folder(self, tmp_path: Path, way: str) -> None:
        """Neither dots nor links."""
        folder = tmp_path / "folder"
        folder.mkdir()
        (tmp_path / "secret").write_text("secret")
        (folder / "link").symlink_to(tmp_path / "secret")
        done = wherry.run(c_command("files"), "read", way, dirs=[f"{folder}::/data"], capture=True)
        assert (done.returncode, done.stdout) == (1, b"")


class TestLimits:
    """A limit that strikes ends the guest with an error of its own."""

    def test_timeout(self) -> None:
        """An endless loop ends; the message names the limit, its value and how to raise it."""
        with pytest.raises(wherry.TimeLimitError, match=r"200 ?ms") as raised:
            wherry.run(c_command("spin"), capture=True, timeout=0.2)
        assert "timeout" in (raised.value.hint or "")
        assert isinstance(raised.value, TimeoutError)

    def test_timeout_while_the_host_waits(self) -> None:
        """A guest that sleeps in the host ends as well."""
        with pytest.raises(wherry.TimeLimitError):
            wherry.run(c_command("sleep"), "60000", capture=True, timeout=0.2)

    def test_stack(self) -> None:
        """Endless recursion is an error of its own."""
        with pytest.raises(wherry.StackLimitError):
            wherry.run(c_command("recurse"))

    def test_memory_refused_is_for_the_guest_to_handle(self) -> None:
        """A guest that copes with less memory ends well, and got no more than the limit."""
        limits = wherry.Limits(memory="64MiB")
        done = wherry.run(c_command("greedy"), "handle", capture=True, limits=limits)
        assert done.returncode == 0
        assert 8 <= int(done.stdout or 0) <= 64

    def test_memory_refused_and_a_trap(self) -> None:
        """A guest that breaks over it ends with the error of that limit."""
        with pytest.raises(wherry.MemoryLimitError, match=r"64 ?MiB|67108864"):
            wherry.run(c_command("greedy"), limits=wherry.Limits(memory="64MiB"))

    @pytest.mark.parametrize(("size", "fits"), [(999, True), (1_000, True), (1_001, False)])
    def test_output_at_the_limit(self, size: int, fits: bool) -> None:  # noqa: FBT001 - a column of the table
        """Just below and at the limit is fine, and one byte more is not."""
        limits = wherry.Limits(output=1_000)
        if fits:
            done = wherry.run(c_command("flood"), str(size), capture=True, limits=limits)
            assert len(done.stdout or b"") == size
        else:
            with pytest.raises(wherry.OutputLimitError, match=r"1,?000"):
                wherry.run(c_command("flood"), str(size), capture=True, limits=limits)

    def test_fuel(self) -> None:
        """An endless loop uses it up."""
        with pytest.raises(wherry.FuelLimitError):
            wherry.run(c_command("spin"), capture=True, limits=wherry.Limits(fuel=10_000_000))

    def test_the_same_fuel_is_used_again(self) -> None:
        """What is enough once is enough each time: fuel does not depend on the machine's mood."""
        least, most = 0, 1 << 20
        while most - least > 1:
            middle = (least + most) // 2
            try:
                wherry.run(c_command("hello"), capture=True, limits=wherry.Limits(fuel=middle))
                most = middle
            except wherry.FuelLimitError:
                least = middle
        for _ in range(3):
            wherry.run(c_command("hello"), capture=True, limits=wherry.Limits(fuel=most))
            with pytest.raises(wherry.FuelLimitError):
                wherry.run(c_command("hello"), capture=True, limits=wherry.Limits(fuel=least))


class TestAccount:
    """What a run took, and what it was refused."""

    def test_fuel_and_memory(self) -> None:
        """Fuel is what was used, and the same each time; memory the most that there was."""
        limits = wherry.Limits(fuel="1G", memory="64MiB")
        runs = [wherry.run(c_command("hello"), capture=True, limits=limits) for _ in range(2)]
        assert runs[0].fuel == runs[1].fuel
        assert 0 < (runs[0].fuel or 0) < 1_000_000
        assert 1 << 16 <= runs[0].peak_memory < 32 << 20
        greedy = wherry.run(c_command("greedy"), "handle", capture=True, limits=limits)
        assert 32 << 20 < greedy.peak_memory <= 64 << 20
        assert wherry.run(c_command("hello"), capture=True).fuel is None

    def test_an_error_has_what_there_was_until_then(self) -> None:
        """Output, fuel and memory of a guest that was ended."""
        with pytest.raises(wherry.TimeLimitError) as late:
            wherry.run(c_command("spin"), capture=True, timeout=0.2)
        assert late.value.stdout == b"spinning\n"
        with pytest.raises(wherry.FuelLimitError) as dry:
            wherry.run(c_command("spin"), capture=True, limits=wherry.Limits(fuel=1_000_000))
        assert (dry.value.fuel, dry.value.stderr) == (1_000_000, b"")
        with pytest.raises(wherry.MemoryLimitError) as full:
            wherry.run(c_command("greedy"), limits=wherry.Limits(memory="64MiB"))
        assert 32 << 20 < (full.value.peak_memory or 0) <= 64 << 20

    def test_host_functions(self) -> None:
        """A command may import functions of its host."""
        for code in (0, 1):
            assert wherry.run(text("asking"), imports={"host": lambda code=code: code}).returncode == code
        with pytest.raises(wherry.LinkError, match="host"):
            wherry.run(text("asking"))


def test_a_file_that_is_not_there() -> None:
    """It is both an error of Wherry and the one that Python has for it."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wasm"):
        wherry.run("nowhere.wasm")


def test_a_component_can_be_run_again_and_again() -> None:
    """What was loaded once is run without looking at the file again."""
    program = wherry.load(c_command("hello"))
    assert [wherry.run(program, capture=True).stdout for _ in range(3)] == [b"hello\n"] * 3


@pytest.mark.parametrize("source", [5, None, object()], ids=["number", "none", "object"])
def test_what_is_no_program(source: Any) -> None:
    """The error says what can be one."""
    with pytest.raises(wherry.UsageError, match="a path, bytes or an open file"):
        wherry.load(source)
