"""The example in a page: GraphQL in a browser, with resolvers in TypeScript."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.bind.npm_packages import esbuild, with_javascript
from tests.browser.chromium import said
from tests.graphql.suite import installed
from wherry import api
from wherry.bind import generate

EXAMPLE = Path(__file__).parents[2] / "examples" / "graphql" / "typescript"

_WATCH = """
<script type="module">
  const done = (found) => fetch("/done", { method: "POST", body: JSON.stringify(found) });
  addEventListener("error", (event) => done(String(event.message)));
  addEventListener("unhandledrejection", (event) => done(String(event.reason)));
  const answer = document.querySelector("#answer");
  new MutationObserver(() => done(JSON.parse(answer.textContent))).observe(answer, { childList: true });
</script>
"""


def test_a_page_answers_graphql(tmp_path: Path) -> None:
    """The query that stands in it is answered when it is opened."""
    found = api.find(f"{installed()}/", lambda *_: None, place="library")
    assert found is not None
    generate.bind(generate.library_of(found), "typescript", tmp_path / "graphql")
    with_javascript(tmp_path / "graphql")
    shutil.copyfile(EXAMPLE / "page.ts", tmp_path / "page.ts")
    words = [esbuild(), tmp_path / "page.ts", f"--outdir={tmp_path}", "--log-level=error"]
    subprocess.run([str(word) for word in words], check=True)
    page = (EXAMPLE / "page.html").read_text()
    (tmp_path / "page.html").write_text(
        page.replace('<script type="module"', f'{_WATCH}<script type="module"')
    )
    books = [["The Summer Book"], ["Solaris", "The Cyberiad"]]
    authors = [
        {"name": name, "books": [{"title": title} for title in titles]}
        for name, titles in zip(["Tove Jansson", "Stanisław Lem"], books, strict=True)
    ]
    assert said(tmp_path, "page.html") == {"authors": authors}
