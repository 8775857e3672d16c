"""Parquet files with the teacher's top labels beside the texts, as several trainers write them.

Columns of labels and values have names of one of `NAMES`. Where the file has the texts, they are
in `input_ids`: row i is the distribution of token i + 1, as a causal model returns it, or, where
there are as many rows as tokens in the answer (`response_mask`), of its j-th token; or in
`prompt_token_ids` and `response_token_ids`: row j is the distribution of the j-th token of the
response.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kt_theory.dumps.layouts.columns import depth_of, opened
from kt_theory.dumps.layouts.layout import NEXT, SAME, Asked, Layout
from kt_theory.dumps.layouts.tables import Pairs, Table, refuse_table
from kt_theory.dumps.layouts.texts import MASKS, Answers, Texts, WholeTexts, masks_among

NAMES = (
    Pairs("teacher_topk_ids", "teacher_topk_logprobs"),
    Pairs("teacher_topk_token_ids", "teacher_topk_logprobs"),
    Pairs("teacher_topk_indices", "teacher_topk_logprobs"),
    Pairs("topk_ids", "topk_logprobs"),
    Pairs("topk_indices", "topk_logprobs"),
)
"""What the columns of labels and of values are called."""

_TOKENS = "input_ids"
_ANSWER = ("prompt_token_ids", "response_token_ids")


def _pairs(names: Collection[str]) -> Pairs | None:
    return next((pair for pair in NAMES if set(pair.columns) <= set(names)), None)


def _has(names: Collection[str]) -> bool:
    return _pairs(names) is not None


def _part(path: Path, asked: Asked) -> Table:
    with opened(path) as file:
        schema = file.schema_arrow
        rows = _pairs(schema.names) or NAMES[0]
        nested = rows.labels in schema.names and depth_of(schema.field(rows.labels).type) == 2
        positions = file.metadata.num_rows
    texts = _texts(schema.names, asked) if nested else None
    refuse_table(path, rows, texts, 2 if nested else 1)
    held = None if nested else positions
    return Table(
        str(path), path, rows, texts, asked.kind or "logprobs", asked.labels, positions=held
    )


def _texts(names: Collection[str], asked: Asked) -> Texts | None:
    if set(_ANSWER) <= set(names):
        masks = tuple(name for name in MASKS if name in names)
        return Answers(*_ANSWER, masks, asked.ahead(SAME))
    if _TOKENS in names:
        answers = asked.aligned is None
        return WholeTexts(_TOKENS, masks_among(names), asked.ahead(NEXT), answers)
    return None


SIDECAR = Layout("sidecar", "teacher_topk_ids, teacher_topk_logprobs", (".parquet",), _has, _part)
