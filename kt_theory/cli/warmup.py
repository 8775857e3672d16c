"""`kt-theory warmup`: argument parsing only."""

from __future__ import annotations

import click

from kt_theory.cli.shared import clear_errors


@click.command("warmup", epilog="Example: kt-theory warmup")
@clear_errors
def warmup_command() -> None:
    """Compile all kernels once, of simulations for every way to draw and every law of queries, of
    exact risks, of dumps and storage: a minute; later commands start in under a second."""
    from kt_theory.warmup import warmup

    click.echo(f"compiled in {warmup():.1f} s")
