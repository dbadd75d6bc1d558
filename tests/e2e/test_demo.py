"""``make demo`` does real work: what it prints and the pictures that it draws."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
import zlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Demo


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("sees ['cities.csv', 'report.py']", id="cpython-sees-its-folder"),
        pytest.param("January: 11.3 degrees on average", id="cpython-computes"),
        pytest.param("writing is refused", id="cpython-may-only-read"),
        pytest.param("count=3, mean=12.5, warmest='Lima'", id="component-from-python"),
        pytest.param('ok({count: 3, mean: 12.5, warmest: "Lima"})', id="component-from-the-terminal"),
        pytest.param("hello again", id="cpython-from-the-cache"),
        pytest.param("Lima    #################### 20.2", id="two-languages-by-name-from-a-saved-file"),
        pytest.param("'Hello, Ada!\\n'", id="http-from-python"),
        pytest.param("{'north': {'celsius': 4.5}, 'south': {'name': 'Lima'", id="graphql-js-in-python"),
        pytest.param("wherry run --help", id="what-to-type-next"),
    ],
)
def test_each_program_shows_its_work(demo: Demo, line: str) -> None:
    """The line that only a program which did its work prints is there."""
    assert line in demo.output


def test_the_package_is_run_from_the_file_that_was_saved(demo: Demo) -> None:
    """The last store has only what that file brought, under the digest that it was packed with."""
    commands = demo.output.partition("$ wherry pack ")[2]
    digests = re.findall(r"sha256:[0-9a-f]{64}", commands)
    assert len(digests) == 3, "packed, saved, loaded elsewhere"
    assert len(set(digests)) == 1
    elsewhere = commands.partition("/elsewhere\n")[2]
    typed = [line.strip() for line in elsewhere.splitlines() if line.strip().startswith("$ ")]
    assert typed[0].startswith("$ wherry load ")
    assert typed[0].endswith("/weather.oci.tar")
    assert typed[1].startswith("$ wherry run demo/weather#means <")
    components = sorted(path.name for path in (demo.folder / "weather" / "build").glob("*.wasm"))
    assert components == ["bars.wasm", "means.wasm"]


def test_waits_of_wasi_03_overlap(demo: Demo) -> None:
    """Three waits of 200 ms in one WASI 0.3 command take less than their sum, by the guest's own clock."""
    found = re.search(r"waited 3 x 200 ms in (\d+) ms", demo.output)
    assert found
    assert int(found[1]) >= 200


def test_resvg_draws_the_picture(demo: Demo) -> None:
    """The PNG is 640 by 400, every row of it decompresses, and it shows sky, sun and sea."""
    width, height, pixels = read_png((demo.folder / "wherry.png").read_bytes())
    assert (width, height) == (640, 400)

    def pixel(x: int, y: int) -> bytes:
        return pixels[y][4 * x : 4 * x + 4]

    assert pixel(512, 112) == bytes.fromhex("f6c453ff"), "the sun"
    assert pixel(320, 395) == bytes.fromhex("2b5d7dff"), "the sea"
    blue = pixel(5, 5)[2]
    assert blue > 200, "the sky"


def test_graphviz_draws_the_graph(demo: Demo) -> None:
    """The SVG is well-formed and holds every node and edge of the graph."""
    svg = ET.fromstring((demo.folder / "places.svg").read_text())  # noqa: S314 - drawn a moment ago, by us
    titles = [title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    places = ["terminal", "python", "http", "browser", "pipeline", "ledger"]
    assert sorted(titles, key=str) == sorted(
        ["places", "package", *places, *(f"package->{place}" for place in places)]
    )


def read_png(data: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of RGBA pixels of a PNG of 8 bits a channel, by the PNG specification."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        assert zlib.crc32(kind + body) == checksum, kind
        chunks[kind] = chunks.get(kind, b"") + body
        position += 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 6), "eight bits of red, green, blue and alpha"
    raw = zlib.decompress(chunks[b"IDAT"])
    stride = 4 * width + 1
    assert len(raw) == stride * height
    rows: list[bytes] = []
    above = bytes(4 * width)
    for y in range(height):
        above = unfiltered(raw[y * stride], raw[y * stride + 1 : (y + 1) * stride], above)
        rows.append(above)
    return width, height, rows


def unfiltered(kind: int, line: bytes, above: bytes) -> bytes:
    """A row without its filter (PNG specification, section 9)."""
    row = bytearray(line)
    for i in range(len(row)):
        left, up, corner = (row[i - 4], above[i], above[i - 4]) if i >= 4 else (0, above[i], 0)
        row[i] = (row[i] + [0, left, up, (left + up) // 2, paeth(left, up, corner)][kind]) & 0xFF
    return bytes(row)


def paeth(left: int, up: int, corner: int) -> int:
    """The neighbour nearest to ``left + up - corner``."""
    return min((left, up, corner), key=lambda value: abs(left + up - corner - value))
