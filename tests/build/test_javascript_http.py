"""Applications in JavaScript that answer HTTP: ways to write one, and what is said of one that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import make
from tests.requesting import request
from wherry import edge
from wherry.build.builder import build

if TYPE_CHECKING:
    from pathlib import Path

_LISTENER = """addEventListener("fetch", (event) => {
  event.respondWith(new Response(new URL(event.request.url).search));
  event.waitUntil(new Promise((done) => setTimeout(done, 50)).then(() => console.error("and after")));
});
"""


@pytest.mark.slow
def test_a_listener_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A module may listen in place of exporting; what it waits for goes on behind the answer."""
    project = make(tmp_path, "javascript", "http")
    (project / "src" / "greeter.js").write_text(_LISTENER)
    (built,) = build(project)
    (again,) = build(project)
    assert (built.fresh, again.fresh) == (True, False)
    with edge.serve(str(built.path), address="127.0.0.1:0") as server:
        assert request(f"{server.url}/?name=Ada").text == "?name=Ada"
    assert "and after" in capfd.readouterr().err


@pytest.mark.slow
def test_a_module_that_answers_nothing_is_refused(tmp_path: Path) -> None:
    """The error says what is missing."""
    project = make(tmp_path, "javascript", "http")
    (project / "src" / "greeter.js").write_text("export const name = 'Ada';\n")
    with pytest.raises(wherry.BuildError) as raised:
        build(project)
    assert "the module answers nothing: `export default { fetch }`" in raised.value.output


@pytest.mark.slow
def test_types_of_an_answer_are_checked(tmp_path: Path) -> None:
    """`Request` and `Response` have the types of the web."""
    project = make(tmp_path, "typescript", "http")
    source = project / "src" / "greeter.ts"
    source.write_text(source.read_text().replace("new URL(request.url)", "new URL(request.nothing)"))
    with pytest.raises(wherry.BuildError) as raised:
        build(project)
    assert "Property 'nothing' does not exist on type 'Request'" in raised.value.output
