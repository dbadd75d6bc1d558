"""A generated package as its users have it: a wheel, in an environment without this repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.bind.packages import packaged
from tests.guests.echo import echo
from tests.guests.wit_types import Prim
from wherry import _native

ROOT = Path(__file__).parents[2]
USE = "import echo_wheel; print(echo_wheel.echo('Grüße'), echo_wheel.__file__)"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The wheel of a package, built without the network."""
    folder = packaged(echo(Prim("string")).encode(), "echo_wheel", tmp_path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "-w", tmp_path / "wheels", folder], check=True)
    (found,) = (tmp_path / "wheels").glob("*.whl")
    return found


def test_a_wheel_has_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    """Component, types and the dependency on Wherry are in it, and it works where it is unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (described,) = (name for name in names if name.endswith("/METADATA"))
        assert f"Requires-Dist: wherry>={_native.about()[0]}" in archive.read(described).decode()
        archive.extractall(tmp_path / "site")
    assert {"echo_wheel/component.wasm", "echo_wheel/py.typed"} <= set(names)
    done = subprocess.run(
        [sys.executable, "-c", USE],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path / "site",
        env={"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"},
    )
    assert done.stdout == f"Grüße {tmp_path}/site/echo_wheel/__init__.py\n"


@pytest.mark.slow
def test_a_wheel_is_installed_and_used_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    """In a new environment with Wherry as it is installed, pip installs the wheel, and a program calls it."""
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    shutil.copytree(ROOT / "wherry", packages / "wherry", ignore=shutil.ignore_patterns("__pycache__"))
    version = _native.about()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = packages / f"wherry-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n")
    (info / "RECORD").write_text("")
    python = environment / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", wheel], check=True)
    done = subprocess.run(
        [python, "-c", USE], check=True, capture_output=True, text=True, cwd=tmp_path, env={}
    )
    assert done.stdout == f"Grüße {packages}/echo_wheel/__init__.py\n"
