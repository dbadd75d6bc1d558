"""Interface files as components without code: what bindings in C have to compile for.

Those of the corpus; ``c/words.wit``, which has words that C and C++ keep for themselves in every
position, and documentation that would end a comment; and ``clashes``, which have the names that generated
code has for itself. Each file has one world.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.guests.build import cached

__all__ = ["CLASHES", "CORPUS", "component_of"]

CLASHES = sorted(Path(__file__).parent.glob("clashes/*.wit"))
CORPUS = sorted(
    [*Path(__file__).parent.glob("corpus/*.wit"), *Path(__file__).parent.glob("c/*.wit"), *CLASHES]
)


def component_of(interface: Path) -> Path:
    """A component that has the interface of a file, and traps whatever is called."""
    tools = str(Path(sys.executable).with_name("wasm-tools"))

    def build(output: Path) -> None:
        embedded = output.with_suffix(".core")
        words = [[tools, "component", "embed", "--dummy", str(interface), "-o", str(embedded)]]
        words += [[tools, "component", "new", str(embedded), "-o", str(output)]]
        for command in words:
            done = subprocess.run(command, capture_output=True, check=False, text=True)
            assert done.returncode == 0, done.stderr

    return cached(f"{interface.stem}.wasm", build, interface.read_bytes(), "1")
