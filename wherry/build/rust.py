"""Rust, compiled by the user's cargo for WASI 0.1; libraries with bindings of ``wit-bindgen-rust``.

The standard library for ``wasm32-wasip1`` is that of the user's toolchain (``rustup target add``). Where
there is none, ``rust_debian`` makes one of Debian's packages.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry import _native
from wherry.build import rust_debian
from wherry.build.bindings import write_bindings
from wherry.build.languages import Job, Product, Requirement
from wherry.build.running import run_tool
from wherry.errors import BuildError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.build.project import Target

__all__ = ["build", "identity", "requirements"]

_TRIPLE = "wasm32-wasip1"
_MESSAGE = '{"reason":'
_LEVELS = {"size": "s", "speed": "3"}


class _Compiled(msgspec.Struct):
    """What a message of cargo says is compiled (doc.rust-lang.org/cargo/reference/external-tools.html)."""

    name: str
    crate_types: list[str]


class _Message(msgspec.Struct):
    """A message of cargo, as far as it matters here."""

    reason: str
    target: _Compiled | None = None
    filenames: list[str] = []
    manifest_path: str = ""


def requirements() -> list[Requirement]:
    """Cargo with rustc, and the standard library for WASI."""
    hint = "https://rustup.rs installs and updates it"
    found = [Requirement(name, shutil.which(name), hint, "1.85") for name in ("cargo", "rustc")]
    if all(one.found for one in found):
        library = "your toolchain's" if _has_library() else rust_debian.described()
        found.append(Requirement(f"std for {_TRIPLE}", library, rust_debian.HINT))
    return found


def identity() -> str:
    """Which toolchain it is, without asking it: what rustup notes of it, and the library that was fetched."""
    home = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")
    notes = [home / "settings.toml", *sorted((home / "update-hashes").glob("*")), rust_debian.version_file()]
    found = [os.environ.get("RUSTUP_TOOLCHAIN", "")]
    found += [note.read_text(errors="replace") for note in notes if note.is_file()]
    for name in ("cargo", "rustc"):
        program = shutil.which(name)
        if program is not None:
            stat = Path(program).stat()
            found.append(f"{program} {stat.st_size} {stat.st_mtime_ns}")
    return " ".join(found)


def build(job: Job) -> Product:
    """Runs ``cargo build``, which compiles what has changed."""
    target = job.target
    crate = target.source if target.source.is_dir() else target.source.parent
    manifest = next(
        (one / "Cargo.toml" for one in (crate, *crate.parents) if (one / "Cargo.toml").is_file()), None
    )
    if manifest is None:
        raise NotFoundError(f"`{crate}` has no `Cargo.toml`", hint="`cargo init` makes one")
    if target.wit is not None:
        write_bindings(job, _native.generate_bindings(target.wit, "rust", target.world))
    command = ["cargo", "build", "--quiet", "--release", "--target", _TRIPLE]
    command += ["--message-format", "json-render-diagnostics", "--manifest-path", str(manifest)]
    command += ["--target-dir", str(job.work.parent / "cargo")]
    command += ["--bins"] if target.kind == "command" else ["--lib"]
    environment = {"CARGO_TERM_COLOR": "always" if job.colour else "never"}
    environment |= _profile(manifest, target) | _library(job) | _paths(command, job.folder)
    try:
        said = run_tool(
            command, job.folder, job.progress, what=f"compiling {target.name}", environment=environment
        )
    except BuildError as error:
        error.output = _talk(error.output.splitlines(keepends=True))
        raise
    lines = said.splitlines(keepends=True)
    messages = [msgspec.json.decode(line, type=_Message) for line in lines if line.startswith(_MESSAGE)]
    path = _made(messages, target, str(manifest.absolute()))
    return Product(path.read_bytes(), _talk(lines), inputs=list(_outside(path.with_suffix(".d"), job.folder)))


def _talk(lines: list[str]) -> str:
    """What cargo said to people."""
    return "".join(line for line in lines if not line.startswith(_MESSAGE))


def _profile(manifest: Path, target: Target) -> dict[str, str]:
    """What is optimised for, unless the crate says so itself."""
    if "[profile.release" in manifest.read_text(encoding="utf-8"):
        return {}
    return {
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": _LEVELS[target.optimise],
        "CARGO_PROFILE_RELEASE_LTO": "true",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "1",
        "CARGO_PROFILE_RELEASE_PANIC": "abort",
        "CARGO_PROFILE_RELEASE_STRIP": "debuginfo",
    }


def _paths(command: list[str], folder: Path) -> dict[str, str]:
    """What keeps paths of this machine out of the component, beside what the user's own settings say."""
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    flags = [f"--remap-path-prefix={folder}=.", f"--remap-path-prefix={cargo}=/cargo"]
    said = os.environ.get("RUSTFLAGS")
    if said is not None:
        return {"RUSTFLAGS": " ".join([said, *flags])}
    command += ["--config", f"target.{_TRIPLE}.rustflags={flags!r}"]
    return {}


def _library(job: Job) -> dict[str, str]:
    """Which compiler is used: the user's if it has the standard library for WASI, or else the one fetched."""
    return {} if _has_library(job.folder) else rust_debian.environment(job.progress)


def _has_library(folder: Path | None = None) -> bool:
    """Whether the user's toolchain, which folders may choose, has the standard library for WASI."""
    import subprocess

    asked = ["rustc", "--print", "target-libdir", "--target", _TRIPLE]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, cwd=folder)
    return done.returncode == 0 and any(Path(done.stdout.strip()).glob("libstd-*.rlib"))


def _made(messages: list[_Message], target: Target, manifest: str) -> Path:
    """The module that cargo made: that of the package's binary or library."""
    wanted = "bin" if target.kind == "command" else "cdylib"
    found = {
        message.target.name: Path(name)
        for message in messages
        if message.target is not None
        and wanted in message.target.crate_types
        and message.manifest_path == manifest
        for name in message.filenames
        if name.endswith(".wasm")
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if target.name in found:
        return found[target.name]
    if not found and wanted == "cdylib":
        raise BuildError(
            "the crate is no library of C's kind", hint='`crate-type = ["cdylib"]` in `[lib]` makes it one'
        )
    names = ", ".join(f"`{name}`" for name in sorted(found)) or "none"
    raise BuildError(f"the crate has no binary `{target.name}`", hint=f"its binaries are: {names}")


def _outside(dependencies: Path, folder: Path) -> Iterator[Path]:
    """Files of other crates of the user's, from what cargo notes of the inputs (in the manner of make)."""
    try:
        text = dependencies.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    _, _, names = text.partition(": ")
    for name in names.replace("\\ ", "\0").split():
        path = Path(name.replace("\0", " "))
        if not path.is_relative_to(folder):
            yield path
