"""The corpus of interfaces in TypeScript: every type in every position, clashes of names, versions."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from tests.bind.corpus_guests import NAMES, component
from tests.bind.interfaces import CLASHES, component_of
from tests.bind.javascript_values import Expressions
from tests.bind.npm_packages import STRICT, node, npm_package, prettier, runnable, tsc
from wherry.bind.library import read_library
from wherry.bind.typescript.spelling import Spelling, camel

SEED = 20260711


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for every file of the corpus."""
    folder = tmp_path_factory.mktemp("packages")
    for name in NAMES:
        runnable(component(name).read_bytes(), f"corpus_{name}", folder)
    return folder


def test_bindings_pass_the_strict_tools(made: Path) -> None:
    """What is written for every file of the corpus passes tsc as strict as it is, and prettier."""
    sources = [str(path) for path in made.glob("corpus_*/src/*.ts")]
    words = ["--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    tsc(made, *words, "--lib", "es2022,dom,esnext.disposable", *STRICT, *sources)
    written = [path for kind in ("src/*.ts", "[!.]*.json", "*.md") for path in made.glob(f"corpus_*/{kind}")]
    subprocess.run(["node", prettier(), "--check", *written], cwd=made, check=True)
    # And as users type it, where it has to know what is not to be looked at.
    subprocess.run(["node", prettier(), "--check", "."], cwd=made / "corpus_versions", check=True)


def test_names_of_generated_code_clash_with_nothing(tmp_path: Path) -> None:
    """Types, fields, parameters and functions that are called like what generated code has for itself."""
    for interface in (*CLASHES, *Path(__file__).parent.glob("typescript/*.wit")):
        npm_package(component_of(interface).read_bytes(), interface.stem, tmp_path)
    sources = [str(path) for path in tmp_path.glob("*/src/*.ts")]
    assert str(tmp_path / "checks/src/bindings.ts") in sources
    words = ["--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    tsc(tmp_path, *words, "--lib", "es2022,dom,esnext.disposable", *STRICT, *sources)


def round_trips(
    made: Path, host: str, rounds: int, errors: Literal["throw", "return"] = "throw"
) -> list[str]:
    """The functions that do not give back what the host gave, and those of the host that got else."""
    library = read_library(component("values").read_bytes(), "corpus_values")
    spelling = Spelling(library, thrown=errors == "throw")
    values = Expressions(library, Random(SEED))  # noqa: S311 - by a seed
    (calls,) = (one for one in spelling.modules if one.name == "calls")
    lines = [
        f'["{camel(function.item)}", {str(spelling.failing(function) is not None).lower()}, '
        f"[{', '.join(values.value(param.type) for param in function.params)}]],"
        for function in calls.scope.functions
        for _ in range(rounds)
    ]
    name = "corpus_values" if errors == "throw" else "returning"
    script = f"""
        import {{ isDeepStrictEqual as same }} from "node:util";
        import {{ instantiate, ResultError }} from "./{name}/dist/index.js";
        const thrown = {str(errors == "throw").lower()};
        const different = new Set();
        let now;
        const host = new Proxy({{}}, {{
          get: (_, name) => (...args) => {{
            if (!same(args, now[2])) different.add(`host ${{name}}`);
            const value = args.length === 0 ? undefined : args.length === 1 ? args[0] : args;
            if (!now[1] || !thrown) return ({host})(value, name);
            if (value.tag === "err") throw new ResultError(value.val);
            return value.val;
          }},
        }});
        const {{ calls }} = await instantiate({{ imports: {{ host }} }});
        for (now of [{"".join(lines)}]) {{
          const [name, fails, args] = now;
          let found;
          try {{
            found = calls[name](...args);
            if (fails && thrown) found = {{ tag: "ok", val: found }};
          }} catch (error) {{
            if (!(error instanceof ResultError)) throw error;
            found = {{ tag: "err", val: error.payload }};
          }}
          const expected = args.length === 0 ? undefined : args.length === 1 ? args[0] : args;
          if (!same(found, expected)) different.add(name);
        }}
        console.log(JSON.stringify([...different].sort()));
    """
    return [str(one) for one in node(made, script)]


def test_round_trips_are_exact(made: Path) -> None:
    """Random values of every type come to the host as they were, and back."""
    assert round_trips(made, "(value) => value", 10) == []


def test_a_value_that_changes_is_reported(made: Path) -> None:
    """The comparison sees a host that changes what it is given, so that it can fail."""
    assert {"aBool", "anU8"} <= set(
        round_trips(made, "(x) => typeof x === 'boolean' ? !x : x === 255 ? 0 : x", 20)
    )


def test_round_trips_with_errors_that_are_returned(made: Path) -> None:
    """The same where errors are values."""
    runnable(component("values").read_bytes(), "returning", made, errors="return")
    assert round_trips(made, "(value) => value", 3, "return") == []


def test_docs_are_those_of_the_interface_file(made: Path) -> None:
    """Comments say what the author said, whatever characters that has."""
    types = (made / "corpus_values/src/types.ts").read_text()
    assert "/**\n * A point.\n *\n * Its second paragraph.\n */\nexport interface Point {" in types
    assert '  /** Down; "quoted". */\n  y: number;' in types
    assert "/** Nothing at all. */" in types
    calls = (made / "corpus_values/src/calls.ts").read_text()
    assert "   * Fails with a variant.\n   *\n   * @throws `ResultError` with a `Failure`\n" in calls
    assert '// Every type of WIT. Grüße, 世界, 🎉 and a "quote", a `tick`, a \\ and a """ in' in types
    index = (made / "corpus_values/src/index.ts").read_text()
    assert index.startswith("// Every type, in every position.")


def test_names_that_clash(made: Path) -> None:
    """Keywords are callable under their own names; classes whose types had to give way keep theirs."""
    script = """
        import { instantiate, ResultError } from "./corpus_names/dist/index.js";
        const { members, words } = await instantiate();
        const wrong = Object.keys(words).filter((name, at) => words[name](at) !== at);
        const holder = new members.Holder(3);
        const image = new members.Image(7);
        const fields = Object.fromEntries(Object.keys(words).map((name, at) => [name, at]));
        const seen = [wrong, holder.from(4), holder.class(5), image.get()];
        seen.push(members.echoFields(fields).constructor === fields.constructor);
        image.close();
        seen.push(image.get(), members.swap({ getIt: 1, getIt2: 2 }));
        try { members.fail(3); } catch (error) { seen.push(error instanceof ResultError, error.payload); }
        console.log(JSON.stringify(seen));
    """
    wrong, *rest = node(made, script)
    assert wrong == []
    assert rest[:5] == [4, 5, 7, True, 0]
    assert rest[5:] == [{"getIt": 1, "getIt2": 2}, True, {"message": "odd: 3"}]


def test_versions_stand_beside_each_other(made: Path) -> None:
    """Interfaces of one name in several versions and packages are members of their own."""
    index = (made / "corpus_versions/src/index.ts").read_text()
    for member in ("logV1", "logV2", "codecCodec", "codecV2", "otherCodec"):
        assert f"readonly {member}" in index
