"""DistillKit's layouts are read as its code writes them, field by field."""

import json

import numpy as np
import pyarrow as pa
import pytest
from dumps.layouts_parquet import (
    LABELS,
    Text,
    as_type,
    expected,
    packed_bits,
    texts,
    write_compressed,
    write_legacy,
    write_plain,
)

from kt_theory import Dump
from kt_theory.dumps.layouts.bits import rounded, unpacked


def read(path, **options):
    """All rows of a dump: ids, logarithms, what follows, what is stated of it, digests, places."""
    blocks = list(Dump.read(path, **options).blocks())
    return {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("labels", "logprobs", "following", "following_logprob", "contexts")
    }


def assert_are(found, rows, values=None, **close):
    assert found["labels"].tolist() == [ids for ids, _, _, _ in rows]
    wanted = [logs for _, logs, _, _ in rows] if values is None else values
    np.testing.assert_allclose(found["logprobs"], wanted, **{"rtol": 1e-6, **close})
    assert found["following"].tolist() == [follows for _, _, follows, _ in rows]
    prefixes = [tuple(before) for _, _, _, before in rows]
    digests = found["contexts"].tolist()
    assert len(set(prefixes)) == len(set(digests)) == len(set(zip(prefixes, digests, strict=True)))


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("ids", [pa.int32(), pa.int64(), pa.uint64()])
def test_row_i_is_what_follows_token_i(tmp_path, missing, ids):
    found = texts(missing=missing)
    write_plain(tmp_path / "a.parquet", found, ids=ids)
    rows = expected(found)
    read_rows = read(tmp_path / "a.parquet", labels=LABELS)
    assert_are(read_rows, rows)
    stated = [dict(zip(ids, logs, strict=True)).get(f) for ids, logs, f, _ in rows]
    np.testing.assert_allclose(
        read_rows["following_logprob"], [np.nan if v is None else v for v in stated], rtol=1e-6
    )
    assert np.isfinite(read_rows["following_logprob"]).sum() > 5
    assert (read_rows["following"] == -1).sum() == (0 if missing else len(found))


def test_float16_is_read_as_it_is_stored(tmp_path):
    found = texts()
    write_plain(tmp_path / "a.parquet", found, values=pa.float16())
    rows = expected(found)
    halves = [[float(np.float16(v)) for v in logs] for _, logs, _, _ in rows]
    assert_are(read(tmp_path / "a.parquet", labels=LABELS), rows, halves, rtol=0)


SETTINGS = {
    "exact_alone": {"exact_k": 24, "polynomial_terms": []},
    "readme": {
        "exact_k": 8,
        "exact_dtype": "bfloat16",
        "residual_bins": [
            {"scale_dtype": "float16", "element_bits": 8, "num_elements": 6},
            {"scale_dtype": "float32", "element_bits": 2, "num_elements": 9},
        ],
    },
    "unit": {"exact_k": 4, "normalize_t": True, "polynomial_terms": [0, 1, 2, 3, 4, "sqrt"]},
    "odd_bits": {
        "exact_k": 3,
        "residual_bins": [
            {"scale_dtype": "bfloat16", "element_bits": 1, "num_elements": 3},
            {"scale_dtype": "float64", "element_bits": 11, "num_elements": 7},
            {"scale_dtype": "float32", "element_bits": 37, "num_elements": 5},
        ],
    },
    "differences": {"exact_k": 6, "delta_encoding": True, "polynomial_terms": [0, 1]},
    "differences_in_brain": {"exact_k": 24, "delta_encoding": True, "exact_dtype": "bfloat16"},
    "no_exact": {"exact_k": 0, "polynomial_terms": [0, 1, "exp"], "normalize_t": True},
    "double": {"exact_k": 2, "exact_dtype": "float64", "term_dtype": "float64"},
    "half_terms": {"exact_k": 20, "exact_dtype": "float32", "term_dtype": "float16"},
}


def settings(name):
    return {
        "d": LABELS,
        "k": 24,
        "exact_dtype": "float32",
        "polynomial_terms": [0, 1, 2, "sqrt"],
        "term_dtype": "float32",
        "residual_bins": [],
        "delta_encoding": False,
        "error_diffusion": False,
        "normalize_t": False,
        **SETTINGS[name],
    }


def law(random, k):
    """A row that falls slowly, so that its curve does not rise above 0."""
    logs = -1.5 - np.sort(random.exponential(0.3, k)).cumsum()
    ids = random.permutation(LABELS)[:k]
    return [(int(a), float(np.float32(v))) for a, v in zip(ids, logs - 1.0, strict=True)]


@pytest.fixture(scope="module")
def wide():
    random = np.random.default_rng(3)
    return [
        Text(random.integers(0, LABELS, n).tolist(), [law(random, 24) for _ in range(n - 1)])
        for n in (6, 2, 9)
    ]


ROUGHLY = {
    "readme": {"rtol": 2e-6, "atol": 2e-2},
    "differences_in_brain": {"rtol": 0, "atol": 0},
    "half_terms": {"rtol": 0, "atol": 6e-2},
    "odd_bits": {"rtol": 3e-6, "atol": 3e-6},
}
"""Where sums are rounded to few bits in an order of their own."""


@pytest.mark.parametrize("name", SETTINGS)
def test_compressed_rows_are_what_their_bytes_stand_for(tmp_path, wide, name):
    held = settings(name)
    stand_for = write_compressed(tmp_path / "data_0.parquet", wide, held)
    (tmp_path / "compression_config.json").write_text(json.dumps(held))
    dump = Dump.read(tmp_path)
    assert dump.labels == LABELS
    found = [listed for part in dump.parts for listed in part.listed(0)]
    values = np.concatenate([listed.values for listed in found])
    rough = {"rtol": 2e-6, "atol": 3e-6, **ROUGHLY.get(name, {})}
    np.testing.assert_allclose(values, stand_for, **rough)
    rows = expected(wide)
    labels = np.concatenate([listed.labels for listed in found])
    assert labels.tolist() == [ids for ids, _, _, _ in rows]


@pytest.mark.parametrize(("above", "read_so"), [(0.015, True), (0.05, False)])
def test_rows_that_curves_stand_for_may_sum_a_little_above_one(tmp_path, above, read_so):
    row = [(a, float(np.log(1 / 24) + above)) for a in range(24)]
    held = {**settings("unit"), "exact_k": 0, "polynomial_terms": [0]}
    write_compressed(tmp_path / "a.parquet", [Text([1] * 21, [row] * 20)], held)
    (tmp_path / "compression_config.json").write_text(json.dumps(held))
    if read_so:
        (block,) = Dump.read(tmp_path).blocks()
        np.testing.assert_allclose(block.logprobs, np.log(1 / 24) + above, atol=1e-6)
    else:
        with pytest.raises(ValueError, match=r"row 1 has probabilities that sum to 1\.05"):
            list(Dump.read(tmp_path).blocks())


def test_the_settings_are_found_in_yaml_and_in_those_of_a_run(tmp_path, wide):
    held = settings("unit")
    stand_for = write_compressed(tmp_path / "data_0.parquet", wide, held)
    with pytest.raises(ValueError, match="there is no compression_config"):
        Dump.read(tmp_path)
    run = {"project_name": "x", "teacher": {"kind": "dataset", "logprob_compressor": held}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    lines = [f"{name}: {json.dumps(value)}" for name, value in held.items()]
    (tmp_path / "compression_config.yaml").write_text("\n".join(lines))
    for options in (None, tmp_path / "run.json"):
        dump = Dump.read(tmp_path / "data_0.parquet", options=options)
        values = np.concatenate([listed.values for listed in dump.parts[0].listed(0)])
        np.testing.assert_allclose(values, stand_for, rtol=2e-6, atol=3e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"exact_k": 8, "polynomial_degree": 3, "invert_polynomial": True, "with_sqrt_term": False},
        {"exact_k": 3, "polynomial_degree": 2, "invert_polynomial": False, "with_sqrt_term": True},
    ],
)
def test_the_older_layout(tmp_path, wide, settings):
    held = {"vocab_size": LABELS, "k": 24, "term_dtype": "float32", **settings}
    stand_for = write_legacy(tmp_path / "a.parquet", wide, held)
    (tmp_path / "s.json").write_text(json.dumps({"legacy_logit_compression": held}))
    found = list(Dump.read(tmp_path / "a.parquet", options=tmp_path / "s.json").parts[0].listed(0))
    values = np.concatenate([listed.values for listed in found])
    np.testing.assert_allclose(values, stand_for, rtol=1e-5, atol=1e-5)
    labels = np.concatenate([listed.labels for listed in found])
    assert labels.tolist() == [ids for ids, _, _, _ in expected(wide)]


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_numbers_are_rounded_to_the_nearest_and_halfway_to_even(kind):
    halves = [1 + n * 2.0**-i for i in (7, 8, 9, 10, 11, 12) for n in range(1, 8)]
    values = np.array([*halves, -0.1, 1e-3, 3e38, 1e-40, 0.0])
    values = values[:-3] if kind == "float16" else values
    wanted = [as_type(float(np.float32(v)) if kind != "float64" else v, kind) for v in values]
    assert rounded(values, kind).tolist() == wanted


@pytest.mark.parametrize("bits", [1, 3, 8, 17, 18, 25, 26, 33, 57, 58, 64])
def test_numbers_of_any_width_are_unpacked(bits):
    random = np.random.default_rng(bits)
    numbers = [
        [int(n) >> (64 - bits) for n in row] for row in random.integers(0, 2**64, (3, 13), "u8")
    ]
    packed = np.array([packed_bits(row, bits) for row in numbers], dtype=np.uint8)
    assert unpacked(packed, bits, 13).tolist() == numbers


def test_documents_in_one_row_are_texts_of_their_own(tmp_path):
    """pack_logits.py numbers them in attention_mask; it cuts tokens that have no row."""
    first, second = texts(lengths=(5, 4), missing=0)
    both = Text(first.tokens + second.tokens, first.rows + second.rows)
    mask = pa.array([[1] * 5 + [2] * 4], pa.list_(pa.int64()))
    write_plain(tmp_path / "a.parquet", [both], attention_mask=mask)
    assert_are(read(tmp_path / "a.parquet", labels=LABELS), expected([first, second]))


def test_padding_is_no_position(tmp_path):
    (text,) = texts(lengths=(6,), missing=0)
    mask = pa.array([[0, 0, 1, 1, 1, 0]], pa.list_(pa.int64()))
    write_plain(tmp_path / "a.parquet", [text], attention_mask=mask)
    (block,) = Dump.read(tmp_path / "a.parquet", labels=LABELS).blocks()
    assert block.skipped == {"masked out": 3}
    assert block.following.tolist() == [text.tokens[3], text.tokens[4], -1]


@pytest.mark.parametrize("name", ["labels", "loss_mask"])
def test_tokens_that_nothing_is_learnt_of_are_no_positions(tmp_path, name):
    """`labels` stand at their own token: row i is left out if token i + 1 is."""
    first, second = texts(lengths=(6, 3), missing=0)
    out, kept = (-100, 7) if name == "labels" else (0, 1)
    masks = [[out, out, kept, kept, out, kept], [out] * 3]
    write_plain(
        tmp_path / "a.parquet", [first, second], **{name: pa.array(masks, pa.list_(pa.int64()))}
    )
    (block,) = Dump.read(tmp_path / "a.parquet", labels=LABELS).blocks()
    assert block.following.tolist() == [*(first.tokens[i] for i in (2, 3, 5)), -1]
    assert block.skipped == {"masked out": 5}


def test_rows_that_list_fewer_labels_end_in_nothing(tmp_path):
    """vLLM's capture leaves ranks that were not returned at -inf, beside any number as the id."""
    (text,) = texts(lengths=(3,), missing=0)
    full, short = text.rows[0], text.rows[1][:3]
    padded = [*short, (2**40, -np.inf), (2**40, -np.inf)]
    write_plain(tmp_path / "a.parquet", [Text(text.tokens, [full, padded, short])])
    found = read(tmp_path / "a.parquet", labels=LABELS)
    for row in (1, 2):
        assert found["labels"][row].tolist() == [*(a for a, _ in short), -1, -1]
        np.testing.assert_allclose(
            found["logprobs"][row], [*(v for _, v in short), -np.inf, -np.inf]
        )


@pytest.mark.parametrize("start", [0, 1, 6, 16, 17])
def test_a_file_goes_on_where_it_was_left(tmp_path, start, monkeypatch):
    found = texts(lengths=(7, 1, 12, 3))
    masks = [[1] * len(text.tokens) for text in found]
    masks[0][1:3] = 0, 0
    mask = pa.array(masks, pa.list_(pa.int64()))
    write_plain(tmp_path / "a.parquet", found, loss_mask=mask)
    dump = Dump.read(tmp_path / "a.parquet", labels=LABELS)
    whole = read(tmp_path / "a.parquet", labels=LABELS)
    monkeypatch.setattr("kt_theory.dumps.layouts.tables.CELLS", 15)
    monkeypatch.setattr("kt_theory.dumps.layouts.columns.CELLS", 30)
    blocks = list(dump.blocks(start))
    assert sum(map(len, blocks)) == len(whole["following"]) - start
    assert max(map(len, blocks), default=0) <= 3
    if start == 0:
        assert sum(block.skipped.get("masked out", 0) for block in blocks) == 2
    for name, wanted in whole.items():
        parts = [getattr(block, name) for block in blocks]
        if parts:
            np.testing.assert_array_equal(np.concatenate(parts), wanted[start:])
