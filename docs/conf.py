"""How the documentation is built: ``make docs``. The API reference comes from docstrings."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

from pygments.lexers import SchemeLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Wherry"
author = "The Wherry maintainers"
copyright = author
version = release = version_of("wherry")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"Wherry {version}"

# Pages link to sections of one another.
myst_heading_anchors = 3

# The classes of `wherry.aio` have the names of those they wrap, on purpose.
suppress_warnings = ["ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
# What is copied from a session is what was typed.
copybutton_prompt_text = r"\$ |>>> |\.\.\. |> "
copybutton_prompt_is_regexp = True


def setup(app: Sphinx) -> None:
    """Colour the text format as what it is, S-expressions: the lexer for `wat` knows no components."""
    app.add_lexer("wat", SchemeLexer)
