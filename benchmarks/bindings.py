"""Generated bindings of Python: a call through them, records as dataclasses, and a whole import."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wherry
from benchmarks.measure import Timing, calls, processes
from tests.guests.build import text
from tests.guests.echo import echo
from tests.guests.wit_types import Field, List, Prim, Record
from wherry.bind.generate import bind
from wherry.bind.library import read_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.guests.wit_types import Wit

__all__ = ["ENTRY", "MANY", "add", "import_cached", "kilobyte", "many_records", "short_string"]

ENTRY = Record((Field("name", Prim("string")), Field("number", Prim("u32")), Field("data", List(Prim("u8")))))
MANY = 10_000
MANIFEST = '[package]\nname = "acme/adder"\nversion = "1.0.0"\n[library]\ncomponent = "library.wasm"\n'


def add() -> Timing:
    """``add(2, 3)`` through the generated class, and through the runtime API."""
    path = text("add")
    library = _library(path.read_bytes(), "bound_add")
    return calls(library.BoundAdd().add, wherry.load(path).instantiate().add, 2, 3)


def short_string() -> Timing:
    """16 bytes of text, there and back."""
    return _echoed(Prim("string"), "bound_string", "0123456789abcdef")


def kilobyte() -> Timing:
    """1 KiB, there and back."""
    return _echoed(List(Prim("u8")), "bound_bytes", bytes(1024))


def many_records() -> Timing:
    """Dataclasses there and back, and mappings there and records back."""
    source = echo(List(ENTRY))
    package = _library(source.encode(), "bound_records")
    typed = [package.Record0(f"name {at}", at, b"0123456789") for at in range(MANY)]
    plain = [{"name": f"name {at}", "number": at, "data": b"0123456789"} for at in range(MANY)]
    ours = functools.partial(package.BoundRecords().echo, typed)
    theirs = functools.partial(_runtime(source), plain)
    return calls(ours, theirs)


def import_cached() -> Timing:
    """A process that imports a package and calls it once, and one that imports ``dataclasses``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wherry.toml").write_text(MANIFEST)
        (folder / "library.wasm").write_bytes(text("add").read_bytes())
        os.environ["WHERRY_STORE"] = str(folder / "store")
        try:
            command = [sys.executable, "-m", "wherry", "pack", str(folder)]
            subprocess.run(command, check=True, capture_output=True)
            program = "from wherry.packages.acme import adder; adder.add(2, 3)"
            ours = [sys.executable, "-c", program]
            return processes(ours, [sys.executable, "-c", "import dataclasses"], rounds=31)
        finally:
            del os.environ["WHERRY_STORE"]


def _echoed(wit: Wit, name: str, value: object) -> Timing:
    source = echo(wit)
    library = _library(source.encode(), name)
    root = "".join(word.capitalize() for word in name.split("_"))
    return calls(getattr(library, root)().echo, _runtime(source), value)


def _runtime(source: str) -> Callable[..., object]:
    function: Callable[..., object] = wherry.load(source.encode()).instantiate().echo
    return function


def _library(component: bytes, name: str) -> Any:
    """The generated package of a component, imported."""
    folder = tempfile.mkdtemp(prefix="wherry-bench-")
    bind(read_library(component, name), "python", folder)
    sys.path.insert(0, folder)
    return importlib.import_module(name)
