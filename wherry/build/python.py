"""Python, made a component with its interpreter by componentize-py; modules are imported when it is built.

What a guest imports while it runs is not there any more, so that what functions import is imported at build
time too: ``guest/wherry_guest.py``, which goes into the guest, sees to that. What answers requests is an
application of ASGI or WSGI; ``guest/wherry_answering.py`` is between it and its host. Dependencies are those
of ``pyproject.toml``, in pure Python.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.build import tools
from wherry.build.bindings import with_wasi, write_bindings, write_changed
from wherry.build.languages import Job, Product, Requirement
from wherry.build.running import run_tool
from wherry.errors import BuildError, ToolError

if TYPE_CHECKING:
    from wherry.build.project import Target

__all__ = ["build", "identity", "requirements"]

_GUEST = Path(__file__).with_name("guest")
_ENTRY = "wherry_guest.py"
_FOR_USERS = ("wherry_http.py",)
"""What applications may import, which editors find beside what is generated."""
_VERSION = "3.14"
"""The version of Python in the guest, which dependencies are chosen for."""
_PURE = ["--implementation", "py", "--abi", "none", "--platform", "any"]
_NATIVE = ["--implementation", "cp", *(word for abi in ("cp314", "abi3", "none") for word in ("--abi", abi))]
_NATIVE += [
    word for system in ("2014", "_2_17", "_2_28") for word in ("--platform", f"manylinux{system}_x86_64")
]
_NATIVE += ["--platform", "any"]
"""Wheels whose native modules are taken out: many are there for speed alone, and have another in Python."""
_LEFT_OUT = "native-modules"
_WORLD = "package wherry:guest;\n\nworld guest {{\n  include {world}@0.2.12;\n}}\n"
_WORLDS = {"command": "wasi:cli/command", "http": "wasi:http/proxy"}
_TRACEBACK = "Traceback (most recent call last):\n"
_TOOL_FAILED = f'{_TRACEBACK}  File "<string>", line 1, in <module>\nAssertionError: '
"""What componentize-py writes before what went wrong, with a traceback of the guest or without."""
_CAUSES = "\n\nCaused by:\n"
_CAUSE = re.compile(r"^ {4}(?:\d+: )?(\S.*)$", re.MULTILINE)
_OURS = re.compile(
    r'^  File "/(?:0/|world/|python/(?:importlib/|ast\.py)).*\n(?:    .*\n)*(?=  File|\S)', re.MULTILINE
)
"""The steps of a traceback that are not the user's."""
_AT_ITS_TOP = "the module is imported when it is built, and its top ended the guest: put that into a function"
_NOTE = (
    "note: `{name}` has another digest each time it is built, as the tables of its interpreter are random\n"
)


def requirements() -> list[Requirement]:
    """Componentize-py, which is fetched."""
    return [Requirement("componentize-py", tools.described(tools.COMPONENTIZE_PY), "")]


def identity() -> str:
    """The version of componentize-py, and what goes into each guest."""
    guest = [f"{path.name} {path.stat().st_size}" for path in sorted(_GUEST.glob("wherry_*.py"))]
    return " ".join([f"componentize-py {tools.COMPONENTIZE_PY.version}", *guest])


def build(job: Job) -> Product:
    """Runs componentize-py on a module that imports the user's."""
    target = job.target
    module, users = _module(target)
    wit, world = target.wit, target.world
    if wit is None:
        wit, world = _own_world(target, job.work / "wit"), "guest"
    else:
        # Read here first, as only that names the line which is wrong.
        _native.world_name(wit, world)
        wit = with_wasi(job)
    guest = job.work / "guest"
    for path in [_GUEST / _ENTRY] if target.kind != "http" else sorted(_GUEST.glob("wherry_*.py")):
        write_changed(guest / path.name, path.read_bytes())
    # componentize-py gives the guest its folders as `/0`, `/1` and so on, in this order.
    own = users.relative_to(job.folder) if users.is_relative_to(job.folder) else users.name
    shown = {"/1/": "" if str(own) == "." else f"{own}{os.sep}", "/2/": f"site-packages{os.sep}"}
    settings = f"MODULE = {module!r}\nKIND = {target.kind!r}\nFOLDERS = {shown!r}\n"
    write_changed(guest / "wherry_settings.py", settings.encode())
    folders = [guest, users, *_dependencies(job)]
    tool = _script(tools.provide(tools.COMPONENTIZE_PY, job.progress))
    about = ["--quiet", "-d", str(wit), *(["-w", world] if world is not None else [])]
    if target.wit is not None:
        _write_bindings(job, [*tool, *about])
    elif target.kind == "http":
        write_bindings(job, {name: (_GUEST / name).read_bytes() for name in _FOR_USERS})
    made = job.work / "guest.wasm"
    command = [*tool, *about, "componentize", Path(_ENTRY).stem, "-o", str(made)]
    command += [word for folder in folders for word in ("-p", str(folder))]
    # Without it the environment of whoever builds would come in.
    (job.work / "none" / "lib" / "site-packages").mkdir(parents=True, exist_ok=True)
    environment = {"VIRTUAL_ENV": str(job.work / "none"), "PYTHONPATH": "", "RUST_BACKTRACE": "0"}
    what = f"compiling {target.name}"
    try:
        said = run_tool(command, job.folder, job.progress, what=what, environment=environment)
    except BuildError as error:
        raise _explained(error, folders) from error
    data = _native.without_other_exports(made.read_bytes(), wit, world)
    return Product(data, said + _NOTE.format(name=target.name))


def _write_bindings(job: Job, tool: list[str]) -> None:
    """What editors read; the same is in the guest.

    Raises:
        BuildError: They have a name that Python cannot have.

    """
    with tempfile.TemporaryDirectory(dir=job.work) as fresh:
        run_tool([*tool, "bindings", fresh], job.folder, job.progress, what="generating bindings")
        files = {
            str(path.relative_to(fresh)): path.read_bytes()
            for path in Path(fresh).rglob("*")
            if path.is_file()
        }
    for name, data in files.items():
        if not name.startswith("wit_world") or not name.endswith(".py"):
            continue
        try:
            compile(data, name, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise BuildError(
                f"the interfaces have a name that Python has no form for: {error.msg}"
            ) from error
    write_bindings(job, files)


def _script(folder: Path) -> list[str]:
    """How componentize-py is started: its package has no ``__main__``."""
    start = (
        "import sys; from componentize_py import script; sys.argv[0] = 'componentize-py'; sys.exit(script())"
    )
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {start}"]


def _module(target: Target) -> tuple[str, Path]:
    """The name of the user's module, and the folder that it is in."""
    if target.source.is_file():
        return target.source.stem, target.source.parent
    found = [path.stem for path in sorted(target.source.glob("*.py"))]
    found += [path.parent.name for path in sorted(target.source.glob("*/__init__.py"))]
    wanted = target.name.partition(".")[0].replace("-", "_")
    name = next((one for one in (wanted, "main", "app", *found[: len(found) == 1]) if one in found), None)
    if name is None:
        what = f"`{target.source}` has no module `{wanted}`"
        raise BuildError(what, hint="`source` in `wherry.toml` names the file")
    if name in sys.stdlib_module_names:
        what = f"`{name}` in `{target.source}` has the name of one of Python's own modules"
        raise BuildError(what, hint="call it `main.py`, or name another file by `source` in `wherry.toml`")
    return name, target.source


def _own_world(target: Target, folder: Path) -> Path:
    """The interfaces of what has none of its own: those of WASI."""
    for name, text in _native.wasi_interfaces().items():
        write_changed(folder / "deps" / name, text.encode())
    write_changed(folder / "world.wit", _WORLD.format(world=_WORLDS[target.kind]).encode())
    return folder


def _dependencies(job: Job) -> list[Path]:
    """The folder of what ``pyproject.toml`` asks for, fetched when that changes."""
    import tomllib

    project = job.folder / "pyproject.toml"
    if not project.is_file():
        return []
    try:
        wanted = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"`{project}`: {error}") from error
    if not wanted:
        return []
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
    folder = job.work / f"packages-{digest}"
    if not folder.is_dir():
        _fetch(wanted, folder, job)
    return [folder]


def _fetch(wanted: list[str], folder: Path, job: Job) -> None:
    """Fetches dependencies with what they depend on; native modules of theirs are left out, and noted."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-compile",
        "--target",
        str(partial),
        "--only-binary",
        ":all:",
        "--python-version",
        _VERSION,
    ]
    what = "fetching dependencies"
    try:
        run_tool([*command, *_PURE, *wanted], job.folder, job.progress, what=what)
    except BuildError as first:
        try:
            run_tool([*command, *_NATIVE, *wanted], job.folder, job.progress, what=what)
        except BuildError:
            raise _refused(first) from first
    natives = [path for suffix in ("so", "pyd") for path in sorted(partial.rglob(f"*.{suffix}"))]
    for path in natives:
        path.unlink()
    names = [".".join(path.relative_to(partial).parts).partition(".cpython")[0] for path in natives]
    (partial / _LEFT_OUT).write_text("".join(f"{name.removesuffix('.abi3.so')}\n" for name in names))
    partial.rename(folder)


def _refused(error: BuildError) -> ToolError | BuildError:
    """Why dependencies cannot be fetched."""
    lines = [line for line in error.output.splitlines() if "No matching distribution" in line]
    if not lines:
        return ToolError(f"fetching dependencies failed:\n{error.output.strip()}")
    name = lines[0].rpartition(" for ")[2]
    return BuildError(
        f"`{name}` has no wheel of pure Python, and native code does not run in WebAssembly",
        hint="`dependencies` in `pyproject.toml` says which packages are used",
    )


def _left_out(said: str, folders: list[Path]) -> str | None:
    """The native module that is missing, if that is why a guest could not be built."""
    for note in [folder / _LEFT_OUT for folder in folders if (folder / _LEFT_OUT).is_file()]:
        for name in note.read_text().split():
            if f"No module named '{name}'" in said:
                return name
    return None


def _explained(error: BuildError, folders: list[Path]) -> BuildError:
    """Why componentize-py failed, with what its user can act on: the traceback of a guest, or a cause."""
    before, failed, said = error.output.partition(_TOOL_FAILED)
    if not failed:
        return error
    native = _left_out(said, folders)
    message, _, causes = said.partition(_CAUSES)
    what, hint = error.message, error.hint
    if _TRACEBACK in message:
        before += f"{_TRACEBACK}{_OURS.sub('', message.rpartition(_TRACEBACK)[2]).rstrip()}\n"
    else:
        reasons = [message.strip(), *_CAUSE.findall(causes)[-1:]]
        what = ": ".join([what, *(reason for reason in reasons if reason)])
        hint = _AT_ITS_TOP if "wasm backtrace" in causes else None
    if native is not None:
        what = f"`{native}` is native code, which does not run in WebAssembly"
        hint = "`dependencies` in `pyproject.toml` says which packages are used"
    found = BuildError(what, hint=hint)
    found.output = before
    return found
