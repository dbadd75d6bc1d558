"""The package around the interfaces: its entry, what binds it to the component, and what npm and tsc read."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.bind.typescript.checks import Checks
from wherry.bind.typescript.interface import comment, imported, plain, write_module
from wherry.bind.typescript.readme import readme
from wherry.bind.typescript.spelling import Module, Spelling, camel, pascal
from wherry.bind.typescript.worker import crossing, worker
from wherry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library
    from wherry.wit.model import Function

__all__ = ["AS_THEY_ARE", "Project", "package_name"]

_HERE = Path(__file__).parent
AS_THEY_ARE = {
    f"src/{name}": _HERE / name for name in ("runtime.ts", "checks.ts", "wasi.ts", "remote.ts", "served.ts")
}
"""Files that are the same in every package, formatted as they stand here."""

_NAME = re.compile(r"(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*")
_LONGEST_NAME = 214
_SHIM = {"@bytecodealliance/preview2-shim": "0.26.0"}
_TYPESCRIPT = "5.9.3"

_TSCONFIG = {
    "compilerOptions": {
        "target": "ES2022",
        "lib": ["ES2022", "DOM", "ESNext.Disposable"],
        "module": "NodeNext",
        "types": [],
        "rootDir": "src",
        "outDir": "dist",
        "declaration": True,
        "sourceMap": True,
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "noFallthroughCasesInSwitch": True,
        "noImplicitOverride": True,
        "noImplicitReturns": True,
        "noPropertyAccessFromIndexSignature": True,
        "noUncheckedIndexedAccess": True,
        "noUnusedLocals": True,
        "noUnusedParameters": True,
        "skipLibCheck": True,
        "verbatimModuleSyntax": True,
    },
    "include": ["src"],
}

_TRANSPILED = """\
/** Instantiates the component; `core` gives each of its core modules by its name. */
export function instantiate(
  core: (file: string) => Promise<WebAssembly.Module>,
  imports: Record<string, unknown>,
): Promise<Record<string, unknown>>;
"""


class Project:
    """The files of one package; ``transpiled`` has what the component was transpiled to, by name."""

    def __init__(self, library: Library, options: Options, transpiled: Files, wanted: list[str]) -> None:
        self.library = library
        self.thrown = options.errors != "return"
        self.spelling = Spelling(library, thrown=self.thrown)
        self.transpiled = transpiled
        self.wanted = wanted
        self.name = package_name(library, options.name)
        self.wasi = [one for one in wanted if one.startswith("wasi:")]
        self.crossing = crossing(self.spelling)

    def files(self) -> Files:
        """Everything."""
        found: Files = {f"component/{name}": data for name, data in self.transpiled.items()}
        found["component/component.d.ts"] = _TRANSPILED.encode()
        found[f"component/sha256-{self.library.digest}.wasm"] = self.library.component
        for module in self.spelling.modules:
            found[f"src/{module.name}.ts"] = write_module(self.spelling, module)
        unwanted = set() if self.wasi else {"src/wasi.ts"}
        if self.crossing:
            found["src/worker.ts"] = worker(self.spelling, self.crossing, wasi=bool(self.wasi))
        else:
            unwanted |= {"src/remote.ts", "src/served.ts"}
        found |= {name: place.read_bytes() for name, place in AS_THEY_ARE.items() if name not in unwanted}
        found["src/bindings.ts"] = self._bindings()
        found["src/index.ts"] = self._index()
        found["package.json"] = _json(self._package())
        found["tsconfig.json"] = _json(_TSCONFIG)
        found[".prettierignore"] = b".wherry-bind.json\ncomponent\ndist\n"
        found["README.md"] = readme(self)
        return found

    def _package(self) -> dict[str, object]:
        scripts = {"build": "tsc", "prepack": "tsc"}
        made: dict[str, object] = {"name": self.name, "version": self.library.version or "0.0.0"}
        if self.library.description:
            made["description"] = self.library.description
        entries = {".": "index", **({"./worker": "worker"} if self.crossing else {})}
        made |= {
            "type": "module",
            "sideEffects": ["./dist/served.js"] if self.crossing else False,
            "exports": {
                entry: {"types": f"./dist/{name}.d.ts", "default": f"./dist/{name}.js"}
                for entry, name in entries.items()
            },
            "files": ["component", "dist", "src"],
            "engines": {"node": ">=20"},
            "scripts": scripts,
        }
        if self.wasi:
            made["dependencies"] = _SHIM
        made["devDependencies"] = {"typescript": _TYPESCRIPT}
        return made

    # What binds it to the component.

    def _bindings(self) -> bytes:
        cores = "".join(
            f'"{name}": {{ url: new URL("../component/{name}", import.meta.url), '
            f'digest: "{hashlib.sha256(data).hexdigest()}" }},\n'
            for name, data in sorted(self.transpiled.items())
            if name.endswith(".wasm")
        )
        checks = Checks(self.spelling)
        offers, hosts = (
            self._scopes(modules, checks) for modules in (self.spelling.exports(), self.spelling.imports())
        )
        declared = "\n".join(checks.declared)
        used = "is." in f"{declared}{offers}{hosts}"
        parts = [
            f"// What binds the package to the component of {self.library.name}: digests, names and types.",
            ('import * as is from "./checks.js";\n' if used else "")
            + 'import type { Core, Scope } from "./runtime.js";\n',
            f'/** The SHA-256 of the component. */\nexport const DIGEST = "{self.library.digest}";\n',
            f"export const CORES: Readonly<Record<string, Core>> = {{\n{cores}}};\n",
            *([declared] if declared else []),
            f"export const EXPORTS: readonly Scope[] = [{offers}];\n",
            f"export const IMPORTS: readonly Scope[] = [{hosts}];\n",
        ]
        if self.wasi:
            parts.append(f"export const WASI: readonly string[] = {json.dumps(self.wasi)};\n")
        return "\n".join(parts).encode()

    def _scopes(self, modules: list[Module], checks: Checks) -> str:
        return "".join(f"{self._scope(one, checks)},\n" for one in modules)

    def _scope(self, module: Module, checks: Checks) -> str:
        scope, types = module.scope, self.library.world.types
        world = scope.name is None
        raw = world and scope.direction == "import"

        def signatures(members: list[Function]) -> str:
            return _literal(
                (
                    one.item if raw and one.kind == "free" else camel(one.item),
                    checks.signature(one, scope.direction),
                )
                for one in members
            )

        classes = _literal(
            (
                pascal(types[place].name or ""),
                _literal(
                    [
                        *(
                            ("made", checks.signature(one, scope.direction))
                            for one in scope.members(place, "constructor")
                        ),
                        ("methods", signatures(scope.members(place, "method"))),
                        ("statics", signatures(scope.members(place, "static"))),
                    ]
                ),
            )
            for place in module.classes
        )
        named = (
            [] if world else [("key", json.dumps(self._key(module))), ("member", json.dumps(module.member))]
        )
        functions = signatures([one for one in scope.functions if one.kind == "free"])
        return _literal([*named, ("functions", functions), ("classes", classes)])

    def _key(self, module: Module) -> str:
        """The name that the transpiler has for an interface."""
        name = module.scope.name or ""
        if module.scope.direction == "export":
            return name if ":" in name else camel(name)
        return name if name in self.wanted else name.partition("@")[0]

    # The entry.

    def _index(self) -> bytes:
        spelling, root = self.spelling, self.spelling.root
        entry = Module(spelling.modules[0].scope, "index", "", root, {}, {})
        hosts, offers = spelling.imports(), spelling.exports()
        blocks = [self._offered(entry, offers)]
        if hosts:
            blocks.append(self._given(entry, hosts))
        blocks += [self._options(hosts=bool(hosts)), self._instantiate(hosts=bool(hosts))]
        said = self.library.docs() or self.library.description or f"{self.library.name}, as a library."
        lines = "".join(f"// {line}".rstrip() + "\n" for line in plain(said.strip()).split("\n"))
        runtime = ", ".join(["Life", "compile", *(["complete", "given"] if hosts else []), "offered"])
        head = [
            lines,
            'import { instantiate as instantiateComponent } from "../component/component.js";\n',
            f'import {{ {self._from_bindings(hosts=bool(hosts))} }} from "./bindings.js";\n',
            f'import {{ {runtime} }} from "./runtime.js";\n',
            'import { type Wasi, wasi } from "./wasi.js";\n' if self.wasi else "",
            imported(entry),
        ]
        return "\n".join(["".join(head), self._exported(), *blocks]).encode()

    def _from_bindings(self, *, hosts: bool) -> str:
        return ", ".join(
            ["CORES", "EXPORTS", *(["IMPORTS"] if hosts else []), *(["WASI"] if self.wasi else [])]
        )

    def _exported(self) -> str:
        """All types: each interface by its name, and those whose names are of one alone."""
        wanted: dict[str, list[Module]] = {}
        for module in self.spelling.modules:
            for name in (*module.types.values(), *module.classes.values()):
                wanted.setdefault(name, []).append(module)
        kept = {self.spelling.root, "Imports", "Options", "Wasi", "instantiate"}
        flat: dict[str, list[str]] = {}
        for name, homes in sorted(wanted.items()):
            if len(homes) == 1 and name not in kept:
                flat.setdefault(homes[0].name, []).append(name)
        lines = [
            'export { DIGEST } from "./bindings.js";\n',
            'export { DigestError, DisposedError, ResultError, TrapError } from "./runtime.js";\n',
            'export type { Option, Result } from "./runtime.js";\n',
        ]
        if self.wasi:
            lines.append('export type { Wasi } from "./wasi.js";\n')
        for module in self.spelling.modules:
            if module.scope.functions and module.scope.name is not None:
                known = flat.setdefault(module.name, [])
                if len(wanted.get(module.interface, [])) == 0 and module.interface not in kept:
                    wanted[module.interface] = [module]
                    known.append(module.interface)
        lines += [
            f'export type {{ {", ".join(sorted(names))} }} from "./{file}.js";\n'
            for file, names in sorted(flat.items())
            if names
        ]
        return "".join(lines)

    def _offered(self, entry: Module, offers: list[Module]) -> str:
        said = comment(f"{self.library.name}, in an instance of its own.")
        return f"{said}export interface {self._object(entry, self.spelling.root, offers)}"

    def _given(self, entry: Module, hosts: list[Module]) -> str:
        said = comment("What the component calls, which you implement.")
        return f"{said}export interface {self._object(entry, 'Imports', hosts)}"

    def _object(self, entry: Module, name: str, modules: list[Module]) -> str:
        """An interface with a member for each interface of WIT, and those of the world itself."""
        world = [self._from(entry, one) for one in modules if one.scope.name is None]
        head = f"{name} extends {world[0]}" if world else name
        members = "".join(
            f"{comment(self.library.docs(one.scope))}readonly {one.member}: {self._from(entry, one)};\n"
            for one in modules
            if one.scope.name is not None
        )
        return f"{head} {{\n{members}}}\n"

    def _from(self, entry: Module, module: Module) -> str:
        known = {"Imports", "Life", "Options", "Wasi"}
        others = [one.interface for one in self.spelling.modules if one is not module]
        if module.interface not in known and module.interface not in others:
            return entry.uses(module.name, module.interface)
        alias = f"{pascal(module.name)}_"
        entry.uses(module.name, f"{module.interface} as {alias}")
        return alias

    def _options(self, *, hosts: bool) -> str:
        members = "/** What the component calls. */\nimports: Imports;\n" if hosts else ""
        if self.wasi:
            members += (
                "/** What it may reach of its surroundings: nothing, unless it stands here. */\n"
                "wasi?: Wasi | undefined;\n"
            )
        members += (
            "/** Ends loading, and calls: before they begin, and where the component calls you. */\n"
            "signal?: AbortSignal | undefined;\n"
        )
        said = comment("What an instance is made with.")
        return f"{said}export interface Options {{\n{members}}}\n"

    def _instantiate(self, *, hosts: bool) -> str:
        root, default = self.spelling.root, "" if hosts else " = {}"
        said = comment(
            "Makes an instance. Each has memory of its own; what it is made of is loaded and compiled once.",
            *(["@throws `TypeError` if something of `imports` is missing"] if hosts else []),
            "@throws `DigestError` if a file of this package was changed",
        )
        body = "complete(options, IMPORTS);\n" if hosts else ""
        body += "const life = new Life(options.signal);\n"
        parts = [
            *(["...wasi(options.wasi ?? {}, WASI)"] if self.wasi else []),
            *(["...given(options.imports, IMPORTS, life)"] if hosts else []),
        ]
        body += f"const imports = {{ {', '.join(parts)} }};\n"
        body += "options.signal?.throwIfAborted();\n"
        core = (
            "(file) => {\nconst core = CORES[file];\n"
            "if (core === undefined) throw new Error(`${file} is not part of this package`);\n"
            "return compile(core, options.signal);\n}"
        )
        body += f"const exports = await instantiateComponent({core}, imports);\n"
        body += "options.signal?.throwIfAborted();\n"
        body += f"return offered(exports, EXPORTS, life) as unknown as {root};\n"
        head = f"export async function instantiate(options: Options{default}): Promise<{root}>"
        return f"{said}{head} {{\n{body}}}\n"


def package_name(library: Library, said: str | None) -> str:
    """What the package is called: ``@acme/thumbs`` for ``acme/thumbs``, unless the user says otherwise."""
    if said is not None:
        if not _NAME.fullmatch(said) or len(said) > _LONGEST_NAME:
            raise UsageError(
                f"`{said}` is no name for a package of npm",
                hint="names are in lower case, with a scope in front if you have one: `@acme/thumbs`",
            )
        return said
    parts = [re.sub(r"[^a-z0-9._~-]+", "-", part.lower()).strip("-._") for part in library.name.split("/")]
    scope, name = "-".join(parts[:-1]), parts[-1] or "library"
    return f"@{scope}/{name}" if scope else name


def _literal(members: Iterable[tuple[str, str]]) -> str:
    """An object of TypeScript."""
    return "{ " + ", ".join(f'"{name}": {text}' for name, text in members) + " }"


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
