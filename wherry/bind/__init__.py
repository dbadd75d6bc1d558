"""``wherry bind``: typed source in a host language for what a component exports and imports.

``generate.bind`` is what the command does. It reads the interface into a ``library.Library``, hands that to
the module of a language (``languages.LANGUAGES``), and writes or compares the files that come back. A
language knows how it spells types, and nothing of components, packages or folders. Start reading at
``library``.
"""

from __future__ import annotations
