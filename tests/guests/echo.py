"""Components that give back the value they are given, for any WIT type, as text.

``echo`` copies the value part by part through guest memory, following the layout in ``wit_types``: what the
host put at a wrong offset does not come back. ``relay`` hands the value to an imported function ``host`` of
the same type and returns what that returns. Both are made of a core module that holds memory and a core
module with one function.
"""

from __future__ import annotations

from tests.guests.copying import Copier, Encoding, allocate
from tests.guests.wit_types import (
    MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS,
    Core,
    Enum,
    Flags,
    List,
    Map,
    Option,
    Prim,
    Record,
    Result,
    Tuple,
    Variant,
    Wit,
    cases,
    fields,
    flatten,
)

__all__ = ["Encoding", "echo", "relay"]

# The bump allocator grows on demand and forgets everything after each call, so that calls leave memory flat.
_MEMORY = """\
  (core module $memory
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "reset") (global.set $top (i32.const 1024)))
    (func (export "realloc")
      (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32) (local $pages i32)
      (local.set $at (i32.and (i32.sub (i32.add (global.get $top) (local.get $align)) (i32.const 1))
                              (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (local.set $pages (i32.add (i32.shr_u (global.get $top) (i32.const 16)) (i32.const 1)))
      (if (i32.gt_u (local.get $pages) (memory.size))
        (then (if (i32.eq (i32.const -1) (memory.grow (i32.sub (local.get $pages) (memory.size))))
          (then unreachable))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))
"""

_IMPORTS = """\
    (import "memory" "memory" (memory 1))
    (import "memory" "reset" (func $reset))
    (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))"""

_OPTIONS = "(memory $bytes) (realloc $realloc)"


def echo(wit: Wit, encoding: Encoding = "utf8") -> str:
    """A component with ``echo: func(x: T) -> T`` that copies the value in guest memory."""
    names = _names(wit)
    return "\n".join(
        [
            "(component",
            *_declare(names, '(export $NAME "NAME" (type $NAME-is))'),
            _MEMORY,
            "  (core module $main",
            _IMPORTS,
            _echo_functions(wit, encoding),
            _post_return(wit),
            '  (core instance $main (instantiate $main (with "memory" (instance $memory))))',
            _lift("echo", wit, names, encoding) + ")",
        ]
    )


def relay(wit: Wit, encoding: Encoding = "utf8") -> str:
    """A component with ``relay: func(x: T) -> T`` that calls the imported ``host: func(x: T) -> T``."""
    names = _names(wit)
    text = _reference(wit, names)
    return "\n".join(
        [
            "(component",
            *_declare(names, '(import "NAME" (type $NAME (eq $NAME-is)))'),
            f'  (import "host" (func $host (param "x" {text}) (result {text})))',
            _MEMORY,
            f"  (core func $host' (canon lower (func $host) {_OPTIONS} string-encoding={encoding}))",
            "  (core module $main",
            _IMPORTS,
            _relay_function(wit),
            _post_return(wit),
            '  (core instance $main (instantiate $main (with "memory" (instance $memory))',
            '    (with "host" (instance (export "host" (func $host\'))))))',
            _lift("relay", wit, names, encoding) + ")",
        ]
    )


def _parts(wit: Wit) -> tuple[Wit, ...]:
    match wit:
        case List():
            return (wit.element,)
        case Map():
            return (wit.key, wit.value)
        case Record() | Tuple():
            return fields(wit)
        case Variant() | Option() | Result():
            return tuple(case for case in cases(wit) if case is not None)
        case _:
            return ()


def _names(wit: Wit) -> dict[Wit, str]:
    """A name for each type inside ``wit`` that WIT only knows by name, innermost first."""
    names: dict[Wit, str] = {}

    def visit(part: Wit) -> None:
        for inner in _parts(part):
            visit(inner)
        if isinstance(part, Record | Variant | Enum | Flags) and part not in names:
            names[part] = f"{type(part).__name__.lower()}{len(names)}"

    visit(wit)
    return names


def _declare(names: dict[Wit, str], public: str) -> list[str]:
    lines = []
    for wit, name in names.items():
        lines.append(f"  (type ${name}-is {_definition(wit, names)})")
        lines.append("  " + public.replace("NAME", name))
    return lines


def _reference(wit: Wit, names: dict[Wit, str]) -> str:
    return f"${names[wit]}" if wit in names else _definition(wit, names)


def _definition(wit: Wit, names: dict[Wit, str]) -> str:
    def some(*parts: Wit | None) -> str:
        return "".join(f" {_reference(part, names)}" for part in parts if part is not None)

    match wit:
        case Prim():
            return wit.name
        case Result():
            error = "" if wit.err is None else f" (error{some(wit.err)})"
            return f"(result{some(wit.ok)}{error})"
        case Record():
            parts = "".join(f' (field "{field.name}"{some(field.type)})' for field in wit.fields)
        case Variant():
            parts = "".join(f' (case "{case.name}"{some(case.type)})' for case in wit.cases)
        case Enum() | Flags():
            parts = "".join(f' "{name}"' for name in wit.names)
        case _:
            parts = some(*_parts(wit))
    return f"({type(wit).__name__.lower()}{parts})"


def _lift(name: str, wit: Wit, names: dict[Wit, str], encoding: Encoding) -> str:
    text = _reference(wit, names)
    return (
        f'  (alias core export $main "{name}" (core func $call))\n'
        '  (alias core export $main "post-return" (core func $post-return))\n'
        f'  (func (export "{name}") (param "x" {text}) (result {text})\n'
        f"    (canon lift (core func $call) {_OPTIONS}\n"
        f"      (post-return $post-return) string-encoding={encoding}))"
    )


def _post_return(wit: Wit) -> str:
    return f'    (func (export "post-return") (param {_result(wit)}) (call $reset)))'


def _relay_function(wit: Wit) -> str:
    """Passes the flat values on as they came; a result that does not fit one of them goes through memory."""
    params = _params(wit)
    arguments = "".join(f" (local.get {at})" for at in range(len(params)))
    if len(flatten(wit)) <= MAX_FLAT_RESULTS:
        host = f"(param {' '.join(params)}) (result {_result(wit)})"
        body = f"(call $host{arguments})"
    else:
        host = f"(param {' '.join(params)} i32)"
        body = (
            f"(local $to i32) (local.set $to {allocate(wit)})\n"
            f"      (call $host{arguments} (local.get $to)) (local.get $to)"
        )
    return (
        f'    (import "host" "host" (func $host {host}))\n'
        f'    (func (export "relay") (param {" ".join(params)}) (result {_result(wit)})\n      {body})'
    )


def _echo_functions(wit: Wit, encoding: Encoding) -> str:
    params = _params(wit)
    copier = Copier(encoding)
    if len(flatten(wit)) <= MAX_FLAT_RESULTS:
        body = "(local.get 0)"
    else:
        if params == flatten(wit):
            copying = copier.store(wit, "(local.get $to)", [f"(local.get {at})" for at in range(len(params))])
        else:
            copying = copier.copy(wit, "(local.get 0)", "(local.get $to)")
        body = f"(local $to i32) (local.set $to {allocate(wit)})\n      {copying} (local.get $to)"
    return "\n".join(
        [
            f'    (func (export "echo") (param {" ".join(params)}) (result {_result(wit)})\n      {body})',
            *copier.functions,
        ]
    )


def _result(wit: Wit) -> Core:
    flat = flatten(wit)
    return flat[0] if len(flat) <= MAX_FLAT_RESULTS else "i32"


def _params(wit: Wit) -> tuple[Core, ...]:
    flat = flatten(wit)
    return flat if len(flat) <= MAX_FLAT_PARAMS else ("i32",)
