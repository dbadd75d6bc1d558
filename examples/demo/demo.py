"""What ``make demo`` runs: real programs, one line of explanation each. Start reading at ``main``.

``python examples/demo/demo.py [FOLDER]`` puts programs and pictures into FOLDER, or ``build/demo``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import programs
import wherry

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(os.path.relpath(Path(__file__).parent))
BIN = Path(sys.executable).parent
CITIES = [
    {"city": "Oslo", "celsius": 4.5},
    {"city": "Lima", "celsius": 19.0},
    {"city": "Quito", "celsius": 14.0},
]

REQUESTS = 100
"""How many more requests the application answers."""


def cpython_reads_a_folder(folder: Path) -> None:
    """CPython, compiled to WebAssembly, runs a script that reads the one folder it was given."""
    shell("run", "--dir", f"{HERE}/data::/data:ro", f"{folder}/python.wasm", "/data/report.py")


def resvg_draws_a_picture(folder: Path) -> None:
    """resvg, a renderer written in Rust, turns an SVG into a PNG."""
    grants = ["--dir", f"{HERE}::/in:ro", "--dir", f"{folder}::/out"]
    shell("run", *grants, f"{folder}/resvg.wasm", "/in/wherry.svg", "/out/wherry.png")
    say(f"drawn: {folder}/wherry.png")


def graphviz_draws_a_graph(folder: Path) -> None:
    """Graphviz, a C library, is called from Python by its own functions, without a C compiler in sight."""
    with wherry.load(folder / "graphviz.wasm").instantiate() as graphviz:

        def placed(text: str) -> int:
            data = text.encode() + b"\0"
            address: int = graphviz.malloc(len(data))
            graphviz.write_memory(address, data)
            return address

        length = graphviz.malloc(4)
        dot = (HERE / "places.dot").read_text()
        drawing = graphviz.graphviz_render(placed(dot), placed("svg"), placed("dot"), length)
        (size,) = struct.unpack("<I", graphviz.read_memory(length, 4))
        (folder / "places.svg").write_bytes(graphviz.read_memory(drawing, size))
    say(f"drawn: {folder}/places.svg")


def python_calls_a_component(_folder: Path) -> None:
    """A typed component is called from Python: a list of records goes in, a record comes out."""
    with wherry.load(HERE / "readings.wat").instantiate() as readings:
        say(">>> readings.summarise([{'city': 'Oslo', 'celsius': 4.5}, ...])")
        say(str(readings.summarise(CITIES)))


def terminal_calls_a_component(_folder: Path) -> None:
    """The same component, the same function, from the terminal."""
    values = ", ".join(f'{{city: "{row["city"]}", celsius: {row["celsius"]}}}' for row in CITIES)
    shell("run", "--invoke", f"summarise([{values}])", f"{HERE}/readings.wat")


def waits_run_together(folder: Path) -> None:
    """A command of WASI 0.3, the asynchronous generation: three waits in the time of one."""
    shell("run", str(programs.waiting_together(folder)))


def cpython_starts_from_the_cache(folder: Path) -> None:
    """CPython starts again: its 26 MB were compiled above, and are mapped from the cache now."""
    start = time.perf_counter()
    shell("run", f"{folder}/python.wasm", "-c", 'print("hello again")')
    say(f"whole process: {1000 * (time.perf_counter() - start):.0f} ms")


def two_languages_become_one_package(folder: Path) -> None:
    """A command in C and one in JavaScript become one file, and run by name wherever that is loaded."""
    shutil.copytree(HERE / "weather", folder / "weather", dirs_exist_ok=True)
    empty_store(folder / "here")
    shell("pack", f"{folder}/weather")
    shell("save", "demo/weather", "-o", f"{folder}/weather.oci.tar")
    empty_store(folder / "elsewhere")
    shell("load", f"{folder}/weather.oci.tar")
    typed(f"wherry run demo/weather#means < {HERE}/data/cities.csv | wherry run demo/weather#bars")


def python_answers_http(folder: Path) -> None:
    """An HTTP application in Python is made, built and served, with a fresh sandbox for each request."""
    shutil.rmtree(folder / "site", ignore_errors=True)
    typed(f"cd {folder} && wherry new demo/site --lang python --kind http")
    shell("build", f"{folder}/site")
    command = ["serve", f"./{folder}/site", "--addr", "127.0.0.1:0"]
    say(f"$ {shlex.join(['wherry', *command])}")
    serving = [sys.executable, "-m", "wherry", *command]
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = line_of(server).split()[-1]
            say(f">>> urlopen('{url}/?name=Ada').read().decode()")
            say(repr(answer(f"{url}/?name=Ada")))
            start = time.perf_counter()
            for number in range(REQUESTS):
                answer(f"{url}/?name={number}")
            say(f"{REQUESTS} more: {1000 * (time.perf_counter() - start) / REQUESTS:.1f} ms each")
        finally:
            server.terminate()


def graphql_js_runs_in_python(folder: Path) -> None:
    """graphql-js, the reference of GraphQL, becomes a library of Python: its resolvers are functions here."""
    library = HERE.parent / "graphql"
    shutil.copytree(library / "library", folder / "graphql", dirs_exist_ok=True, ignore=ignored)
    typed(f"cd {folder}/graphql && npm ci --silent")
    typed(f"wherry bind ./{folder}/graphql --lang python -o {folder}/graphql-python | tail -1")
    sys.path[:0] = [str(folder / "graphql-python"), str(library / "python")]
    from schema import Schema

    definition = "type Query { city(name: String!): City } type City { name: String! celsius: Float! }"
    cities = {city["city"]: {"name": city["city"], **city} for city in CITIES}
    schema = Schema(definition, {"Query.city": lambda _root, _context, name: cities.get(name)})
    query = '{ north: city(name: "Oslo") { celsius } south: city(name: "Lima") { name celsius } }'
    say(f">>> schema.execute({query!r}).data")
    say(str(schema.execute(query).data))


def ignored(_: str, names: list[str]) -> list[str]:
    """What is made in the folder of a project."""
    return [name for name in names if name in {"build", "node_modules"}]


STEPS: list[Callable[[Path], None]] = [
    cpython_reads_a_folder,
    resvg_draws_a_picture,
    graphviz_draws_a_graph,
    python_calls_a_component,
    terminal_calls_a_component,
    waits_run_together,
    cpython_starts_from_the_cache,
    two_languages_become_one_package,
    python_answers_http,
    graphql_js_runs_in_python,
]


def say(line: str) -> None:
    """Print a line of what a step has to show."""
    print(f"   {line}", flush=True)


def empty_store(folder: Path) -> None:
    """From here on packages are kept in this folder, where there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    say(f"$ export WHERRY_STORE={folder}")
    os.environ["WHERRY_STORE"] = str(folder)


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints, shown as well."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"error: the demo stopped, as this command ended with {process.wait()}")
    say(line.rstrip())
    return line


def answer(url: str) -> str:
    """What a server on this machine answers."""
    with urlopen(url, timeout=60) as response:  # noqa: S310 - an address that our own server printed
        body: bytes = response.read()
    return body.decode()


def shell(*arguments: str) -> None:
    """Run ``wherry`` with ``arguments``, showing the command and what it prints."""
    typed(shlex.join(["wherry", *arguments]))


def typed(line: str) -> None:
    """Run a line of a shell in which ``wherry`` is this environment's, showing it and what it prints."""
    say(f"$ {line}")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    bash = ["bash", "-o", "pipefail", "-c", line]
    done = subprocess.run(
        bash, check=False, stdout=subprocess.PIPE, text=True, env={**os.environ, "PATH": path}
    )
    for printed in done.stdout.splitlines():
        say(printed)
    if done.returncode != 0:
        sys.exit(f"error: the demo stopped, as this command ended with {done.returncode}")


def main(folder: Path) -> None:
    """Run every step, and say what to type next."""
    folder.mkdir(parents=True, exist_ok=True)
    programs.link(folder)
    for number, step in enumerate(STEPS, start=1):
        print(f"{number}. {step.__doc__}", flush=True)
        step(folder)
        print()
    print("Next, with `.venv/bin` on your PATH (`. .venv/bin/activate`):")
    say(f"wherry run {folder}/python.wasm -c 'print(6 * 7)'")
    say(f"wherry inspect {HERE}/readings.wat")
    say("wherry run --help")


if __name__ == "__main__":
    main(Path(os.path.relpath(sys.argv[1] if len(sys.argv) > 1 else "build/demo")))
