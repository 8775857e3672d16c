"""Plain records: input, label, logprob, top_logprobs as columns or as JSON objects."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from kt_theory.transfer.account import Skip
from kt_theory.transfer.answers import (
    CENSORED,
    FAR,
    ROUNDING,
    UNSTATED,
    Answer,
    Key,
    Reading,
    each_once,
    failed,
    field_of,
    input_key,
    log_probability,
    malformed,
    probability,
    token_key,
    with_sampled,
)
from kt_theory.transfer.lines import loads
from kt_theory.transfer.sampling import origin_of, says_something


def record(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """{"input": ..., "label": ..., "logprob": ..., "top_logprobs": {label: logprob} or [{label, logprob}]}.

    `prob` and `top_probs` hold probabilities instead. A record without a label states probabilities only.
    """
    failed(doc)
    question = input_key(doc.get("input") if reading.input is None else field_of(doc, reading.input))
    label = doc.get("label")
    own = _number(doc, "logprob", "prob")
    entries = _listed(doc)
    origin = origin_of((doc.get("request"),), (doc,))
    if label is None or label == "":
        if not entries:
            raise Skip("no label", "neither a label nor top_logprobs")
        return [Answer(question, None, each_once(entries), origin)]
    key = _key(label)
    listed = [stated for name, stated in entries if name == key and math.isfinite(stated)]
    field = "logprob" if doc.get("logprob") is not None else "prob"
    of = "top_logprobs" if doc.get("top_logprobs") is not None else "top_probs"
    if math.isfinite(own) and listed and not any(_agree(own, stated, (field, of)) for stated in listed):
        raise malformed(
            f"{field} = {doc[field]}: {of} states another value of label {key!r}, log-probability {listed[0]:g}"
        )
    return [Answer(question, key, with_sampled(key, own, entries), origin)]


def _key(label: Any) -> Key:
    if isinstance(label, float) and label.is_integer() and abs(label) < FAR:
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool):
        # The names of a JSON object are texts: 3 and "3" must be the same label.
        label = str(label)
    return label if isinstance(label, str) else token_key(label)


def _number(place: dict[str, Any], log_name: str, name: str) -> float:
    stated = probability(place.get(name), name)
    if place.get(log_name) is None:
        return stated
    own = log_probability(place[log_name], log_name)
    if stated != UNSTATED and not _agree(own, stated, (log_name, name)):
        raise malformed(f"{log_name} = {place[log_name]} and {name} = {place[name]} disagree")
    return own


def _agree(one: float, other: float, fields: tuple[str, str]) -> bool:
    """Whether two statements of a log-probability are the same, NaN standing for 0, as exact as their fields are."""
    if fields == ("logprob", "top_logprobs"):
        return abs(one - other) <= 1e-6 * max(1.0, abs(one))
    # Probabilities are often written with four digits.
    p, q = (0.0 if value != value else math.exp(value) for value in (one, other))
    return abs(p - q) <= 1e-4


def _listed(doc: dict[str, Any]) -> list[tuple[Key, float]]:
    listed, read, field = doc.get("top_logprobs"), log_probability, "logprob"
    if listed is None:
        listed, read, field = doc.get("top_probs"), probability, "prob"
    if isinstance(listed, str):
        try:
            listed = loads(listed) if listed else None
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


FIELDS = frozenset({"input", "label", "logprob", "top_logprobs"})
"""What an ordinary plain record holds; fields of other names are left alone."""

_SPECIAL = frozenset({"prob", "top_probs", "error", "object", "request"})


def read_alone(name: str) -> bool:
    """Return whether a field says something of a record that makes it be read on its own."""
    return name in _SPECIAL or says_something((name,))


def ordinary(names: Iterable[str]) -> bool:
    """Return whether fields say nothing else of a record than `FIELDS` do."""
    return not any(map(read_alone, names))


class Coded(NamedTuple):
    """Names, one each, or the distinct ones and the code of each."""

    names: list[Any]
    codes: np.ndarray | None = None


class Columns(NamedTuple):
    """A chunk of ordinary plain records as columns.

    Attributes
    ----------
    inputs, labels : Coded
        Of each record.
    own : (n,) array or None
        The sampled label's log-probability, NaN where censored.
    sizes, listed, values
        How many labels each record lists, these labels, and their log-probabilities.
    """

    inputs: Coded
    labels: Coded
    own: np.ndarray | None
    sizes: np.ndarray
    listed: Coded
    values: np.ndarray

    @classmethod
    def of(cls, docs: list[Any]) -> Columns | None:
        """Return the columns of docs, or None if they do not all have the same fields of the ordinary types."""
        if not isinstance(docs[0], dict):
            return None
        fields = docs[0].keys()
        if not {"input", "label"} <= fields or not ordinary(fields):
            return None
        if not all([type(doc) is dict and doc.keys() == fields for doc in docs]):
            return None
        inputs, labels = [doc["input"] for doc in docs], [doc["label"] for doc in docs]
        own = [doc["logprob"] for doc in docs] if "logprob" in fields else None
        tops = [doc["top_logprobs"] for doc in docs] if "top_logprobs" in fields else []
        kinds = {*map(type, inputs), *map(type, labels)}
        if not kinds <= {str, int} or not set(map(type, tops)) <= {dict}:
            return None
        if int in kinds:
            inputs, labels = list(map(str, inputs)), list(map(str, labels))
        return cls.made(Coded(inputs), Coded(labels), own, *listed_in(tops, len(docs)))

    @classmethod
    def made(
        cls, inputs: Coded, labels: Coded, own: Any, sizes: np.ndarray, listed: Coded, values: Any
    ) -> Columns | None:
        """Return the columns, or None if a label is empty, a number is no log-probability or two contradict."""
        stated = _ordinary(values)
        shown = None if own is None else _ordinary(own)
        if "" in labels.names or stated is None or (own is not None and shown is None):
            return None
        if shown is not None and len(stated) and _contradicts(labels, shown, sizes, listed, stated):
            return None
        return cls(inputs, labels, shown, sizes, listed, stated)


def _contradicts(labels: Coded, own: np.ndarray, sizes: np.ndarray, listed: Coded, values: np.ndarray) -> bool:
    """Whether a record states one value of its label and lists another."""
    codes: dict[Any, int] = {}
    sampled, others = (
        np.fromiter([codes.setdefault(name, len(codes)) for name in names], np.int64, len(names))
        for names in (labels.names, listed.names)
    )
    sampled = sampled if labels.codes is None else sampled[labels.codes]
    others = others if listed.codes is None else others[listed.codes]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    same = others == sampled[owner]
    mine, theirs = own[owner[same]], values[same]
    return bool((np.abs(mine - theirs) > 1e-6 * np.maximum(1.0, np.abs(mine))).any())


def listed_in(tops: list[dict[str, Any]], count: int) -> tuple[np.ndarray, Coded, list[Any]]:
    """Return the sizes, labels and values of `count` objects from label to log-probability, or of none."""
    sizes = np.fromiter(map(len, tops), np.int64, count) if tops else np.zeros(count, dtype=np.int64)
    values = list(chain.from_iterable([top.values() for top in tops]))
    return sizes, Coded(list(chain.from_iterable(tops))), values


def _ordinary(values: Any) -> np.ndarray | None:
    """The values with NaN for censored ones, or None if one is missing or no log-probability."""
    if not isinstance(values, np.ndarray) and not set(map(type, values)) <= {float, int}:
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
