"""Generated bindings of TypeScript in Node, against what jco writes for the same component by itself."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.bindings import ENTRY, MANY
from benchmarks.measure import Timing
from tests.bind.npm_packages import jco, runnable
from tests.guests.build import text
from tests.guests.echo import echo
from tests.guests.wit_types import List, Prim

__all__ = ["add", "kilobyte", "many_records", "short_string"]

_SCRIPT = Path(__file__).with_name("javascript.mjs")


def add() -> Timing:
    """``add(2, 3)``."""
    return _timed(text("add").read_text(), "add", "[2, 3]")


def short_string() -> Timing:
    """16 bytes of text, there and back."""
    return _timed(echo(Prim("string")), "echo", '["0123456789abcdef"]')


def kilobyte() -> Timing:
    """1 KiB, there and back."""
    return _timed(echo(List(Prim("u8"))), "echo", "[new Uint8Array(1024)]")


def many_records() -> Timing:
    """10,000 records of a string, a number and 10 bytes, there and back."""
    # In an interface, as worlds export no types of their own.
    component = f"""(component
      {echo(List(ENTRY)).replace("(component", "(component $inner", 1)}
      (instance $inner (instantiate $inner))
      (export "local:benchmark/records" (instance $inner)))"""
    made = "{ name: `name ${number}`, number, data: new Uint8Array(10) }"
    values = f"[Array.from({{ length: {MANY} }}, (_, number) => ({made}))]"
    return _timed(component, "records.echo", values, calls=10)


def _timed(component: str, function: str, arguments: str, calls: int = 20_000) -> Timing:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = runnable(component, "ours", folder) / "dist/index.js"
        theirs = jco(component, folder / "theirs") / "component.js"
        command = ["node", str(_SCRIPT), str(ours), str(theirs), function, arguments, str(calls)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return Timing(*json.loads(done.stdout))
