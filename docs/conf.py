"""How the pages of docs/ become a site: `make docs` writes build/site. They are read on GitHub too."""

import os
import re
import sys
from functools import partial
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "src"))

import melanoma

project = "Melanoma"
author = "the authors of Melanoma"
release = version = melanoma.__version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# Headings can be linked to, as on GitHub; a link to one that is not there is a warning.
myst_heading_anchors = 3
# Blocks without a language are commands and trees, not Python.
highlight_language = "text"
# Two hyphens are the beginning of an option, not a dash.
smartquotes = False

# Everything is in the folder: no fonts, scripts or styles of other hosts.
html_theme = "furo"
html_title = "Melanoma"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False

# Pages that live outside docs/, where GitHub and Kaggle look for them.
ELSEWHERE = {
    "readme": DOCS.parent / "README.md",
    "first_kernel": DOCS.parent / "kaggle_kernel" / "README.md",
    "changelog": DOCS.parent / "CHANGELOG.md",
}
_PAGE_OF = {path: DOCS / f"{name}.md" for name, path in ELSEWHERE.items()}
_LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def read_page(_app: Sphinx, name: str, source: list[str]) -> None:
    """Take a page that lives elsewhere from there, and let links between pages lead to the site's."""
    path = ELSEWHERE.get(name, DOCS / f"{name}.md")
    text = path.read_text(encoding="utf-8") if name in ELSEWHERE else source[0]
    source[0] = _LINK.sub(partial(_in_site, path.parent, (DOCS / name).parent), text)


def _in_site(written_in: Path, shown_in: Path, link: re.Match[str]) -> str:
    target = (written_in / link[1]).resolve()
    return f"]({os.path.relpath(_PAGE_OF.get(target, target), shown_in)}{link[2] or ''})"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_page)
