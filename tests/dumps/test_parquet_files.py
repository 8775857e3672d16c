"""Which files make a dump, and what is refused of them in one line."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dumps.layouts_parquet import LABELS, Text, nested, texts, write_compressed, write_plain

from kt_theory import Dump, storage


def tokens_of(dump):
    return [block.following[:-1].tolist() for block in dump.blocks()]


@pytest.fixture
def folder(tmp_path):
    """Files 1, 2 and 10, a text each, beside files that are no part of the dump."""
    for number in (10, 2, 1):
        write_plain(tmp_path / f"data_{number}.parquet", texts(number, (9,), missing=0))
    (tmp_path / "README.md").write_text("a dump")
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / ".cache").mkdir()
    write_plain(tmp_path / ".cache" / "old.parquet", texts(5, (9,)))
    return tmp_path


def test_a_folder_a_pattern_and_a_list_are_files_in_natural_order(folder):
    wanted = [texts(number, (9,))[0].tokens[1:] for number in (1, 2, 10)]
    names = [folder / f"data_{number}.parquet" for number in (1, 2, 10)]
    for path in (folder, str(folder), folder / "data_*.parquet", folder / "**/data_*", names):
        assert tokens_of(Dump.read(path, labels=LABELS)) == wanted
    assert tokens_of(Dump.read(names[::-1], labels=LABELS)) == wanted[::-1]
    deep = folder / "shards" / "train"
    deep.mkdir(parents=True)
    (folder / "data_2.parquet").rename(deep / "data_2.parquet")
    assert sorted(map(len, tokens_of(Dump.read(folder, labels=LABELS)))) == [8, 8, 8]


def test_a_part_goes_to_a_worker(folder):
    dump = Dump.read(folder, labels=LABELS, context=2)
    parts = [pickle.loads(pickle.dumps(part)) for part in dump.split()]
    assert [tokens_of(part)[0] for part in parts] == tokens_of(dump)


def summed(dump):
    """What a worker says of a part: rows, and sums that only the right rows have."""
    found = [(len(b), b.logprobs.sum(), int(b.following.sum())) for b in dump.blocks()]
    return tuple(map(sum, zip(*found, strict=True)))


@pytest.mark.long
def test_parts_are_read_on_a_cluster(tmp_path):
    """A Parquet data set of many files, on two workers of Dask, and its table to the same bits."""
    from distributed import Client, LocalCluster

    for number in range(6):
        write_plain(tmp_path / f"data_{number}.parquet", texts(number, (40, 30), missing=0))
    dump = Dump.read(tmp_path, labels=LABELS)
    wanted = [summed(part) for part in dump.split()]
    assert len(set(wanted)) == 6
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        assert client.gather(client.map(summed, dump.split())) == wanted
        table = storage(dump, ["renormalised(2)"], executor=client.get_executor())
    assert table.frame.equals(storage(dump, ["renormalised(2)"]).frame)


def refused(match, path, **options):
    with pytest.raises((ValueError, OSError), match=match) as error:
        for _ in Dump.read(path, **options).blocks():
            pass
    assert "\n" not in str(error.value)


def test_what_is_no_dump_is_refused(tmp_path, folder):
    refused("no such file|No such file", tmp_path / "none.parquet")
    refused("no file has such a name", tmp_path / "none*.parquet")
    refused("is named twice", [folder, folder / "data_1.parquet"])
    refused("name at least one file", [])
    refused("a dump's files end in .*parquet", folder / "README.md")
    (tmp_path / "empty").mkdir()
    refused("holds no file that ends in", tmp_path / "empty")
    refused("did you mean 'distillkit'", folder, format="destilkit")
    refused("must be one of", folder, kind="natural")
    refused("labels = 0: must be at least 1", folder, labels=0)
    (folder / "a.jsonl").write_text("{}\n")
    refused("several kinds, .jsonl and .parquet", folder)


def test_the_nearest_layout_is_named_with_what_is_lacking(tmp_path):
    columns = {"input_ids": pa.array([[1, 2]]), "token_ids": pa.array([[[1], [2]]])}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    refused("has input_ids, token_ids: .* nearest is distillkit .* lacks top_values", tmp_path)
    refused("has no column 'top_values'", tmp_path, format="distillkit")
    refused("has no column 'teacher_topk_ids'", tmp_path, format="sidecar")


def test_files_of_a_dump_agree(tmp_path):
    write_plain(tmp_path / "a.parquet", texts())
    pairs = {
        "topk_ids": nested([[[1]]], pa.int32()),
        "topk_logprobs": nested([[[-1.0]]], pa.float32()),
    }
    pq.write_table(pa.table(pairs), tmp_path / "b.parquet")
    refused("a.parquet has the layout distillkit, .*b.parquet that of sidecar", tmp_path)


def test_vocabularies_of_files_agree(tmp_path):
    row = [(1, -0.5), (2, -1.5)]
    for labels in (300, 512):
        place = tmp_path / f"of_{labels}"
        place.mkdir()
        held = {
            "d": labels, "k": 2, "exact_k": 2, "exact_dtype": "float32", "polynomial_terms": [],
            "residual_bins": [], "delta_encoding": False, "normalize_t": False,
        }  # fmt: skip
        write_compressed(place / "a.parquet", [Text([1, 2], [row])], {**held, "term_dtype": ""})
        (place / "compression_config.json").write_text(json.dumps(held))
    refused("of_300.* has 300 labels and .*of_512.* 512", tmp_path)
    assert Dump.read(tmp_path / "of_512").labels == 512


def plain(folder, tokens, ids, values):
    columns = {
        "input_ids": pa.array(tokens, pa.list_(pa.int64())),
        "token_ids": nested(ids, pa.int64()),
        "top_values": nested(values, pa.float32()),
    }
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path)
    return path


GOOD = ([[1, 2, 3]], [[[4, 5], [6, 7]]], [[[-1.0, -2.0], [-1.0, -2.0]]])


@pytest.mark.parametrize(
    ("place", "wrong", "match"),
    [
        (0, [[1]], "text 1 has 2 positions and 1 tokens: there can be at most one"),
        (1, [[[4, 5]]], "text 1 has 1 positions in 'token_ids' and 2 in 'top_values'"),
        (1, [[[4, 5], [6]]], "position 2 has 1 token_ids and 2 top_values"),
        (1, [[[4, 5], [6, 6]]], "row 2 lists the label 6 twice"),
        (1, [[[4, 5], [6, 400]]], "row 2 has the label 400: labels are 0 to 299"),
        (1, [[[4, 5], [2**33, 6]]], "row 2 has the label 8589934592"),
        (1, [[[4, 5], [-7, 6]]], "row 2 has the label -7"),
        (2, [[[-1.0, -2.0], [11.7, 3.0]]], "row 2 has the value 11.7, above 0"),
        (2, [[[-1.0, -2.0], [-0.1, -0.2]]], "row 2 has probabilities that sum to 1.72"),
        (2, [[[-1.0, -2.0], [-0.5, float("nan")]]], "row 2 has the value nan"),
        (2, [[[-1.0, -2.0], [-0.5, float("inf")]]], "row 2 has the value inf"),
    ],
)
def test_a_wrong_row_is_refused_by_its_number(tmp_path, place, wrong, match):
    columns = list(GOOD)
    columns[place] = wrong
    refused(match, plain(tmp_path, *columns), labels=LABELS)


def test_numbers_of_texts_and_positions_count_from_the_start_of_a_file(tmp_path, monkeypatch):
    tokens, ids, values = (column * 40 for column in GOOD)
    path = plain(tmp_path, [*tokens, [1]], [*ids, ids[0]], [*values, values[0]])
    monkeypatch.setattr("kt_theory.dumps.layouts.columns.CELLS", 20)
    refused("text 41 has 2 positions and 1 tokens", path, labels=LABELS)
    path = plain(tmp_path, [*tokens, tokens[0]], [*ids, [[4, 5], [6, 6]]], [*values, values[0]])
    refused("row 82 lists the label 6 twice", path, labels=LABELS)


def test_rows_may_be_unsorted_and_of_several_lengths(tmp_path):
    ids, values = [[[4, 5, 9], [6]]], [[[-3.0, -1.0, -2.0], [-0.5]]]
    (block,) = Dump.read(plain(tmp_path, [[1, 2, 3]], ids, values), labels=LABELS).blocks()
    assert block.labels.tolist() == [[5, 9, 4], [6, -1, -1]]
    np.testing.assert_array_equal(block.logprobs, [[-1, -2, -3], [-0.5, -np.inf, -np.inf]])


@pytest.mark.parametrize(("ids", "values"), [("uint16", "float16"), ("int64", "float64")])
def test_what_is_null_is_not_listed(tmp_path, ids, values):
    columns = {
        "input_ids": pa.array([[1, 2, 3], None, [4]], pa.list_(pa.uint32())),
        "token_ids": nested([[[4, 5, None], [6, None, None]], None, None], getattr(pa, ids)()),
        "top_values": nested(
            [[[-1.0, -2.0, None], [-0.5, None, None]], None, None], getattr(pa, values)()
        ),
        "loss_mask": pa.array([[True, True, None], None, [True]], pa.list_(pa.bool_())),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (block,) = Dump.read(tmp_path / "a.parquet", labels=LABELS).blocks()
    assert block.labels.tolist() == [[4, 5, -1]]
    np.testing.assert_array_equal(block.logprobs, [[-1, -2, -np.inf]])
    assert block.following.tolist() == [2]
    assert block.skipped == {"masked out": 1}


def test_damaged_and_empty_files_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_plain(path, texts())
    whole = path.read_bytes()
    for size in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused("a.parquet is not a Parquet file, or a damaged one", path)
    place = whole.index(b"PAR1") + 4
    path.write_bytes(whole[:place] + b"\xff" * 60 + whole[place + 60 :])
    refused("a.parquet is not a Parquet file, or a damaged one", path)
    write_plain(path, [])
    refused("holds no position", path)
    write_plain(path, [Text([3], []), Text([], [])])
    refused("holds no position", path)


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("token_ids", [[["a"]]], "column 'token_ids' holds list.*string.*must hold lists of lists"),
        (
            "top_values",
            [[0.5]],
            "column 'top_values' holds list.*must hold lists of lists of numbers",
        ),
        ("input_ids", [[[1]]], "column 'input_ids' holds .*must hold lists of numbers"),
        (
            "attention_mask",
            [1],
            "column 'attention_mask' holds int64: it must hold lists of numbers",
        ),
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, column, values, match):
    columns = {"input_ids": [[1]], "token_ids": [[[1]]], "top_values": [[[-0.5]]], column: values}
    pq.write_table(pa.table({k: pa.array(v) for k, v in columns.items()}), tmp_path / "a.parquet")
    refused(match, tmp_path / "a.parquet")


def test_a_file_made_to_fill_the_memory_is_refused(tmp_path):
    count = 2**24 + 1
    edges = pa.array([0, count], pa.int32())
    inner = pa.ListArray.from_arrays(edges, pa.array(np.zeros(count, dtype=np.int8)))
    columns = {
        "input_ids": pa.array([[1]]),
        "token_ids": pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), inner),
        "top_values": pa.array([[[-0.5]]]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", compression="zstd")
    refused("holds 67,108,868 bytes, over 500 times its size", tmp_path / "a.parquet")


SETTINGS = {"d": 300, "k": 4, "exact_k": 2, "polynomial_terms": [0], "residual_bins": []}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"k": "many"}, "s.json: k = 'many': must be a whole number"),
        ({"k": 400}, "s.json: k = 400: must be at most 300"),
        ({"exact_dtype": "int8"}, "s.json: exact_dtype = 'int8': must be one of float16"),
        ({"polynomial_terms": ["log"]}, "s.json: polynomial_terms = 'log': .*or 'sqrt' or 'exp'"),
        ({"residual_bins": [3]}, "s.json: residual_bins holds 3"),
        ({"residual_bins": [{"scale_dtype": "float16"}]}, "s.json: 'element_bits' is missing"),
        (
            {"residual_bins": [{"scale_dtype": "float16", "element_bits": 3, "num_elements": 9}]},
            "s.json: residual_bins hold more than k - exact_k = 2",
        ),
        ({"zip": True}, "s.json: unknown settings zip"),
        ({"delta_encoding": "yes"}, "s.json: delta_encoding = 'yes': must be True or False"),
        ({"exact_k": 1}, "position 1 has 12 numbers in 'compressed_logprobs', 8 are needed"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, changed, match):
    held = {**SETTINGS, "exact_dtype": "float32", "term_dtype": "float32"}
    full = {**held, "delta_encoding": False, "normalize_t": False}
    row = [(1, -1.0), (2, -2.0), (3, -3.0), (4, -3.5)]
    write_compressed(tmp_path / "a.parquet", [Text([1, 2], [row])], full)
    (tmp_path / "s.json").write_text(json.dumps({**held, **changed}))
    refused(match, tmp_path / "a.parquet", options=tmp_path / "s.json")


def test_settings_that_are_no_settings_are_refused(tmp_path):
    full = {**SETTINGS, "exact_dtype": "float32", "term_dtype": "float32",
            "delta_encoding": False, "normalize_t": False}  # fmt: skip
    write_compressed(tmp_path / "a.parquet", [Text([1, 2], [[(1, -1.0)] * 4])], full)
    for name, text, match in (
        ("a.json", "{", "a.json is not JSON"),
        ("a.json", "[1]", r"a.json holds \[1\]: must hold settings by name"),
        ("a.yaml", "a: [", "a.yaml is not YAML"),
        ("a.yaml", "\xff", "a.yaml .*"),
    ):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
        refused(match, tmp_path / "a.parquet", options=tmp_path / name)
