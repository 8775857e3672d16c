"""`kt-theory explore`: argument parsing only."""

from __future__ import annotations

import click

from kt_theory.cli.shared import Whole, clear_errors


@click.command("explore", epilog="Example: kt-theory explore --no-browser")
@click.option("--port", type=Whole(), help="Port on 127.0.0.1.  [default: one that is free]")
@click.option("--no-browser", is_flag=True, help="Print the address alone.")
@clear_errors
def explore_command(port: int | None, no_browser: bool) -> None:
    """Open a page in the browser: move sizes, access level and prices, and see limits, a plan in
    words, and a transfer set that is sampled step by step.

    The page is served to this machine alone and needs no network; Ctrl-C ends it. It needs the
    extra `explore`.
    """
    from kt_theory.explore.server import serve

    def ready(address: str) -> None:
        click.echo(f"{address}\nCtrl-C ends it.")
        if not no_browser:
            click.launch(address)

    serve(port, ready)
