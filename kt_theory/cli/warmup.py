"""`kt-theory warmup`: argument parsing only."""

from __future__ import annotations

import click

from kt_theory.cli.shared import clear_errors


@click.command("warmup", epilog="Example: kt-theory warmup")
@clear_errors
def warmup_command() -> None:
    """Compile the simulation kernels once, about 15 seconds; later commands start in under a
    second."""
    from kt_theory.simulation.warmup import warmup

    click.echo(f"compiled in {warmup():.1f} s")
