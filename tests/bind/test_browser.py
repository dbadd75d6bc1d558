"""A generated package in a page, in a real browser, without a bundler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bind.npm_packages import runnable
from tests.browser.chromium import said
from tests.guests.build import text

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = """<!doctype html>
<meta charset="utf-8">
<script type="module">
  const done = (found) => fetch("/done", { method: "POST", body: JSON.stringify(found) });
  try {
    const { DisposedError, instantiate } = await import("./counter/dist/index.js");
    const { counters } = await instantiate();
    const counter = new counters.Counter(4);
    const seen = [counter.increment(3), counters.live()];
    counter[Symbol.dispose]();
    try { counter.value(); } catch (error) { seen.push(error instanceof DisposedError); }
    await done(seen);
  } catch (error) {
    await done(String(error));
  }
</script>
"""


def test_a_page_uses_a_package(tmp_path: Path) -> None:
    """Core modules are fetched and checked by digest there; one that was changed is refused."""
    target = runnable(text("counter").read_text(), "counter", tmp_path)
    (tmp_path / "page.html").write_text(_PAGE)
    assert said(tmp_path, "page.html") == [7, 1, True]
    core = target / "component/component.core.wasm"
    core.write_bytes(core.read_bytes() + b"\0\2\1x")
    assert said(tmp_path, "page.html").startswith("DigestError: http://127.0.0.1:")
