"""How Sphinx makes a site, and pages for ``man``, of the documents: ``sh docs/build.sh``."""

import re
from pathlib import Path

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

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False

copybutton_prompt_text = r"\$ |# (?=[a-z])"
copybutton_prompt_is_regexp = True
