"""The embedding API: load a program, instantiate it, call it, run it.

Start with :func:`wherry.load` and :func:`wherry.run`. :mod:`~wherry.runtime.component` loads,
:mod:`~wherry.runtime.instance` is one sandbox, :mod:`~wherry.runtime.imports` gives it host functions,
:mod:`~wherry.runtime.streams` has streams and futures, :mod:`~wherry.runtime.program` runs commands, and
:mod:`~wherry.runtime.aio` is all of it for asyncio.
"""

from __future__ import annotations
