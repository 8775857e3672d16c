"""The server: one page for this machine alone, under an address that nobody can guess."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterable
from hmac import compare_digest
from importlib.util import find_spec
from typing import Any

from kt_theory.validation import whole_number

HOST = "127.0.0.1"
_LARGEST_PORT = 65535
_LOOK = 0.5
"""Seconds between looks whether the server has ended; an interrupt is heard in between."""

_REFUSED = b"403: open the address that kt-theory explore has printed\n"


def guarded(app: Any, prefix: str) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that answers under a secret path and this machine's own names
    alone: 403 for all else.

    The name that the browser asked for is checked against DNS rebinding: a foreign page may let its
    own name point here, but cannot send ours.

    Parameters
    ----------
    app : dash.Dash
    prefix : str
        "/token/".
    """
    policy = "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {' '.join(app.csp_hashes())}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
        ]
    )
    shield = [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        names = {f"{name}:{environ['SERVER_PORT']}" for name in (HOST, "localhost")}
        asked = environ.get("PATH_INFO", "")[: len(prefix)].encode("latin-1")
        if environ.get("HTTP_HOST") in names and compare_digest(asked, prefix.encode()):
            found: Iterable[bytes] = app.server(environ, with_shield(start))
            return found
        start("403 Forbidden", [("Content-Type", "text/plain"), *shield])
        return [_REFUSED]

    def with_shield(start: Callable[..., Any]) -> Callable[..., Any]:
        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [*headers, *shield], *more)

        return begin

    return answer


def serve(port: int | None, ready: Callable[[str], None]) -> None:
    """Serve the explorer on 127.0.0.1 until it is interrupted.

    Parameters
    ----------
    port : int or None
        None: one that is free.
    ready : callable
        Called with the address once the page can be opened.

    Raises
    ------
    ValueError
        If Dash is not installed, or the port is taken.
    """
    if find_spec("dash") is None:
        raise ValueError("the explorer needs Dash: pip install 'kt_theory[explore]'")
    wanted = 0 if port is None else whole_number(port, "--port", low=1, high=_LARGEST_PORT)
    _refuse_taken(wanted)
    from werkzeug.serving import make_server

    from kt_theory.explore.page import explorer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    prefix = f"/{secrets.token_urlsafe(24)}/"
    server = make_server(HOST, wanted, guarded(explorer(prefix), prefix), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        ready(f"http://{HOST}:{server.server_port}{prefix}")
        while thread.is_alive():
            thread.join(_LOOK)
    finally:
        server.shutdown()
        server.server_close()


def _refuse_taken(port: int) -> None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            why = f"--port {port}: {error.strerror}; leave it out for one that is free"
            raise ValueError(why) from None
