"""Components that implement the interface files of ``corpus``, for the tests of all host languages.

Each ``NAME.wit`` has a ``NAME.js`` beside it, which is built by the project's own builder, once, and kept by
the digest of all that goes into it. What a guest exports it fulfils by what it imports, so that a test sees
each value in both directions; where it imports nothing, it gives back what it is given.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.guests.build import project

__all__ = ["CORPUS", "NAMES", "component"]

CORPUS = Path(__file__).with_name("corpus")

NAMES = sorted(path.stem for path in CORPUS.glob("*.wit"))
"""The interface files, by name."""

_MANIFEST = """[package]
name = "corpus/{name}"
version = "1.2.3"
description = "A corpus of interfaces"

[build]
language = "javascript"

[library]
"""


def component(name: str, source: str | None = None) -> Path:
    """The component for ``corpus/NAME.wit``, of the ``source`` beside it or another one."""
    with tempfile.TemporaryDirectory(prefix="wherry-corpus-") as folder:
        made = Path(folder)
        (made / "wherry.toml").write_text(_MANIFEST.format(name=name))
        (made / "package.json").write_text('{"type": "module"}\n')
        for ending, place in (("wit", "wit"), ("js", "src")):
            (made / place).mkdir()
            data = (CORPUS / f"{name}.{ending}").read_bytes()
            if ending == "js" and source is not None:
                data = source.encode()
            (made / place / f"{name}.{ending}").write_bytes(data)
        return project(f"corpus_{name}", "javascript", made)
