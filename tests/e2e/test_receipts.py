"""Receipts: what a deterministic run writes down, another run holds to."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.commands import STDIN, cli
from tests.guests.build import c_command, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


class Recorded:
    """One run with a receipt, in a folder of its own; what it was given, a receipt does not hold."""

    def __init__(self, folder: Path, guest: Path, given: tuple[str, ...], *flags: str | Path) -> None:
        self.receipt = folder / "receipt.json"
        self.given = given
        self.done = cli("run", "--deterministic", "--receipt", self.receipt, *given, *flags, guest)

    def verify(self, *words: str | Path, stdin: bytes = STDIN) -> tuple[int, dict[str, Any]]:
        """What ``wherry verify-run`` says of it."""
        done = cli("verify-run", "--format", "json", *self.given, *words, self.receipt, stdin=stdin)
        return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr.decode()}

    @contextmanager
    def altered(self, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Another receipt in its place, whose digest matches."""
        original = self.receipt.read_text()
        receipt = json.loads(original)
        change(receipt)
        receipt["digest"] = digest_of(receipt)
        assert receipt != json.loads(original)
        try:
            self.receipt.write_text(json.dumps(receipt))
            yield
        finally:
            self.receipt.write_text(original)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run that read its input and wrote into a folder."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in ("data", "read"):
        (folder / name).mkdir()
        (folder / name / "a").write_text("1")
    grants = ("--dir", f"{folder / 'data'}::/data", "--dir", f"{folder / 'read'}::/read:ro")
    settings = ("--random", "5", "--max-write", "1MiB", "--workdir", "/data")
    given = ("--env", "A=1", "--config", "COLOUR=red")
    made = Recorded(folder, c_command("determined"), given, *grants, *settings)
    (folder / "data" / "written").unlink()
    return made


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A call of one function."""
    folder = tmp_path_factory.mktemp("called")
    return Recorded(folder, text("numbers"), (), "--invoke", "add(2, 3)")


def digest_of(receipt: dict[str, Any]) -> str:
    """The digest of a receipt as the documentation describes it."""
    bare = {name: value for name, value in receipt.items() if name not in ("digest", "places")}
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def at(path: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """Changes the field at a path."""

    def apply(receipt: dict[str, Any]) -> None:
        *outer, last = (int(name) if name.isdigit() else name for name in path.split("."))
        place: Any = receipt
        for name in outer:
            place = place[name]
        place[last] = change(place[last])

    return apply


def limited(flag: str, value: str) -> Callable[[dict[str, Any]], None]:
    """Changes a limit."""

    def apply(receipt: dict[str, Any]) -> None:
        (limit,) = (limit for limit in receipt["given"]["limits"] if limit["flag"] == flag)
        limit["value"] = value

    return apply


def other(digest: str) -> str:
    """Another digest."""
    return hashlib.sha256(digest.encode()).hexdigest()


def misfits(schema: Any, value: Any, path: str = "") -> list[str]:
    """Where a value is not what a schema says, for as much of JSON Schema as ours uses."""
    if "anyOf" in schema:
        tried = [misfits(one, value, path) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "const" in schema or "enum" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [path]
    expected: Any = TYPES[schema["type"]]
    if not isinstance(value, expected):
        return [path]
    if schema["type"] == "object":
        wanted = {*schema.get("required", schema["properties"])}
        found = [f"{path}.{name}" for name in value if name not in schema["properties"]]
        found += [f"{path}.{name}" for name in wanted if name not in value]
        shared = [name for name in value if name in schema["properties"]]
        return found + [
            fault
            for name in shared
            for fault in misfits(schema["properties"][name], value[name], f"{path}.{name}")
        ]
    if schema["type"] == "array":
        return [fault for item in value for fault in misfits(schema["items"], item, f"{path}[]")]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [path]
    return []


class TestReceipt:
    """What one run wrote, another is held against."""

    def test_a_receipt_holds(self, recorded: Recorded) -> None:
        """The same program, input and settings; the folder of the user stays as it is."""
        assert recorded.done.returncode == 7, recorded.done
        assert recorded.verify() == (0, {"verified": True, "differences": []})
        assert [path.name for path in (recorded.receipt.parent / "data").iterdir()] == ["a"]

    def test_its_digest_is_the_documented_one(self, recorded: Recorded) -> None:
        """Anyone can work it out."""
        receipt = json.loads(recorded.receipt.read_text())
        assert receipt["digest"] == digest_of(receipt)

    def test_it_is_as_the_schema_says(self, recorded: Recorded) -> None:
        """Every field that the schema names is there, and no other."""
        schema = json.loads((ROOT / "docs" / "receipt.schema.json").read_text())
        assert misfits(schema, json.loads(recorded.receipt.read_text())) == []
        assert misfits(schema, {"receipt": 2}) != []

    @pytest.mark.parametrize(
        ("path", "change", "field"),
        [
            ("receipt", lambda _: 2, "receipt"),
            ("wherry", lambda _: "9", "wherry"),
            ("engine", lambda _: "wasmtime 1", "engine"),
            ("mode", lambda _: "plain", "mode"),
            ("program.sha256", other, "program.sha256"),
            ("inputs.stdin.sha256", other, "inputs.stdin.sha256"),
            ("inputs.stdin.bytes", lambda count: count + 1, "inputs.stdin.bytes"),
            ("inputs.folders.0.sha256", other, "inputs.folders[0]"),
            ("inputs.folders.0.entries", lambda count: count + 1, "inputs.folders[0]"),
            ("inputs.folders.1.sha256", other, "inputs.folders[1]"),
            ("outputs.stdout.sha256", other, "outputs.stdout.sha256"),
            ("outputs.stdout.bytes", lambda count: count + 1, "outputs.stdout.bytes"),
            ("outputs.stderr.sha256", other, "outputs.stderr.sha256"),
            ("outputs.stderr.bytes", lambda count: count + 1, "outputs.stderr.bytes"),
            ("outputs.result", lambda _: {"bytes": 0, "sha256": other("")}, "outputs.result"),
            ("outputs.folders.0.sha256", other, "outputs.folders[0].sha256"),
            ("outputs.folders.0.entries", lambda count: count + 1, "outputs.folders[0].entries"),
            ("outputs.folders.1.sha256", other, "outputs.folders[1].sha256"),
            ("end.code", lambda _: 0, "end.code"),
            ("end.cause", lambda _: "trap", "end.cause"),
            ("fuel", lambda fuel: fuel - 1, "fuel"),
            ("given.environment.0.sha256", other, "given.environment.A"),
            ("given.config.0.sha256", other, "given.config.COLOUR"),
            ("given.environment", lambda _: [], "given.environment"),
            ("given.config", lambda _: [], "given.config"),
        ],
    )
    def test_what_was_altered_is_named(
        self, recorded: Recorded, path: str, change: Callable[[Any], Any], field: str
    ) -> None:
        """Each field that can be held against something, though the receipt's own digest matches."""
        with recorded.altered(at(path, change)):
            code, said = recorded.verify()
        assert (code, said["verified"]) == (1, False)
        fields = [one["field"].split(" ")[0] for one in said["differences"]]
        assert fields[0] == field
        # What came of a variable less differs as well.
        assert fields == [field] or path == "given.environment"

    @pytest.mark.parametrize(
        ("path", "change", "shows"),
        [
            ("given.arguments", lambda words: [*words, "more"], "outputs.stdout.sha256"),
            ("given.arguments.0", lambda _: "another", "outputs.stdout.sha256"),
            ("given.folders.0.guest", lambda _: "/other", "end.cause"),
            ("given.folders.0.read_only", lambda _: True, "outputs.folders[0].sha256"),
            ("given.workdir", lambda _: "/read", "outputs.stdout.sha256"),
            ("given.clock", lambda _: "2001-01-01T00:00:00Z+1us", "outputs.stdout.sha256"),
            ("given.random", lambda _: "6", "outputs.stdout.sha256"),
            ("fuel=100", None, "end.cause"),
            ("memory=64KiB", None, "end.cause"),
            ("stack=64KiB", None, None),
            ("max-output=10B", None, "end.cause"),
            ("max-write=0", None, "outputs.folders[0].sha256"),
            ("max-handles=3", None, "outputs.stdout.sha256"),
            ("max-tables=0", None, "end.cause"),
            ("max-instances=0", None, "end.cause"),
        ],
    )
    def test_a_setting_that_was_altered_is_found_out_and_named(
        self, recorded: Recorded, path: str, change: Callable[[Any], Any] | None, shows: str | None
    ) -> None:
        """By what comes of it, and it is among the fields that may be to blame."""
        limit, _, value = path.partition("=")
        if change is not None:
            alter, field = at(path, change), ".".join(path.split(".")[:2])
        else:
            alter, field = limited(limit, value), "given.limits"
        with recorded.altered(alter):
            code, said = recorded.verify()
        if shows is None:
            assert said == {"verified": True, "differences": []}
            return
        assert code == 1, said
        found = {one["field"]: one["causes"] for one in said["differences"]}
        assert shows in found
        assert field in found[shows]

    @pytest.mark.parametrize(
        ("path", "change", "named"),
        [
            ("given.environment.0.name", lambda _: "B", "variable `B`"),
            ("given.config.0.name", lambda _: "SHAPE", "configuration value `SHAPE`"),
            ("given.secrets", lambda _: ["KEY"], "secret `KEY`"),
        ],
    )
    def test_what_would_have_to_be_given_is_asked_for(
        self, recorded: Recorded, path: str, change: Callable[[Any], Any], named: str
    ) -> None:
        """A name that was altered is one that nobody gave a value."""
        with recorded.altered(at(path, change)):
            code, said = recorded.verify()
        assert code == 2
        assert named in said["error"]

    @pytest.mark.parametrize(
        ("path", "change", "field"),
        [
            ("program.invoke", lambda _: "add(2, 4)", "outputs.result.sha256"),
            ("program.invoke", lambda _: "missing(2, 4)", "end.cause"),
            ("program.invoke", lambda _: "add(2)", "end.cause"),
            ("program.invoke", lambda _: None, "end.cause"),
            ("program.format", lambda _: "json", None),
            ("program.format", lambda _: "xml", "program.format"),
            ("outputs.result.sha256", other, "outputs.result.sha256"),
            ("outputs.result.bytes", lambda count: count + 1, "outputs.result.bytes"),
        ],
    )
    def test_a_call_is_held_to_its_result(
        self, called: Recorded, path: str, change: Callable[[Any], Any], field: str | None
    ) -> None:
        """What was called, how its result was printed, and the result."""
        assert called.verify() == (0, {"verified": True, "differences": []})
        with called.altered(at(path, change)):
            code, said = called.verify()
        fields = {one["field"] for one in said["differences"]}
        # A number is printed alike in both formats.
        assert (code, fields >= {field}) == (1, True) if field else (code, fields) == (0, set())

    def test_a_refusal_says_what_may_be_to_blame(self, recorded: Recorded) -> None:
        """The fields that differ, each with its values, and those that a run has to take as they are."""
        with recorded.altered(at("given.random", lambda _: "6")):
            done = cli("verify-run", *recorded.given, recorded.receipt)
        assert done.returncode == 1
        assert b"outputs.stdout.sha256: the receipt says " in done.stderr
        assert b"either was altered: what is named here, or one of given.arguments, " in done.stderr
        assert b"given.random" in done.stderr

    def test_another_input_is_named(self, recorded: Recorded) -> None:
        """Standard input has to be what it was, and so has a variable."""
        code, said = recorded.verify(stdin=b"other")
        assert code == 1
        assert any(one["field"] == "inputs.stdin.sha256" for one in said["differences"])
        code, said = recorded.verify("--env", "A=2")
        assert (code, said["differences"][0]["field"]) == (1, "given.environment.A")

    def test_another_folder_is_named(self, recorded: Recorded, tmp_path: Path) -> None:
        """A folder with another file in it is not the one that the run found; a copy of that is."""
        (tmp_path / "a").write_text("2")
        code, said = recorded.verify("--dir", f"{tmp_path}::/data")
        assert code == 1
        assert said["differences"][0]["field"].startswith("inputs.folders[0]")
        (tmp_path / "a").write_text("1")
        assert recorded.verify("--dir", f"{tmp_path}::/data")[0] == 0

    def test_a_missing_value_is_asked_for(self, recorded: Recorded) -> None:
        """Values of variables are not in a receipt; the hint says how to give one."""
        done = cli("verify-run", recorded.receipt)
        assert done.returncode == 2
        assert b"hint: give it with `--env A=VALUE`" in done.stderr

    @pytest.mark.parametrize("written", ["", "[]", '{"receipt": 1}', "\x00"])
    def test_what_is_no_receipt_is_refused(self, written: str, tmp_path: Path) -> None:
        """Refused, and never a fault of ours."""
        (tmp_path / "r.json").write_text(written)
        done = cli("verify-run", tmp_path / "r.json")
        assert done.returncode == 1
        assert b"does not hold" in done.stderr


def test_where_a_module_was_started_is_in_its_receipt(tmp_path: Path) -> None:
    """The function that ``--entry`` named is recorded, and a receipt that names another does not hold."""
    made = Recorded(tmp_path, text("unnamed"), (), "--entry", "other")
    assert made.done.returncode == 8
    receipt = json.loads(made.receipt.read_text())
    assert receipt["program"]["entry"] == "other"
    assert misfits(json.loads((ROOT / "docs" / "receipt.schema.json").read_text()), receipt) == []
    assert made.verify() == (0, {"verified": True, "differences": []})
    with made.altered(at("program.entry", lambda _: "")):
        code, said = made.verify()
    assert code == 1
    assert {one["field"] for one in said["differences"]} >= {"end.code"}


def test_no_secret_is_in_a_receipt(tmp_path: Path) -> None:
    """Neither its value nor a digest of it."""
    receipt = tmp_path / "r.json"
    words = ("--deterministic", "--receipt", receipt, "--secret", "KEY", c_command("determined"))
    done = cli("run", *words, KEY="hunter2")
    assert done.returncode == 7, done
    written = receipt.read_text()
    assert json.loads(written)["given"]["secrets"] == ["KEY"]
    assert "hunter2" not in written
    assert hashlib.sha256(b"hunter2").hexdigest() not in written


@pytest.mark.parametrize(
    ("guest", "flags", "code"),
    [("recurse", (), 134), ("spin", ("--timeout", "300ms"), 124)],
    ids=["stack", "time"],
)
def test_what_ends_otherwise_elsewhere_has_no_receipt(
    guest: str, flags: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    """An overflow of the stack and a time limit; an older receipt does not stay either."""
    receipt = tmp_path / "r.json"
    receipt.write_text("old")
    done = cli("run", "--deterministic", "--receipt", receipt, *flags, c_command(guest))
    assert done.returncode == code, done
    assert not receipt.exists()
    assert b"no receipt is written" in done.stderr


def test_a_limit_that_strikes_alike_everywhere_is_recorded(tmp_path: Path) -> None:
    """Fuel runs out at the same place each time."""
    receipts = []
    for name in ("one", "two"):
        receipt = tmp_path / name
        words = ("--deterministic", "--receipt", receipt, "--fuel", "1M", c_command("spin"))
        assert cli("run", *words).returncode == 152
        receipts.append(json.loads(receipt.read_text()))
    assert receipts[0] == receipts[1]
    assert receipts[0]["end"] == {"cause": "fuel", "code": 152}


def test_a_receipt_is_a_file_of_its_own(tmp_path: Path) -> None:
    """An older file is replaced; a link or a device is left as it is."""
    (tmp_path / "target").write_text("other")
    (tmp_path / "link").symlink_to("target")
    done = cli("run", "--deterministic", "--receipt", tmp_path / "link", c_command("determined"))
    assert (done.returncode, b"would be no file of its own" in done.stderr) == (125, True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "other"
    done = cli("run", "--deterministic", "--receipt", tmp_path / "target", c_command("determined"))
    assert json.loads((tmp_path / "target").read_text())["end"] == {"cause": "exit", "code": 7}


def test_a_receipt_is_of_a_deterministic_run(tmp_path: Path) -> None:
    """Without the switch it is a usage error, and so is a receipt in a folder that the guest sees."""
    guest = c_command("determined")
    done = cli("run", "--receipt", tmp_path / "r.json", guest)
    assert (done.returncode, b"add `--deterministic`" in done.stderr) == (125, True)
    done = cli("run", "--deterministic", "--receipt", tmp_path / "r.json", "--dir", tmp_path, guest)
    assert (done.returncode, b"would lie in" in done.stderr) == (125, True)
