"""`kt-theory atlas`: argument parsing only."""

from __future__ import annotations

from pathlib import Path

import click

from kt_theory.cli.shared import Whole, clear_errors


@click.command("atlas", epilog="Example: kt-theory atlas --repeats 500 --out atlas")
@click.option(
    "--out", type=Path, default=Path("atlas"), show_default=True, help="Folder to write to."
)
@click.option(
    "--repeats", type=Whole(), default=2000, show_default=True, help="Transfer sets per point."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same numbers.")
@clear_errors
def atlas_command(out: Path, repeats: int, seed: int) -> None:
    """Simulate every student by name, the training objectives among them, at three sizes on four
    teachers, and hold the law of each risk against the exact one.

    Writes atlas.md (a table), atlas.csv (all curves), coverage.csv (what kappa is as simulated) and
    atlas.png. The same command goes on after an interrupt; the sweeps lie in the folder too.
    """
    from kt_theory.atlas.make import make

    for path in make(out, repeats=repeats, seed=seed):
        click.echo(f"wrote {path}")
