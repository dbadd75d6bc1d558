"""Generated packages of npm for tests: written into a folder, compiled, run by Node."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wherry
from tests.guests.build import cached
from wherry import _native
from wherry.bind.generate import generated
from wherry.bind.languages import Options
from wherry.bind.library import read_library
from wherry.bind.output import write
from wherry.build import tools

if TYPE_CHECKING:
    from typing import Literal

__all__ = [
    "STRICT",
    "esbuild",
    "jco",
    "node",
    "npm_package",
    "prettier",
    "runnable",
    "tsc",
    "typescript",
    "with_javascript",
]

STRICT = (
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noImplicitOverride",
    "--noImplicitReturns",
    "--noPropertyAccessFromIndexSignature",
    "--noUncheckedIndexedAccess",
    "--noUnusedLocals",
    "--noUnusedParameters",
    "--verbatimModuleSyntax",
)


def _quiet(what: str, seconds: float | None) -> None:
    """Nobody looks on."""


def npm_package(
    component: bytes | str, name: str, folder: Path, *, errors: Literal["throw", "return"] | None = None
) -> Path:
    """The folder of the package that is generated for a component."""
    target = folder / name
    shutil.copytree(_made(component, name, errors), target, ignore=shutil.ignore_patterns("dist"))
    return target


def _made(component: bytes | str, name: str, errors: Literal["throw", "return"] | None) -> Path:
    """The same with its JavaScript, kept until what writes it changes: many tests have the same packages."""
    data = component.encode() if isinstance(component, str) else component

    def build(output: Path) -> None:
        files = generated(read_library(data, name), "typescript", Options(errors=errors))
        write(output, files, overwrite=False)
        _javascript(output)

    return cached(f"{name}-npm", build, data, errors or "throw", *_generator())


@functools.cache
def _generator() -> tuple[bytes, ...]:
    """What writes packages: sources of Python and JavaScript with the pins of their tools, and the core."""
    core = Path(_native.__file__).stat()
    root = Path(wherry.__file__).parent
    sources = [path for name in ("bind", "build", "wit") for path in sorted((root / name).rglob("*.*"))]
    data = [path.read_bytes() for path in sources if path.is_file() and path.suffix != ".pyc"]
    return (*data, f"{core.st_size} {core.st_mtime_ns}".encode())


def typescript() -> Path:
    """The compiler, in the version that projects are checked by."""
    return tools.provide(tools.JAVASCRIPT, _quiet) / "node_modules/typescript/bin/tsc"


def esbuild() -> Path:
    """What makes JavaScript of TypeScript at once."""
    return tools.provide(tools.JAVASCRIPT, _quiet) / "node_modules/esbuild/bin/esbuild"


def prettier() -> Path:
    """The formatter, in the version that generated files are formatted by."""
    return tools.provide(tools.BIND_TYPESCRIPT, _quiet) / "node_modules/prettier/bin/prettier.cjs"


def tsc(folder: Path, *words: str) -> None:
    """Runs the compiler in a folder; what it says against it fails the test."""
    done = subprocess.run(
        ["node", typescript(), *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def runnable(
    component: bytes | str, name: str, folder: Path, *, errors: Literal["throw", "return"] | None = None
) -> Path:
    """The same with its JavaScript, whose types nobody has checked: that takes long, and once is enough."""
    target = folder / name
    shutil.copytree(_made(component, name, errors), target)
    _with_shims(folder)
    return target


def with_javascript(target: Path) -> None:
    """Makes the JavaScript of a package, and puts the shim for WASI where it looks for it."""
    _javascript(target)
    _with_shims(target.parent)


def _javascript(target: Path) -> None:
    sources = sorted((target / "src").glob("*.ts"))
    subprocess.run([esbuild(), *sources, f"--outdir={target / 'dist'}", "--log-level=error"], check=True)


def _with_shims(folder: Path) -> None:
    shims = tools.provide(tools.BIND_TYPESCRIPT, _quiet) / "node_modules/@bytecodealliance"
    place = folder / "node_modules/@bytecodealliance"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(shims)


_JCO = """
import { readFileSync, writeFileSync } from "node:fs";
const [transpiler, component, folder] = process.argv.slice(2);
const { $init, generate } = await import(transpiler);
await $init;
const options = { name: "component", noComponentErrorWrapping: true, base64Cutoff: 5000, noTypescript: true };
const made = generate(readFileSync(component), options);
for (const [name, data] of made.files) writeFileSync(`${folder}/${name}`, data);
"""


def jco(component: str, folder: Path) -> Path:
    """A folder with what jco makes of a component as its command line asks it to."""
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "in.wasm").write_bytes(read_library(component.encode(), "theirs").component)
    (folder / "jco.mjs").write_text(_JCO)
    place = tools.provide(tools.BIND_TYPESCRIPT, _quiet) / "node_modules/@bytecodealliance/jco-transpile"
    transpiler = place / "vendor/js-component-bindgen-component.js"
    words = (folder / "jco.mjs", transpiler, folder / "in.wasm", folder)
    command = ["node", *map(str, words)]
    subprocess.run(command, check=True)
    return folder


def node(folder: Path, script: str, *flags: str) -> Any:
    """What a script prints, as JSON; it stands in ``folder``, beside the packages that it imports."""
    path = folder / "script.mjs"
    path.write_text(script)
    environment = {name: value for name, value in os.environ.items() if name != "NODE_EXTRA_CA_CERTS"}
    done = subprocess.run(
        ["node", *flags, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
