"""Go, compiled by the user's own compiler for WASI 0.1; libraries with bindings of ``wit-bindgen-go``.

What is generated is laid over the user's module by ``-overlay``, so that it is in no folder of theirs and
messages name their files. A command stays a core module: the adapter to WASI 0.2 and the runtime of Go do
not agree about the stack in every program. An application is written against ``net/http``: what stands
between that and ``wasi:http`` is ``guest/http.go``, which calls the ``main`` of the user for its handlers.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import msgspec

from wherry import _native
from wherry.build.bindings import write_bindings, write_changed
from wherry.build.languages import Job, Product, Requirement
from wherry.build.running import run_tool
from wherry.errors import BuildError, NotFoundError

GUEST = Path(__file__).with_name("guest")

__all__ = ["build", "identity", "requirements"]

_GENERATED = "wit_component"
"""The name of the module that is generated."""
_EXPORTS = "wit_exports.go"
"""The file of it that belongs to the package that is built."""
_HANDLER = "export_wasi_http_incoming_handler"
"""The package that it calls for an application."""
_MAIN = f"func init() {{ {_HANDLER}.Main = main }}".encode()
_MODULE = re.compile(r"^module[ \t]+\"?([^\s\"]+)", re.MULTILINE)
_RUNTIME = "go.bytecodealliance.org/pkg"
_ENVIRONMENT = {"GOOS": "wasip1", "GOARCH": "wasm", "CGO_ENABLED": "0"}


def requirements() -> list[Requirement]:
    """The compiler of Go."""
    return [Requirement("go", shutil.which("go"), "https://go.dev/dl has it, 1.25 or later", "1.25")]


def identity() -> str:
    """Which compiler it is, without asking it."""
    program = shutil.which("go")
    if program is None:
        return ""
    version = Path(program).resolve().parents[1] / "VERSION"
    return version.read_text() if version.is_file() else f"{program} {Path(program).stat().st_mtime_ns}"


def build(job: Job) -> Product:
    """Runs ``go build``, which compiles what has changed."""
    target = job.target
    package = target.source if target.source.is_dir() else target.source.parent
    root = next((one for one in (package, *package.parents) if (one / "go.mod").is_file()), None)
    if root is None:
        raise NotFoundError(f"`{package}` has no `go.mod`", hint=f"`go mod init {target.name}` makes one")
    made = job.work / "guest.wasm"
    command = ["go", "build", "-C", str(package), "-trimpath", "-buildvcs=false", "-o", str(made)]
    # What debuggers read stays out. `-s` would take the names of functions too, which are 2 % of the bytes.
    linked = "-w"
    called = target.kind != "command"
    if called:
        command += ["-buildmode=c-shared", *_overlay(job, root, package)]
        linked += " -checklinkname=0"
    said = run_tool(
        [*command, f"-ldflags={linked}", "."],
        job.folder,
        job.progress,
        what=f"compiling {target.name}",
        environment=_ENVIRONMENT,
    )
    return Product(made.read_bytes(), said, embed=called, adapt=called)


def _overlay(job: Job, root: Path, package: Path) -> list[str]:
    """The flags that lay what is generated over the user's module."""
    found = _MODULE.search((root / "go.mod").read_text(encoding="utf-8"))
    if found is None:
        raise BuildError(f"`{root / 'go.mod'}` does not say which module it is")
    assert job.target.interfaces is not None  # noqa: S101 - this is no command
    files = _native.generate_bindings(job.target.interfaces, "go", job.target.world)
    del files["go.mod"]
    if job.target.kind == "http":
        files[f"{_HANDLER}/http.go"] = (GUEST / "http.go").read_bytes()
        files[_EXPORTS] = files[_EXPORTS].replace(b"func main() {}", _MAIN)
    own = f'"{found[1]}/'.encode()
    # The empty assembly in some packages is for other compilers: here it would need the folder to exist.
    files = {
        name: text.replace(f'"{_GENERATED}/'.encode(), own)
        for name, text in files.items()
        if not name.endswith(".s")
    }
    written = write_bindings(job, files)
    replaced = {str(root / path.relative_to(job.bindings)): str(path) for path in written}
    replaced[str(package / _EXPORTS)] = replaced.pop(str(root / _EXPORTS))
    overlay = job.work / "overlay.json"
    write_changed(overlay, msgspec.json.encode({"Replace": replaced}))
    return ["-overlay", str(overlay), "-modfile", str(_module_file(job, root))]


def _module_file(job: Job, root: Path) -> Path:
    """The user's ``go.mod`` with the module that generated code imports, which no proxy has."""
    runtime = job.work / "pkg"
    for name, text in _native.go_module().items():
        write_changed(runtime / name, text.encode())
    file = job.work / "go.mod"
    text = (root / "go.mod").read_text(encoding="utf-8")
    # Seen from the module, wherever that is: the name of the folder gets into what is compiled.
    near = Path(os.path.relpath(runtime, root)).as_posix()
    text += f"\nrequire {_RUNTIME} v0.0.0\n\nreplace {_RUNTIME} => ./{near}\n"
    write_changed(file, text.encode())
    if (root / "go.sum").is_file():
        write_changed(job.work / "go.sum", (root / "go.sum").read_bytes())
    return file
