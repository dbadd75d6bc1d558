"""Where the process of ``wherry`` starts, and the way of ``wherry run`` and of a plain ``wherry serve``.

Start-up time is a feature: the interpreter takes 15 ms, ``click`` alone would take another 40, so a command
line that runs a guest goes straight to the engine, which reads it by its own table of flags. Imports at the
top of this file are paid for by every run: there are none but what the interpreter has loaded already.
"""

import os
import sys

__all__ = ["launch", "main", "run"]

_FILES = (".wasm", ".wat", ".cwasm")
"""How names of files end that the engine reads by itself."""


def main() -> int:
    """Do what the command line says and return the exit code."""
    words = sys.argv[1:]
    try:
        from wherry import _native
    except ImportError as error:
        return _no_core(error)
    _native.end_on_closed_pipe()
    guest = _words_of_run(words)
    if guest is not None and not _native.run_has_flag(guest, "help"):
        _leave(run(guest))
    served = _words_of_serve(words)
    if served is not None:
        from wherry.cli.serving import serve_file

        _leave(serve_file(*served))
    from wherry.cli import main as commands

    return commands.main(words if guest is None else ["run", *guest])


def launch(package: str) -> int:
    """Run a command of a package with the arguments of this process: what a launcher does."""
    try:
        from wherry import _native
    except ImportError as error:
        return _no_core(error)
    _native.end_on_closed_pipe()
    _leave(run([package, *sys.argv[1:]]))
    return 0


def run(words: list[str]) -> int:
    """Run ``[OPTIONS] FILE [ARGS...]`` and return the exit code: the guest's, or one that says why not."""
    from wherry import _native

    try:
        at = _native.run_file_index(words)
        if at is not None and not words[at].endswith(_FILES):
            words = _resolved(words, at)
        code, printed, hints = _native.run_command(words, _warn, _progress, _say)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last one who can report it
        from wherry.cli import output

        debug = _native.run_has_flag(words, "debug") or _native.debug_wanted()
        return output.fail(error, debug=debug, running=True)
    if printed is not None and sys.stdout is not None:
        sys.stdout.write(f"{printed}\n")
    if hints:
        from wherry.cli import output

        output.hint(hints)
    return code


def _resolved(words: list[str], at: int) -> list[str]:
    """The words with a file in place of a project or package, if it is one."""
    from wherry import _native

    short = at == 0 and not words[0].startswith((".", "/"))
    noted = _native.run_noted(words[0]) if short else None
    if noted is not None:
        return [*noted, *words[1:]]
    from wherry.store.location import names_package

    target, _, command = words[at].partition("#")
    named = names_package(target)
    folder = target.startswith((".", "/")) and os.path.isdir(target)  # noqa: PTH112 - loaded already
    if not (named or command or folder or target.endswith(".tar")):
        return words
    from wherry.cli import target as resolve

    return resolve.resolved(words, at)


def _warn(message: str) -> None:
    from wherry.cli import output

    output.warn(message)


def _progress(seconds: float | None) -> None:
    from wherry.cli import output

    output.progress("compiling", seconds)


def _say(line: str) -> None:
    from wherry.cli import output

    output.say(line)


def _words_of_run(words: list[str]) -> list[str] | None:
    """What follows ``run``, spelled out or left out before a path; ``None`` for other commands."""
    if not words:
        return None
    if words[0] == "run":
        return words[1:]
    if words[0].startswith((".", "/")) or words[0].endswith((*_FILES, ".tar")):
        return words
    return None


def _words_of_serve(words: list[str]) -> tuple[str, dict[str, str]] | None:
    """What is served where, if there is nothing but a file and an address; ``None`` for all else."""
    if words[:1] != ["serve"] or not all(map(str.isascii, words)):
        return None
    settings: dict[str, str] = {}
    files = []
    rest = iter(words[1:])
    for word in rest:
        if word == "--addr" or word.startswith("--addr="):
            settings["address"] = word[7:] or next(rest, "")
        elif word.startswith("-") or not word.endswith(_FILES):
            return None
        else:
            files.append(word)
    return (files[0], settings) if len(files) == 1 and all(settings.values()) else None


def _leave(code: int) -> None:
    """End the process at once: nothing is left that the interpreter would have to tidy up for 2 ms."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                continue
    os._exit(code)


def _no_core(error: ImportError) -> int:
    """Report that the package was installed without its compiled part, or for another Python."""
    from wherry.cli import output
    from wherry.errors import InternalError

    hint = "install it again: `pip install --force-reinstall wherry`; from a clone: `make setup`"
    output.report(InternalError(f"the compiled core of Wherry cannot be loaded: {error}", hint=hint))
    return InternalError.command_exit_code
