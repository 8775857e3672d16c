"""JSONL as NeMo-Aligner writes it: the largest logits with the normaliser of all, which makes them
exact.

Row i of `tokens` is of `labels[i]`, the token one further: the text is `tokens` and the last of
`labels`. Batches are filled up at the end, where `loss_mask` is 0 (compute_topk_logits.py).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np

from kt_theory.dumps.kinds import LOGITS
from kt_theory.dumps.layouts import lines
from kt_theory.dumps.layouts.layout import NEXT, Asked, Layout
from kt_theory.dumps.layouts.lines import Lines, Record, Text

_VALUES, _IDS, _NORM = "topk_logits", "topk_token_ids", "log_sum_exp_logits"


def _has(names: Collection[str]) -> bool:
    return _VALUES in names and _IDS in names


def _part(path: Path, asked: Asked) -> Lines:
    return Lines(str(path), asked.kind or LOGITS, partial(_texts, asked=asked), asked.labels)


def _texts(record: Record, asked: Asked) -> list[Text]:
    values = lines.table(lines.listed_rows(record, _VALUES), _VALUES, whole=False)
    labels = lines.table(lines.listed_rows(record, _IDS), _IDS, whole=True)
    tokens = lines.whole_numbers(record.get("tokens"), "tokens")
    lognorm = None
    if record.get(_NORM) is not None:
        lognorm = lines.numbers(record[_NORM], _NORM)
    for name, found in ((_VALUES, values), (_IDS, labels), (_NORM, lognorm)):
        if found is not None and len(found) != len(tokens):
            raise ValueError(f"{name} has {len(found)} rows for {len(tokens)} tokens: one for each")
    if values.shape != labels.shape:
        raise ValueError(f"{_VALUES} and {_IDS} have rows of different lengths: a label each")
    wanted, following = _asked_for(record, len(tokens))
    last = int(np.flatnonzero(wanted)[-1]) + 1 if wanted.any() else 0
    text = tokens[:last]
    if following is not None and last:
        same = (following[: last - 1] == tokens[1:last]) | ~wanted[: last - 1]
        if not same.all():
            place = int(np.flatnonzero(~same)[0])
            raise ValueError(
                f"labels has {following[place]} in place {place + 1}, where the next of tokens is "
                f"{tokens[place + 1]}: labels are the tokens one further"
            )
        text = np.append(text, following[last - 1])
    rows = np.flatnonzero(wanted)
    skipped = {"masked": int((~wanted).sum())} if not wanted.all() else {}
    return [
        Text(
            values[rows],
            labels[rows],
            rows + 1,
            text,
            rows + asked.ahead(NEXT),
            lognorm=None if lognorm is None else lognorm[rows],
            skipped=skipped,
        )
    ]


def _asked_for(record: Record, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which rows are trained on, and the token that each is of."""
    wanted = np.ones(size, dtype=bool)
    following = None
    for name in ("labels", "loss_mask"):
        if record.get(name) is None:
            continue
        found = lines.numbers(record[name], name)
        if len(found) != size:
            raise ValueError(f"{name} has {len(found)} entries for {size} tokens: one for each")
        if name == "labels":
            following = found.astype(np.int64)
            wanted &= following >= 0
        else:
            wanted &= found != 0
    return wanted, following


NEMO_ALIGNER = Layout(
    "nemo-aligner",
    "tokens, topk_logits, topk_token_ids, log_sum_exp_logits; labels and loss_mask if it has them",
    lines.SUFFIXES,
    _has,
    _part,
)
