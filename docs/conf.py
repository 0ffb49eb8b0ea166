"""How Sphinx makes a site, and pages for ``man``, of the documents: ``sh docs/build.sh``."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from radius_smsotp.cli import COMMANDS

TOP = Path(__file__).resolve().parents[1]

project = "radius_smsotp"
author = "the authors of radius_smsotp"
copyright = author  # noqa: A001  Sphinx calls it so
version = release = re.findall(r'version="([^"]+)"', (TOP / "setup.py").read_text("utf-8"))[0]

extensions = [
    "sphinx.ext.autosectionlabel",  # a title is a label: no two are the same, on no two pages
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
highlight_language = "text"
smartquotes = False  # --option is two hyphens

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False

copybutton_prompt_text = r"\$ |# (?=[a-z])"
copybutton_prompt_is_regexp = True

# Section 1 has the command and each of its commands, section 5 the settings file.
_COMMANDS = {"smsotp": "one-time codes by SMS for FreeRADIUS", **COMMANDS}
man_pages = [
    (
        f"reference/commands/{name}",
        "smsotp" if name == "smsotp" else f"smsotp-{name}",
        says.rstrip("."),
        "",
        1,
    )
    for name, says in _COMMANDS.items()
]
man_pages.append(("reference/settings", "smsotp.yaml", "settings of radius_smsotp", "", 5))


def _without_links(app: Sphinx, tree: nodes.document, _: str) -> None:
    """In a page for man, a link to another page is its words: there is nowhere to go."""
    if app.builder.name == "man":
        for link in list(tree.findall(nodes.reference)):
            if link.get("refuri", "").startswith("#"):
                link.replace_self(link.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", _without_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
