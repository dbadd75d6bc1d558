"""How types and functions of WIT are written in Python: the table of ``wherry.wit``."""

from __future__ import annotations

import pytest

from wherry.wit import model, python_types

TYPES = """
  (type $point' (record (field "x" f64) (field "class" string)))
  (import "point" (type $point (eq $point')))
  (type $shape' (variant (case "dot" $point) (case "none")))
  (import "shape" (type $shape (eq $shape')))
  (type $colour' (enum "red" "dark-green"))
  (import "colour" (type $colour (eq $colour')))
  (type $edges' (flags "top" "left"))
  (import "edges" (type $edges (eq $edges')))
  (import "image-file" (type $image (sub resource)))
  (type $octet' u8)
  (import "octet" (type $octet (eq $octet')))
"""

ROWS = [
    ("bool", "bool"),
    ("u8", "int"),
    ("s64", "int"),
    ("f32", "float"),
    ("char", "str"),
    ("string", "str"),
    ("(list u8)", "bytes"),
    ("(list $octet)", "bytes"),
    ("(list s8)", "list[int]"),
    ("(list string)", "list[str]"),
    ("(tuple u8 string)", "tuple[int, str]"),
    ("$point", "Point"),
    ("$shape", "Variant"),
    ("$colour", "str"),
    ("$edges", "frozenset[str]"),
    ("(option string)", "str | None"),
    ("(result u8 (error string))", "Ok[int] | Err[str]"),
    ("(result)", "Ok[None] | Err[None]"),
    ("(own $image)", "ImageFile"),
    ("(borrow $image)", "ImageFile"),
]


def component(*definitions: str) -> model.World:
    """The model of a component that has the types above and imports ``definitions``."""
    world = model.read(f"(component {TYPES} {' '.join(definitions)})".encode())
    assert isinstance(world, model.World)
    return world


def function(world: model.World) -> model.Function:
    """The one function that ``world`` imports."""
    (found,) = (item for item in world.imports if isinstance(item, model.Function))
    return found


@pytest.mark.parametrize(("wit", "expected"), ROWS, ids=[wit for wit, _ in ROWS])
def test_each_type_has_its_annotation(wit: str, expected: str) -> None:
    """Each row of the table, as the type of a parameter."""
    # The text format wants a name for what is written out.
    definition, used = ("", wit) if wit.startswith("$") else (f"(type $t {wit})", "$t")
    world = component(definition, f'(import "f" (func (param "a" {used})))')
    assert python_types.annotation(world, function(world).params[0].type) == expected


def test_an_option_in_an_option_is_told_apart() -> None:
    """``None`` in an option of an option would be either; the outer one is wrapped."""
    world = component('(type $i (option u8))(type $t (option $i))(import "f" (func (param "a" $t)))')
    assert python_types.annotation(world, function(world).params[0].type) == "Some[int | None] | None"


def test_a_result_is_what_a_success_returns() -> None:
    """The failure is raised, so that it is not in the annotation; names are those of Python."""
    world = component(
        "(type $r (result $point (error string)))",
        '(import "read-from" (func (param "from" string) (result $r)))',
    )
    assert python_types.signature(world, function(world)) == "read_from(from_: str) -> Point"


def test_functions_of_a_resource_carry_its_class() -> None:
    """A constructor is the class, a method does not show itself, a static function does not either."""
    world = component(
        '(import "acme:x/y" (instance (export "file" (type $f (sub resource)))'
        "(type $o (own $f)) (type $b (borrow $f))"
        '(export "[constructor]file" (func (param "name" string) (result $o)))'
        '(export "[method]file.size" (func (param "self" $b) (result u64)))'
        '(export "[static]file.open" (func (result $o)))))'
    )
    (interface,) = (item for item in world.imports if isinstance(item, model.Interface))
    assert [python_types.signature(world, function) for function in interface.functions] == [
        "File(name: str)",
        "File.size() -> int",
        "File.open() -> File",
    ]


def test_types_that_repeat_each_other_end() -> None:
    """Names hide nothing in Python: what a hostile file doubles level upon level is cut short."""
    levels = ["(type $t0' (tuple u8 u8))(import \"t0\" (type $t0 (eq $t0')))"]
    levels += [
        f"(type $t{level}' (tuple $t{level - 1} $t{level - 1}))"
        f'(import "t{level}" (type $t{level} (eq $t{level}\')))'
        for level in range(1, 14)
    ]
    world = component(*levels, '(import "f" (func (param "a" $t13)))')
    written = python_types.signature(world, function(world))
    assert "..." in written
    assert len(written) < 50_000


def test_a_core_module_has_functions_of_numbers() -> None:
    """The model of a module lists its borders in the types of the text format."""
    core = model.read(
        b'(module (import "env" "f" (func (param i32))) (func (export "g") (result f64) f64.const 0))'
    )
    assert isinstance(core, model.Core)
    assert core.imports == (model.CoreImport("env", "f", "function", ("i32",)),)
    assert core.exports == (model.CoreExport("g", "function", (), ("f64",)),)
