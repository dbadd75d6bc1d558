"""Commands in the text format, the same for each generation of WASI: what one does is a few instructions.

They import nothing, so that a limit is all that stands between them and the host.
"""

from __future__ import annotations

__all__ = ["GENERATIONS", "command"]

GENERATIONS = ("0.1", "0.2", "0.3")
_RUN = {
    "0.2": ("0.2.6", "(func (result (result)))"),
    "0.3": ("0.3.0", "(func async (result (result)))"),
}


def command(generation: str, body: str, fields: str = "") -> bytes:
    """A command whose function ``$run`` does ``body`` and then ends well; ``fields`` are of its module."""
    module = f'{fields} (func $run (export "run") (result i32) {body} (i32.const 0))'
    if generation == "0.1":
        return f'(module {module} (func (export "_start") (drop (call $run))))'.encode()
    version, kind = _RUN[generation]
    return f"""(component
      (core module $module {module})
      (core instance $main (instantiate $module))
      (type $run {kind})
      (func $run (type $run) (canon lift (core func $main "run")))
      (instance $exported (export "run" (func $run)))
      (export "wasi:cli/run@{version}" (instance $exported)))""".encode()
