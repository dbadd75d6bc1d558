"""``from wherry.packages.NAMESPACE import NAME``, each import in a process of its own, as programs do it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guests.echo import echo
from tests.guests.wit_types import Field, Prim, Record
from wherry.store.local import LocalStore

ROOT = Path(__file__).parents[2]
POINT = Record((Field("x", Prim("u32")), Field("y", Prim("u32"))))
MANIFEST = """
[package]
name = "{name}"
version = "{version}"
description = "Gives back what it is given"

[library]
component = "library.wat"
"""


@dataclass(frozen=True)
class Machine:
    """A folder to run programs in, with a store and a cache of its own."""

    folder: Path

    def add(self, name: str, component: str, version: str = "1.0.0", further: str = "") -> str:
        """Puts a package into the store: its digest."""
        project = self.folder / "projects" / f"{name.replace('/', '-')}-{version}"
        project.mkdir(parents=True)
        (project / "wherry.toml").write_text(MANIFEST.format(name=name, version=version) + further)
        (project / "library.wat").write_text(component)
        target = project / "packed.oci.tar"
        done = self("-m", "wherry", "pack", str(project), "-o", str(target))
        assert done.returncode == 0, done.stderr
        self("-m", "wherry", "load", str(target)).check_returncode()
        with LocalStore(self.folder / "store") as store:
            return store.find(f"{name}@={version}").digest

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs Python."""
        own = {"WHERRY_STORE": str(self.folder / "store"), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run(
            [sys.executable, *words],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **own},
        )

    def prints(self, program: str) -> str:
        """What a program prints, which ends well."""
        done = self("-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one package, ``acme/point-echo``."""
    found = Machine(tmp_path)
    found.add("acme/point-echo", echo(POINT))
    return found


USED = """
from wherry.packages.acme import point_echo as it
import dataclasses
print(it.echo(it.Record0(1, 2)), dataclasses.is_dataclass(it.Record0))
"""


def test_a_library_is_imported(machine: Machine) -> None:
    """The first import writes bindings, the second finds them; both give the same."""
    expected = "Record0(x=1, y=2) True\n"
    assert machine.prints(USED) == expected
    assert machine.prints(USED) == expected
    typings = machine.folder / "cache/wherry/typings/wherry/packages/acme/point_echo/__init__.pyi"
    assert "def echo(x: Record0) -> Record0:" in typings.read_text()


def test_packages_with_the_same_component_are_each_their_own(machine: Machine) -> None:
    """Under another name, in another namespace or version: none is refused, or told as the other."""
    machine.prints(USED)
    machine.add("acme/renamed", echo(POINT))
    machine.add("other/point-echo", echo(POINT), "3.0.0")
    program = """
from wherry.packages.acme import point_echo, renamed
from wherry.packages.other import point_echo as other
for it in (point_echo, renamed, other):
    print(it.echo(it.Record0(1, 2)), it.__doc__.split("\\n")[-2])
"""
    names = ("acme/point-echo 1.0.0", "acme/renamed 1.0.0", "other/point-echo 3.0.0")
    assert machine.prints(program) == "".join(
        f"Record0(x=1, y=2) {name}, as a library of Python.\n" for name in names
    )
    machine.add("acme/point-echo", echo(POINT), "2.0.0")
    assert "acme/point-echo 2.0.0, as" in machine.prints(f"{USED}print(it.__doc__)")


def test_the_second_import_resolves_nothing(machine: Machine) -> None:
    """What was found once is read from one file: nothing that knows stores or interfaces is imported."""
    machine.prints(USED)
    program = (
        f"{USED}import sys; print([n for n in sys.modules if n in ('sqlite3', 'msgspec', 'click', 'typing')])"
    )
    assert machine.prints(program).splitlines()[-1] == "[]"


def test_help_reads_well(machine: Machine) -> None:
    """``help`` shows functions with their types, and what the package says of itself."""
    shown = machine.prints("from wherry.packages.acme import point_echo; help(point_echo)")
    assert "Gives back what it is given" in shown
    assert "echo(x: 'Record0') -> 'Record0'" in shown


def test_reloading_picks_up_a_new_version(machine: Machine) -> None:
    """After a new version came into the store, a reload has its functions."""
    program = """
import importlib, sys
from wherry.packages.acme import point_echo as it
assert it.echo(it.Record0(1, 2)).y == 2
input()
it = importlib.reload(it)
print(it.echo(7))
"""
    machine.prints(USED)
    own = {"WHERRY_STORE": str(machine.folder / "store"), "XDG_CACHE_HOME": str(machine.folder / "cache")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **own}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=machine.folder,
        env=environment,
    ) as process:
        machine.add("acme/point-echo", echo(Prim("u32")), "2.0.0")
        out, _ = process.communicate("\n")
    assert (process.returncode, out) == (0, "7\n")


@pytest.mark.parametrize("pin", ['"1"', '{ digest = "DIGEST" }'], ids=["version", "digest"])
def test_a_project_pins_what_it_imports(machine: Machine, pin: str) -> None:
    """``[dependencies]`` of the ``wherry.toml`` above says which version, or which digest."""
    with LocalStore(machine.folder / "store") as store:
        digest = store.find("acme/point-echo").digest
    machine.add("acme/point-echo", echo(Prim("u32")), "2.0.0")
    newest = "from wherry.packages.acme import point_echo as it; print(it.echo(7))"
    assert machine.prints(newest) == "7\n"
    (machine.folder / "wherry.toml").write_text(
        f'[dependencies]\n"acme/point-echo" = {pin.replace("DIGEST", digest)}\n'
    )
    assert machine.prints(USED).startswith("Record0")


def test_capabilities_are_said_at_import(machine: Machine) -> None:
    """A library that asks for more is refused with the line that grants it, until that was typed."""
    needs = '\n[[needs.allow-net]]\naddress = "db.example.com:5432"\nwhy = "to look up"\n'
    machine.add("acme/asking", echo(Prim("u32")), further=needs)
    program = "from wherry.packages.acme import asking; print(asking.echo(3))"
    done = machine("-c", program)
    assert done.returncode == 1
    assert "GrantError" in done.stderr
    assert "db.example.com:5432" in done.stderr
    assert "hint: `wherry permissions allow acme/asking` grants it" in done.stderr
    machine("-m", "wherry", "permissions", "allow", "acme/asking").check_returncode()
    assert machine.prints(program) == "3\n"
    machine("-m", "wherry", "permissions", "revoke", "acme/asking").check_returncode()
    assert machine("-c", program).returncode == 1


def test_bindings_that_others_can_write_are_not_run(machine: Machine) -> None:
    """Modules of the cache run outside any sandbox: where others can write them, the import is refused."""
    machine.prints(USED)
    cache = machine.folder / "cache/wherry/python"
    cache.chmod(0o777)
    done = machine("-c", USED)
    assert done.returncode == 1
    assert "others can write to" in done.stderr
    cache.chmod(0o700)
    machine.prints(USED)


def test_what_there_is_not_is_said(machine: Machine) -> None:
    """A package that is not in the store is a module that is not found, with what to do."""
    done = machine("-c", "from wherry.packages.acme import nothing")
    assert done.returncode == 1
    assert "ModuleNotFoundError: there is no package `acme/nothing` in the store" in done.stderr
    assert "wherry load FILE" in done.stderr


def test_a_removed_package_is_gone(machine: Machine) -> None:
    """Bindings that are still in the cache lead nowhere once the package was removed."""
    machine.prints(USED)
    machine("-m", "wherry", "remove", "acme/point-echo").check_returncode()
    assert "ModuleNotFoundError" in machine("-c", USED).stderr


def test_type_checkers_see_what_was_imported(machine: Machine) -> None:
    """Mypy finds the stubs where ``mypy_path`` names their folder, and reports a wrong type."""
    machine.prints(USED)
    right = (
        "from wherry.packages.acme import point_echo\nx: int = point_echo.echo(point_echo.Record0(1, 2)).x\n"
    )
    (machine.folder / "right.py").write_text(right)
    (machine.folder / "wrong.py").write_text(right.replace("Record0(1, 2)", "Record0('1', 2)"))
    (machine.folder / "mypy.ini").write_text(
        f"[mypy]\nstrict = true\nmypy_path = cache/wherry/typings:{ROOT}\nfollow_imports = silent\n"
    )
    done = machine("-m", "mypy", "--cache-dir=/dev/null", "right.py")
    assert done.returncode == 0, done.stdout
    done = machine("-m", "mypy", "--cache-dir=/dev/null", "wrong.py")
    assert "incompatible type" in done.stdout


def test_a_closed_library_says_what_to_type(machine: Machine) -> None:
    """In terms of what was imported."""
    program = """
from wherry.packages.acme import point_echo as it
with it.PointEcho() as own:
    own.echo(it.Record0(1, 2))
own.echo(it.Record0(1, 2))
"""
    done = machine("-c", program)
    assert done.returncode == 1
    assert done.stderr.endswith("`acme/point-echo` was closed\n\nhint: make another one: `PointEcho()`\n")
