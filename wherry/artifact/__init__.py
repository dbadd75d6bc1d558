"""What a package is made of: its manifest, the artifact that travels, and how one is read without trust.

Start with :mod:`~wherry.artifact.pack` (a project becomes an artifact) and :mod:`~wherry.artifact.read`
(anybody's artifact becomes a :class:`~wherry.artifact.read.Artifact`). ``manifest`` is ``wherry.toml``,
``oci`` the records of the formats, ``layout`` the two forms in which artifacts lie in files, ``tree`` the
archive of a package's files, ``unpack`` writes one to disk, and ``bounds`` says how much of anything is
accepted.

Nothing here knows where packages are kept: whoever keeps them is a ``Source`` and a ``Sink`` of ``blobs``.
"""

from __future__ import annotations
