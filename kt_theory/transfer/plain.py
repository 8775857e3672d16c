"""Plain records: input, label, logprob, top_logprobs as columns or as JSON objects."""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import Any

import numpy as np

from kt_theory.transfer.account import Skip
from kt_theory.transfer.answers import (
    CENSORED,
    ROUNDING,
    Answer,
    Key,
    Reading,
    failed,
    input_key,
    log_probability,
    malformed,
    probability,
    sampled_plainly,
    token_key,
    with_sampled,
)


def record(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """{"input": ..., "label": ..., "logprob": ..., "top_logprobs": {label: logprob} or [{label, logprob}]}.

    `prob` and `top_probs` hold probabilities instead. A record without a label states probabilities only.
    """
    failed(doc)
    question = input_key(doc.get(reading.input or "input"))
    label = doc.get("label")
    own = _number(doc, "logprob", "prob")
    entries = _listed(doc)
    sampling = sampled_plainly(doc)
    if label is None or label == "":
        if not entries:
            raise Skip("no label", "neither a label nor top_logprobs")
        return [Answer(question, None, entries, sampling)]
    key = _key(label)
    stated = {other for other, _ in entries}
    if own is None:
        return [Answer(question, key, with_sampled(key, math.nan, entries) if key in stated else entries, sampling)]
    return [Answer(question, key, with_sampled(key, own, entries), sampling)]


def _key(label: Any) -> Key:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool):
        # The names of a JSON object are texts: 3 and "3" must be the same label.
        label = str(label)
    return token_key(label)


def _number(place: dict[str, Any], log_name: str, name: str) -> float | None:
    if place.get(log_name) is not None:
        return log_probability(place[log_name], log_name)
    if place.get(name) is not None:
        return probability(place[name], name)
    return math.nan if log_name in place else None


def _listed(doc: dict[str, Any]) -> list[tuple[Key, float]]:
    listed, read, field = doc.get("top_logprobs"), log_probability, "logprob"
    if listed is None:
        listed, read, field = doc.get("top_probs"), probability, "prob"
    if isinstance(listed, str):
        try:
            listed = json.loads(listed) if listed else None
        except ValueError:
            raise malformed(f"top_{field}s is not JSON") from None
    if listed is None:
        return []
    if isinstance(listed, dict):
        return [(_key(label), read(value)) for label, value in listed.items()]
    if not isinstance(listed, list):
        raise malformed(f"top_{field}s must be an object or a list")
    entries = []
    for entry in listed:
        if isinstance(entry, dict):
            entries.append((_key(entry.get("label", entry.get("token"))), read(entry.get(field))))
        elif isinstance(entry, (list, tuple)) and len(entry) == 2:
            entries.append((_key(entry[0]), read(entry[1])))
        else:
            raise malformed(f"an entry of top_{field}s must be {{label, {field}}} or [label, {field}]")
    return entries


class Columns:
    """A chunk of plain records as columns, or None where a record is out of the ordinary and must be read alone."""

    inputs: list[Any]
    labels: list[Any]
    own: np.ndarray | None
    sizes: list[int]
    listed: list[Any]
    values: np.ndarray

    @classmethod
    def of(cls, docs: list[Any]) -> Columns | None:
        """Return the columns of docs that all have the same fields, of the ordinary types, in range."""
        fields = set(docs[0]) if isinstance(docs[0], dict) else set()
        if not {"input", "label"} <= fields <= {"input", "label", "logprob", "top_logprobs"}:
            return None
        self = cls()
        try:
            if set(map(len, docs)) != {len(fields)}:
                return None
            self.inputs = [doc["input"] for doc in docs]
            self.labels = [doc["label"] for doc in docs]
            own = [doc["logprob"] for doc in docs] if "logprob" in fields else None
            tops = [doc["top_logprobs"] for doc in docs] if "top_logprobs" in fields else []
        except (KeyError, TypeError):
            return None
        kinds = set(map(type, self.inputs)), set(map(type, self.labels))
        if not (kinds[0] <= {str, int} and kinds[1] <= {str, int}) or "" in self.labels:
            return None
        if not set(map(type, tops)) <= {dict}:
            return None
        if int in kinds[0]:
            self.inputs = list(map(str, self.inputs))
        if int in kinds[1]:
            self.labels = list(map(str, self.labels))
        self.own = _ordinary(own) if own is not None else None
        self.sizes = list(map(len, tops)) if tops else [0] * len(docs)
        self.listed = list(chain.from_iterable(tops))
        values = _ordinary(list(chain.from_iterable(top.values() for top in tops)))
        if values is None or (own is not None and self.own is None):
            return None
        self.values = values
        return self


def _ordinary(values: list[Any]) -> np.ndarray | None:
    """The values with NaN for censored ones, or None if one is no log-probability."""
    if not set(map(type, values)) <= {float, int, type(None)}:
        return None
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    with np.errstate(invalid="ignore"):
        if (array > ROUNDING).any():
            return None
        array[array <= CENSORED] = np.nan
        return np.minimum(array, 0.0)
