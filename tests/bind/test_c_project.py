"""The page on libraries in C does what it says: packages are built, installed and used elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.ffi.conftest import PREFIX, ROOT, WARNINGS
from wherry.bind import generate

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "bind-c.md"
CMAKE = """cmake_minimum_required(VERSION 3.20)
project(hello C)
find_package(greeter CONFIG REQUIRED)
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE greeter::greeter)
"""


def block(language: str) -> str:
    """The one block of the page in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert isinstance(found, str)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the generated package of the page in it."""
    (tmp_path / "greeter.wat").write_text(block("wat"))
    generate.bind(generate.find_library(tmp_path / "greeter.wat"), "c", tmp_path / "greeter")
    return tmp_path


def run(folder: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a tool with nothing in its environment that would help it."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, check=False, text=True
    )


def test_a_missing_library_is_said_when_the_project_is_configured(project: Path) -> None:
    """CMake stops, and says what to install and how to name its place."""
    done = run(project, "cmake", "-S", "greeter", "-B", "build")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert re.search(r"libwherry \S+ or later was not found", said)
    assert "-DCMAKE_PREFIX_PATH=" in said


def test_another_version_of_the_header_is_said_by_the_compiler(project: Path) -> None:
    """Sources that were generated for another `wherry_bind.h` do not compile, and say what to do."""
    (project / "wherry_bind.h").write_text(
        (PREFIX / "include/wherry_bind.h").read_text().replace("BIND_VERSION 1", "BIND_VERSION 2")
    )
    words = ["-I.", "-Igreeter/include", f"-I{PREFIX}/include", "-fsyntax-only", "greeter/src/greeter.c"]
    done = run(project, "gcc", "-std=c11", *words)
    assert "run `wherry bind` again" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["OFF", "ON"], ids=["static", "shared"])
def test_a_package_is_installed_and_used_without_the_repository(project: Path, shared: str) -> None:
    """Built and installed by CMake into an empty prefix, found there by an empty project in both ways."""
    warnings = f"-DCMAKE_C_FLAGS={' '.join(WARNINGS)}"
    installed = project / "installed"
    options = [f"-DCMAKE_PREFIX_PATH={PREFIX}", f"-DCMAKE_INSTALL_PREFIX={installed}"]
    user = project / "user"
    user.mkdir()
    (user / "hello.c").write_text(block("c"))
    (user / "CMakeLists.txt").write_text(CMAKE)
    for command in (
        ["cmake", "-S", "greeter", "-B", "build", warnings, f"-DBUILD_SHARED_LIBS={shared}", *options],
        ["cmake", "--build", "build"],
        ["cmake", "--install", "build"],
        ["rm", "-rf", "greeter", "build"],
        ["cmake", "-S", "user", "-B", "made", warnings, f"-DCMAKE_PREFIX_PATH={installed};{PREFIX}"],
        ["cmake", "--build", "made"],
    ):
        done = run(project, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    hello = run(project, project / "made/hello")
    assert (hello.stdout, hello.stderr) == ("hello, world\n", "")
    places = f"{installed}/lib/pkgconfig:{installed}/lib/x86_64-linux-gnu/pkgconfig:{PREFIX}/lib/pkgconfig"
    compiling = (
        f"gcc -std=c11 {' '.join(WARNINGS)} user/hello.c $(pkg-config --cflags --libs greeter) -o by-hand"
    )
    done = run(project, "bash", "-c", compiling, PKG_CONFIG_PATH=places)
    assert done.returncode == 0, done.stderr
    by_hand = run(project, project / "by-hand")
    assert (by_hand.stdout, by_hand.stderr) == ("hello, world\n", "")
