"""Where packages live on this machine, and how one is found by name.

Start with :mod:`~wherry.store.local` (the store: what can be done with it) and
:mod:`~wherry.store.references` (how people name a package). ``index`` is the database that says which names
lead to which digests; the bytes lie beside it as an OCI layout, which other tools read too.

What a package is made of is the business of :mod:`wherry.artifact`; whoever runs one looks it up here first.
"""
