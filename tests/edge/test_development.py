"""What is shown of a guest's failure: all of it to its author with ``dev``, and nothing to anybody else."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from tests.edge.conftest import HOSTS
from tests.guests.build import c_command, http_application
from tests.requesting import request
from wherry import Limits, edge

if TYPE_CHECKING:
    from pathlib import Path

ANYWHERE = "127.0.0.1:0"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

FAILING = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) static void falls_over(void) { __builtin_trap(); }
int main(void) {
    if (!strcmp(getenv("PATH_INFO"), "/code")) return 3;
    if (!strcmp(getenv("PATH_INFO"), "/words")) { puts("no <b>fields</b>"); return 0; }
    falls_over();
}
"""


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/trap", 500, "the guest trapped: "),
        ("/loop", 504, "the guest ran longer than its time limit"),
        ("/silent", 500, "the guest gave no answer"),
    ],
)
def test_a_failure_is_shown_where_it_is_asked_for(host: str, path: str, status: int, words: str) -> None:
    """With the number of the request, to browsers as a page; without the switch the body says its status."""
    program = http_application(host)  # type: ignore[arg-type] # one of them
    limits = Limits(timeout="300ms", memory="32MiB")
    with edge.serve(program, address=ANYWHERE, limits=limits, dev=True, name="shop") as server:
        page = request(server.url + path, fields=BROWSER)
        text = request(server.url + path)
        assert request(server.url).text == "Hello, World!"
        assert request(f"{server.url}/nobody", "CONNECT").status != 500
    assert (page.status, text.status) == (status, status)
    assert page.fields["content-type"] == "text/html; charset=utf-8"
    assert page.fields["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert page.fields["cache-control"] == text.fields["cache-control"] == "no-store"
    assert text.fields["content-type"] == "text/plain; charset=utf-8"
    for answer in (page, text):
        assert words in html.unescape(answer.text)
        assert "shop" in answer.text
        assert answer.fields["x-request-id"] in answer.text
    if path == "/trap":
        assert "<li>" in page.text
        assert re.search(r"^  function \d+|^  \S+ (in|at) ", text.text, re.MULTILINE)
    with edge.serve(program, address=ANYWHERE, limits=limits, name="shop") as server:
        for fields in (BROWSER, {}):
            quiet = request(server.url + path, fields=fields)
            assert quiet.status == status
            assert re.fullmatch(rf"{status} [\w ]+\n", quiet.text)
            assert quiet.fields["content-type"] == "text/plain; charset=utf-8"


def test_the_stack_has_the_names_that_the_guest_has(tmp_path: Path) -> None:
    """A command that was not stripped; and what it wrote is no markup of the page."""
    source = tmp_path / "failing.c"
    source.write_text(FAILING)
    command = c_command("failing", "-g", source=source)
    with edge.serve(command, address=ANYWHERE, dev=True) as server:
        page = request(f"{server.url}/trap", fields=BROWSER).text
        code = request(f"{server.url}/code").text
        words = request(f"{server.url}/words", fields=BROWSER).text
        failures = server.failures(5)
    assert "<li>falls_over in failing.wasm</li>" in page
    assert re.search(r"<li>main in failing\.wasm at \S+/failing\.c:9</li>", page)
    assert "the command ended with exit code 3" in code
    assert "<b>" not in words
    assert "&lt;b&gt;" in words
    assert not any("/root" in failure.text for failure in failures)


def test_a_guest_that_had_too_little_memory_is_told_of_its_limit() -> None:
    """The hint names the option."""
    limits = Limits(timeout="5s", memory="32MiB")
    with edge.serve(http_application("lean"), address=ANYWHERE, limits=limits, dev=True) as server:
        text = request(f"{server.url}/greedy").text
    assert "32MiB" in text or "32 MiB" in text
    assert "--memory" in text
