"""The command line: ``wherry``. Start reading at ``start``, which is where the process starts.

``start`` runs guests without loading ``click``; ``main`` has the table of all commands, and each command is a
file of its own that is imported when it is typed.
"""
