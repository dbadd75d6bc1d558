"""The header: two languages, two compilers, and the library says the same of itself."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.ffi.conftest import COMPILERS, ROOT, compiled, run

HEADER = ROOT / "crates" / "wherry-ffi" / "include" / "wherry.h"
SNAPSHOT = Path(__file__).with_name("abi.json")
# How a type of Rust is written in C. Handles are pointers, whatever they are to.
TYPES = {
    "u32": "uint32_t",
    "u64": "uint64_t",
    "usize": "size_t",
    "c_int": "int32_t",
    "Status": "wherry_status",
    "*const c_char": "const char *",
    "*const u8": "const uint8_t *",
    "*mut u8": "uint8_t *",
    "*mut *const c_char": "const char **",
    "*mut *const u8": "const uint8_t **",
    "*mut *mut u8": "uint8_t **",
    "*mut usize": "size_t *",
    "*mut u64": "uint64_t *",
    "*mut c_void": "void *",
    "Option<CFunction>": "wherry_callback",
    "Option<CDestructor>": "wherry_destructor",
    "Option<CDestroy>": "wherry_destroy",
    "Option<CSource>": "wherry_source",
}
HANDLES = r"wherry_(context|component|policy|imports|instance|function|caller|stream|error)"


def interface(header: str) -> dict[str, object]:
    """What callers depend on: functions, types of callbacks, numbers."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    flat = re.sub(r"\s+", " ", re.sub(r"(?m)^#.*$", "", code))
    functions = re.findall(r"(?<=[;{}] )((?:const )?\w+ \*?)(wherry_\w+)\(([^()]*)\);", flat)
    return {
        "functions": {name: f"{result.strip()} ({words})" for result, name, words in functions},
        "types": re.findall(r"typedef [^;{}]*;", flat),
        "numbers": dict(re.findall(r"(WHERRY_\w+) = (\d+)", flat)),
        "flags": dict(re.findall(r"#define (WHERRY_\w+) (\w+)", code)),
    }


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_header_compiles_without_a_warning(compiler: str, prefix: Path) -> None:
    """As C11 and as C++17, and the program that includes it finds its library without a variable."""
    done = run(compiled(prefix, "version", compiler))
    assert done.stdout == "1 0.1.0\n"
    assert done.returncode == 0


def test_the_interface_changes_with_its_version_only() -> None:
    """Who was compiled against the header finds all of it there; what is new is put in the snapshot."""
    known, now = json.loads(SNAPSHOT.read_text()), interface(HEADER.read_text())
    assert known == now, (
        "a new ABI version is due, unless this only adds: then write `tests/ffi/abi.json` anew"
    )
    assert (now["flags"], "1") == ({"WHERRY_ABI_VERSION": "1", "WHERRY_LOAD_PRECOMPILED": "1u"}, "1")


def test_the_snapshot_notices_a_change() -> None:
    """The check above can fail: for a parameter, a number, a function that is gone."""
    header = HEADER.read_text()
    for old, new in (
        ("uint64_t resource, wherry_error", "uint32_t resource, wherry_error"),
        ("WHERRY_VALUE = 12", "WHERRY_VALUE = 13"),
        ("uint32_t wherry_abi_version(void);", ""),
        ("typedef void (*wherry_destroy)(void *context);", "typedef int (*wherry_destroy)(void *context);"),
    ):
        assert old in header
        assert interface(header.replace(old, new)) != interface(header)


def test_the_library_has_what_the_header_says(prefix: Path) -> None:
    """All functions and no other symbol, under the version of the ABI, which is in the library's name too."""
    library = prefix / "lib" / "libwherry.so"
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", library], capture_output=True, check=True, text=True
    )
    symbols = {line.split()[2] for line in listed.stdout.splitlines()} - {"WHERRY_1"}
    assert symbols == {f"{name}@@WHERRY_1" for name in functions()}
    described = subprocess.run(["readelf", "--dynamic", library], capture_output=True, check=True, text=True)
    assert "Library soname: [libwherry.so.1]" in described.stdout


def test_the_header_says_what_the_code_says() -> None:
    """Each function has the parameters and the result in C that it has in Rust."""
    pattern = r'pub extern "C" fn (wherry_\w+)\(([^)]*)\)(?: -> ([^{]+))? \{'
    code = "\n".join(path.read_text() for path in sorted((HEADER.parents[1] / "src").glob("*.rs")))
    found = {}
    for name, parameters, result in re.findall(pattern, code):
        types = [part.split(":", 1)[1].strip() for part in parameters.split(",") if part.strip()]
        found[name] = (result.strip(), types)
    assert found.keys() == functions().keys()
    for name, (result, types) in found.items():
        signature = functions()[name]
        got, _, words = signature.partition(" (")
        declared = [] if words == "void)" else [bare(word) for word in words.rstrip(")").split(", ")]
        assert [match(ours, theirs) for ours, theirs in zip(types, declared, strict=True)] == declared, name
        assert match(result, got) == got, name


def functions() -> dict[str, str]:
    """The functions of the header."""
    found = interface(HEADER.read_text())["functions"]
    assert isinstance(found, dict)
    return found


def bare(parameter: str) -> str:
    """A parameter without its name."""
    return re.sub(r"\w+$", "", parameter).strip()


def match(rust: str, c: str) -> str:
    """The type of Rust in C; where it is a handle, the one of C if that is one too."""
    pointers = {"Handle": r" \*", "*mut Handle": r" \*\*"}
    if rust in pointers:
        return c if re.fullmatch(f"(const )?{HANDLES}{pointers[rust]}", c) else "a handle"
    return TYPES[rust]
