"""HTTP applications on a server of one's own: a fresh sandbox for every request.

:func:`serve` starts a server in threads of its own and returns at once. No Python runs while it answers.

``docs/edge.md`` has examples.
"""

from __future__ import annotations

from wherry.edge.application import Application
from wherry.edge.server import Failure, Server, serve
from wherry.edge.settings import ApplicationSettings, Certificate, GuestLog, Log, ServerSettings, Traces

__all__ = [
    "Application",
    "ApplicationSettings",
    "Certificate",
    "Failure",
    "GuestLog",
    "Log",
    "Server",
    "ServerSettings",
    "Traces",
    "serve",
]
