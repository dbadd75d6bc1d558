"""What stands between a library in JavaScript and its callers, and between it and its host.

The bindings of componentize-qjs take numbers of 32 bits without a sign for signed ones, and round those of
64 bits. ``guest/crossing.js`` sets that right by a plan that is made of the interfaces; here it gets into the
bundle: around what the library exports, and in place of the modules that it imports from the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wherry import _native
from wherry.build.bindings import write_bindings, write_changed

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.build.languages import Job

__all__ = ["Interfaces", "as_the_engine_has_it", "declare", "library_entry", "module_flags", "quoted"]

_PLAN = "plan.json"
_LIBRARY = """import {base};
import {{ exported }} from {crossing};
{globals}import * as user from {user};
const made = exported({plan}, user, {shown});
"""
_GLOBALS = """import {{ imported }} from {crossing};
Object.assign(globalThis, imported({plan}, globalThis, "the host"));
"""
_HOST = """import {{ imported }} from {crossing};
import * as host from {host};
const made = imported({plan}, host, {name});
"""
_AS_IT_IS = "wherry-host:"
"""Stands before the name of a module of the host where it is imported as the engine has it."""

_CONVERTED = (b'"u32"', b'"u64"', b'"s64"')


class _Module(msgspec.Struct):
    """A module of the host, and the name that it has with its version."""

    functions: dict[str, Any]
    versioned: str | None


class _Values(msgspec.Struct):
    """What is done to values, by the names of functions and classes."""

    exports: dict[str, Any]
    globals: dict[str, Any]
    imports: dict[str, _Module]


class Interfaces(msgspec.Struct):
    """The interfaces of a library: ``type`` in ``module`` is the type that its source has to fit."""

    module: str
    type: str
    values: _Values


def declare(job: Job, further: dict[str, bytes]) -> Interfaces | None:
    """Writes declarations for the compiler and for editors; the interfaces, if there are any.

    Raises:
        InterfaceError: They are wrong, or have what JavaScript has no form for.

    """
    target = job.target
    files = dict(further)
    interfaces = None
    if target.wit is not None:
        made = _native.generate_bindings(target.wit, "javascript", target.world)
        files |= {name: bytes(data) for name, data in made.items() if name != _PLAN}
        interfaces = msgspec.json.decode(made[_PLAN], type=Interfaces)
    write_bindings(job, files)
    return interfaces


def library_entry(interfaces: Interfaces, source: Path, folder: Path, own: Path) -> str:
    """The module that exports what the component does, made of the user's ``source`` in ``folder``."""
    crossing = quoted(own / "crossing.js")
    values = interfaces.values
    at_start = own / "globals.js"
    if values.globals:
        plan = msgspec.json.encode(values.globals).decode()
        write_changed(at_start, _GLOBALS.format(crossing=crossing, plan=plan).encode())
    text = _LIBRARY.format(
        base=quoted(own / "base.js"),
        crossing=crossing,
        globals=f"import {quoted(at_start)};\n" if values.globals else "",
        user=quoted(source),
        plan=msgspec.json.encode(values.exports).decode(),
        shown=quoted(source.relative_to(folder) if source.is_relative_to(folder) else source),
    )
    return text + _named(values.exports)


def module_flags(interfaces: Interfaces | None, own: Path) -> list[str]:
    """What the bundler is told of modules of the host: which it leaves alone, and which are ours instead."""
    flags = ["--external:wasi:*", f"--external:{_AS_IT_IS}*"]
    for at, (name, module) in enumerate(interfaces.values.imports.items() if interfaces else ()):
        names = [name, *([module.versioned] if module.versioned else [])]
        plan = msgspec.json.encode(module.functions)
        if not any(word in plan for word in _CONVERTED):
            flags += [f"--external:{one}" for one in names]
            continue
        path = own / f"host-{at}.js"
        text = _HOST.format(
            crossing=quoted(own / "crossing.js"),
            host=quoted(f"{_AS_IT_IS}{names[-1]}"),
            plan=plan.decode(),
            name=quoted(name),
        )
        write_changed(path, f"{text}export default made;\n{_named(module.functions)}".encode())
        flags += [f"--alias:{one}={path}" for one in names]
    return flags


def as_the_engine_has_it(bundle: str) -> str:
    """A bundle in which modules of the host have their own names again."""
    return bundle.replace(f'"{_AS_IT_IS}', '"')


def quoted(text: object) -> str:
    """A text of JavaScript."""
    return msgspec.json.encode(str(text)).decode()


def _named(names: dict[str, Any]) -> str:
    """Exports of what was made, whose names may be words of the language."""
    held = "".join(f"const export{at} = made[{quoted(name)}];\n" for at, name in enumerate(names))
    return held + "".join(f"export {{ export{at} as {name} }};\n" for at, name in enumerate(names))
