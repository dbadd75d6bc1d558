"""TypeScript: a package of npm for Node and browsers, with no native library.

The component is transpiled by js-component-bindgen, in jco's build of it: as a crate it would bring another
generation of all that reads components into the core, and prettier needs Node anyway. Around that stand the
interfaces (``interface``, named by ``spelling``), what their values have to be (``checks``), the entry of the
package (``project``), and files that are the same for every library (``runtime.ts`` and those beside it).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.bind.formatting import formatted
from wherry.bind.languages import Refusal
from wherry.bind.obstacles import obstacles, piped, place_of, untyped
from wherry.bind.typescript.project import AS_THEY_ARE, Project
from wherry.bind.typescript.spelling import camel
from wherry.build import tools
from wherry.build.running import run_tool
from wherry.errors import BuildError, UsageError
from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library, Scope
    from wherry.build.tools import Progress

__all__ = ["format", "generate", "refusals"]

_HERE = Path(__file__).parent
_FORMATTED = (".ts", ".json", ".md")
_SUSPENDS = "would take JSPI, which Node 24 has behind a flag alone"


def refusals(library: Library, options: Options) -> list[Refusal]:
    """What JavaScript cannot have, or the transpiler cannot carry."""
    del options
    found = [Refusal(f"`{name}`", why) for name, why in untyped(library)]
    for scope in library.scopes:
        found += [*_alike(library, scope), *_impossible(scope)]
        for function in scope.functions:
            reasons = obstacles(library, function, "{} is not transpiled".format, _carried)
            if function.is_async:
                reasons.add(f"functions that are `async` {_SUSPENDS}")
            where = place_of(scope, function)
            found += [Refusal(where, reason) for reason in sorted(reasons)]
    return found


def _carried(definition: model.TypeDef) -> list[str]:
    pipe = piped(definition)
    return [f"{pipe} {_SUSPENDS}"] if pipe is not None else []


def _alike(library: Library, scope: Scope) -> list[Refusal]:
    """Names that differ in WIT, and not in camel case."""
    groups: list[tuple[str, Iterable[str]]] = []
    for place in scope.types:
        definition = library.world.types[place]
        name = f"`{definition.name}`"
        match definition:
            case model.Record(fields=fields):
                groups.append((name, [one.name for one in fields]))
            case model.Flags(flags=flags):
                groups.append((name, flags))
            case model.Resource():
                kinds = (scope.members(place, kind) for kind in ("method", "static"))
                groups += [(name, [one.item for one in members]) for members in kinds]
            case _:
                pass
    free = [one.item for one in scope.functions if one.kind == "free"]
    groups.append((f"`{scope.name}`" if scope.name is not None else "the world", free))
    found = []
    for where, names in groups:
        seen: dict[str, str] = {}
        for name in names:
            before = seen.setdefault(camel(name), name)
            if before != name:
                found.append(Refusal(where, f"`{before}` and `{name}` are both `{camel(name)}`"))
    return found


def _impossible(scope: Scope) -> list[Refusal]:
    """Names that mean something to JavaScript where they would stand."""
    found = []
    for one in scope.functions:
        if one.kind == "static" and camel(one.item) == "prototype":
            found.append(Refusal(place_of(scope, one), "no static function of a class can have that name"))
        if scope.name is None and scope.direction == "export" and camel(one.item) == "then":
            why = "`await` takes what has a `then` for a promise: export it from an interface"
            found.append(Refusal(place_of(scope, one), why))
    return found


def generate(library: Library, options: Options) -> Files:
    """The files of a package of npm."""
    transpiled, imports = _transpiled(library)
    return Project(library, options, transpiled, imports).files()


def format(files: Files, progress: Progress) -> Files:  # noqa: A001 - the name of the step
    """The files as prettier has them; what was transpiled stays as it came."""
    sources = [path for path in files if path.endswith(_FORMATTED) and path not in AS_THEY_ARE]
    return formatted(
        files, sources, lambda folder: _node("format.mjs", [*sources], folder, progress, "formatting")
    )


def _transpiled(library: Library) -> tuple[Files, list[str]]:
    """What a component becomes, by file, and the names of what it imports."""
    with tempfile.TemporaryDirectory(prefix="wherry-bind-") as name:
        folder = Path(name)
        binary = _native.binary_form(library.component, library.name)
        # Node 20 is older than constant expressions that calculate.
        (folder / "component.wasm").write_bytes(_native.settle(binary))
        try:
            _node("transpile.mjs", ["component.wasm", "made"], folder, lambda *_: None, "transpiling")
        except BuildError as error:
            told = error.output.strip().splitlines() or ["no reason was given"]
            raise UsageError(
                f"`{library.name}` cannot be transpiled to JavaScript: {told[-1].strip()}"
            ) from error
        made = {path.name: path.read_bytes() for path in sorted((folder / "made").iterdir())}
    imports = json.loads(made.pop("imports.json"))
    return made, imports


def _node(script: str, words: list[str], folder: Path, progress: Progress, what: str) -> None:
    """Runs one of the scripts beside this file, with the tools that it needs."""
    place = tools.provide(tools.BIND_TYPESCRIPT, progress)
    run_tool(["node", str(_HERE / script), str(place), *words], folder, progress, what=what)
