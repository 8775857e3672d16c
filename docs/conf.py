"""How Sphinx builds the site; `make docs` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import outside  # noqa: E402
import plain  # noqa: E402
import reference  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

import kt_theory  # noqa: E402

# `kt.bounds` is a module of another name; its pages go by the name that users know.
sys.modules["kt_theory.bounds"] = kt_theory.bounds

project = "kt_theory"
author = "The kt_theory developers"
copyright = author
version = release = kt_theory.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "api/generated/*.txt"]
default_role = "py:obj"
highlight_language = "none"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 10_000,
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "pydata_sphinx_theme"
html_title = "kt_theory"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_sidebars = {name: [] for name in ("index", "install", "quickstart", "cli")}
html_theme_options = {
    "show_nav_level": 1,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def _write_reference(app: Sphinx, config: object) -> None:
    reference.write(HERE / "api")


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname)).resolve()
    if page.suffix != ".md":
        return
    file = outside.file_of(page, source[0])
    if file != page:
        app.env.note_dependency(str(file))
        source[0] = file.read_text(encoding="utf-8")
    source[0] = outside.as_page(source[0], page, file, outside.page_of())


def _docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    if what == "data":
        place, _, last = name.rpartition(".")
        lines[:] = reference.constant(sys.modules[place], last)
    lines[:] = plain.as_rst(lines)


def _help_text(app: Sphinx, context: object, lines: list[str]) -> None:
    lines[:] = plain.as_rst(lines)


def setup(app: Sphinx) -> None:
    """Write the reference's pages before Sphinx looks for pages."""
    app.connect("config-inited", _write_reference)
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _docstring, priority=400)
    app.connect("sphinx-click-process-description", _help_text)
    app.connect("sphinx-click-process-epilog", _help_text)
