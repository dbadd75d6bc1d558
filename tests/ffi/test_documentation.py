"""The page on embedding does what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.ffi.conftest import ROOT, WARNINGS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "embedding.md"


def block(language: str) -> str:
    """The one block in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert isinstance(found, str)
    return found


def test_the_program_of_the_page_works(prefix: Path, tmp_path: Path) -> None:
    """Saved, compiled and run as the page says, from a prefix that was moved."""
    shutil.copytree(prefix, tmp_path / "moved", symlinks=True)
    (tmp_path / "scale.wat").write_text(block("wat"))
    (tmp_path / "scale.c").write_text(block("c"))
    (session,) = re.findall(r"```\n(\$ cc.*?)```", PAGE.read_text(), re.DOTALL)
    compiling, running, printed = session.splitlines()
    command = compiling.removeprefix("$ ").replace("cc ", f"cc -std=c11 {' '.join(WARNINGS)} ", 1)
    environment = {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(tmp_path / "moved/lib/pkgconfig")}
    for each, expected in ((command, ""), (running.removeprefix("$ "), f"{printed}\n")):
        done = subprocess.run(
            ["bash", "-c", each], capture_output=True, check=False, cwd=tmp_path, env=environment, text=True
        )
        assert (done.stderr, done.stdout) == ("", expected)


CMAKE = """cmake_minimum_required(VERSION 3.16)
project(scale C)
find_package(Wherry 0.1 REQUIRED)
add_executable(scale scale.c)
target_link_libraries(scale PRIVATE Wherry::wherry)
"""


def test_cmake_finds_the_library(prefix: Path, tmp_path: Path) -> None:
    """By its package, told the prefix; the program finds it without a variable."""
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "scale.wat").write_text(block("wat"))
    (tmp_path / "scale.c").write_text(block("c"))
    commands = [
        ["cmake", "-S.", "-Bbuild", f"-DCMAKE_PREFIX_PATH={prefix}"],
        ["cmake", "--build", "build"],
        ["build/scale"],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "42\n"
