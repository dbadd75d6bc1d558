"""What a new user types, in each language and of each kind, from a home without anything in it.

``wherry`` is in an environment of its own with what it depends on and pip: no tool of any language is there.
Which registries this machine has its packages from is kept, and so are the user's own compilers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.build.projects import TEMPLATED

if TYPE_CHECKING:
    from wherry.artifact.manifest import Language
    from wherry.build.project import Kind

ROOT = Path(__file__).parents[2]
SETTINGS = (".npmrc", ".config/go/env", ".config/pip/pip.conf", ".cargo/config.toml")
"""Files of a home that say where packages come from."""
COMMAND = """
wherry new first-try --lang {language}
cd first-try
wherry doctor > /dev/null
wherry build
wherry test
wherry run .
wherry run . Ada
cd .. && wherry run ./first-try Grace
wherry build first-try
"""
LIBRARY = """
wherry new first-try --lang {language} --kind library
cd first-try
wherry doctor > /dev/null
wherry build
wherry test
wherry run --invoke 'greet("Ada")' .
cat > call.py <<'END'
import wherry

with wherry.load("build/first-try.wasm").instantiate() as library:
    print(library.greet("Grace"))
END
python call.py
rm call.py
wherry build
"""


@dataclass
class Home:
    """A home folder, and the environment that ``wherry`` is installed in."""

    folder: Path
    environment: dict[str, str]

    def type_in(self, session: str) -> list[str]:
        """What is printed when a shell is given the session; each command has to succeed."""
        work = self.folder / "work"
        work.mkdir()
        done = subprocess.run(
            ["bash", "-eu"],
            input=session,
            cwd=work,
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A new home; of the old one the caches are kept if the parameter is ``kept``."""
    folder, environment = tmp_path / "home", tmp_path / "env"
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("WHERRY_", "XDG_"))
    }
    variables |= {"HOME": str(folder), "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    variables["RUSTUP_HOME"] = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    for name in ("CARGO_HOME", "GOPATH", "GOMODCACHE", "GOCACHE", "PYTHONPATH", "VIRTUAL_ENV"):
        variables.pop(name, None)
    if request.param == "kept":
        variables["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    for name in SETTINGS:
        if (Path.home() / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path.home() / name, folder / name)
    folder.mkdir(exist_ok=True)
    _install(environment)
    return Home(folder, variables)


def _install(environment: Path) -> None:
    """Makes an environment that has ``wherry``, what it depends on, pip, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "wherry").symlink_to(ROOT / "wherry")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting, seen = [*project["dependencies"], "pip"], set()
    while waiting:
        wanted = Requirement(waiting.pop())
        if wanted.name in seen or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
            continue
        seen.add(wanted.name)
        found = metadata.distribution(wanted.name)
        waiting += found.requires or []
        for name in {file.parts[0] for file in found.files or ()} - {".."}:
            if not (packages / name).exists():
                (packages / name).symlink_to(str(found.locate_file(name)))
    program = environment / "bin" / "wherry"
    text = (ROOT / "wherry.data" / "scripts" / "wherry").read_text()
    program.write_text(text.replace("#!python", f"#!{environment / 'bin' / 'python'}", 1))
    program.chmod(0o755)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("home", "language", "kind"),
    [
        *(pytest.param("kept", "c", kind, id=f"c-{kind}") for kind in ("command", "library")),
        *(
            pytest.param("new", *one, id=f"{'-'.join(one)}-from-nothing", marks=pytest.mark.slow)
            for one in TEMPLATED
        ),
    ],
    indirect=["home"],
)
def test_a_new_user_comes_to_a_first_package(home: Home, language: Language, kind: Kind) -> None:
    """New, build, test, run and a call from Python: each does what the documentation shows."""
    said = home.type_in((COMMAND if kind == "command" else LIBRARY).format(language=language))
    printed = [line for line in said if not line.startswith("note: `first-try` has another digest")]
    assert printed[0] == "first-try"
    assert printed[1].startswith("build/first-try.wasm  "), printed
    tests = "2 passed, 0 failed" if kind == "command" else "1 passed, 0 failed"
    greetings = ["Hello, World!", "Hello, Ada!", "Hello, Grace!"]
    if kind == "library":
        greetings = ['"Hello, Ada!"', "Hello, Grace!"]
    assert printed[-len(greetings) - 2 : -1] == [tests, *greetings], printed
    assert printed[-1].endswith("  unchanged")
