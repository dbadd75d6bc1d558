"""Rust's standard library for WASI where the user's toolchain has none: made of Debian's packages, once.

Debian has a compiler with its sources and the C library of WASI, and no standard library for it. So the
packages are unpacked into the tool folder, not installed, and the standard library is compiled there with
the user's cargo: a minute or two, then it is as if the target had been added. The versions are recorded
beside it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.build import tools
from wherry.errors import BuildError, ToolError

if TYPE_CHECKING:
    from wherry.build.tools import Progress

__all__ = ["HINT", "PACKAGES", "described", "environment", "version_file"]

PACKAGES = ("rustc-web", "libstd-rust-web-dev", "rust-web-src", "lld-22", "libllvm22", "wasi-libc")
"""What is unpacked, and the one package that the second is a link to, whose name has the version in it."""

HINT = "`rustup target add wasm32-wasip1` adds it to your toolchain"
_PROGRAMS = ("apt-get", "apt-cache", "dpkg-deb")
_TARGET = "usr/lib/rustlib/wasm32-wasip1/lib"
_CRATE = """[package]
name = "everything"
version = "0.0.0"
edition = "2021"

[profile.release]
panic = "abort"
"""
_SOURCES = """[source.crates-io]
replace-with = "packaged"

[source.packaged]
directory = "{vendor}"
"""
_FLAGS = "-C embed-bitcode=yes --remap-path-prefix={root}=/rust"
"""What optimising a guest with its libraries as one needs, and no path of this machine."""


def folder() -> Path:
    """Where it is, once it was made."""
    return tools.tools_folder() / "rust-wasip1"


def version_file() -> Path:
    """What says of which versions of the packages it was made."""
    return folder() / "VERSIONS"


def described() -> str | None:
    """What there is, for people; ``None`` where there is none and none can be made."""
    if version_file().is_file():
        return "of Debian's packages"
    able = all(shutil.which(program) for program in _PROGRAMS)
    return "made of Debian's packages on first use" if able else None


def environment(progress: Progress) -> dict[str, str]:
    """The variables with which cargo compiles for WASI by it; it is made now if it was not before.

    Raises:
        ToolError: It cannot be made here.

    """
    if not version_file().is_file():
        with tools.alone("rust-wasip1"):
            if not version_file().is_file():
                _make(progress)
    return _variables(folder())


def _variables(root: Path) -> dict[str, str]:
    libraries = ":".join(str(path) for path in sorted((root / "usr/lib").glob("*-linux-gnu")))
    return {
        "RUSTC": str(root / "usr/bin/rustc"),
        "CARGO_TARGET_WASM32_WASIP1_LINKER": str(root / "usr/bin/wasm-ld-22"),
        "LD_LIBRARY_PATH": ":".join(filter(None, [libraries, os.environ.get("LD_LIBRARY_PATH", "")])),
    }


def _make(progress: Progress) -> None:
    if described() is None:
        raise ToolError("your Rust has no standard library for WASI", hint=HINT)
    with tempfile.TemporaryDirectory(dir=tools.tools_folder(), prefix=".partial-") as partial:
        root = Path(partial) / "root"
        versions = _unpack(Path(partial), root, progress)
        _compile(Path(partial) / "crate", root, progress)
        for path in (*root.glob("usr/src"), *root.glob("usr/share"), *root.glob("usr/lib/rustlib/src")):
            shutil.rmtree(path)
        (root / "VERSIONS").write_text(versions)
        if folder().exists():
            shutil.rmtree(folder())
        root.rename(folder())


def _unpack(partial: Path, root: Path, progress: Progress) -> str:
    """Fetches the packages and unpacks them into a folder; their names and versions."""
    archives = partial / "archives"
    archives.mkdir()
    what = "fetching Rust for WASI from Debian"
    try:
        said = tools.run(["apt-cache", "depends", "libstd-rust-web-dev"], archives, {}, what, progress)
        linked = [word for word in said.split() if word.startswith("libstd-rust-web-")]
        tools.run(["apt-get", "download", "--quiet", *PACKAGES, *linked], archives, {}, what, progress)
        for archive in sorted(archives.iterdir()):
            tools.run(["dpkg-deb", "--extract", str(archive), str(root)], partial, {}, what, progress)
    except ToolError as error:
        error.message = f"your Rust has no standard library for WASI, and {error.message}"
        error.hint = f"{HINT}\n`apt-get update` may be needed first, if you want it from Debian"
        raise
    return "\n".join(sorted(archive.name for archive in archives.iterdir()))


def _compile(crate: Path, root: Path, progress: Progress) -> None:
    """Compiles the standard library, and puts it and the C library where the compiler looks for them."""
    own = root / _TARGET / "self-contained"
    own.mkdir(parents=True)
    for name in ("crt1-command.o", "crt1-reactor.o", "libc.a"):
        shutil.copy(root / "usr/lib/wasm32-wasi" / name, own)
    (crate / "src").mkdir(parents=True)
    (crate / ".cargo").mkdir()
    (crate / "Cargo.toml").write_text(_CRATE)
    (crate / "src" / "main.rs").write_text("fn main() {}\n")
    (vendor,) = root.glob("usr/src/rustc-*/library/vendor")
    (crate / ".cargo" / "config.toml").write_text(_SOURCES.format(vendor=vendor))
    command = ["cargo", "build", "--release", "--quiet", "--offline", "--target", "wasm32-wasip1"]
    command += ["-Z", "build-std=std,panic_abort", "--target-dir", str(crate / "target")]
    variables = {**_variables(root), "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": _FLAGS.format(root=root)}
    tools.run(command, crate, variables, "compiling Rust's standard library for WASI", progress)
    made = [*(crate / "target/wasm32-wasip1/release/deps").glob("*.rlib")]
    if not any(path.name.startswith("libstd-") for path in made):
        raise BuildError("cargo compiled no standard library")
    for path in made:
        shutil.copy(path, root / _TARGET)
