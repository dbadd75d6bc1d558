"""The Python interpreter: componentize-py makes a component of it, with what it imports started up."""

import contextlib
import io
import traceback

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    """The world `interpreter`."""

    def execute(self, source: str) -> str:
        """Run a snippet and return what it printed."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(source, "<snippet>", "exec"), {"__name__": "__main__"})  # noqa: S102 - its purpose
        except BaseException as error:  # noqa: BLE001 - also SystemExit
            raise Err("".join(traceback.format_exception_only(error)).rstrip()) from None
        return printed.getvalue()
