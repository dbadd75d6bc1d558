"""What a program imports and nothing provides: one message for all of it, and what can be done about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

_PLAIN = "(func (param i32 i32 i32 i32) (result i32))"
_DRAFT = "wasi:http/types@0.3.0-rc-2025-09-16"
_OLDER = "wasi:cli/environment@0.2.3`, `wasi:io/error@0.2.0"
_NEWER = "and no flag adds it: build the program for WASI 0.2.12 or 0.3.0"
_IMPORTS = "in Python, `component.instantiate(imports=...)` can"
_MODULES = (
    "core modules get WASI and nothing else, and no flag changes that; "
    "build it as a component to give it functions of your own"
)


@pytest.mark.parametrize(
    ("source", "message", "hints"),
    [
        pytest.param(
            """(component
              (import "wasi:nn/graph@0.2.0-rc" (instance (export "load" (func))))
              (import "wasi:http/types@0.3.0-rc-2025-09-16" (instance (export "x" (func))))
              (import "acme:tools/log" (instance (export "log" (func (param "m" string)))))
              (import "bare" (func)))""",
            "`acme:tools/log`, `bare`, `wasi:http/types@0.3.0-rc-2025-09-16`, `wasi:nn/graph@0.2.0-rc`",
            [
                "in Python, functions of your own can be imported: `component.instantiate(imports=...)`",
                f"`{_DRAFT}` is here in another version: build the program for WASI 0.2 or 0.3",
                f"no flag provides `wasi:nn/graph@0.2.0-rc`; {_IMPORTS}",
            ],
            id="component",
        ),
        pytest.param(
            """(component
              (import "wasi:cli/environment@0.2.3" (instance
                (export "get-environment" (func (result (list (tuple string string)))))
                (export "get-more" (func (result string)))))
              (import "wasi:io/error@0.2.0" (instance (export "worse" (type (sub resource)))))
              (import "acme:tools/log" (instance (export "log" (func)))))""",
            "`get-more` from `wasi:cli/environment@0.2.3`, `worse` from `wasi:io/error@0.2.0`, "
            "`acme:tools/log`",
            [
                f"`{_OLDER}` are here without that, {_NEWER}",
                "in Python, functions of your own can be imported: `component.instantiate(imports=...)`",
            ],
            id="not-in-the-interface",
        ),
        pytest.param(
            f"""(module
              (import "wasi_snapshot_preview1" "sock_open" (func (param i32) (result i32)))
              (import "wasi_snapshot_preview1" "fd_write" {_PLAIN})
              (import "wasi_snapshot_preview1" "sock_bind" (func (param i32) (result i32)))
              (memory (export "memory") 1) (func (export "_start")))""",
            "`sock_open` from `wasi_snapshot_preview1`, `sock_bind` from `wasi_snapshot_preview1`",
            ["WASI 0.1 has no such functions, and no flag provides them; build it for plain WASI"],
            id="not-in-wasi",
        ),
        pytest.param(
            r"""(module (import "env" "memory" (memory 1)) (import "host" "\1b[31mf" (func)))""",
            r"`memory` from `env`, `\u{1b}[31mf` from `host`",
            [_MODULES],
            id="module",
        ),
    ],
)
def test_all_of_it_is_named(wherry: Terminal, source: str, message: str, hints: list[str]) -> None:
    """Names of a stranger's making are shown without what a terminal would act on."""
    (wherry.folder / "f.wat").write_text(source)
    typed = wherry("run", "f.wat")
    assert typed.code == 126
    said = "".join(f"hint: {hint}\n" for hint in hints)
    assert typed.stderr == f"error: `f.wat` imports what nothing provides: {message}\n\n{said}"


def test_a_list_without_end_is_cut(wherry: Terminal) -> None:
    """The first twenty, and how many more."""
    imports = " ".join(f'(import "a:b/i{number:03}" (instance (export "f" (func))))' for number in range(100))
    (wherry.folder / "f.wat").write_text(f"(component {imports})")
    typed = wherry("run", "f.wat")
    assert "`a:b/i019` and 80 more" in typed.stderr
    assert "i020" not in typed.stderr
