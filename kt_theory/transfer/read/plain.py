"""Plain records: input, label, logprob, top_logprobs as columns or as JSON objects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.read.answers import (
    CENSORED,
    FAR,
    ROUNDING,
    UNSTATED,
    WRAPPER,
    Answer,
    Doc,
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
from kt_theory.transfer.read.json_files import TooMuch, loads
from kt_theory.transfer.read.reasoning import ASKS, answered, asked_for, marked
from kt_theory.transfer.read.sampling import (
    MOST_WRITTEN,
    holds_request,
    literal,
    origin_of,
    says_something,
)

INPUTS = ("input", "prompt", "question", "text", "x", "query", "instruction", "sentence")
LABELS = (
    "label", "answer", "completion", "response", "output", "sentiment", "y", "target", "class",
    "prediction",
)  # fmt: skip
LOGPROBS = ("logprob", "log_prob", "logprobs")
PROBS = ("prob", "probability", "p", "confidence")
FRAMES = (
    "system", "system_prompt", "system_message", "instructions", "instruction", "developer",
    "context", "passage",
)  # fmt: skip
"""What the fields of plain records are usually called; the first of each kind is the format's own
name.
"""

REASONINGS = (
    "reasoning", "rationale", "thought", "thoughts", "chain_of_thought", "cot", "thinking",
    "reasoning_content",
)  # fmt: skip
"""Fields of what was thought before the label: what is stated of the label holds given it."""


class Fields(NamedTuple):
    """Which fields of plain records hold what; None where none does.

    Attributes
    ----------
    input, label : str or None
    logprob, prob : str or None
        Of the sampled label.
    frame : tuple of str
        What was said before the input, and is part of it: a system message, an instruction.
    notes : tuple of str
        What was guessed, in words.
    reasoning : tuple of str
        What was thought before the label.
    """

    input: str | None
    label: str | None
    logprob: str | None
    prob: str | None
    frame: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()

    def say(self, account: Account) -> None:
        """Take down what was guessed, once."""
        account.notes += [note for note in self.notes if note not in account.notes]


@lru_cache(maxsize=1024)
def fields_of(
    names: tuple[str, ...], input: str | None, label: str | None, logprob: str | None
) -> Fields:
    """Return which of the names of a record or of a table hold what.

    Parameters
    ----------
    names : tuple of str
        All that there are.
    input, label, logprob : str or None
        What the user named; None: the usual names count, without case.

    Raises
    ------
    ValueError
        If two names may be meant, and neither is the format's own.
    """
    free = tuple(name for name in names if name not in (input, label, logprob))
    asked = input or _usual(free, INPUTS, "input")
    answered = label or _usual(free, LABELS, "label")
    own, prob = _stated_by(free, logprob)
    guesses = (
        (input, asked, INPUTS, "the input", "input=..."),
        (label, answered, LABELS, "the label", "label=..."),
        (logprob, own, LOGPROBS, "the label's log-probability", "logprob=..."),
        (logprob, prob, PROBS, "the label's probability", "logprob=..."),
    )
    made = [
        (name, role, way)
        for given, name, usual, role, way in guesses
        if _is_guess(given, name, usual)
    ]
    notes = [_guessed(made)] if made else []
    if label is None and answered is not None:
        more = [
            name
            for name in free
            if name.strip().lower() in LABELS and name not in (answered, asked)
        ]
        notes += [
            f"{name!r} is not the label: label=... names it in place of {answered!r}"
            for name in more
        ]
    reasoning = tuple(name for name in free if name.strip().lower() in REASONINGS)
    if input is not None or asked is None:
        return Fields(asked, answered, own, prob, (), tuple(notes), reasoning)
    others = [name for name in free if name != asked]
    frame = tuple(name for name in others if name.strip().lower() in FRAMES)
    notes += [
        f"{name!r} is part of the input: input=... names a field that is all of it"
        for name in frame
    ]
    alone = [name for name in others if name.strip().lower() in INPUTS and name not in frame]
    notes += [
        f"{name!r} is no part of the input: input=... names it in place of {asked!r}"
        for name in alone
    ]
    return Fields(asked, answered, own, prob, frame, tuple(notes), reasoning)


def _is_guess(given: str | None, name: str | None, usual: tuple[str, ...]) -> bool:
    """The user did not name it, and the format has another name for it."""
    return given is None and name is not None and name != usual[0]


def _guessed(guesses: list[tuple[str | None, str, str]]) -> str:
    """What was guessed, and how to say otherwise."""
    (first, role, _), *others = guesses
    what = ", ".join(
        [f"{first!r} is taken for {role}", *(f"{name!r} for {role}" for name, role, _ in others)]
    )
    ways = list(dict.fromkeys(way for _, _, way in guesses))
    names = "names another" if len(ways) == 1 else "name others"
    return f"{what}: {' and '.join(ways)} {names}"


def _usual(names: Iterable[str], usual: tuple[str, ...], option: str) -> str | None:
    """The format's own name, else the only one that is usual."""
    # An instruction beside an input is said before it, and is the input where it stands alone.
    found = [name for name in names if name.strip().lower() in usual]
    found = [name for name in found if name.strip().lower() not in FRAMES] or found
    own = [name for name in found if name == usual[0]] or [
        name for name in found if name.strip().lower() == usual[0]
    ]
    if len(own or found) > 1:
        one, other = (own or found)[:2]
        raise ValueError(
            f"{one!r} and {other!r} may both hold the {_HELD[option]}: {option}={one!r} takes the "
            "first"
        )
    return next(iter(own or found), None)


_HELD = {"input": "input", "label": "label", "logprob": "label's probability"}


def _stated_by(names: tuple[str, ...], logprob: str | None) -> tuple[str | None, str | None]:
    """The fields of the log-probability and of the probability."""
    if logprob is not None:
        named = logprob.strip().lower() in PROBS
        return (None, logprob) if named else (logprob, None)
    own = _usual(names, LOGPROBS, "logprob")
    if own is None:
        return None, _usual(names, PROBS, "logprob")
    return own, PROBS[0] if PROBS[0] in names else None


def recognises(doc: Doc, input: str | None = None) -> bool:
    """Return whether a record looks like a plain one: it states labels, or has fields of the usual
    names.
    """
    if "label" in doc or "top_logprobs" in doc or "top_probs" in doc:
        return True
    try:
        fields = fields_of(tuple(doc), input, None, None)
    except ValueError:
        return any(name.strip().lower() in LABELS for name in doc)
    if fields.input is None or fields.label is None:
        return False
    return isinstance(doc[fields.label], (str, int)) and not isinstance(doc.get(fields.input), dict)


def record(doc: Doc, reading: Reading) -> list[Answer]:
    """{"input": ..., "label": ..., "logprob": ..., "top_logprobs": {label: logprob} or [{label,
    logprob}]}.

    `prob` and `top_probs` hold probabilities instead. A record without a label states probabilities
    only. Other names of the fields are in `INPUTS` and its kin.
    """
    failed(doc)
    fields = _fields(doc, reading)
    if fields.input is None:
        raise malformed(
            "input is missing: no field has a usual name, such as input or prompt; input=... "
            "names it"
        )
    question = (
        _question(doc, fields) if reading.input is None else input_key(_there(doc, fields.input))
    )
    label = _at(doc, fields.label)
    if (
        reading.logprob_field is not None
        and reading.logprob_field not in doc
        and _at(doc, fields.logprob) is None
    ):
        field_of(doc, reading.logprob_field)
    own = _number(doc, fields)
    entries = _listed(doc)
    reasoned = any(_says(doc[name]) for name in fields.reasoning)
    reasoned = reasoned or asked_for({name: doc[name] for name in _ASKING if name in doc})
    origin = origin_of((doc.get("request"), _request_in(_at(doc, fields.input))), (doc,))
    if label is None or label == "":
        if not entries:
            missing = (
                "" if reading.label_field is None else f"field {reading.label_field!r} is missing: "
            )
            raise Skip("no label", f"{missing}neither a label nor top_logprobs")
        if reasoned:
            raise Skip(
                "no label",
                "what is stated holds given the reasoning before it, and no label was sampled",
            )
        return [Answer(question, None, each_once(entries), origin)]
    if isinstance(label, str) and _is_answer(label):
        raise malformed(
            "the label is a whole answer of a server as JSON: write a record a line as JSON, "
            '{"request": ..., "response": ...}'
        )
    if isinstance(label, str) and marked(label):
        answer = answered(label, [], False)
        label, reasoned = answer.text, reasoned or answer.reasoned
    key = _key(label)
    if reasoned:
        return [Answer(question, key, {}, origin, False, True)]
    listed = [stated for name, stated in entries if name == key and math.isfinite(stated)]
    as_logarithm = _at(doc, fields.logprob) is not None
    field = fields.logprob if as_logarithm else fields.prob
    of = "top_logprobs" if doc.get("top_logprobs") is not None else "top_probs"
    exact = as_logarithm and of == "top_logprobs"
    if math.isfinite(own) and listed and not any(_agree(own, stated, exact) for stated in listed):
        raise malformed(
            f"{field} = {_at(doc, field)}: {of} states another value of label {key!r}, "
            f"log-probability {listed[0]:g}"
        )
    return [Answer(question, key, with_sampled(key, own, entries), origin)]


def _request_in(asked: Any) -> Any:
    """The request that an input holds as JSON in a text, None if it is none."""
    if not (isinstance(asked, str) and _looks_packed(asked)):
        return None
    try:
        found = loads(asked)
    except ValueError:
        return None
    return found if isinstance(found, dict) and holds_request(found) else None


def _looks_packed(text: str) -> bool:
    """A text that is perhaps a request as JSON."""
    return text.lstrip()[:1] == "{" and (
        '"messages"' in text or '"contents"' in text or '"prompt"' in text
    )


def _is_answer(label: str) -> bool:
    """A text that is a server's answer as JSON."""
    return label.lstrip()[:1] == "{" and any(
        f'"{name}"' in label for name in ("choices", "candidates", "output")
    )


def _fields(doc: Doc, reading: Reading) -> Fields:
    named = reading.input, reading.label_field, reading.logprob_field
    try:
        found = fields_of(tuple(doc), *named)
        if found.logprob not in (None, "logprob", reading.logprob_field) and not _is_number(
            doc[found.logprob]
        ):
            # `logprobs` of servers is a whole list.
            found = fields_of(tuple(name for name in doc if name != found.logprob), *named)
    except ValueError as error:
        raise malformed(str(error)) from None
    if found.notes:
        found.say(reading.account)
    return found


def _question(doc: Doc, fields: Fields) -> str:
    """The input, and before it what was said to frame it."""
    frame = [
        f"{name}: {input_key(doc[name])}" for name in fields.frame if doc[name] not in (None, "")
    ]
    wrapper = doc.get(WRAPPER)
    if isinstance(wrapper, dict):
        frame = [
            f"{name}: {input_key(wrapper[name])}" for name in FRAMES if wrapper.get(name)
        ] + frame
    asked = _at(doc, fields.input)
    if not frame:
        return input_key(asked)
    return "\n".join([*frame, "" if asked is None else input_key(asked)])


_ASKING = sorted((ASKS - set(REASONINGS)) | {WRAPPER})
"""Fields beside a label that may say that the teacher was asked to reason."""


def _says(value: Any) -> bool:
    """Something was thought: a text or a list that is not empty."""
    return bool(value.strip()) if isinstance(value, str) else bool(value) and value == value


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, str))


def _at(doc: Doc, path: str | None) -> Any:
    """The field of that name, else at that path; None if there is none."""
    if path is None:
        return None
    if path in doc or "." not in path:
        return doc.get(path)
    try:
        return field_of(doc, path)
    except Skip:
        return None


def _there(doc: Doc, path: str) -> Any:
    found = _at(doc, path)
    return field_of(doc, path) if found is None else found


def _key(label: Any) -> Key:
    if isinstance(label, float) and label.is_integer() and abs(label) < FAR:
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool):
        # The names of a JSON object are texts: 3 and "3" must be the same label.
        label = str(label)
    return label if isinstance(label, str) else token_key(label)


def _number(doc: Doc, fields: Fields) -> float:
    stated = UNSTATED
    if fields.prob is not None:
        stated = probability(_as_number(_at(doc, fields.prob), fields.prob), fields.prob)
    value = _at(doc, fields.logprob)
    if fields.logprob is None or value is None:
        return stated
    own = log_probability(value, fields.logprob)
    if stated != UNSTATED and not _agree(own, stated, False):
        raise malformed(
            f"{fields.logprob} = {value} and {fields.prob} = {_at(doc, fields.prob)} disagree"
        )
    return own


def _as_number(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        raise malformed(f"{name} = {value[:40]!r}: must be a number") from None


def _agree(one: float, other: float, exact: bool) -> bool:
    """Whether two statements of a log-probability are the same, NaN standing for 0; `exact`: both
    are logarithms.
    """
    if exact:
        return abs(one - other) <= 1e-6 * max(1.0, abs(one))
    # Probabilities are often written with four digits.
    p, q = (0.0 if value != value else math.exp(value) for value in (one, other))
    return abs(p - q) <= 1e-4


def structured(text: str) -> Any:
    """Return what a text cell holds: JSON, or what Python shows of a dict or a list, as pandas
    writes it.
    """
    try:
        return loads(text)
    except TooMuch:
        raise
    except ValueError:
        if len(text) > MOST_WRITTEN:
            raise ValueError(
                f"not JSON, and more than {MOST_WRITTEN:,} letters are not read as Python's"
            ) from None
        try:
            return literal(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError("neither JSON nor a Python dict or list") from None


def _listed(doc: Doc) -> list[tuple[Key, float]]:
    listed, read, field = doc.get("top_logprobs"), log_probability, "logprob"
    if listed is None:
        listed, read, field = doc.get("top_probs"), probability, "prob"
    if isinstance(listed, str):
        try:
            listed = structured(listed) if listed else None
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
            raise malformed(
                f"an entry of top_{field}s must be {{label, {field}}} or [label, {field}]"
            )
    return entries


FIELDS = frozenset({"input", "label", "logprob", "top_logprobs"})
"""What an ordinary plain record holds; fields of other names are left alone."""

_SPECIAL = frozenset({"prob", "top_probs", "error", "object", "request"})


def read_alone(name: str) -> bool:
    """Return whether a field says something of a record that makes it be read on its own."""
    own = name.strip().lower()
    return name in _SPECIAL or own in REASONINGS or own in ASKS or says_something((name,))


def ordinary(names: Iterable[str]) -> bool:
    """Return whether fields say nothing else of a record than `FIELDS` do."""
    return not any(map(read_alone, names))


class Coded(NamedTuple):
    """Names, one each, or the distinct ones and the code of each."""

    names: list[Any]
    codes: np.ndarray | None = None

    def distinct(self) -> Coded:
        """Return the same with each name once."""
        if self.codes is not None:
            return self
        found: defaultdict[Any, int] = defaultdict()
        found.default_factory = found.__len__
        codes = np.fromiter(map(found.__getitem__, self.names), np.int64, len(self.names))
        return Coded(list(found), codes)


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
    first : int or None
        The line that the first of them stands on, where it is not the next of the file.
    """

    inputs: Coded
    labels: Coded
    own: np.ndarray | None
    sizes: np.ndarray
    listed: Coded
    values: np.ndarray
    first: int | None = None

    @classmethod
    def of(cls, docs: list[Any], reading: Reading) -> Columns | None:
        """Return the columns of docs, or None if they do not all have the same fields of the
        ordinary types.
        """
        if not isinstance(docs[0], dict):
            return None
        names = docs[0].keys()
        found = _ordinary_fields(tuple(names), reading)
        if found is None or not all([type(doc) is dict and doc.keys() == names for doc in docs]):
            return None
        inputs, labels = [doc[found.input] for doc in docs], [doc[found.label] for doc in docs]
        own = [doc[found.logprob] for doc in docs] if found.logprob is not None else None
        tops = [doc["top_logprobs"] for doc in docs] if "top_logprobs" in names else []
        kinds = {*map(type, inputs), *map(type, labels)}
        if not kinds <= {str, int} or not set(map(type, tops)) <= {dict}:
            return None
        if int in kinds:
            inputs, labels = list(map(str, inputs)), list(map(str, labels))
        columns = cls.made(Coded(inputs), Coded(labels), own, *listed_in(tops, len(docs)))
        if columns is not None:
            found.say(reading.account)
        return columns

    @classmethod
    def made(
        cls, inputs: Coded, labels: Coded, own: Any, sizes: np.ndarray, listed: Coded, values: Any
    ) -> Columns | None:
        """Return the columns, or None if they must be read one by one.

        So they must where a label is empty or holds reasoning, a number is no log-probability, or
        two contradict.
        """
        labels, listed = labels.distinct(), listed.distinct()
        stated = _ordinary(values)
        shown = None if own is None else _ordinary(own)
        if "" in labels.names or stated is None or (own is not None and shown is None):
            return None
        if any([marked(name) or _is_answer(name) for name in labels.names if type(name) is str]):
            return None
        if any([_looks_packed(name) for name in inputs.names if name[:1] == "{"]):
            return None
        if shown is not None and len(stated) and _contradicts(labels, shown, sizes, listed, stated):
            return None
        return cls(inputs, labels, shown, sizes, listed, stated)


class Numbered(list[Any]):
    """A chunk of records, and the line that each of them begins on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def first_line(chunk: list[Any] | Columns, following: int) -> int | None:
    """Return the line that a chunk begins on, None if its records do not stand on consecutive
    lines.

    `following` is the next line of the file.
    """
    if isinstance(chunk, Columns):
        return following if chunk.first is None else chunk.first
    if not isinstance(chunk, Numbered):
        return following
    begin = chunk.lines[0]
    return begin if chunk.lines == list(range(begin, begin + len(chunk))) else None


def _ordinary_fields(names: tuple[str, ...], reading: Reading) -> Fields | None:
    """The fields of records that may be read at once, or None."""
    try:
        found = fields_of(names, reading.input, reading.label_field, reading.logprob_field)
    except ValueError:
        return None
    whole = found.input in names and found.label in names and found.logprob in (None, *names)
    return found if whole and found.prob is None and not found.frame and ordinary(names) else None


def _contradicts(
    labels: Coded, own: np.ndarray, sizes: np.ndarray, listed: Coded, values: np.ndarray
) -> bool:
    """Whether a record states one value of its label and lists another."""
    codes: dict[Any, int] = {}
    sampled, others = (
        np.array([codes.setdefault(name, len(codes)) for name in each.names], np.int64)[each.codes]
        for each in (labels, listed)
    )
    owner = np.repeat(np.arange(len(sizes)), sizes)
    same = others == sampled[owner]
    mine, theirs = own[owner[same]], values[same]
    return bool((np.abs(mine - theirs) > 1e-6 * np.maximum(1.0, np.abs(mine))).any())


def listed_in(tops: list[Doc], count: int) -> tuple[np.ndarray, Coded, list[Any]]:
    """Return the sizes, labels and values of `count` objects from label to log-probability, or of
    none.
    """
    sizes = (
        np.fromiter(map(len, tops), np.int64, count) if tops else np.zeros(count, dtype=np.int64)
    )
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
