"""``wherry inspect``: what a file is, which places it fits, and what it imports and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from wherry import api
from wherry.cli import output
from wherry.cli.command import Command, format_option, option
from wherry.errors import UsageError
from wherry.runtime.inspect import inspect as read
from wherry.runtime.inspect import wit_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wherry.runtime.inspect import Group, Inspection, Need, Place, Producer, Served

_FORMS = {"component": "component", "module": "core module", "package": "WIT package"}
_LISTED_PARTS = 20


@click.command(
    cls=Command,
    examples=[
        "wherry inspect tool.wasm",
        "wherry inspect acme/thumbs",
        "wherry inspect --wit tool.wasm > tool.wit",
        "wherry inspect --format json tool.wasm | jq '.needs[].words'",
    ],
)
@click.argument("file", metavar="FILE", type=click.Path())
@option("--wit", is_flag=True, help="Print the interface as WIT, and nothing else")
@format_option
@click.pass_context
def inspect(ctx: click.Context, file: str, format: str, *, wit: bool) -> None:  # noqa: A002 - the name of the option
    """Show what a program is, where it fits, what it needs and what it offers.

    FILE may also be the name of a package, a project or a packed file. It is read, not run.
    """
    found = api.find(file, output.progress, place="library")
    path = file if found is None else found.component
    if wit:
        if format == "json" and ctx.get_parameter_source("format") is click.core.ParameterSource.COMMANDLINE:
            raise UsageError("`--wit` prints text", hint="leave out `--format json`, or `--wit`")
        click.echo(wit_text(path, name=file).rstrip("\n"))
        return
    inspection = read(path, name=file)
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(inspection)))
    else:
        click.echo(page(inspection))


def page(inspection: Inspection) -> str:
    """The whole inspection as text for a terminal: headings, and under each its lines."""
    chapters = {
        "Places": _places(inspection.places),
        "Served": _served(inspection.served),
        "Needs": _needs(inspection.needs),
        "Exports": _groups(inspection.exports),
        "Imports": _imports(inspection),
        "Made with": _producers(inspection.producers),
        "Size": _sizes(inspection),
        "Parts": _parts(inspection),
    }
    lines = list(_head(inspection))
    for heading, body in chapters.items():
        written = list(body)
        if written:
            lines += ["", heading, *(f"  {line}".rstrip() for line in written)]
    return "\n".join(map(output.printable, lines))


def _head(inspection: Inspection) -> Iterator[str]:
    words = [_FORMS[inspection.form], *([inspection.kind] if inspection.kind else [])]
    words += [f"WASI {generation}" for generation in inspection.wasi]
    words += ["text format"] if inspection.text else []
    yield f"{inspection.name}: {', '.join(words)}, {output.readable_size(inspection.size)}"
    yield inspection.digest
    if inspection.obstacle is not None:
        yield ""
        yield f"It cannot run: {inspection.obstacle.message}"
        if inspection.obstacle.hint is not None:
            yield f"hint: {inspection.obstacle.hint}"


def _places(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        yield f"{'yes' if place.fits else 'no':<4}{place.name:<9} {place.why}"


def _served(served: Served | None) -> Iterator[str]:
    if served is not None:
        yield (
            "prepared: its memory is put back after each request"
            if served.prepared
            else f"as it is: {served.why}"
        )


def _needs(needs: tuple[Need, ...]) -> Iterator[str]:
    if not needs:
        yield "nothing: it only computes"
    for need in needs:
        granted = f" (granted with `{need.flag}`)" if need.flag is not None else ""
        yield f"{need.words}{granted}"
        if need.id == "host":
            for name in need.imports:
                yield f"  {name}"


def _groups(groups: Iterable[Group]) -> Iterator[str]:
    for group in groups:
        indent = "" if group.name is None else "  "
        if group.name is not None:
            yield group.name
        for entry in group.entries:
            yield f"{indent}{entry.signature}"
            if entry.python is not None:
                yield f"{indent}  Python: {entry.python}"
        for named in group.types:
            yield f"{indent}{named.definition}"


def _imports(inspection: Inspection) -> Iterator[str]:
    """Host functions with their signatures, as someone has to write them; of WASI only the names."""
    hosts = {name for need in inspection.needs if need.id == "host" for name in need.imports}
    for group in inspection.imports:
        name = group.name or ""
        mine = [entry for entry in group.entries if {name, entry.name, f"{name}.{entry.name}"} & hosts]
        if mine:
            yield from _groups([group])
        else:
            functions = _count(len(group.entries), "function") if group.entries else "types only"
            yield f"{name} ({functions})" if name else functions


def _sizes(inspection: Inspection) -> Iterator[str]:
    """One line for each thing that takes half a percent or more, and one for the rest."""
    large = [section for section in inspection.sections if section.size * 200 >= inspection.size]
    rest = inspection.size - sum(section.size for section in large)
    lines = [(section.name, section.size) for section in large] + ([("other", rest)] if rest else [])
    for name, size in lines:
        yield f"{output.readable_size(size):>10}  {size / inspection.size:>4.0%}  {name}"


def _parts(inspection: Inspection) -> Iterator[str]:
    """What is nested in the file; a file that is one module has been described already."""
    nested = inspection.parts[1:]
    for part in nested[:_LISTED_PARTS]:
        name = f" {part.name}" if part.name else ""
        functions = f", {_count(part.functions, 'function')}" if part.form == "module" else ""
        yield f"{'  ' * (part.depth - 1)}{part.form}{name}: {output.readable_size(part.size)}{functions}"
    if len(nested) > _LISTED_PARTS:
        yield f"and {len(nested) - _LISTED_PARTS} more"


def _producers(producers: Iterable[Producer]) -> Iterator[str]:
    """Languages first, then what processed them, as ``producers`` sections have them in any order."""
    for made in sorted(producers, key=lambda made: made.field):
        yield f"{made.field:<13} {made.name} {made.version}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
