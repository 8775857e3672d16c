"""The site is built as `make docs` builds it, and every page of it is opened in a browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from web_pages import broken_links, browser, pages_of, served, visited

from kt_theory import machine

ROOT = Path(__file__).parents[2]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
MADE = {
    "docs": ("_build", "api", "gallery"),
    "examples": (),
    "benchmarks": (),
    "figures": ("sweeps",),
}
"""What the site is built from, and what is no source there."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("sphinx") is None, reason="no Sphinx: make docs installs it"),
    pytest.mark.skipif(
        CHROMIUM is None or find_spec("playwright") is None,
        reason="no browser: apt-get install chromium, pip install 'kt_theory[browser]'",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built from nothing: once for all processes that test it."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):
        shared = shared.parent
    built = shared / "site" / "html"
    with machine.alone(shared / "site.lock"):
        if not built.exists():
            build(shared / "site", built)
    return built


def build(tree, target):
    for name, made in MADE.items():
        ignored = shutil.ignore_patterns("__pycache__", *made)
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "README.md"):
        shutil.copy(ROOT / name, tree)
    words = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    unfinished = target.with_name("unfinished")
    found = subprocess.run(
        [sys.executable, *words, str(tree / "docs"), str(unfinished)],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert found.returncode == 0, found.stderr
    unfinished.rename(target)


@pytest.fixture(scope="module")
def chromium():
    with browser(CHROMIUM) as found:
        yield found


def test_every_page_opens_without_a_complaint(site, chromium):
    """At 1,400 and 400 pixels: no error, no request that fails or leaves, nothing that sticks out."""
    pages = pages_of(site)
    assert len(pages) > 250
    with served(site) as base:
        assert visited(chromium, base, pages) == []


def test_every_link_inside_leads_somewhere(site):
    assert broken_links(site) == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("minimax_risk", "api/generated/kt_theory.minimax_risk.html"),
        ("certificate", "answers.html"),
        ("kt-theory sweep resume", "cli.html"),
    ],
)
def test_the_search_finds(site, chromium, words, page):
    with served(site) as base:
        tab = chromium.new_page()
        tab.goto(f"{base}search.html?q={words}")
        tab.wait_for_selector("ul.search li a")
        tab.wait_for_function("document.querySelector('#search-results h2, .search-summary')")
        found = tab.eval_on_selector_all("ul.search li a", "all => all.map(a => a.href)")
        tab.close()
    assert f"{base}{page}" in [link.partition("?")[0].partition("#")[0] for link in found]


FAULTS = {
    "wide.html": "<p style='width: 900px'>wide</p>",
    "narrow.html": "<p style='width: 390px; margin: 0'>narrow</p>",
    "loud.html": "<script>console.error('loud')</script>",
    "thrown.html": "<script>throw new Error('thrown')</script>",
    "lost.html": "<img src='lost.png'>",
    "abroad.html": "<img src='http://127.0.0.1:9/abroad.png'>",
    "anchor.html": "<p id='here'></p><a href='#there'>to</a><a href='wide.html'>good</a>",
}


def test_a_bad_page_is_convicted(chromium, tmp_path):
    icon = "<link rel='icon' href='data:,'>"
    for name, body in FAULTS.items():
        (tmp_path / name).write_text(f"<!doctype html>{icon}<body style='margin: 0'>{body}")
    with served(tmp_path) as base:
        said = visited(chromium, base, pages_of(tmp_path))
    assert {line.partition(":")[0] for line in said} == set(FAULTS) - {"narrow.html", "anchor.html"}
    assert "wide.html: 900 pixels wide in a window of 400" in said
    assert f"abroad.html: asks for {'http://127.0.0.1:9/abroad.png'}" in said
    assert broken_links(tmp_path) == ["anchor.html: #there", "lost.html: lost.png"]
