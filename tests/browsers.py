"""Chromium for tests: one that is there, without a network of its own."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium"
)
needs_playwright = pytest.mark.skipif(
    find_spec("playwright") is None, reason="no Playwright: pip install playwright"
)


@dataclass
class Seen:
    """What a page asked for and complained of."""

    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def opened(width, height=900):
    """Yield a page of that many pixels, and what is seen of it."""
    from playwright.sync_api import sync_playwright

    seen = Seen()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("request", lambda request: seen.asked.append(request.url))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("requestfailed", lambda request: seen.complaints.append(request.url))
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and seen.complaints.append(said.text),
        )
        yield page, seen
        browser.close()


def overflow(page):
    """How many pixels stick out of the window at the right."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
