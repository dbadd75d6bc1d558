"""A program that sends encoded values through generated C and back, and values at random for it.

For each function of a library the program reads the arguments with the generated readers, calls, and writes
what came back with the generated writers; what the host is given it gives back. So a value that is equal byte
for byte in the end was right in structures of C four times. Values are made from ``docs/encoding.md`` alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from wherry.bind.c.functions import Functions
from wherry.bind.c.spelling import NUMBERS, Spelling
from wherry.bind.c.types import Types
from wherry.bind.c.values import Place, Values
from wherry.wit import model

if TYPE_CHECKING:
    from random import Random

    from tests.bind.c_programs import Package
    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function, Type

__all__ = ["encoded", "program"]

_FORMATS = dict(zip(NUMBERS, "?bBhHiIqQfdI", strict=True))
_TEXTS = ["", "a", "Grüße", "世界", "🎉\0", "line\nline", "x" * 300]
_EXACT = 53

_MAIN = """
#include <stdio.h>

static uint8_t bytes[1 << 22];
static wherry_arena arena;

static int digit(int letter) { return letter <= '9' ? letter - '0' : letter - 'a' + 10; }

static void print(const wherry_writer *writer, wherry_status status, wherry_error *error) {
  if (status != WHERRY_OK)
    printf("error %s", wherry_error_message(error));
  else
    for (const uint8_t *at = writer->start; at != NULL && at < writer->at; at++)
      printf("%02x", *at);
  printf("\\n");
  fflush(stdout);
  wherry_error_free(error);
}

@FUNCTIONS@

int main(void) {
  char name[512];
  @IMPORTS@
  @PREFIX@_instance *instance;
  wherry_error *error = NULL;
  if (@PREFIX@_open(@OPEN@ &instance, &error) != WHERRY_OK) {
    print(NULL, 1, error);
    return 1;
  }
  while (scanf("%511s ", name) == 1) {
    size_t length = 0;
    for (int high; (high = getchar()) != '\\n'; length++)
      bytes[length] = (uint8_t)(digit(high) << 4 | digit(getchar()));
    (void)length;
    wherry_arena_reset(&arena);
@CHOICES@
  }
  wherry_arena_free(&arena);
  return @PREFIX@_close(instance) != WHERRY_OK;
}
"""


def program(package: Package, only: str | None = None) -> str:
    """The source of a program for a library whose functions give back what its host gives back.

    With ``only``, it calls the functions of that interface, and there is no host.
    """
    library = package.library
    functions = Functions(library, Values(Types(library, Spelling(library, package.prefix))))
    functions.declare_types()
    texts, choices, fields = [], [], []
    for scope in functions.tables:
        named = functions.spelling.table_functions(scope)
        for one in scope.functions:
            name = f"host_{named[one.name]}"
            texts.append(_host(functions, one, name))
            fields.append(f".{functions.spelling.members[scope.name]}.{named[one.name]} = {name}")
    for scope in library.exports:
        for one in scope.functions if only in {None, scope.interface} else ():
            texts.append(_caller(functions, scope, one))
            called = functions.spelling.functions[scope.name, one.name]
            choices.append(f'if (strcmp(name, "{one.name}") == 0) run_{called}(instance);')
    imports = f"{package.prefix}_imports imports = {{{', '.join(fields)}}};" if fields else ""
    words = {
        "FUNCTIONS": "\n".join(texts),
        "IMPORTS": imports,
        "PREFIX": package.prefix,
        "OPEN": "NULL, &imports," if fields else "NULL,",
        "CHOICES": "\n".join(choices),
    }
    text = f'#include "{package.prefix}_values.h"\n{_MAIN}'
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _host(functions: Functions, function: Function, name: str) -> str:
    """A function of the host that gives back its arguments, several as a tuple."""
    lines = ["(void)context;", "(void)caller;"]
    names = functions.spelling.parameters(function)
    places = [
        functions.values.parameter(one.type, name)[1].value
        for one, name in zip(function.params, names, strict=True)
    ]
    if len(places) == 1:
        lines.append(f"*out = {places[0]};")
    else:
        lines += [f"out->f{at} = {one};" for at, one in enumerate(places)]
    words = ", ".join(functions.callback_words(function))
    return f"static int32_t {name}({words}) {{\n" + "\n".join([*lines, "return 0;"]) + "\n}\n"


def _caller(functions: Functions, scope: Scope, function: Function) -> str:
    """Reads the arguments, calls, and prints the result."""
    called = functions.spelling.functions[scope.name, function.name]
    declared, reads, words = [], [], ["instance"]
    for at, one in enumerate(function.params):
        declared.append(f"{functions.spelling.type(one.type)} a{at};")
        reads.append(functions.values.read(one.type, Place(f"a{at}"), "&reader"))
        words.append(f"&a{at}" if functions.values.by_pointer(one.type) else f"a{at}")
    written = ""
    if function.result is not None:
        declared.append(f"{functions.spelling.type(function.result)} out;")
        words.append("&out")
        written = functions.values.write(function.result, Place("out"), "&writer")
    lines = [
        "wherry_reader reader = {bytes + 5, &arena, false};",
        "wherry_writer writer = {NULL, NULL, NULL, false, false};",
        "wherry_error *error = NULL;",
        "wherry_status status;",
        *declared,
        *reads,
        "(void)reader;",
        f"status = {called}({', '.join([*words, '&error'])});",
        f"if (status == WHERRY_OK) {{ {written} }}",
        "print(&writer, status, error);",
        "free(writer.start);",
    ]
    instance = functions.spelling.fixed["instance"]
    return f"static void run_{called}({instance} *instance) {{\n" + "\n".join(lines) + "\n}\n"


def encoded(  # noqa: C901, PLR0912 - a match over the WIT types
    library: Library, used: Type, random: Random, depth: int = 0
) -> bytes:
    """The encoding of a value of a type, at random."""
    definition = library.definition(used)
    few = range(random.randrange(max(1, 5 - depth)))
    match definition:
        case "string":
            data = random.choice(_TEXTS).encode()
            return _headed(0x10, len(data)) + data
        case str():
            return bytes([[*NUMBERS].index(definition) + 1]) + _number(definition, random)
        case model.List(element=element):
            count = len(few)
            number = library.definition(element)
            if isinstance(number, str) and number in NUMBERS:
                tag = 0x41 + [*NUMBERS].index(number)
                return _headed(tag, count) + b"".join(_number(number, random) for _ in range(count))
            items = [encoded(library, element, random, depth + 1) for _ in range(count)]
            return _headed(0x11, count) + b"".join(items)
        case model.Map(key=key, value=value):
            pairs = {
                encoded(library, key, random, depth + 1): encoded(library, value, random, depth + 1)
                for _ in few
            }
            return _headed(0x12, len(pairs)) + b"".join(one + other for one, other in pairs.items())
        case model.Record(fields=fields):
            parts = [encoded(library, field.type, random, depth + 1) for field in fields]
            return _headed(0x13, len(parts)) + b"".join(parts)
        case model.Tuple(elements=elements):
            parts = [encoded(library, one, random, depth + 1) for one in elements]
            return _headed(0x14, len(parts)) + b"".join(parts)
        case model.Variant(cases=cases):
            at = random.randrange(len(cases))
            payload = cases[at].payload
            if payload is None:
                return _headed(0x15, at)
            return _headed(0x16, at) + encoded(library, payload, random, depth + 1)
        case model.Enum(cases=names):
            return _headed(0x17, random.randrange(len(names)))
        case model.Flags(flags=flags):
            return _headed(0x18, random.randrange(1 << len(flags)))
        case model.Option(payload=payload):
            if random.random() < 0.3:
                return b"\x19"
            return b"\x1a" + encoded(library, payload, random, depth + 1)
        case model.Result(ok=ok, err=err):
            tag, side = random.choice([(0x1B, ok), (0x1D, err)])
            if side is None:
                return bytes([tag])
            return bytes([tag + 1]) + encoded(library, side, random, depth + 1)
    raise AssertionError(definition)


def _number(name: str, random: Random) -> bytes:
    value: object
    match name:
        case "bool":
            value = random.random() < 0.5
        case "f32" | "f64":
            value = random.choice([0.0, -0.5, float("inf"), float(random.randrange(1 << 20)) / 16])
        case "char":
            value = ord(random.choice("aß世🎉\0\ud7ff\ue000\U0010ffff"))
        case _:
            # Guests in JavaScript take whole numbers that its own numbers are exact for.
            bits = min(int(name[1:]), _EXACT)
            least = 0 if name[0] == "u" else -(1 << (bits - 1))
            value = random.choice([least, least + (1 << bits) - 1, random.randrange(1 << bits) + least])
    return struct.pack("<" + _FORMATS[name], value)


def _headed(tag: int, count: int) -> bytes:
    return struct.pack("<BI", tag, count)
