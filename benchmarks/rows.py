"""The rows of the table: what is measured, against what, and what it must reach.

Each row is a function that returns its figures; ``ROWS`` lists them in the order of the table. A budget
is a ratio of ours to theirs: ``at_most(1.6)`` for a cost that may be a little higher, ``faster(25)`` for
a cost that must be that many times lower.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import wherry
from benchmarks import bindings, embedding, graphql, javascript, packages, packing, peers, serving
from benchmarks.measure import Command, Timing, calls, each, output, processes
from examples.untrusted.untrusted import python_interpreter
from tests.guests.build import binary, c_command, text
from tests.guests.echo import echo, relay
from tests.guests.wit_types import Field, List, Option, Prim, Record, Wit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROWS", "Budget", "Row"]

MEBIBYTE = bytes(range(256)) * 4096
BYTES = List(Prim("u8"))
STRING = Prim("string")
BLOB = Record((Field("name", STRING), Field("data", BYTES)))
TRIVIAL = '(module (memory (export "memory") 1) (func (export "answer") (result i32) (i32.const 0)))'
ENTRY = Record((Field("name", STRING), Field("number", Prim("u32")), Field("data", BYTES)))


@dataclass(frozen=True)
class Budget:
    """What the ratio of ours to theirs may be; ``None`` is measured and has no goal.

    ``beside`` are seconds that ours may take on top of that.
    """

    limit: float | None
    text: str
    beside: float = 0

    def holds(self, timing: Timing) -> bool:
        """Whether ours took no longer."""
        return self.limit is None or timing.ours <= self.limit * timing.theirs + self.beside


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    against: str
    budget: Budget
    measure: Callable[[], Timing]


def at_most(times: float, beside: float = 0) -> Budget:
    """Ours may cost so many times what theirs costs, and so many seconds beside."""
    return Budget(times, f"≤ {times:g} ×{f' + {beside:g} s' if beside else ''}", beside)


def faster(times: float) -> Budget:
    """Ours must cost so many times less than theirs."""
    return Budget(1 / times, f"≥ {times:,g} × faster")


NO_GOAL = Budget(None, "no goal")


def start_against_interpreter() -> Timing:
    """A whole process that says hello, and one in which Python does nothing."""
    interpreter: Command = [peers.interpreter(), "-c", "pass"]
    return processes(_wherry_run(_hello()), interpreter, rounds=31)


def start_against_wasmtime_py() -> Timing:
    """The same against a script that loads a precompiled module."""
    script = Path(__file__).with_name("hello_wasmtime_py.py")
    theirs: Command = [peers.interpreter(), script, peers.precompiled_by_peer(_hello())]
    return _agreeing(_wherry_run(_hello()), theirs, rounds=21)


def start_against_wasmtime() -> Timing:
    """The same against the wasmtime program with its cache."""
    return _agreeing(_wherry_run(_hello()), _wasmtime_run(_hello()), rounds=31)


def start_cpython() -> Timing:
    """CPython for WASI, compiled before."""
    program = (peers.cpython(), "-c", "print(1)")
    return _agreeing(_wherry_run(*program), _wasmtime_run(*program))


def add() -> Timing:
    """Two numbers in, one out."""
    ours = wherry.load(text("add")).instantiate().add
    theirs = peers.peer_function(text("add"), "add")
    assert ours(2, 3) == theirs(2, 3)
    return calls(ours, theirs, 2, 3)


def short_string() -> Timing:
    """Sixteen bytes in and out."""
    return _echoes(STRING, "sixteen bytes ok")


def mebibyte() -> Timing:
    """1 MiB in and out."""
    return _echoes(BYTES, MEBIBYTE)


def mebibyte_in_record() -> Timing:
    """1 MiB in and out, as a field of a record."""
    return _echoes(BLOB, SimpleNamespace(name="a", data=MEBIBYTE))


def mebibyte_in_option() -> Timing:
    """1 MiB in and out, as the payload of an option."""
    return _echoes(Option(BYTES), MEBIBYTE)


def mebibyte_through_host() -> Timing:
    """1 MiB into the guest, from there to a host function, and all the way back."""
    wat = relay(BYTES)
    ours = wherry.load(wat.encode()).instantiate(imports={"host": lambda x: x}).relay
    theirs = peers.peer_function(wat, "relay", lambda _store, x: x)
    assert ours(MEBIBYTE) == bytes(theirs(MEBIBYTE)) == MEBIBYTE
    return calls(ours, theirs, MEBIBYTE)


def many_records() -> Timing:
    """10,000 records of a string, a number and 16 bytes, in and out."""
    records = [SimpleNamespace(name=f"record {at}", number=at, data=bytes(16)) for at in range(10_000)]
    return _echoes(List(ENTRY), records)


def fresh_instance() -> Timing:
    """A new sandbox of a small component, with WASI."""
    component = wherry.load(text("lucky"))

    def ours() -> None:
        component.instantiate().close()

    return calls(ours, peers.peer_instantiator(text("lucky")))


def kernels() -> Timing:
    """Five compute kernels, each as a whole process: the geometric mean of both sides."""
    return _kernels(_wherry_run, _wasmtime_run)


def small_reads() -> Timing:
    """A small file opened, read and closed a million times, in a folder that was granted."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "small").write_text("a few bytes\n")
        program = ("--dir", f"{folder}::/in", c_command("paths"), "reread", "/in/small", "1000000")
        return _agreeing(_wherry_run(*program), _wasmtime_run(*program), rounds=5)


def kernels_limited() -> Timing:
    """The same under a time limit, against none."""
    return _kernels(lambda module: _wherry_run("--timeout", "1h", module), _wherry_run)


def kernels_shared() -> Timing:
    """The same in a process that others share, here this one, against a peer that interrupts guests too."""
    timings = []
    for name in peers.KERNELS:
        module = peers.kernel(name)
        theirs = _wasmtime_run("-W", "timeout=3600s", module)

        def run(path: str) -> bytes:
            return bytes(wherry.run(path, timeout=3_600, capture=True).stdout)

        def run_theirs(_: str, command: Command = theirs) -> bytes:
            return output(command)

        assert run(str(module)) == run_theirs("")
        timings.append(_told(name, each(run, run_theirs, [str(module)] * 5, rounds=5)))
    return _mean(timings)


def _kernels(ours: Callable[[Path], Command], theirs: Callable[[Path], Command]) -> Timing:
    timings = []
    for name in peers.KERNELS:
        module = peers.kernel(name)
        timings.append(_told(name, _agreeing(ours(module), theirs(module), rounds=5)))
    return _mean(timings)


def _told(name: str, timing: Timing) -> Timing:
    """The same, once it is said how it went."""
    sys.stderr.write(f"  {name}: {timing.ours / timing.theirs:.2f}\n")
    return timing


def _mean(timings: list[Timing]) -> Timing:
    return Timing(
        statistics.geometric_mean(timing.ours for timing in timings),
        statistics.geometric_mean(timing.theirs for timing in timings),
    )


def sandboxed_call() -> Timing:
    """One call of a function that does nothing, in a fresh instance."""
    with wherry.Sandbox(binary(TRIVIAL)) as sandbox:
        assert sandbox.answer() == 0
        return calls(sandbox.answer, peers.peer_plugin(TRIVIAL, "answer"))


def snippets() -> Timing:
    """A thousand snippets of Python, each in a fresh copy of a started interpreter."""
    with wherry.Sandbox(python_interpreter()) as sandbox:
        return _snippets(1_000, sandbox.execute)


def snippets_as_commands() -> Timing:
    """The same, each in an interpreter that starts anew."""
    with wherry.Sandbox(peers.cpython()) as sandbox:
        return _snippets(200, lambda source: sandbox.run("-c", source).stdout.decode())


def _snippets(count: int, ours: Callable[[str], str]) -> Timing:
    """Times so many snippets against processes of the interpreter, which must print the same."""
    interpreter: list[str | Path] = [peers.interpreter(), "-I", "-S", "-c"]

    def theirs(source: str) -> str:
        done = subprocess.run([*interpreter, source], check=True, capture_output=True, text=True)
        return str(done.stdout)

    sources = [f"print(sum(n * n for n in range({number})))" for number in range(count)]
    assert ours(sources[-1]) == theirs(sources[-1])
    return each(ours, theirs, sources)


def compile_cpython() -> Timing:
    """CPython's module to machine code."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "python.cwasm"
        ours: Command = [peers.wherry_program(), "compile", peers.cpython(), "-o", compiled]
        theirs: Command = [peers.wasmtime_program(), "compile", peers.cpython(), "-o", compiled]
        return processes(ours, theirs, rounds=3)


def _hello() -> Path:
    return binary(text("hello"))


def _wherry_run(*arguments: str | Path) -> Command:
    return [peers.wherry_program(), "run", *arguments]


def _wasmtime_run(*arguments: str | Path) -> Command:
    return [peers.wasmtime_program(), "run", "-C", "cache=y", *arguments]


def _agreeing(ours: Command, theirs: Command, rounds: int = 15) -> Timing:
    """Times two processes that must print the same."""
    if (left := output(ours)) != (right := output(theirs)):
        raise AssertionError(f"{ours} printed {left!r}, and {theirs} printed {right!r}")
    return processes(ours, theirs, rounds)


def _echoes(wit: Wit, value: object) -> Timing:
    """A value through guest memory and back; the guest copies it part by part."""
    wat = echo(wit)
    ours = wherry.load(wat.encode()).instantiate().echo
    theirs = peers.peer_function(wat, "echo")
    ours(value)
    return calls(ours, theirs, value)


ROWS = {
    "start": Row(
        "`wherry run hello.wasm`, cached, whole process",
        "interpreter, `-c pass`",
        at_most(1.6),
        start_against_interpreter,
    ),
    "start-wasmtime-py": Row("the same", "wasmtime-py script", faster(3), start_against_wasmtime_py),
    "start-wasmtime": Row("the same", "`wasmtime run`, cached", NO_GOAL, start_against_wasmtime),
    "cpython": Row("CPython `-c 'print(1)'`, cached", "`wasmtime run`, cached", faster(3), start_cpython),
    "add": Row("call `add(u32, u32)`", "wasmtime-py", faster(25), add),
    "string": Row("string in and out, 16 bytes", "wasmtime-py", faster(20), short_string),
    "bytes": Row("list<u8> in and out, 1 MiB", "wasmtime-py", faster(5_000), mebibyte),
    "bytes-record": Row("the same inside a record", "wasmtime-py", faster(5_000), mebibyte_in_record),
    "bytes-option": Row("the same inside an option", "wasmtime-py", faster(5_000), mebibyte_in_option),
    "bytes-host": Row(
        "the same to and from a host import", "wasmtime-py", faster(5_000), mebibyte_through_host
    ),
    "c-add": Row("call `add(u32, u32)` from C", "wasmtime's C interface", at_most(1), embedding.add),
    "c-string": Row("the same, string of 16 bytes", "the same", at_most(1), embedding.short_string),
    "c-bytes": Row("the same, list<u8> of 1 KiB", "the same", at_most(1), embedding.bytes_kibibyte),
    "records": Row("10,000 records in and out", "wasmtime-py", faster(100), many_records),
    "bind-add": Row("`add(u32, u32)` through generated Python", "runtime API", at_most(1.2), bindings.add),
    "bind-string": Row("string of 16 bytes, likewise", "runtime API", at_most(1.2), bindings.short_string),
    "bind-bytes": Row("1 KiB of bytes, likewise", "runtime API", at_most(1.2), bindings.kilobyte),
    "bind-records": Row(
        "10,000 generated dataclasses in and out",
        "runtime API with mappings",
        at_most(1.3),
        bindings.many_records,
    ),
    "bind-import": Row(
        "import of a cached package and one call, whole process",
        "interpreter, `-c 'import dataclasses'`",
        at_most(1.8),
        bindings.import_cached,
    ),
    "node-add": Row("`add(u32, u32)` through generated TypeScript", "jco", at_most(1.05), javascript.add),
    "node-string": Row("string of 16 bytes, likewise", "jco", at_most(1.05), javascript.short_string),
    "node-bytes": Row("1 KiB of bytes, likewise", "jco", at_most(1.05), javascript.kilobyte),
    "node-records": Row("10,000 records, likewise", "jco", at_most(1.05), javascript.many_records),
    "instance": Row("fresh instance with WASI", "wasmtime-py", faster(2), fresh_instance),
    "kernels": Row("compute kernels, geometric mean", "`wasmtime run`, cached", at_most(1.05), kernels),
    "kernels-limited": Row("the same with `--timeout`", "the same without", at_most(1.03), kernels_limited),
    "kernels-shared": Row(
        "the same in a shared process", "`wasmtime run -W timeout`", at_most(1.05), kernels_shared
    ),
    "files": Row(
        "a million small file reads under a policy", "`wasmtime run --dir`", at_most(1.1), small_reads
    ),
    "sandbox": Row("`Sandbox` call, fresh instance each", "Extism, the same", faster(5), sandboxed_call),
    "snippets": Row(
        "a snippet of Python in a copy of a started interpreter", "`python3 -I -S -c`", faster(2), snippets
    ),
    "snippets-commands": Row(
        "the same in CPython for WASI, started anew", "`python3 -I -S -c`", NO_GOAL, snippets_as_commands
    ),
    "pack": Row(
        "pack and unpack 30 MB in 2,000 files", "`tar` with zstd", at_most(1.5), packing.pack_and_unpack
    ),
    "compile": Row("compile CPython's module", "`wasmtime compile`", at_most(1.1), compile_cpython),
    "named": Row("`wherry run acme/hello`", "`wherry run hello.wasm`", at_most(1.15), packages.named),
    "installed": Row("installed launcher, hello", "the same", at_most(1.05), packages.installed),
    "list": Row("`wherry list` of 1,000 packages", "`wherry version`", at_most(1.3), packages.list_thousand),
    "resolve": Row("one of 1,000 by its name", "the same", at_most(1.3), packages.resolve_thousand),
    "http": Row("a request to a trivial guest", "`wasmtime serve`", faster(3), serving.against_wasmtime),
    "http-bare": Row("the same", "bare hyper, no sandbox", at_most(1 / 0.45), serving.against_bare),
    "http-slowest": Row(
        "the same, 99th percentile of 64 at once",
        "`wasmtime serve`",
        at_most(0.4),
        serving.slowest_against_wasmtime,
    ),
    "http-node": Row(
        "a request to a trivial guest", "`node:http`, no sandbox", faster(1.1), serving.against_node
    ),
    "http-granian": Row("the same", "granian, no sandbox", NO_GOAL, serving.against_granian),
    "http-uvicorn": Row("the same", "uvicorn, no sandbox", NO_GOAL, serving.against_uvicorn),
    "http-workerd": Row("the same", "workerd, one isolate", NO_GOAL, serving.against_workerd),
    "http-reused": Row("the same", "`wasmtime serve`, instances reused", NO_GOAL, serving.against_reused),
    "http-file": Row("a file of 16 KiB", "nginx", at_most(1 / 0.6), serving.file_against_nginx),
    "http-echo": Row(
        "1 MiB sent back as it is read", "`wasmtime serve`", faster(1.5), serving.echo_against_wasmtime
    ),
    "http-cpython": Row(
        "a request to an application in CPython",
        "`wasmtime serve`",
        faster(8),
        serving.cpython_against_wasmtime,
    ),
    "http-javascript": Row(
        "the same in JavaScript (StarlingMonkey)",
        "`wasmtime serve`",
        faster(2),
        serving.javascript_against_wasmtime,
    ),
    "http-start": Row(
        "start of the one in CPython to its first answer",
        "`wasmtime serve`, cached",
        at_most(0.5),
        serving.start_against_wasmtime,
    ),
    "graphql": Row(
        "GraphQL: nested query of 1,000 fields, resolvers in Python",
        "graphql-core",
        at_most(1),
        graphql.query_against_graphql_core,
    ),
    "graphql-request": Row(
        "the same as a request, whose document is known",
        "graphql-core, which reads it",
        NO_GOAL,
        graphql.request_against_graphql_core,
    ),
    "graphql-node": Row(
        "the same query from TypeScript in Node",
        "graphql-js",
        NO_GOAL,
        graphql.query_in_node,
    ),
    "build": Row("`wherry build`, nothing changed", "the same", at_most(2), packages.build_unchanged),
    **{
        name: Row(f"a line changed in {title}", "its tools by hand", at_most(1.1, beside=0.3), measure)
        for name, (title, measure) in packages.LANGUAGE_ROWS.items()
    },
}
