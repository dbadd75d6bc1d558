"""A thousand snippets of strangers' Python and JavaScript, a tenth of them hostile, each in its own sandbox.

``python examples/untrusted/untrusted.py [COUNT]`` runs them and says how they ended; ``--prepare FOLDER``
only makes the two interpreters, and links them into a folder. ``docs/untrusted.md`` explains it.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import wherry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOSTILE", "Outcome", "javascript_interpreter", "python_interpreter", "run_all", "snippets"]

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry" / "untrusted"
LIMITS = wherry.Limits(timeout="2s", memory="128MiB")

FRIENDLY = {
    "Python": "squares = [n * n for n in range({n})]\nprint(sum(squares))",
    "JavaScript": "let sum = 0; for (let n = 0; n < {n}; n++) sum += n * n; console.log(sum)",
}
"""What most strangers want; for each number ``n`` the answer is known."""

# The class of error that the caller sees, and what it says.
Ending = tuple[type[wherry.WherryError] | None, str]
FAILED = wherry.ResultError

HOSTILE: dict[str, list[tuple[str, Ending]]] = {
    "Python": [
        ("while True: pass", (wherry.TimeLimitError, "")),
        ("a = [0]\nwhile True: a += a", (FAILED, "MemoryError")),
        ("while True: print('x' * 10**6)", (FAILED, "MemoryError")),
        ("def f(): f()\nf()", (FAILED, "RecursionError")),
        ("print(open('/etc/passwd').read())", (FAILED, "FileNotFoundError")),
        ("open('/tmp/x', 'w').write('x' * 10**6)", (FAILED, "FileNotFoundError")),
        ("import os\nprint(dict(os.environ))", (None, "{}\n")),
        ("import socket\nsocket.create_connection(('10.0.0.1', 80), 1)", (FAILED, "")),
        ("import os\nos.fork()", (FAILED, "")),
        ("import builtins\nbuiltins.sum = builtins.range = None\nprint('poisoned')", (None, "poisoned\n")),
        ("import os\nos._exit(3)", (wherry.GuestExit, "")),
        ("raise SystemExit(3)", (FAILED, "SystemExit")),
    ],
    "JavaScript": [
        ("while (true) {}", (wherry.TimeLimitError, "")),
        ("let a = []; while (true) a.push(new ArrayBuffer(1 << 24))", (FAILED, "out of memory")),
        ("const x = 'x'.repeat(1 << 16); while (true) console.log(x)", (FAILED, "out of memory")),
        ("function f() { f() } f()", (wherry.StackLimitError, "")),
        ("require('fs').readFileSync('/etc/passwd')", (FAILED, "ReferenceError")),
        ("fetch('http://10.0.0.1/')", (FAILED, "ReferenceError")),
        ("globalThis.eval = JSON.stringify = null; console.log('poisoned')", (None, "poisoned\n")),
        ("throw 'up'", (FAILED, "up")),
    ],
}
"""What some of them try, and how it ends."""


class Snippet(NamedTuple):
    """What someone sent, and how it should end."""

    source: str
    ending: Ending
    hostile: bool


class Outcome(NamedTuple):
    """How a snippet ended."""

    snippet: Snippet
    error: wherry.WherryError | None
    text: str

    @property
    def expected(self) -> bool:
        """Whether it ended as it should."""
        kind, text = self.snippet.ending
        if kind is None:
            return self.error is None and self.text == text
        return type(self.error) is kind and text in self.text


def snippets(language: str, count: int) -> Iterator[Snippet]:
    """So many snippets; each tenth one is hostile."""
    for number in range(count):
        if number % 10 == 9:  # noqa: PLR2004 - a tenth
            source, ending = HOSTILE[language][number // 10 % len(HOSTILE[language])]
            yield Snippet(source, ending, hostile=True)
        else:
            answer = f"{sum(n * n for n in range(number))}\n"
            yield Snippet(FRIENDLY[language].format(n=number), (None, answer), hostile=False)


def run_all(interpreter: Path, language: str, count: int) -> list[Outcome]:
    """Run the snippets of a language in one sandbox, from eight threads at once."""
    with (
        wherry.Sandbox(interpreter, limits=LIMITS) as sandbox,
        ThreadPoolExecutor(8) as threads,
    ):

        def run(snippet: Snippet) -> Outcome:
            try:
                return Outcome(snippet, None, sandbox.execute(snippet.source))
            except wherry.ResultError as error:  # the snippet failed; the value is what the interpreter said
                return Outcome(snippet, error, str(error.value))
            except wherry.WherryError as error:  # the sandbox ended it
                return Outcome(snippet, error, error.message)

        return list(threads.map(run, snippets(language, count)))


def python_interpreter() -> Path:
    """CPython as a component; making it takes 10 s, the first time."""
    maker = Path(sys.executable).with_name("componentize-py")
    world: list[str | Path] = ["--quiet", "-d", HERE / "interpreter.wit", "-w", "interpreter"]
    version = importlib.metadata.version("componentize-py")

    def build(output: Path) -> None:
        subprocess.run([maker, *world, "componentize", "interpreter", "-p", HERE, "-o", output], check=True)

    return _made_once(
        "python.wasm", build, HERE / "interpreter.wit", HERE / "interpreter.py", version=version
    )


def javascript_interpreter() -> Path | None:
    """QuickJS as a component; ``None`` where there is no npm to get its maker with."""
    if shutil.which("npm") is None:
        return None

    def build(output: Path) -> None:
        folder = output.parent
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        # Not `npm ci`: it wants parts for all platforms in the lock file, and not all were published.
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=folder, check=True)
        maker = folder / "node_modules" / ".bin" / "componentize-qjs"
        world: list[str | Path] = [
            "-w",
            HERE / "interpreter.wit",
            "-n",
            "interpreter",
            "-j",
            HERE / "interpreter.js",
        ]
        subprocess.run([maker, *world, "--sync", "-o", output], check=True, stdout=subprocess.DEVNULL)

    sources = (HERE / "interpreter.wit", HERE / "interpreter.js", HERE / "package-lock.json")
    return _made_once("javascript.wasm", build, *sources)


def _made_once(name: str, build: Callable[[Path], None], *sources: Path, version: str = "") -> Path:
    """What ``build`` writes, kept for as long as its sources stay the same."""
    digest = hashlib.sha256(version.encode() + b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    made = CACHE / digest[:20] / name
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            build(Path(scratch) / name)
            (Path(scratch) / name).replace(made)  # whole or not at all, however many do this at once
    return made


def main() -> int:
    """Run the snippets in both languages and print how they ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "count", nargs="?", type=int, default=1_000, help="how many snippets of each language"
    )
    parser.add_argument(
        "--prepare", metavar="FOLDER", type=Path, help="only link the interpreters into FOLDER"
    )
    options = parser.parse_args()
    wrong = 0
    for language, interpreter in (("Python", python_interpreter()), ("JavaScript", javascript_interpreter())):
        if interpreter is None:
            print(f"{language}: skipped, there is no npm to make its interpreter with")
        elif options.prepare is not None:
            options.prepare.mkdir(parents=True, exist_ok=True)
            (options.prepare / interpreter.name).unlink(missing_ok=True)
            (options.prepare / interpreter.name).symlink_to(interpreter)
        else:
            start = time.perf_counter()
            outcomes = run_all(interpreter, language, options.count)
            wrong += report(language, outcomes, time.perf_counter() - start)
    return min(wrong, 1)


def report(language: str, outcomes: list[Outcome], seconds: float) -> int:
    """Print how the snippets of a language ended; returns how many ended otherwise than they should."""
    wrong = [outcome for outcome in outcomes if not outcome.expected]
    print(
        f"{language}: {len(outcomes)} snippets in {seconds:.1f} s, {len(wrong)} ended otherwise than expected"
    )
    endings = collections.Counter(
        "answered" if outcome.error is None else type(outcome.error).__name__
        for outcome in outcomes
        if outcome.snippet.hostile
    )
    for ending, times in endings.most_common():
        print(f"  {times:4} hostile ones: {ending}")
    for outcome in wrong[:5]:
        print(f"  unexpected: {outcome.snippet.source!r} ended with {outcome.error!r} {outcome.text[:200]!r}")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
