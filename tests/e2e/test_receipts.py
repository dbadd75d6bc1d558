"""Receipts: what a deterministic run writes down, another run holds to."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.commands import STDIN, cli
from tests.guests.build import c_command

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


class Recorded:
    """One run with a receipt, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "a").write_text("1")
        self.receipt = folder / "receipt.json"
        grants = ("--dir", f"{self.data}::/data", "--env", "A=1", "--random", "5", "--max-write", "1MiB")
        guest = c_command("determined")
        words = ("--deterministic", "--receipt", self.receipt, *grants, guest)
        self.done = cli("run", *words)
        (self.data / "written").unlink()

    def verify(self, *words: str | Path, stdin: bytes = STDIN) -> tuple[int, dict[str, Any]]:
        """What ``wherry verify-run`` says of it."""
        done = cli("verify-run", "--format", "json", "--env", "A=1", *words, self.receipt, stdin=stdin)
        return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run that read its input and wrote into a folder."""
    return Recorded(tmp_path_factory.mktemp("recorded"))


def digest_of(receipt: dict[str, Any]) -> str:
    """The digest of a receipt as the documentation describes it."""
    bare = {name: value for name, value in receipt.items() if name not in ("digest", "places")}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def altered(receipt: dict[str, Any], path: str, change: Callable[[Any], Any]) -> None:
    """Change one field, and make the receipt's own digest match."""
    *outer, last = path.split(".")
    place: Any = receipt
    for name in outer:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = change(place[last])
    receipt["digest"] = digest_of(receipt)


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
        found = [f"{path}.{name}" for name in value.keys() ^ schema["properties"].keys()]
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
        assert [path.name for path in recorded.data.iterdir()] == ["a"]

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
            ("program.sha256", other, "program.sha256"),
            ("inputs.stdin.sha256", other, "inputs.stdin.sha256"),
            ("inputs.folders.0.sha256", other, "inputs.folders[0]"),
            ("outputs.stdout.sha256", other, "outputs.stdout.sha256"),
            ("outputs.stdout.bytes", lambda count: count + 1, "outputs.stdout.bytes"),
            ("outputs.stderr.sha256", other, "outputs.stderr.sha256"),
            ("outputs.folders.0.sha256", other, "outputs.folders[0]"),
            ("end.code", lambda _: 0, "end.code"),
            ("end.cause", lambda _: "trap", "end.cause"),
            ("fuel", lambda fuel: fuel - 1, "fuel"),
            ("mode", lambda _: "plain", "mode"),
            ("engine", lambda _: "wasmtime 1", "engine"),
            ("wherry", lambda _: "9", "wherry"),
            ("receipt", lambda _: 2, "receipt"),
            ("given.random", lambda _: "6", "outputs.stdout.sha256"),
            ("given.clock", lambda _: "2001-01-01T00:00:00Z+1us", "outputs.stdout.sha256"),
            ("given.arguments", lambda words: [*words, "more"], "outputs.stdout"),
            ("given.environment.0.sha256", other, "given.environment.A"),
            ("given.folders.0.read_only", lambda _: True, "outputs.folders[0]"),
        ],
    )
    def test_what_was_altered_is_named(
        self, recorded: Recorded, path: str, change: Callable[[Any], Any], field: str
    ) -> None:
        """Each field that a run depends on or that came of it, though the receipt's own digest matches."""
        original = recorded.receipt.read_text()
        receipt = json.loads(original)
        altered(receipt, path, change)
        try:
            recorded.receipt.write_text(json.dumps(receipt))
            code, said = recorded.verify()
        finally:
            recorded.receipt.write_text(original)
        assert (code, said["verified"]) == (1, False)
        assert any(one["field"].startswith(field) for one in said["differences"]), said

    def test_fuel_that_would_not_do_is_named(self, recorded: Recorded) -> None:
        """A limit that would have ended the run."""
        original = recorded.receipt.read_text()
        receipt = json.loads(original)
        (fuel,) = (limit for limit in receipt["given"]["limits"] if limit["flag"] == "fuel")
        fuel["value"] = "100"
        receipt["digest"] = digest_of(receipt)
        try:
            recorded.receipt.write_text(json.dumps(receipt))
            _, said = recorded.verify()
        finally:
            recorded.receipt.write_text(original)
        assert {one["field"] for one in said["differences"]} >= {"end.cause", "end.code", "fuel"}

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

    @pytest.mark.parametrize("text", ["", "[]", '{"receipt": 1}', "\x00"])
    def test_what_is_no_receipt_is_refused(self, text: str, tmp_path: Path) -> None:
        """Refused, and never a fault of ours."""
        (tmp_path / "r.json").write_text(text)
        done = cli("verify-run", tmp_path / "r.json")
        assert done.returncode == 1
        assert b"does not hold" in done.stderr


def test_no_secret_is_in_a_receipt(tmp_path: Path) -> None:
    """Neither its value nor a digest of it."""
    receipt = tmp_path / "r.json"
    words = ("--deterministic", "--receipt", receipt, "--secret", "KEY", c_command("determined"))
    done = cli("run", *words, KEY="hunter2")
    assert done.returncode == 7, done
    text = receipt.read_text()
    assert json.loads(text)["given"]["secrets"] == ["KEY"]
    assert "hunter2" not in text
    assert hashlib.sha256(b"hunter2").hexdigest() not in text


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


def test_a_receipt_is_of_a_deterministic_run(tmp_path: Path) -> None:
    """Without the switch it is a usage error, and so is a receipt in a folder that the guest sees."""
    guest = c_command("determined")
    done = cli("run", "--receipt", tmp_path / "r.json", guest)
    assert (done.returncode, b"add `--deterministic`" in done.stderr) == (125, True)
    done = cli("run", "--deterministic", "--receipt", tmp_path / "r.json", "--dir", tmp_path, guest)
    assert (done.returncode, b"would lie in" in done.stderr) == (125, True)
