"""All commands together."""

from __future__ import annotations

import click

from kt_theory import __version__
from kt_theory.cli.atlas import atlas_command
from kt_theory.cli.explore import explore_command
from kt_theory.cli.fit import fit_command
from kt_theory.cli.limits import limits_command
from kt_theory.cli.objectives import objectives_command
from kt_theory.cli.plan import plan_command
from kt_theory.cli.reproduce import reproduce_command
from kt_theory.cli.risk import risk_command
from kt_theory.cli.storage import storage_command
from kt_theory.cli.sweep import sweep_group
from kt_theory.cli.warmup import warmup_command

_COMMANDS = (
    atlas_command,
    explore_command,
    fit_command,
    limits_command,
    objectives_command,
    plan_command,
    reproduce_command,
    risk_command,
    storage_command,
    sweep_group,
    warmup_command,
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="kt-theory")
def main() -> None:
    """The fundamental limits of knowledge transfer (distillation) over finite domains."""


for _command in _COMMANDS:
    main.add_command(_command)
