"""Loads and calls hostile modules in a process of its own, so that a crash or a hang names the module.

``python -m tests.hostile.worker FILE START STEP``: FILE holds modules, each after its length in four
little-endian bytes; every STEPth from START on is tried. A line ``N begin`` is written before a module is
touched, and a line ``N called`` or ``N <class of the exception>`` after.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

import wherry
from tests.hostile.corpus import EXPORTS, unpack

# A start function or an initialiser counts too, so the clock starts with instantiation.
LIMITS = wherry.Limits(memory="64MiB", timeout="500ms")
# Far more than one module takes, whose calls end after half a second each.
HANG_SECONDS = 60


def call_everything(module: bytes) -> None:
    """Loads, instantiates and calls; a typed error in one call does not keep the next from being made."""
    component = wherry.load(module)
    for name, arguments in EXPORTS.items():
        # A fresh instance each: a trap in one call ends the instance.
        with (
            component.instantiate(limits=LIMITS, imports={"host": lambda x: x}) as instance,
            contextlib.suppress(wherry.GuestError, wherry.LimitError, wherry.CallError),
        ):
            getattr(instance, name)(*arguments)


def outcome(module: bytes) -> str:
    """``called``, or the class of the exception that refused the module, with its message."""
    try:
        call_everything(module)
    except wherry.WherryError as error:
        kind = type(error).__name__
        return kind if not isinstance(error, wherry.InternalError) else f"{kind}: {error}"
    except BaseException as error:  # noqa: BLE001 - any other class is what this test looks for
        return f"untyped {type(error).__name__}: {error}"
    return "called"


def main() -> None:
    """Tries the modules that the command line names."""
    file, start, step = sys.argv[1:]
    modules = unpack(Path(file).read_bytes())
    for number in range(int(start), len(modules), int(step)):
        # Not caught: it ends the process also while native code runs.
        signal.alarm(HANG_SECONDS)
        sys.stdout.write(f"{number} begin\n")
        sys.stdout.flush()
        line = outcome(modules[number]).replace("\n", " ")
        sys.stdout.write(f"{number} {line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
