"""How Sphinx builds the documentation: `sphinx-build -W --keep-going -n -b html docs OUT`."""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

project = "autoencoder-sweeps"
html_title = project
copyright = "the authors of autoencoder-sweeps, Apache 2.0"  # noqa: A001 (Sphinx's name)
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 6  # the anchors that GitHub gives headings
myst_links_external_new_tab = False
python_use_unqualified_type_names = True
toc_object_entries = False
nitpick_ignore_regex = [("py:.*", r"(?!sweeps\.).*")]  # only this package's public objects are documented here
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
smartquotes = False  # a quoted '-' is what a user types
maximum_signature_line_length = 80
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Files of the repository's root that are pages of the site: each is included by a page of docs/.
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}


def links_for_site(text: str, source: Path, page: Path) -> str:
    """Return Markdown in which links between files of the repository lead to the site's pages.

    `source` has the text, `page` shows it. A link to a folder becomes its text, as the site has no folders; a link to
    any other file downloads it. What does not exist stays as it is, and fails the build.
    """

    def on_site(match: re.Match[str]) -> str:
        label, name, anchor = match["label"], match["name"], match["anchor"] or ""
        target = (source.parent / name).resolve()
        if not name or "://" in name or not target.exists():
            return match[0]
        if target.is_dir():
            return label
        if target.parent == ROOT and target.name in ROOT_PAGES:
            target = DOCS / ROOT_PAGES[target.name]
        return f"[{label}]({os.path.relpath(target, page.parent)}{anchor})"

    return re.sub(r"(?<!!)\[(?P<label>[^]\[]*)\]\((?P<name>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)", on_site, text)


def setup(app: Sphinx) -> None:
    """Make links between files of the repository lead to the site's pages."""

    def read(app: Sphinx, docname: str, content: list[str]) -> None:
        page = Path(app.env.doc2path(docname))
        content[0] = links_for_site(content[0], page, page)

    def include(app: Sphinx, relative: Path, docname: str, content: list[str]) -> None:
        source = Path(app.srcdir, relative).resolve()
        content[0] = links_for_site(content[0], source, Path(app.env.doc2path(docname)))

    app.connect("source-read", read)
    app.connect("include-read", include)
