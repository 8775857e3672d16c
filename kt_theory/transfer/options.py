"""How records are read: the options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kt_theory.commands import Names

if TYPE_CHECKING:
    from kt_theory.transfer.sets import TransferSet

_OPTIONS = (
    click.option("--format", "form", help="Of the records: plain, openai_chat, ollama, ...  [default: recognised]"),
    click.option("--label", help="The label: first_token or text of a response, or a column.  [default: first_token]"),
    click.option("--input", "field", help="The field or column that holds the input, such as metadata.question."),
    click.option("--logprob", help="The column that holds the label's log-probability."),
    click.option(
        "--labels", "declared", type=Names(), help="The labels that are asked about.  [default: all that occur]"
    ),
    click.option(
        "--other",
        help="Labels that are not declared: keep them, pool them in <other>, condition on the declared ones, or none: "
        "there are none.  [default: keep]",
    ),
    click.option("--label-map", type=Path, help="A file, .json or .csv, of variants and the labels they count as."),
    click.option("--fold", help="strip,casefold: labels that differ by spaces around, or by case, are one."),
    click.option("--model", help="Of a file with the answers of several models, the one to read."),
    click.option("--requests", type=Path, help="The requests of a Batch, joined to its answers by custom_id."),
    click.option("--strict", is_flag=True, help="A line that gives no record is an error."),
    click.option(
        "--as-sampled", is_flag=True, help="Accept labels drawn at another temperature, truncated, biased, guided."
    ),
)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `read_records`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


NAMES = (
    "form",
    "label",
    "field",
    "logprob",
    "declared",
    "other",
    "label_map",
    "fold",
    "model",
    "requests",
    "strict",
    "as_sampled",
)
"""What the options are called where a command takes them."""


def read_records(path: Path, options: dict[str, Any]) -> TransferSet:
    """Return the transfer set of a file, read as the options say."""
    from kt_theory.transfer.sets import TransferSet

    return TransferSet.read(
        path,
        options["form"],
        label=options["label"] or "first_token",
        input=options["field"],
        logprob=options["logprob"],
        labels=options["declared"],
        other=options["other"] or "keep",
        label_map=options["label_map"],
        fold=options["fold"] or (),
        model=options["model"],
        requests=options["requests"],
        on_error="raise" if options["strict"] else "skip",
        as_sampled=options["as_sampled"],
    )
