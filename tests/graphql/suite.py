"""The shared suite of GraphQL: its cases, written and generated, and what graphql-js itself answers.

``cases/*.graphql`` has those that were written, each after a line ``### SECTION WHAT HOLDS | variables=...``;
the section is that of the specification of October 2021. ``generated.py`` adds others. The protocol of
runners stands in ``README.md``.

``python -m tests.graphql.suite --record`` writes ``answers.json`` anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import debian
from tests.bind.c_programs import Package, compiled, package
from tests.bind.npm_packages import esbuild, with_javascript
from tests.graphql.generated import generated
from tests.guests.build import cached
from wherry import api
from wherry.bind import generate
from wherry.build.builder import build

if TYPE_CHECKING:
    from wherry.bind.library import Library

__all__ = [
    "ANSWERS",
    "HERE",
    "LIBRARY",
    "Answer",
    "Case",
    "Command",
    "answered",
    "bound",
    "bound_c",
    "bound_npm",
    "c",
    "cases",
    "different",
    "installed",
    "jansson",
    "native",
    "python",
    "suite",
    "typescript",
]

Case = dict[str, Any]
Answer = dict[str, Any]
Command = tuple[list[str], dict[str, str]]
"""Words, and variables of the environment."""

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1] / "examples" / "graphql" / "library"
ANSWERS = HERE / "answers.json"
SEED = 7
GENERATED = 300

_JANSSON = ("libjansson-dev", "libjansson4")
_HEAD = re.compile(r"^### ([0-9A-Z][0-9.]*) ([^|\n]+?)(?: \| (.*))?$", re.MULTILINE)
_OPTION = re.compile(r"(\w+)=(\{.*\}|\S+)(?: |$)")


def schemas() -> dict[str, Any]:
    """The schemas with their resolvers, as runners get them."""
    found = {}
    for path in sorted((HERE / "schemas").glob("*.json")):
        found[path.stem] = {
            "definition": path.with_suffix(".graphql").read_text(),
            **json.loads(path.read_text()),
        }
    return found


def cases() -> list[Case]:
    """All cases, in their order."""
    written = [case for path in sorted((HERE / "cases").glob("*.graphql")) for case in _written(path)]
    return [*written, *generated(SEED, GENERATED)]


def _written(path: Path) -> list[Case]:
    pieces = _HEAD.split(path.read_text())
    found = []
    for section, what, options, document in zip(*(pieces[at::4] for at in range(1, 5)), strict=True):
        given = dict(_OPTION.findall(options or ""))
        case: Case = {"name": f"{path.stem}: {section} {what}", "do": given.pop("do", path.stem)}
        if case["do"] in {"execute", "validate"}:
            case["schema"] = given.pop("schema", "harbour")
        if "variables" in given:
            case["variables"] = json.loads(given.pop("variables"))
        # What would not survive in a file is a JSON text in the options.
        text: str = json.loads(f'"{given.pop("text")}"') if "text" in given else document
        found.append({**case, **given, "document": text.strip("\n")})
    return found


def suite(folder: Path, chosen: list[Case] | None = None) -> Path:
    """The file that runners read."""
    path = folder / "suite.json"
    path.write_text(json.dumps({"schemas": schemas(), "cases": cases() if chosen is None else chosen}))
    return path


def answered(command: Command, file: Path) -> list[Answer]:
    """What a runner answers."""
    answers = file.with_name("answers.json")
    words, variables = command
    environment = os.environ | variables
    subprocess.run([*words, str(file), str(answers)], check=True, timeout=300, env=environment)
    found: list[Answer] = json.loads(answers.read_text())
    return found


def native() -> Command:
    """The runner that is graphql-js in Node."""
    return ["node", str(HERE / "native.mjs"), str(installed() / "node_modules")], {}


def python(bindings: Path) -> Command:
    """The runner for Python."""
    path = os.pathsep.join([str(bindings), str(HERE.parents[1])])
    return [sys.executable, str(HERE / "runner.py")], {"PYTHONPATH": path}


def typescript(bindings: Path) -> Command:
    """The runner for TypeScript, put beside its bindings, which it finds as a package of npm."""
    for name in ("runner.ts", "node.d.ts"):
        shutil.copyfile(HERE / name, bindings.parent / name)
    place = bindings.parent / "node_modules" / "@wherry"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "graphql").exists():
        (place / "graphql").symlink_to(bindings)
    made = bindings.parent / "runner.mjs"
    subprocess.run(
        [esbuild(), bindings.parent / "runner.ts", f"--outfile={made}", "--log-level=error"], check=True
    )
    return ["node", str(made)], {}


def c(bindings: Package, source: Path = HERE / "runner.c") -> Command:
    """The runner for C, or another program that uses jansson, compiled."""
    (archive,) = jansson().glob("usr/lib/*/libjansson.a")
    headers = jansson() / "usr" / "include"
    return [str(compiled(source.read_text(), bindings, headers=headers, archives=(archive,)))], {}


def jansson() -> Path:
    """Where jansson is unpacked."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        debian.unpack(folder, dict.fromkeys(_JANSSON, folder))

    return cached("jansson", fetch, *_JANSSON)


def different(expected: list[Answer], found: list[Answer]) -> list[str]:
    """The names of the cases that two runners answer differently."""
    pairs = zip(cases(), expected, found, strict=True)
    return [case["name"] for case, one, other in pairs if _comparable(one) != _comparable(other)]


def _comparable(answer: Answer) -> tuple[str, Answer]:
    return json.dumps(answer.get("data")), answer


def installed() -> Path:
    """The project of ``wherry/graphql`` with graphql-js installed, and built; kept beside the caches."""
    files = [path for path in sorted(LIBRARY.rglob("*")) if path.is_file() and not _made(path)]
    content = b"\0".join(str(path.relative_to(LIBRARY)).encode() + path.read_bytes() for path in files)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry" / "graphql"
    folder = cache / hashlib.sha256(content).hexdigest()[:20]
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        for path in files:
            (made / path.relative_to(LIBRARY)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, made / path.relative_to(LIBRARY))
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=made, check=True, timeout=300
        )
        made.rename(folder)
    build(folder)
    return folder


def bound(folder: Path) -> Path:
    """The bindings for Python to a project that was built, as a folder to import from."""
    generate.bind(_library(folder), "python", folder / "python")
    return folder / "python"


def bound_npm(folder: Path, place: Path) -> Path:
    """The bindings for TypeScript, compiled, in a folder of which programs find them as a package of npm."""
    generate.bind(_library(folder), "typescript", place / "graphql")
    with_javascript(place / "graphql")
    (place / "package.json").write_text('{"type": "module"}')
    return place / "graphql"


def bound_c(folder: Path) -> Package:
    """The bindings for C."""
    return package((folder / "build" / "graphql.wasm").read_bytes(), "graphql")


def _library(folder: Path) -> Library:
    found = api.find(f"{folder}/", lambda *_: None, place="library")
    assert found is not None
    return generate.library_of(found)


def _made(path: Path) -> bool:
    return bool({"build", "node_modules"} & set(path.relative_to(LIBRARY).parts))


def main() -> None:
    """Records what graphql-js answers."""
    if sys.argv[1:] != ["--record"]:
        sys.exit("python -m tests.graphql.suite --record")
    with tempfile.TemporaryDirectory() as folder:
        answers = answered(native(), suite(Path(folder)))
    lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
    ANSWERS.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
