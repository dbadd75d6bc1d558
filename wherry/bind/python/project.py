"""The package around the interfaces: the class that opens the library, and what PyPI wants of a package.

``write_project`` makes one for setuptools with the component inside; ``write_modules`` makes the modules
alone, which the import hook keeps in its cache; ``write_stubs`` the same as stubs, for editors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wherry import _native
from wherry.bind.names import Names, pascal_case
from wherry.bind.python.interface import Writer
from wherry.bind.python.retyped import Ambiguous
from wherry.bind.python.source import File, block, docstring, signature
from wherry.bind.python.spelling import Spelling, dotted, module_name
from wherry.bind.python.stubs import as_stub

if TYPE_CHECKING:
    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library
    from wherry.bind.python.spelling import Module

__all__ = ["package_name", "write_modules", "write_project", "write_stubs"]

COMPONENT = "component.wasm"
"""The name of the component in its package."""

_PYPROJECT = """[build-system]
requires = ["setuptools>=70.1"]
build-backend = "setuptools.build_meta"

[project]
name = {name}
version = {version}
description = {description}
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["wherry>={wherry}"]
classifiers = ["Programming Language :: Python :: 3 :: Only", "Typing :: Typed"]

[tool.setuptools]
packages = [{package}]

[tool.setuptools.package-data]
{package} = ["component.wasm", "py.typed"]
"""

_FILE = """
import os

from wherry.runtime.bound import Bundle, Core

COMPONENT = Bundle(
    {name!r},
    os.path.join(os.path.dirname(__file__), {file!r}),
    {digest!r},
)
"""

_OF_STORE = """
from wherry.packages._stored import bundle
from wherry.runtime.bound import Core

COMPONENT = bundle({name!r}, {digest!r})
"""


def package_name(library: Library, options: Options) -> str:
    """What the package is called on PyPI: ``acme-thumbs``."""
    return options.name if options.name is not None else dotted(library.name).lower()


def write_project(library: Library, options: Options) -> Files:
    """A package that can be built, with the component inside."""
    name = package_name(library, options)
    package = module_name(name)
    described = library.description or library.docs() or f"{library.name}, a library of WebAssembly"
    modules = write_modules(library, stored=False)
    pyproject = _PYPROJECT.format(
        name=json.dumps(name),
        version=json.dumps(_version(library.version)),
        description=json.dumps(described.strip().splitlines()[0]),
        wherry=_native.about()[0],
        package=json.dumps(package),
    )
    return {
        "pyproject.toml": pyproject.encode(),
        "README.md": _readme(library, name, package).encode(),
        **{f"{package}/{path}": data for path, data in modules.items()},
        f"{package}/{COMPONENT}": library.component,
        f"{package}/py.typed": b"",
    }


def write_modules(library: Library, *, stored: bool) -> Files:
    """The modules of a package; those for a component that is ``stored`` find it by its digest."""
    return _Package(library).files(stored=stored)


def write_stubs(library: Library) -> Files:
    """The same as stubs, in the folder that a package of the store is imported from."""
    folder = "/".join(["wherry", "packages", *(module_name(part) for part in library.name.split("/"))])
    modules = _Package(library).files(stored=True)
    return {
        f"{folder}/{path.removesuffix('.py')}.pyi": as_stub(data)
        for path, data in modules.items()
        if path != "_component.py"
    }


def _version(version: str | None) -> str:
    """A version as Python has them (PEP 440): ``1.0.0-beta.1`` is ``1.0.0b1``."""
    if version is None:
        return "0.0.0"
    try:
        return str(Version(version))
    except InvalidVersion:
        return f"{version.partition('-')[0].partition('+')[0]}.dev0"


def _readme(library: Library, name: str, package: str) -> str:
    root = pascal_case(dotted(library.short))
    words = library.description or library.docs() or f"Bindings to `{library.name}`."
    return (
        f"# {name}\n\n{words}\n\n```python\nimport {package}\n\nhelp({package})\n```\n\n"
        f"`{package}.{root}` opens a library of its own, with `policy` and `limits` of its own.\n\n"
        "Written by `wherry bind`. The component inside runs in a sandbox.\n"
    )


class _Package:
    """The modules of one library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.root = pascal_case(dotted(library.short))
        self.spelling = Spelling(library, self.root)
        self.ambiguous = Ambiguous(self.spelling)
        self.hosts = [
            one for one in self.spelling.modules if one.scope.direction == "import" and one.scope.functions
        ]

    @property
    def shared(self) -> bool:
        """Whether functions can be called without opening the library: nothing has to be passed in."""
        return not self.hosts

    def files(self, *, stored: bool) -> Files:
        """All modules, by the names of their files."""
        found = {}
        for module in self.spelling.modules:
            if module.name != "__init__":
                writer = Writer(self.spelling, module, self.ambiguous, shared=self.shared)
                writer.types()
                writer.interface()
                writer.definition()
                writer.defaults()
                found[f"{module.name}.py"] = writer.file.text(self._doc(module), quick=stored)
        found["_component.py"] = self._component(stored=stored)
        found["__init__.py"] = self._init(quick=stored)
        return found

    def _doc(self, module: Module) -> str:
        said = self.library.docs(module.scope)
        name = module.scope.name
        known = (
            f"The interface ``{name}`` of {self.library.name}." if name is not None else "Types of the world."
        )
        return f"{said}\n\n{known}" if said else known

    def _component(self, *, stored: bool) -> bytes:
        text = docstring(f"The component of {self.library.name}, by its digest.", "")
        text += "\nfrom __future__ import annotations\n"
        form = _OF_STORE if stored else _FILE
        text += form.format(name=self.library.name, file=COMPONENT, digest=self.library.digest)
        if self.shared:
            text += "SHARED = Core(COMPONENT, lasting=True)\n"
        return (
            text.replace("Bundle, Core", "Bundle, Core" if self.shared else "Bundle")
            .replace(
                "from wherry.runtime.bound import Core\n",
                "from wherry.runtime.bound import Core\n" if self.shared else "",
            )
            .encode()
        )

    # The package itself.

    def _init(self, *, quick: bool) -> bytes:
        own = next((one for one in self.spelling.modules if one.name == "__init__"), None)
        taken = own.taken if own is not None else Names({self.root})
        exported = self._exported(own, taken)
        shadowed = {*(own.shadowed if own is not None else ()), *(name for _, name in exported)}
        file = File("__init__", taken, shadowed)
        # What the package has of its interfaces comes first to its name.
        for module in self.spelling.modules:
            if module.name != "__init__":
                file.imported(".", module.name)
        for module, name in exported:
            file.imported(f".{module.name}", name)
        writer = None
        if own is not None:
            writer = Writer(self.spelling, own, self.ambiguous, shared=self.shared)
            writer.file = file
            writer.types()
        self._root(file, writer)
        if own is not None and writer is not None:
            writer.definition()
        else:
            bundle = file.imported("._component", "COMPONENT")
            file.add(f"{bundle}.define(None, functions={{}}, resources={{}}, types=[])\n")
        if own is not None and writer is not None and self.shared:
            self._shared(file, own)
        names = {name for _, name in exported} | {one.name for one in self.spelling.modules} | {self.root}
        if own is not None:
            names |= self._public(own)
        listed = "".join(f"    {name!r},\n" for name in sorted(names - {"__init__"}))
        file.add(f"__all__ = [\n{listed}]\n")
        said = self.library.docs() or self.library.description
        version = f" {self.library.version}" if self.library.version else ""
        known = f"{self.library.name}{version}, as a library of Python."
        return file.text(f"{said}\n\n{known}" if said else known, quick=quick)

    def _public(self, module: Module) -> set[str]:
        """What of a module is for people."""
        names = {*module.classes.values(), *module.errors.values()}
        names |= {case for cases in module.cases.values() for case in cases}
        if module.scope.direction == "export" and self.shared:
            free = [one.name for one in module.scope.functions if one.kind == "free"]
            names |= {module.functions[one] for one in free}
            names |= {module.later[one] for one in free if one in module.later}
        return names

    def _exported(self, own: Module | None, taken: Names) -> list[tuple[Module, str]]:
        """What interfaces have that the package itself has too: names that are of one interface alone."""
        wanted: dict[str, list[Module]] = {}
        modules = [one for one in self.spelling.modules if one is not own]
        for module in modules:
            scope = module.scope
            if scope.direction == "export" or scope.name is None or not scope.functions:
                for name in self._public(module):
                    wanted.setdefault(name, []).append(module)
        kept = {self.root, *(one.name for one in modules)}
        return [
            (homes[0], name)
            for name, homes in sorted(wanted.items())
            if len(homes) == 1 and name not in kept and name not in taken
        ]

    def _root(self, file: File, writer: Writer | None) -> None:
        """The class that opens the library."""
        base = file.imported("wherry.runtime.bound", "Library")
        core = file.imported("wherry.runtime.bound", "Core")
        bundle = file.imported("._component", "COMPONENT")
        policy, limits = file.imported("wherry", "Policy"), file.imported("wherry", "Limits")
        interfaces = [
            one for one in self.spelling.modules if one.scope.direction == "export" and one.name != "__init__"
        ]
        params = ["self", "*"]
        hosted = []
        for module in self.hosts:
            host = file.imported(f".{module.name}", module.interface)
            params.append(f"{module.name}: {host}")
            hosted.append(self._hosted(file, module))
        params += [f"policy: {policy} | None = None", f"limits: {limits} | None = None"]
        doc = (
            f"{self.library.name} in a sandbox of its own.\n\n``policy`` says what it may reach, ``limits`` "
            "what it may use up.\nA context manager; calls of several threads take turns."
        )
        lines = [f"class {self.root}({base}):\n{docstring(doc, '    ')}\n"]
        lines += [f"    {one.name}: {file.imported(f'.{one.name}', one.interface)}\n" for one in interfaces]
        body = ["policy=policy,", "limits=limits,"]
        if hosted:
            body += ["imports={", *hosted, "},"]
        lines.append("\n" + signature("__init__", params, "None", "    "))
        lines.append(
            block(f"core = {core}(", bundle + ",", *body, ")", "super().__init__(core)", indent="        ")
        )
        lines += [
            f"        self.{one.name} = {file.imported(f'.{one.name}', one.interface)}(core)\n"
            for one in interfaces
        ]
        functions = writer.functions() if writer is not None else []
        file.add("\n".join(["".join(lines), *functions]))

    def _hosted(self, file: File, module: Module) -> str:
        given = file.imported("wherry.runtime.bound", "given")
        names = Writer(self.spelling, module, self.ambiguous, shared=False).hosted(file.imported)
        listed = ", ".join(f"{wit!r}: {told}" for wit, told in names.items())
        if module.scope.name is None:
            return f"**{given}({module.name!r}, {module.name}, {{{listed}}}),"
        return f"{module.scope.name!r}: {given}({module.name!r}, {module.name}, {{{listed}}}),"

    def _shared(self, file: File, own: Module) -> None:
        """Functions of the world, which share one sandbox."""
        if not own.functions:
            return
        shared = file.imported("wherry.runtime.bound", "shared")
        core = file.imported("._component", "SHARED")
        lines = [f"_shared = {shared}({self.root}, {core})", *own.shared_functions()]
        file.add("\n".join(lines) + "\n")
