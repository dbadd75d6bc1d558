"""What the README tells users to type works on a machine that has Python, Rust, a C compiler and Node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Compiled dependencies are shared with `make`; all else is new.
ENVIRONMENT = {
    **os.environ,
    "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(Path.home() / ".cache/wherry/target")),
}
ADD = """
(component
  (core module $code
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $core (instantiate $code))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $core "add"))))
"""


def clone(folder: Path) -> Path:
    """The committed state of this repository, in ``folder``."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_pip_install_gives_a_working_command(tmp_path: Path) -> None:
    """``pip install .`` in a fresh clone installs a `wherry` that runs, and that imports no `re` to start."""
    source = clone(tmp_path / "source")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    bin_ = tmp_path / "env" / "bin"
    subprocess.run([bin_ / "pip", "install", "--quiet", source], check=True, env=ENVIRONMENT)
    (tmp_path / "add.wat").write_text(ADD)
    wherry = str(bin_ / "wherry")
    arguments = ["run", "--invoke", "add(2, 3)", "add.wat"]
    done = subprocess.run([wherry, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "5\n"
    # As the shell would start it, but with a list of what is imported.
    listing = [str(bin_ / "python"), "-X", "importtime", wherry, *arguments]
    done = subprocess.run(listing, cwd=tmp_path, check=True, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"re", "click", "rich", "msgspec", "asyncio"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_make_demo_works_on_a_fresh_clone(tmp_path: Path) -> None:
    """``make demo`` sets up everything by itself, with nothing cached but the compiled dependencies."""
    source = clone(tmp_path / "source")
    done = subprocess.run(
        ["make", "demo"],
        cwd=source,
        check=False,
        env={**ENVIRONMENT, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert (source / "build" / "demo" / "wherry.png").exists()
    assert (source / "build" / "demo" / "weather.oci.tar").exists()
