"""Parquet dumps written number by number, as DistillKit and trainers with sidecars lay them out: an
independent reading of what those layouts are.
"""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LABELS = 300


@dataclass
class Text:
    """Tokens, and for each of its rows the ids and natural logarithms, most probable first."""

    tokens: list[int]
    rows: list[list[tuple[int, float]]]


def texts(seed=0, lengths=(7, 1, 12, 3), k=5, missing=1, ahead=1):
    """Texts with rows for all tokens but the last `missing`; row i is of token i + ahead."""
    random = np.random.default_rng(seed)
    found = []
    for length in lengths:
        tokens = random.integers(0, LABELS, length).tolist()
        rows = []
        for i in range(max(length - missing, 0)):
            law = random.dirichlet(np.full(LABELS, 0.05))
            if i + ahead < length and random.random() < 0.7:
                law[tokens[i + ahead]] += 0.2
                law /= law.sum()
            best = np.argsort(-law)[:k]
            rows.append([(int(a), float(np.float32(np.log(law[a])))) for a in best])
        found.append(Text(tokens, rows))
    return found


def expected(found):
    """For each row: its ids, its logarithms, the token that follows or -1, and what went before."""
    rows = []
    for text in found:
        for i, row in enumerate(text.rows):
            follows = text.tokens[i + 1] if i + 1 < len(text.tokens) else -1
            rows.append(([a for a, _ in row], [v for _, v in row], follows, text.tokens[: i + 1]))
    return rows


def nested(lists, kind):
    return pa.array(lists, pa.list_(pa.list_(kind)))


def ids_of(text):
    return [[a for a, _ in row] for row in text.rows]


def values_of(text):
    return [[v for _, v in row] for row in text.rows]


def write_plain(path, found, ids=None, values=None, **columns):
    """`input_ids`, `token_ids`, `top_values`."""
    table = {
        "input_ids": pa.array([text.tokens for text in found], pa.list_(pa.uint64())),
        "token_ids": nested([ids_of(text) for text in found], ids or pa.int64()),
        "top_values": nested([values_of(text) for text in found], values or pa.float32()),
        **columns,
    }
    pq.write_table(pa.table(table), path)


_CODES = {"float16": "<e", "float32": "<f", "float64": "<d"}


def packed_float(value, kind):
    """A number in the bytes of a type, rounded to the nearest, halfway to even."""
    if kind != "bfloat16":
        return struct.pack(_CODES[kind], value)
    single = struct.unpack("<I", struct.pack("<f", value))[0]
    low = single & 0xFFFF
    high = single >> 16
    if low > 0x8000 or (low == 0x8000 and high & 1):
        high += 1
    return struct.pack("<H", high)


def as_type(value, kind):
    """A number as a type holds it."""
    data = packed_float(value, kind)
    if kind == "bfloat16":
        return struct.unpack("<f", b"\0\0" + data)[0]
    return struct.unpack(_CODES[kind], data)[0]


def packed_bits(numbers, bits):
    """Whole numbers one after the other, the highest bit first, filled up to a byte by zeros."""
    text = "".join(format(number, f"0{bits}b") for number in numbers)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def packed_words(numbers, bits):
    """As many whole numbers as fit in each word of 64 bits, the first in the lowest bits."""
    fit = 64 // bits
    return [
        sum(number << (bits * i) for i, number in enumerate(numbers[start : start + fit]))
        for start in range(0, len(numbers), fit)
    ]


def term(power, t):
    if power == "sqrt":
        return math.sqrt(t)
    return math.exp(t) if power == "exp" else float(t) ** power


def compressed_row(row, settings):
    """The bytes of a row's values, those of its ids, and the values that the bytes stand for."""
    logs = [value for _, value in row]
    if settings["delta_encoding"]:
        logs = [logs[0], *(b - a for a, b in itertools.pairwise(logs))]
    exact, terms = settings["exact_k"], settings["polynomial_terms"]
    kind, term_kind = settings["exact_dtype"], settings["term_dtype"]
    data = b"".join(packed_float(value, kind) for value in logs[:exact])
    stored = [as_type(value, kind) for value in logs[:exact]]
    rest = logs[exact:]
    count = len(rest)
    scale = 1.0 / (count - 1) if settings["normalize_t"] and count > 1 else 1.0
    design = np.array([[term(p, i * scale) for p in terms] for i in range(count)])
    fitted = [0.0] * count
    if terms:
        coefficients = np.linalg.lstsq(design.reshape(count, len(terms)), np.array(rest))[0]
        data += b"".join(packed_float(c, term_kind) for c in coefficients)
        held = [as_type(c, term_kind) for c in coefficients]
        fitted = [sum(c * x for c, x in zip(held, line, strict=True)) for line in design]
    left = [a - b for a, b in zip(rest, fitted, strict=True)]
    place = 0
    for part in settings["residual_bins"]:
        bits, size = part["element_bits"], part["num_elements"]
        values = left[place : place + size]
        half = 1 if bits == 1 else 2 ** (bits - 1)
        largest = max(abs(v) for v in values)
        step = as_type(largest / half, part["scale_dtype"]) if largest else 1.0
        low, high = (0, 1) if bits == 1 else (-half, half - 1)
        codes = [min(max(round(v / step), low), high) - low for v in values]
        data += packed_float(step, part["scale_dtype"]) + bytes(packed_bits(codes, bits))
        for i, code in enumerate(codes):
            back = (2 * code - 1) * step if bits == 1 else (code + low) * step
            fitted[place + i] += as_type(back, kind)
        place += size
    stored += fitted
    if settings["delta_encoding"]:
        stored = [as_type(v, kind) for v in np.cumsum(np.array(stored, dtype=np.float32))]
    width = math.ceil(math.log2(settings["d"]))
    return list(data), packed_bits([a for a, _ in row], width), stored


def write_compressed(path, found, settings):
    """`input_ids`, `compressed_logprobs`, `bytepacked_indices`. Return what each row stands for."""
    rows = [[compressed_row(row, settings) for row in text.rows] for text in found]
    table = {
        "input_ids": pa.array([text.tokens for text in found], pa.list_(pa.uint64())),
        "compressed_logprobs": nested([[r[0] for r in text] for text in rows], pa.uint8()),
        "bytepacked_indices": nested([[r[1] for r in text] for text in rows], pa.uint8()),
    }
    pq.write_table(pa.table(table), path)
    return [row[2] for text in rows for row in text]


def write_legacy(path, found, settings):
    """`input_ids`, `packed_indices`, `exact_values`, `coeffs`. Return what each row stands for."""
    exact, k = settings["exact_k"], settings["k"]
    sign = -1 if settings["invert_polynomial"] else 1
    powers = [sign * i for i in range(settings["polynomial_degree"] + 1)]
    powers += [0.5] if settings["with_sqrt_term"] else []
    design = np.array([[float(i) ** p for p in powers] for i in range(1, k - exact + 1)])
    width = math.ceil(math.log2(settings["vocab_size"]))
    table = {"packed_indices": [], "exact_values": [], "coeffs": []}
    stand_for = []
    for text in found:
        lists = {name: [] for name in table}
        for row in text.rows:
            values = [as_type(v, "float16") for _, v in row[:exact]]
            rest = np.array([v for _, v in row[exact:]])
            held = [as_type(c, "float32") for c in np.linalg.lstsq(design, rest)[0]]
            lists["packed_indices"].append(packed_words([a for a, _ in row], width))
            lists["exact_values"].append(values)
            lists["coeffs"].append(held)
            stand_for.append([*values, *(design @ held)])
        for name, column in table.items():
            column.append(lists[name])
    columns = {
        "input_ids": pa.array([text.tokens for text in found], pa.list_(pa.uint64())),
        "packed_indices": nested(table["packed_indices"], pa.uint64()),
        "exact_values": nested(table["exact_values"], pa.float32()),
        "coeffs": nested(table["coeffs"], pa.float32()),
    }
    pq.write_table(pa.table(columns), path)
    return stand_for
