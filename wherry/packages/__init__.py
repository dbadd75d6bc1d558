"""``from wherry.packages.acme import thumbs``: libraries of the store as modules of Python.

A library is found in the store under its name, in the version that ``[dependencies]`` of the ``wherry.toml``
above the current folder pins, else in its newest. Its bindings are written once for a digest into the user's
cache, as modules that Python compiles and keeps. Nothing is installed, and no code of the library runs
outside its sandbox. What a person agreed to holds; a library that asks for more is refused at import, with
the line that grants it. Start reading at ``_finder``.
"""

# Not `from __future__ import annotations`, nor anything else that takes time: this is what an import costs.
import sys

from wherry.packages._finder import Finder

if not any(type(finder).__name__ == Finder.__name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, Finder())
