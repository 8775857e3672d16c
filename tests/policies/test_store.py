"""What kt.store writes reads back as the policy defines it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dumps.layouts_parquet import LABELS, Text, texts, write_plain

import kt_theory as kt
from kt_theory import Dump, Teacher
from kt_theory.policies import policy, storage

ROWS, SIZE = 120, 40


@pytest.fixture(scope="module")
def pi():
    random = np.random.default_rng(1)
    rows = random.dirichlet(np.full(SIZE, 0.1), ROWS) + 1e-12
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def dump(pi):
    tokens = np.random.default_rng(2).integers(0, SIZE, ROWS)
    return Dump.from_arrays(pi, tokens, kind="probabilities")


def table_of(dump, labels=SIZE):
    """Rows (N, A): the probabilities that a dump lists, NaN where it lists none."""
    tables = []
    for block in dump.blocks():
        table = np.full((len(block), labels), np.nan)
        if block.whole:
            table[:] = np.exp(block.logprobs)
        else:
            rows, places = np.nonzero(block.labels >= 0)
            table[rows, block.labels[rows, places]] = np.exp(block.logprobs[rows, places])
        tables.append(table)
    return np.concatenate(tables)


def column(dump, name):
    return np.concatenate([getattr(block, name) for block in dump.blocks()])


WAYS = ["", " rounded(0.1)", " rounded(0.7)", " quantised(5)", " quantised(12)"]
NAMES = [
    *(f"{kept}{way}" for kept in ("soft", "renormalised(5)", "top_p(0.9)") for way in WAYS),
    *(f"{kept}{way}" for kept in ("even_tail(5)", "tail_mass(5)") for way in WAYS),
    "temperature(2)",
    "renormalised(5) temperature(0.5)",
    "renormalised(7) quantised(8) temperature(2)",
    "top_p(0.8) rounded(0.2) temperature(3)",
]


@pytest.mark.parametrize("name", NAMES)
def test_rows_come_back_as_the_policy_s_student_writes_them(tmp_path, pi, dump, name):
    back = Dump.read(kt.store(dump, name, tmp_path / "a.parquet"))
    assert back.labels == SIZE
    assert back.positions == ROWS
    assert not back.drawn
    assert back.renormalised == name.startswith(("renormalised", "top_p"))
    found, wanted = table_of(back), policy(name).copies(pi)
    exact = any(word in name for word in ("rounded", "quantised"))
    there = ~np.isnan(found)
    np.testing.assert_allclose(
        found[there], wanted[there], rtol=1e-12 if exact else 2e-6, atol=1e-15
    )
    listed = there.sum(axis=1)
    if "soft" in name or name.startswith("temperature"):
        assert (listed == SIZE).all()
    elif name.startswith("top_p"):
        assert (wanted[~there] == 0).all()
        assert len(set(listed)) > 3
    else:
        assert (listed == policy(name).kept.k).all()
        assert (
            np.nanmin(np.where(there, pi, 2), axis=1) >= np.max(np.where(there, 0, pi), axis=1)
        ).all()
    np.testing.assert_array_equal(column(back, "following"), column(dump, "following"))
    np.testing.assert_array_equal(column(back, "contexts"), column(dump, "contexts"))


@pytest.mark.parametrize(
    "name", ["sampled(20)", "sampled(20, 0.7)", "sampled(20, probabilities=true)"]
)
def test_draws_lose_what_the_table_says(tmp_path, name):
    """3,000 rows: TV lies within 7 standard errors of its expectation (1e-11)."""
    random = np.random.default_rng(5)
    pi = np.repeat(random.dirichlet(np.full(8, 0.7), 3), 1000, axis=0)
    dump = Dump.from_arrays(pi, kind="probabilities")
    back = Dump.read(kt.store(dump, name, tmp_path / "a.parquet", seed=3))
    found = table_of(back, 8)
    drawn = ~np.isnan(found)
    copies = np.where(drawn, found, 0.0)
    if "probabilities" in name:
        np.testing.assert_allclose(found[drawn], pi[drawn], rtol=2e-6)
        left = 1.0 - copies.sum(axis=1, keepdims=True)
        copies = np.where(drawn, copies, left / np.maximum((~drawn).sum(axis=1, keepdims=True), 1))
    elif name == "sampled(20)":
        np.testing.assert_allclose(copies * 20, np.rint(copies * 20), atol=1e-12)
    np.testing.assert_allclose(copies.sum(axis=1), 1.0, atol=1e-6)
    tv = 0.5 * np.abs(copies - pi).sum(axis=1)
    row = storage(dump, [name]).frame.iloc[0]
    error = 7 * tv.std() / np.sqrt(len(tv))
    assert row.tv_lower - error <= tv.mean() <= row.tv_upper + error
    assert error < 0.02
    assert back.drawn
    assert back.renormalised != ("probabilities" in name)
    again = table_of(Dump.read(kt.store(dump, name, tmp_path / "b.parquet", seed=3)), 8)
    np.testing.assert_array_equal(found, again)
    other = table_of(Dump.read(kt.store(dump, name, tmp_path / "c.parquet", seed=4)), 8)
    assert (np.isnan(other) != np.isnan(found)).any()


@pytest.mark.parametrize(
    "name", ["soft", "rounded(0.5)", "quantised(4)", "even_tail(2) rounded(0.5)"]
)
def test_what_has_no_probability_comes_back_without_one(tmp_path, name):
    dump = Dump.from_arrays([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], kind="probabilities")
    back = Dump.read(kt.store(dump, name, tmp_path / "a.parquet"))
    (block,) = back.blocks()
    if block.whole:
        assert (np.exp(block.logprobs[:, 2]) == 0).all()
    assert block.logprobs[1].max() == pytest.approx(0, abs=1e-12)
    assert np.isneginf(block.logprobs[1]).sum() == (2 if block.whole else 1)


def test_the_file_says_what_it_is(tmp_path, dump):
    name = "renormalised(5) rounded(0.1)"
    path = kt.store(dump, name, tmp_path / "a.parquet")
    notes = json.loads(pq.ParquetFile(path).metadata.metadata[b"kt_theory"])
    row = storage(dump, [name]).frame.iloc[0]
    assert notes["policy"] == name
    assert (notes["labels"], notes["positions"], notes["size"]) == (SIZE, ROWS, row.bytes)
    assert notes["loss"]["tv"] == row.tv
    assert notes["loss"]["kl"] is None
    assert np.isinf(row.kl)


def test_a_file_takes_the_bytes_that_the_policy_says(tmp_path):
    """Beside them stand a token and its two counts."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (4000, 200))
    dump = Dump.from_arrays(logits, random.integers(0, 200, 4000), kind="logits")
    for name in ("renormalised(50) rounded(0.1)", "even_tail(50)", "soft quantised(12)"):
        path = kt.store(dump, name, tmp_path / "a.parquet")
        each = policy(name).bytes(200, 200 if "soft" in name else 50)
        assert path.stat().st_size <= 4000 * (each + 5) * 1.02 + 20_000


def test_a_teacher_is_stored_row_by_row(tmp_path, pi):
    back = Dump.read(kt.store(Teacher(pi), "soft", tmp_path / "a.parquet"))
    np.testing.assert_allclose(table_of(back), pi, rtol=2e-6)
    assert (column(back, "following") == -1).all()
    assert all(block.contexts is None for block in back.blocks())


@pytest.fixture
def listed(tmp_path):
    """Two files of DistillKit's, top 5, with several texts and positions that are left out."""
    found = texts(lengths=(9, 1, 14, 3))
    mask = [[1] * len(text.tokens) for text in found]
    mask[2][3:6] = 0, 0, 0
    write_plain(tmp_path / "in_1.parquet", found, loss_mask=pa.array(mask, pa.list_(pa.int8())))
    write_plain(tmp_path / "in_2.parquet", texts(4))
    return Dump.read(tmp_path / "in_*.parquet", labels=LABELS)


@pytest.mark.parametrize(("cells", "context"), [(2**22, None), (20, 3)])
def test_texts_come_back_however_blocks_are_cut(tmp_path, listed, cells, context, monkeypatch):
    for module in ("dumps.layouts.columns", "dumps.layouts.tables", "policies.write"):
        monkeypatch.setattr(f"kt_theory.{module}.CELLS", cells)
    once = kt.store(listed, "even_tail(3)", tmp_path / "once.parquet")
    twice = kt.store(Dump.read(once), "even_tail(3)", tmp_path / "twice.parquet")
    wanted = Dump.read(tmp_path / "in_*.parquet", labels=LABELS, context=context)
    for path in (once, twice):
        back = Dump.read(path, context=context)
        for name in ("following", "contexts", *(["histories"] if context else [])):
            np.testing.assert_array_equal(column(back, name), column(wanted, name))
        np.testing.assert_array_equal(column(back, "labels"), column(wanted, "labels")[:, :3])
        np.testing.assert_allclose(
            column(back, "logprobs"), column(wanted, "logprobs")[:, :3], rtol=1e-6
        )
        for start in (0, 1, 13, len(column(wanted, "following")) - 1):
            rest = np.concatenate([block.contexts for block in back.blocks(start)])
            np.testing.assert_array_equal(rest, column(wanted, "contexts")[start:])


def test_distillkit_s_layout_has_a_row_for_each_text(tmp_path, monkeypatch):
    found = texts(lengths=(9, 2, 14), missing=1)
    write_plain(tmp_path / "in.parquet", found)
    for cells in (2**22, 11):
        monkeypatch.setattr("kt_theory.dumps.layouts.columns.CELLS", cells)
        monkeypatch.setattr("kt_theory.dumps.layouts.tables.CELLS", cells)
        monkeypatch.setattr("kt_theory.policies.text_rows.CELLS", cells)
        source = Dump.read(tmp_path / "in.parquet", labels=LABELS)
        path = kt.store(source, "renormalised(3)", tmp_path / "out.parquet", layout="distillkit")
        table = pq.read_table(path).to_pydict()
        assert table["input_ids"] == [text.tokens for text in found]
        assert table["token_ids"] == [
            [[a for a, _ in row[:3]] for row in text.rows] for text in found
        ]
        sums = [np.log(sum(np.exp(v) for _, v in row[:3])) for text in found for row in text.rows]
        values = [[v for _, v in row[:3]] for text in found for row in text.rows]
        np.testing.assert_allclose(
            [row for text in table["top_values"] for row in text],
            np.array(values) - np.array(sums)[:, None],
            atol=1e-6,
        )
        back = Dump.read(path)
        assert back.labels == LABELS
        assert back.renormalised
        assert back.parts[0].positions is None
        np.testing.assert_array_equal(column(back, "contexts"), column(source, "contexts"))


def refused(match, *arguments, **options):
    with pytest.raises((ValueError, OSError), match=match) as error:
        kt.store(*arguments, **options)
    assert "\n" not in str(error.value)


def test_what_cannot_be_stored_is_refused_and_nothing_is_written(tmp_path, listed, dump, pi):
    path = tmp_path / "out.parquet"
    refused("stores 6 labels of each row: the dump lists 5", listed, "renormalised(6)", path)
    refused("'soft' needs whole rows: the dump lists 5", listed, "soft", path)
    refused("'sampled\\(9\\)' needs whole rows", listed, "sampled(9)", path)
    refused("stores 0.9999 of the mass of each row: the dump lists", listed, "top_p(0.9999)", path)
    refused("unknown policy", dump, "renormalized(3)", path)
    refused("layout 'parquet'.*must be one of", dump, "soft", path, layout="parquet")
    refused("must end in .parquet", dump, "soft", tmp_path / "out.npz")
    refused("seed = -1", dump, "soft", path, seed=-1)
    refused("source = .*: must be a Dump or a Teacher", pi, "soft", path)
    refused("the folder .* does not exist", dump, "soft", tmp_path / "no" / "out.parquet")
    refused("is an input", listed, "renormalised(3)", tmp_path / "in_1.parquet")
    refused("'soft' has not; layout='kt_theory'", dump, "soft", path, layout="distillkit")
    refused("'top_p\\(0.9\\)' has not", dump, "top_p(0.9)", path, layout="distillkit")
    drawn = kt.store(dump, "sampled(9, probabilities=true)", tmp_path / "drawn.parquet")
    refused("labels that were drawn", Dump.read(drawn), "renormalised(2)", path)
    rows = Dump.from_arrays(pi, kind="probabilities")
    refused("the dump has none", rows, "renormalised(3)", path, layout="distillkit")
    refused("token 3 of one has none", listed, "renormalised(3)", path, layout="distillkit")
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".kt*"))


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"version": 2}, "version is not 1"),
        ({"labels": 0}, "labels = 0"),
        ({"labels": 3}, "row 1 (has the label|is followed by the token)"),
        ({"values": {}}, "values = {}: must hold kind"),
        ({"whole": True}, "position 1 has 3 numbers in 'values', 40 are needed"),
        (None, "what it says of itself is damaged"),
    ],
)
def test_damaged_notes_are_refused(tmp_path, dump, changed, match):
    path = kt.store(dump, "renormalised(3)", tmp_path / "a.parquet")
    table, held = pq.read_table(path), pq.ParquetFile(path).metadata.metadata[b"kt_theory"]
    notes = b"{" if changed is None else json.dumps({**json.loads(held), **changed}).encode()
    pq.write_table(table.replace_schema_metadata({b"kt_theory": notes}), path)
    with pytest.raises(ValueError, match=match):
        list(Dump.read(path).blocks())
    pq.write_table(table, path)
    with pytest.raises(ValueError, match="was not written by"):
        Dump.read(path)


def test_rows_that_do_not_go_together_are_refused(tmp_path, dump):
    path = kt.store(dump, "renormalised(3)", tmp_path / "a.parquet")
    table, notes = pq.read_table(path), pq.ParquetFile(path).metadata.metadata
    labels = table["labels"].to_pylist()
    labels[4] = labels[4][:2]
    place = table.column_names.index("labels")
    table = table.set_column(place, "labels", pa.array(labels, pa.list_(pa.uint8())))
    pq.write_table(table.replace_schema_metadata({b"kt_theory": notes[b"kt_theory"]}), path)
    with pytest.raises(ValueError, match="position 5 has 2 labels and 3 values"):
        list(Dump.read(path).blocks())


def test_a_text_of_one_token_is_not_taken_for_the_start_of_the_next(tmp_path):
    """Two texts that begin alike, each at the edge of a file."""
    row = [(1, -0.5), (2, -1.5)]
    write_plain(tmp_path / "in_1.parquet", [Text([7, 8, 9], [row, row])])
    write_plain(tmp_path / "in_2.parquet", [Text([7, 8, 5], [row, row, row])])
    source = Dump.read(tmp_path / "in_*.parquet", labels=LABELS)
    back = Dump.read(kt.store(source, "even_tail(1)", tmp_path / "out.parquet"))
    assert column(back, "following").tolist() == [8, 9, 8, 5, -1]
    np.testing.assert_array_equal(column(back, "contexts"), column(source, "contexts"))
