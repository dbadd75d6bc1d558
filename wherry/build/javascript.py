"""JavaScript and TypeScript, bundled by esbuild and made a component with QuickJS by componentize-qjs.

What answers HTTP has StarlingMonkey in place of QuickJS, with `fetch` and its streams; ``starlingmonkey.mjs``
loads it with the bundle.

``guest/`` has what programs expect of their host beside the language: ``console``, ``process`` and the files
of ``node:fs``. Messages and traps name the user's lines, by the bundler's map of sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry import _native
from wherry.build import tools
from wherry.build.bindings import with_wasi, write_changed
from wherry.build.crossing import as_the_engine_has_it, declare, library_entry, module_flags, quoted
from wherry.build.languages import Job, Product, Requirement, node
from wherry.build.npm import check_installed
from wherry.build.running import run_tool
from wherry.build.source_map import line_table
from wherry.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.build.crossing import Interfaces
    from wherry.build.project import Target

__all__ = ["build", "componentize", "declarations", "entry", "identity", "requirements"]

_GUEST = Path(__file__).with_name("guest")
_COMMAND = "package wherry:guest;\n\nworld guest {{\n{imports}  export wasi:cli/run@0.2.12;\n}}\n"
_PROGRAM = """import {base};
import {{ start }} from {command};
export const run = {{ run: () => start(() => require({user})) }};
"""
_APPLICATION = """import {{ answerWith }} from {fetch};
import * as user from {user};
answerWith(user);
"""
_HTTP = "package wherry:guest;\n\nworld guest {{\n  include wasi:http/proxy@{version};\n}}\n"
_STARLINGMONKEY = Path(__file__).with_name("starlingmonkey.mjs")
_KNOWN = "0.2.10"
"""The version of WASI that StarlingMonkey knows; hosts take it as their own."""
_IMPORTS = (
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "filesystem/types",
    "filesystem/preopens",
)
_NOTE = (
    "note: `{name}` has another digest each time it is built, as the tables of its interpreter are random\n"
)
_LOWERED = ("async-await", "async-generator", "for-await")
"""What the bundler makes into promises of ``guest/promise.js``, as nothing would run those of QuickJS."""
_ENTRIES = ("index", "main", "app")


def requirements() -> list[Requirement]:
    """Node, on which componentize-qjs runs, and npm, which fetches it."""
    return [*node(), Requirement("componentize-qjs", tools.described(tools.JAVASCRIPT), "")]


def identity() -> str:
    """The pinned versions, and what goes into each guest."""
    pinned = (tools.JAVASCRIPT, tools.STARLINGMONKEY)
    pins = " ".join((tools.PINS / one.name / "package.json").read_text() for one in pinned)
    guest = [f"{path.name} {path.stat().st_size}" for path in sorted(_GUEST.glob("*.*s"))]
    return " ".join([pins, *guest])


def build(job: Job) -> Product:
    """Bundles the module of the user and what it imports, and makes a component of it."""
    return componentize(job, entry(job.target, (".js", ".mjs")), declare(job, declarations(job.target)))


def declarations(target: Target) -> dict[str, bytes]:
    """What guests of this kind have beside the language, for editors and the compiler of TypeScript."""
    if target.kind == "http":
        return {}
    names = ("wherry.d.ts", *(("command.d.ts",) if target.kind == "command" else ()))
    return {name: (_GUEST / name).read_bytes() for name in names}


def componentize(job: Job, source: Path, interfaces: Interfaces | None) -> Product:
    """What JavaScript and TypeScript have in common."""
    target = job.target
    modules = tools.provide(tools.JAVASCRIPT, job.progress) / "node_modules"
    bundle, said = _bundle(job, modules, source, interfaces)
    if target.kind == "http":
        return Product(_answering(job, bundle), said, inputs=_installed(job))
    wit, world = target.wit, target.world
    if wit is None:
        wit, world = _command_world(job.work / "wit"), "guest"
    else:
        wit = with_wasi(job)
    made = job.work / "guest.wasm"
    command = [
        "node",
        str(modules / "componentize-qjs" / "bin" / "componentize-qjs"),
        "--sync",
        "-w",
        str(wit),
        "-j",
        str(bundle),
    ]
    command += ["-o", str(made), *(["-n", world] if world is not None else [])]
    command += ["--opt-size"] if target.optimise == "size" else []
    run_tool(command, job.folder, job.progress, what=f"compiling {target.name}")
    data = _native.without_other_exports(made.read_bytes(), wit, world)
    return Product(data, said + _NOTE.format(name=target.name), inputs=_installed(job))


def _answering(job: Job, bundle: Path) -> bytes:
    """StarlingMonkey, which has `fetch`, `Request` and `Response`, with a bundle loaded."""
    modules = tools.provide(tools.STARLINGMONKEY, job.progress) / "node_modules"
    wit, made = job.work / "wit", job.work / "guest.wasm"
    for name, text in _native.wasi_interfaces().items():
        write_changed(wit / "deps" / name, text.replace("@0.2.12", f"@{_KNOWN}").encode())
    write_changed(wit / "world.wit", _HTTP.format(version=_KNOWN).encode())
    words = [str(word) for word in (_STARLINGMONKEY, modules, bundle, wit, "guest", made)]
    run_tool(["node", *words], job.folder, job.progress, what=f"compiling {job.target.name}")
    return made.read_bytes()


def _installed(job: Job) -> list[Path]:
    """What tells of the packages of npm that went in."""
    installed = job.folder / "node_modules" / ".package-lock.json"
    return [installed] if installed.is_file() else []


def entry(target: Target, suffixes: Sequence[str]) -> Path:
    """The module that is the program, or that exports the functions."""
    if target.source.is_file():
        return target.source
    for name in (target.name.partition(".")[0], *_ENTRIES):
        for suffix in suffixes:
            path = target.source / f"{name}{suffix}"
            if path.is_file():
                return path
    what = f"`{target.source}` has no module `{target.name}{suffixes[0]}`"
    raise BuildError(what, hint="`source` in `wherry.toml` names the file")


def _bundle(job: Job, modules: Path, source: Path, interfaces: Interfaces | None) -> tuple[Path, str]:
    """One file with all that the module imports, and what the bundler said."""
    check_installed(job.folder)
    (program,) = modules.glob("@esbuild/*/bin/esbuild")
    # Beside what is bundled, so that no path of this machine gets into it.
    own = job.work / "guest"
    for path in _GUEST.glob("*.js"):
        write_changed(own / path.name, path.read_bytes())
    command = [str(program), "--bundle", "--format=esm", "--platform=neutral", "--main-fields=module,main"]
    if job.target.kind != "http":
        command += [f"--supported:{feature}=false" for feature in _LOWERED]
    command += ["--target=es2023", "--log-level=warning", f"--color={str(job.colour).lower()}"]
    command += module_flags(interfaces, own)
    if job.target.kind == "http":
        text = _APPLICATION.format(fetch=quoted(own / "fetch.js"), user=quoted(source))
    elif interfaces is None:
        command += [f"--alias:{name}={own / 'fs.js'}" for name in ("node:fs", "fs")]
        base, start = quoted(own / "base.js"), quoted(own / "command.js")
        text = _PROGRAM.format(base=base, command=start, user=quoted(source))
    else:
        text = library_entry(interfaces, source, job.folder, own)
    first, bundle = job.work / "entry.js", job.work / "guest.js"
    write_changed(first, text.encode())
    command += [str(first), "--sourcemap=external", f"--outfile={bundle}"]
    said = run_tool(command, job.folder, job.progress, what=f"bundling {job.target.name}")
    if job.target.kind == "http":
        return bundle, said
    made = bundle.read_text(encoding="utf-8")
    table = line_table((job.work / "guest.js.map").read_bytes(), made, job.work, job.folder, job.work)
    lines = f"\nglobalThis.__wherryBuilt({msgspec.json.encode(table).decode()});\n"
    bundle.write_text(as_the_engine_has_it(made) + lines, encoding="utf-8")
    return bundle, said


def _command_world(folder: Path) -> Path:
    """The interfaces of a command, as far as it uses them: those of WASI."""
    for name, text in _native.wasi_interfaces().items():
        write_changed(folder / "deps" / name, text.encode())
    imports = "".join(f"  import wasi:{name}@0.2.12;\n" for name in _IMPORTS)
    write_changed(folder / "world.wit", _COMMAND.format(imports=imports).encode())
    return folder
