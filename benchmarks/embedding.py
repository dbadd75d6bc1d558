"""Calls from C: through generated bindings, and through wasmtime's C interface in its package from PyPI.

Both are asked by turns inside one program, ``c_calls.c``, with the same component and the settings
that each has when nothing is said: ours ends a guest in time and keeps count of what it uses.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.measure import Timing
from tests.bind.c_programs import package
from tests.guests.build import binary, text
from tests.guests.echo import echo
from tests.guests.wit_types import List, Prim

__all__ = ["add", "bytes_kibibyte", "short_string"]

ROOT = Path(__file__).parent.parent
PREFIX = ROOT / "build" / "libwherry"


def add() -> Timing:
    """Two numbers in, one out."""
    return _measured("-DADD", binary(text("add")))


def short_string() -> Timing:
    """Sixteen bytes of text in and out."""
    return _measured("-DSTRING_OF_16", binary(echo(Prim("string"))))


def bytes_kibibyte() -> Timing:
    """1 KiB in and out."""
    return _measured("-DBYTES_OF_1024", binary(echo(List(Prim("u8")))))


def _measured(what: str, component: Path) -> Timing:
    made = package(component.read_bytes(), "guest")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "calls"
        environment = {**os.environ, "PKG_CONFIG_PATH": str(PREFIX / "lib" / "pkgconfig")}
        found = _run(["pkg-config", "--cflags", "--libs", "wherry"], environment)
        source = Path(__file__).with_name("c_calls.c")
        words = ["cc", "-std=c11", "-O2", what, *made.words, "-o", str(program), str(source), *made.sources]
        _run([*words, *found.split(), "-ldl"], environment)
        printed = _run([str(program), str(_peer()), str(component)], environment)
    ours, theirs = (float(word) / 1e9 for word in printed.split())
    return Timing(ours, theirs)


def _peer() -> Path:
    """The shared library in the package of wasmtime."""
    spec = importlib.util.find_spec("wasmtime")
    if spec is None or spec.origin is None:
        raise RuntimeError("`wasmtime` is missing\n\nhint: pip install -r requirements/bench.txt")
    (library,) = Path(spec.origin).parent.glob("*/_libwasmtime.*")
    return library


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False, env=environment, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"`{command[0]}` failed: {done.stderr}\n\nhint: make libwherry")
    return done.stdout
