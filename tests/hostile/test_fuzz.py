"""The fuzz targets build and find nothing in a minute each."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import CACHE, GUESTS, binary
from tests.hostile import corpus

if TYPE_CHECKING:
    from pathlib import Path

ROOT = GUESTS.parent.parent
SECONDS = 60
SEEDS = 200


@pytest.mark.slow
@pytest.mark.timeout(3600)  # the first build compiles the engine with the fuzzer's instrumentation
@pytest.mark.parametrize("target", ["load", "call"])
def test_a_minute_of_fuzzing_finds_nothing(target: str, tmp_path: Path) -> None:
    """A finding ends the fuzzer with its input, which the message names."""
    if shutil.which("cargo-fuzz") is None:
        pytest.fail("`cargo-fuzz` is missing: `make test-slow` installs it")
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for number, module in enumerate(examples(target)):
        (seeds / str(number)).write_bytes(module)
    # Without a sanitizer, stable Rust builds it, and the engine's own checks are on.
    command = ["cargo", "fuzz", "run", "--sanitizer", "none", target, str(seeds), "--"]
    limits = [
        f"-max_total_time={SECONDS}",
        "-timeout=20",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run(
        [*command, *limits],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(CACHE / "fuzz-target")},
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr


def examples(target: str) -> list[bytes]:
    """Inputs to start from: modules to load, and for calls the bytes that a module is made from."""
    if target == "load":
        texts = [binary(path).read_bytes() for path in sorted((GUESTS / "wat").glob("*.wat"))]
        return corpus.smith(1, SEEDS) + texts
    return [os.urandom(8192) for _ in range(SEEDS)]
