"""What is wrong with the pages of a site, as a browser sees them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

WIDTHS = (1400, 400)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *what: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback, and give its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def browser(executable: str) -> Iterator[Any]:
    """Start Chromium, and give it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


def pages_of(folder: Path) -> list[str]:
    """Return the pages of a site by their paths, without what themes bring."""
    found = [path.relative_to(folder) for path in folder.rglob("*.html")]
    return sorted(path.as_posix() for path in found if path.parts[0] != "_static")


def visited(chromium: Any, base: str, pages: list[str]) -> list[str]:
    """Return what is wrong when pages are opened: errors, failed or foreign requests, overflow."""
    wrong = []
    page = chromium.new_page(viewport={"width": WIDTHS[0], "height": 900})
    at = [""]

    def say(what: str) -> None:
        wrong.append(f"{at[0]}: {what}")

    def requested(request: Any) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            say(f"asks for {request.url}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            say(f"{response.status} of {response.url}")

    def spoken(message: Any) -> None:
        if message.type in ("error", "warning"):
            say(f"console: {message.text}")

    page.on("console", spoken)
    page.on("pageerror", lambda error: say(f"script: {error}"))
    page.on("request", requested)
    page.on("requestfailed", lambda request: say(f"failed: {request.url}"))
    page.on("response", answered)
    for name in pages:
        at[0] = name
        page.goto(base + name)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                say(f"{wide} pixels wide in a window of {width}")
    page.close()
    return wrong


class Page(HTMLParser):
    """The links that a page holds and the places that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("id", "name") and value:
                self.places.add(value)
            elif key in ("href", "src") and value:
                self.links.append(value)


def broken_links(folder: Path) -> list[str]:
    """Return the links inside a site, anchors too, that lead nowhere."""
    pages = {name: Page((folder / name).read_text(encoding="utf-8")) for name in pages_of(folder)}
    wrong = []
    for name, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            path, place = urldefrag(urljoin(name, link))
            target = unquote(urlsplit(path).path)
            lost = place and target in pages and unquote(place) not in pages[target].places
            if lost or not (folder / target).is_file():
                wrong.append(f"{name}: {link}")
    return wrong
