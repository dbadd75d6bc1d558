"""Source in some language becomes a component: ``wherry new``, ``wherry build`` and ``wherry test``.

Start with :mod:`~wherry.build.builder` (a project becomes components) and :mod:`~wherry.build.project` (what
there is to build in it). ``languages`` is the table of languages, with one module for each beside it; what
they need is fetched by ``tools``. ``fingerprint`` knows whether anything has changed, ``new`` makes projects
and ``testing`` runs their tests.
"""

from __future__ import annotations
