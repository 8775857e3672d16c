"""What DistillKit writes: Parquet files, a row for each text.

Row i of a text is the distribution of token i + 1 (`sample_logits_vllm.py` leaves the first token
out; `lossfuncs/kl.py` compares row i with what the student says after token i). Rows of several
documents number them in `attention_mask` (`pack_logits.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from kt_theory.dumps.layouts import settings
from kt_theory.dumps.layouts.codes import KEY, Notes
from kt_theory.dumps.layouts.columns import column_names, opened
from kt_theory.dumps.layouts.compression import Compressed, LegacyCompressed
from kt_theory.dumps.layouts.layout import NEXT, Asked, Layout
from kt_theory.dumps.layouts.tables import Pairs, Rows, Table, refuse_table
from kt_theory.dumps.layouts.texts import WholeTexts, masks_among

_TOKENS = "input_ids"
_PLAIN = Pairs("token_ids", "top_values")


def _plain(path: Path, asked: Asked) -> Table:
    found = _of_rows(path, asked, _PLAIN, asked.labels)
    with opened(path) as file:
        data = (file.metadata.metadata or {}).get(KEY)
    if data is None:
        return found
    notes = Notes.read(data, path)
    labels = asked.labels or notes.labels
    return replace(found, labels=labels, renormalised=notes.renormalised, drawn=notes.drawn)


def _compressed(path: Path, asked: Asked) -> Table:
    rows = settings.compressed(_settings_of(path, asked))
    return _of_rows(path, asked, rows, asked.labels or rows.labels)


def _legacy(path: Path, asked: Asked) -> Table:
    rows = settings.legacy(_settings_of(path, asked))
    return _of_rows(path, asked, rows, asked.labels or rows.labels)


def _of_rows(path: Path, asked: Asked, rows: Rows, labels: int | None) -> Table:
    texts = WholeTexts(_TOKENS, masks_among(column_names(path)), asked.ahead(NEXT))
    refuse_table(path, rows, texts, 2)
    return Table(str(path), path, rows, texts, asked.kind or "logprobs", labels)


def _settings_of(path: Path, asked: Asked) -> Path:
    if asked.options is not None:
        return Path(asked.options)
    found = settings.beside(path)
    if found is None:
        raise ValueError(
            f"{path} is compressed, and there is no {settings.NAMES[0]} beside it: name the "
            "settings that it was written with by options="
        )
    return found


def _has(*fields: str) -> Callable[[Collection[str]], bool]:
    return set(fields).issubset


DISTILLKIT = Layout(
    "distillkit",
    "input_ids, token_ids, top_values",
    (".parquet",),
    _has(_TOKENS, *_PLAIN.columns),
    _plain,
)

DISTILLKIT_COMPRESSED = Layout(
    "distillkit-compressed",
    "input_ids, compressed_logprobs, bytepacked_indices",
    (".parquet",),
    _has(_TOKENS, *Compressed.columns),
    _compressed,
)

DISTILLKIT_LEGACY = Layout(
    "distillkit-legacy",
    "input_ids, packed_indices, exact_values, coeffs",
    (".parquet",),
    _has(_TOKENS, *LegacyCompressed.columns),
    _legacy,
)
