"""Files: JSON arrays, CSV by columns and row by row, and inputs that are no records at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from grids import few_quick, grid
from transfer_cases import FORMATS, RECORDS, plain, stated

from kt_theory.cli.fit import fit_command
from kt_theory.transfer.read import json_files, tables
from kt_theory.transfer.sets import TransferSet

DOCS = [plain(*record) for record in RECORDS]
SHOWN = [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS]


def array_file(tmp_path, text, name="a.json"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_order_of_labels_does_not_depend_on_how_long_records_are(tmp_path):
    docs = [
        FORMATS["openai_chat"]("q", f"a{i}", -0.5, {f"a{i}": -0.5, f"b{i}": -2.0})
        for i in range(300)
    ]
    read = []
    for size in (0, 5000):
        lines = [json.dumps({**doc, "note": "x" * size}) + "\n" for doc in docs]
        read.append(TransferSet.read(array_file(tmp_path, "".join(lines), f"{size}.jsonl")))
    short, long = read
    assert short.label_names == long.label_names
    np.testing.assert_array_equal(short.sampled, long.sampled)
    np.testing.assert_array_equal(short.entry_label, long.entry_label)


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DOCS),
        json.dumps(DOCS, indent=2),
        "\ufeff \n" + json.dumps(DOCS) + "\n\n",
        "[\n" + ",\n".join(json.dumps(doc) for doc in DOCS) + "\n]\n",
        "[" + ",\r\n".join(json.dumps(doc) for doc in DOCS) + "]",
    ],
    ids=["compact", "indented", "marked", "a record a line", "windows"],
)
def test_one_json_array_of_records(text, suffix, tmp_path, monkeypatch):
    path = array_file(tmp_path, text, f"a.{suffix}")
    for block in (1 << 20, 1, 7, 64):
        monkeypatch.setattr(json_files, "_BLOCK", block)
        transfer = TransferSet.read(path)
        assert stated(transfer) == SHOWN
        assert transfer.account.outcomes == {"read": 4}
        monkeypatch.undo()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_as_an_array(name, tmp_path):
    path = array_file(
        tmp_path, json.dumps([FORMATS[name](*record) for record in RECORDS], indent=1)
    )
    transfer = TransferSet.read(path)
    assert stated(transfer) == SHOWN
    assert transfer.account.format == name


def test_the_account_of_an_array_counts_its_elements(tmp_path):
    good, odd = json.dumps(DOCS[0]), '{"input": "\\ud800", "label": "a"}'
    path = array_file(
        tmp_path,
        f'[{good}, 7, null, [1], {good}, {odd}, {{"input": "q", "label": "a", "logprob": NaN}}]',
    )
    account = TransferSet.read(path).account
    assert account.outcomes == {"read": 3, "malformed": 4}
    assert [line for line, _, _ in account.skipped] == [2, 3, 4, 6]
    with pytest.raises(ValueError, match=r"a\.json line 2: not a JSON object"):
        TransferSet.read(path, on_error="raise")


@pytest.mark.parametrize(
    ("end", "messages"),
    [
        ("", ["the array does not end"]),
        (
            ', {"input": "q", "lab',
            ["not JSON: the line is cut off (column 20)", "the array does not end"],
        ),
        (", oops, {}]", ["not JSON: ", "input is missing"]),
        ("] {}", ["something stands after the end of the array"]),
    ],
)
def test_arrays_that_break_off_say_so(end, messages, tmp_path):
    account = TransferSet.read(array_file(tmp_path, f"[{json.dumps(DOCS[0])}{end}")).account
    assert account.outcomes == {"read": 1, "malformed": len(messages)}
    assert all(
        message in why for message, (_, _, why) in zip(messages, account.skipped, strict=True)
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"input": "q", "lab', "the line is cut off (column 20)"),
        ('{"input": "é", "lab', "the line is cut off (column 20)"),
        ('data: {"input": "q"', "the line is cut off (column 20)"),
        ('{"input": "q" 1}', "unexpected character, expected ',' or '}', column 15"),
        ('data: {"input": "q" 1}', "unexpected character, expected ',' or '}', column 21"),
        ('{"input": NaN, "b": NaN, "c" 1}', "unexpected character, expected ':' after key"),
        ('{"input": "q",}', "trailing comma is not allowed, column 14"),
    ],
)
def test_a_line_that_is_no_json_has_one_number(line, why, tmp_path):
    path = array_file(tmp_path, f"{json.dumps(DOCS[0])}\n{line}\n", "a.jsonl")
    assert TransferSet.read(path).account.skipped == [(2, "malformed", f"not JSON: {why}")]


def test_an_array_that_is_no_text_or_empty(tmp_path):
    account = TransferSet.read(array_file(tmp_path, b'[{"input": "q", "label": "\xff"}]')).account
    assert account.outcomes == {"malformed": 1}
    assert "not valid UTF-8" in account.skipped[0][2]
    assert TransferSet.read(array_file(tmp_path, "[]")).account.lines == 0


def test_lines_that_begin_with_an_array_stay_lines(tmp_path):
    path = array_file(tmp_path, "[1, 2]\n" + "".join(json.dumps(doc) + "\n" for doc in DOCS))
    assert TransferSet.read(path).account.outcomes == {"read": 4, "malformed": 1}


def test_numbers_that_are_no_json_are_read_and_texts_left_alone(tmp_path):
    line = '{"input": "NaN, -Infinity \\" NaN", "label": "Infinity", "logprob": NaN, "top_logprobs": {"NaN": -Infinity}}'
    found = TransferSet.read(array_file(tmp_path, line, "a.jsonl"))
    (record,) = stated(found)
    assert record[:2] == ('NaN, -Infinity " NaN', "Infinity")
    assert list(record[2]) == ["Infinity", "NaN"]
    assert found.account.censored == 2
    odd = [
        '{"input": "q", "label": "a", "logprob": Infinity}',
        '{"input": "q", "label": "a", "prob": NaN}',
    ]
    found = TransferSet.read(array_file(tmp_path, "\n".join(odd), "a.jsonl"))
    assert found.account.outcomes == {"read": 1, "malformed": 1}
    assert found.account.censored == 1


@pytest.mark.parametrize("block", [1, 3, 50, 1 << 20])
def test_arrays_are_cut_between_elements(block, tmp_path, monkeypatch):
    names = ["a, b", "[{", "}]", '"', "\\", '\\"', '\\\\",{', "\u00e9\U0001f600", ""]
    docs = [{"input": name, "label": "a", "extra": [{name: [name]}, []]} for name in names]
    monkeypatch.setattr(json_files, "_BLOCK", block)
    for text in (json.dumps(docs), json.dumps(docs, indent=1, ensure_ascii=False)):
        assert [
            record[0] for record in stated(TransferSet.read(array_file(tmp_path, text)))
        ] == names


def csv_bytes(rows, header=("input", "label", "logprob", "top_logprobs"), end="\n"):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def rows_of(count, rng):
    for _ in range(count):
        tops = {
            f"a{j}": -float(rng.exponential()) for j in rng.permutation(6)[: rng.integers(0, 4)]
        }
        question = ["q", "zwei Wörter, \u4f60", 'say "hi"', "two\nlines", " padded ", "1.0", "NA"][
            rng.integers(7)
        ]
        label, own = f"a{rng.integers(6)}", [-0.5, -1e-9, -9999.0, "nan", "-inf"][rng.integers(5)]
        if label in tops and own in (-0.5, -1e-9):
            tops[label] = own
        yield [question, label, own, json.dumps(tops)]


def careful(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tables, "_columns", lambda *arguments: None)
        return TransferSet.read(path)


def same(one, other):
    assert one.account.skipped == other.account.skipped
    assert (one.account.lines, one.account.censored) == (
        other.account.lines,
        other.account.censored,
    )
    for left, right in zip(stated(one), stated(other), strict=True):
        assert left[:2] == right[:2]
        assert left[2].keys() == right[2].keys()
        np.testing.assert_array_equal([left[2][a] for a in left[2]], [right[2][a] for a in left[2]])


@pytest.mark.parametrize("end", few_quick(["\n", "\r\n"], ["\r\n"]))
def test_csv_by_columns_is_csv_row_by_row(end, tmp_path, monkeypatch):
    path = array_file(tmp_path, csv_bytes(rows_of(300, np.random.default_rng(0)), end=end), "a.csv")
    expected = careful(path, monkeypatch)
    assert expected.account.outcomes == {"read": 300}
    for block in (1 << 22, 1000, 100, 1):
        monkeypatch.setattr(tables, "_BLOCK", block)
        same(TransferSet.read(path), expected)


@pytest.mark.parametrize("files", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_damaged_csv_is_read_alike_both_ways(files, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    whole = csv_bytes(rows_of(40, rng))
    head = whole.index(b"\n") + 1
    for _ in range(files):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(head, len(data))] = rng.choice(list(b'",\n\r{}x0\x00\xff-'))
        path = array_file(tmp_path, bytes(data), "a.csv")
        expected = careful(path, monkeypatch)
        monkeypatch.setattr(tables, "_BLOCK", int(rng.choice([50, 300, 1 << 22])))
        same(TransferSet.read(path), expected)
        account = expected.account
        assert account.lines == sum(account.outcomes.values())


def test_columns_that_are_nobodys_business_are_left_alone(tmp_path):
    header = ("id", "input", "label", "note")
    path = array_file(tmp_path, csv_bytes([[i, "q", "a", ""] for i in range(3)], header), "a.csv")
    assert TransferSet.read(path).account.outcomes == {"read": 3}
    path = array_file(
        tmp_path, csv_bytes([["x", "a", 0.7]], ("input", "label", "temperature")), "a.csv"
    )
    assert TransferSet.read(path, as_sampled=True).account.other_sampling == 1
    path = array_file(tmp_path, csv_bytes([["x", "a"]], ("question", "label")), "a.csv")
    assert TransferSet.read(path, input="question").input_names == ("x",)


def test_csv_of_other_shapes(tmp_path):
    cases = {
        b"\xef\xbb\xbf" + csv_bytes([["q", "a"]], ("input", "label")): {"read": 1},
        b"input,label\rq,a\rr,b": {"read": 2},
        b"input,label\nq,a": {"read": 1},
        b"input,label\nq,\xff\nr,b\n": {"read": 1, "malformed": 1},
        b'input,label\nq,"a\n': {"read": 1},
        b"input,label\n" + b"x" * 10**6 + b",a\nr,b\n": {"read": 2},
        b"input,label\n\n" + b"x" * 10**6 + b",a\n": {"read": 1, "blank": 1},
        b"input,label\n": {},
        b"": {},
    }
    for data, outcomes in cases.items():
        assert TransferSet.read(array_file(tmp_path, data, "a.csv")).account.outcomes == outcomes, (
            data[:40]
        )


def tops_of(kind, rng, own):
    """Cells of top_logprobs that agree with {label: log-probability}, as Parquet may hold them, and the Arrow type."""
    import pyarrow as pa

    labels = [f"a{j}" for j in range(5)]
    tops = [
        {a: -float(rng.exponential(300)) for a in rng.permutation(labels)[: rng.integers(4)]}
        for _ in own
    ]
    for top, (label, value) in zip(tops, own, strict=True):
        if label in top and value is not None:
            top[label] = value
    pair = pa.struct({"label": pa.string(), "logprob": pa.float64()})
    return {
        "json": ([json.dumps(top) for top in tops], pa.string()),
        "large json": ([json.dumps(top) for top in tops], pa.large_string()),
        "struct": (tops, pa.struct({a: pa.float64() for a in labels})),
        "map": ([list(top.items()) for top in tops], pa.map_(pa.string(), pa.float64())),
        "list": (
            [[{"label": a, "logprob": v} for a, v in top.items()] for top in tops],
            pa.list_(pair),
        ),
        "nulls": ([list(top.items()) or None for top in tops], pa.map_(pa.string(), pa.float64())),
        "none": (None, None),
    }[kind]


KINDS = ["json", "large json", "struct", "map", "list", "nulls", "none"]


@pytest.mark.parametrize(
    ("kind", "odd"),
    grid(KINDS, [False, True], quick=[(kind, at % 2 == 1) for at, kind in enumerate(KINDS)]),
)
def test_parquet_by_columns_is_parquet_row_by_row(kind, odd, tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    n = 100
    own = [None if odd and i % 90 == 50 else -float(rng.exponential(300)) for i in range(n)]
    labels = [f"a{rng.integers(6)}" for _ in range(n)]
    columns = {
        "input": pa.array(rng.integers(0, 9, n))
        if odd
        else pa.array([f"q{i % 7}" for i in range(n)]).dictionary_encode(),
        "label": pa.array(labels),
        "logprob": pa.array(own),
        "note": pa.array(["x"] * n),
    }
    cells, form = tops_of(kind, rng, list(zip(labels, own, strict=True)))
    if cells is not None:
        columns["top_logprobs"] = pa.array(cells, form)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=35)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "_of_table", lambda *arguments: None)
        expected = TransferSet.read(path)
    if not odd:
        monkeypatch.setattr(tables, "_parquet_record", None)
    for batch in (1 << 16, 30, 1):
        monkeypatch.setattr(tables, "_BATCH", batch)
        found = TransferSet.read(path)
        same(found, expected)
        assert found.account.outcomes == {"read": n}
        assert set(found.label_names) == set(expected.label_names)
    declared = TransferSet.read(path, labels=["a1", "a2"])
    assert declared.account.outcomes == {"read": n}
    assert declared.labels[:2] == ("a1", "a2")


def test_parquet_cells_out_of_the_ordinary_are_read_row_by_row(tmp_path):
    frame = pd.DataFrame(
        {
            "input": ["q", "q", None, "r"],
            "label": ["a", "", "b", "b"],
            "logprob": [-1.0, -1, -1, 0.5],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    account = TransferSet.read(tmp_path / "a.parquet").account
    assert account.outcomes == {"read": 1, "malformed": 2, "no label": 1}
    twice = [[{"label": "a", "logprob": -1.0}, {"label": "a", "logprob": -2.0}]]
    pd.DataFrame({"input": ["q"], "label": ["b"], "top_logprobs": twice}).to_parquet(
        tmp_path / "a.parquet"
    )
    assert stated(TransferSet.read(tmp_path / "a.parquet")) == [("q", "b", {"a": -1.0})]


def test_declared_labels_in_columns(tmp_path):
    expected = TransferSet.read(array_file(tmp_path, json.dumps(DOCS)), labels=["no", "yes"])
    rows = [[q, a, own, json.dumps(tops)] for q, a, own, tops in RECORDS]
    found = TransferSet.read(array_file(tmp_path, csv_bytes(rows), "a.csv"), labels=["no", "yes"])
    assert stated(found) == stated(expected) == SHOWN
    assert found.account.outcomes == expected.account.outcomes == {"read": 4}
    assert found.labels == expected.labels == ("no", "yes", "perhaps")
    assert found.input_names == ("Is it raining?", "Is it late?")


def test_unicode_labels_and_very_long_lines(tmp_path):
    names = ["\u00e9", "e\u0301", "\U0001f600", "\u4f60\u597d", " a", "a ", "x" * 10**6]
    path = array_file(
        tmp_path, "".join(json.dumps({"input": "q", "label": a}) + "\n" for a in names), "a.jsonl"
    )
    assert TransferSet.read(path).label_names == tuple(names)
    frame = pd.DataFrame({"input": "q", "label": names})
    frame.to_parquet(tmp_path / "a.parquet")
    assert TransferSet.read(tmp_path / "a.parquet").label_names == tuple(names)
    with pytest.raises(
        ValueError, match="column 'question' is missing; the columns are input, label"
    ):
        TransferSet.read(tmp_path / "a.parquet", input="question")


def zstd(data):
    """Data as zstd packs them."""
    import pyarrow as pa

    return pa.Codec("zstd").compress(data, asbytes=True)


GOOD = json.dumps(DOCS[0]).encode() + b"\n"
BAD = {
    "empty.jsonl": (b"", "transfer holds no records"),
    "empty.json": (b"[]", "transfer holds no records"),
    "empty.csv": (b"", "transfer holds no records"),
    "empty.parquet": (b"", "is not a Parquet file"),
    "blank.jsonl": (b"\n \n", "line 1: blank line"),
    "binary.jsonl": (bytes(range(256)) * 40, "line 1: not JSON"),
    "binary.csv": (bytes(range(256)) * 40, "is not a CSV file"),
    "binary.parquet": (bytes(range(256)), "is not a Parquet file"),
    "zipped.jsonl": (
        b"PK\x03\x04" + GOOD,
        "is compressed, zip: of compressed files, those of gzip and zstd are read",
    ),
    "zipped.csv": (b"BZh9" + GOOD, "is compressed, bzip2"),
    "cut.jsonl.gz": (gzip.compress(GOOD * 99)[:-20], "its gzip data are damaged or break off"),
    "damaged.jsonl.gz": (
        gzip.compress(GOOD)[:12] + b"xxxxxxxxxxxxxxxx",
        "its gzip data are damaged or break off",
    ),
    "cut.jsonl.zst": (zstd(GOOD * 99)[:-5], "its zstd data are damaged or break off"),
    "wrong.txt.tar": (GOOD, "must be .jsonl, .ndjson, .json"),
    "wrong.jsonl": (b"PAR1" + GOOD, "is a Parquet file"),
    "utf16.jsonl": (GOOD.decode().encode("utf-16"), "is UTF-16"),
    "utf16.csv": ("input,label\nq,a\n".encode("utf-16"), "is not a CSV file"),
    "twice.csv": (
        b"input,label,label\nq,a,b\n",
        "column 'label' is named twice, as columns 2 and 3",
    ),
    "unnamed.csv": (
        b"q,a\nr,b\n",
        "column 'input' is missing; the columns are q, a (the first line is taken for names);",
    ),
    "nan.jsonl": (
        b'{"input": "q", "logprob": NaN}\n',
        "line 1: no known format: nearest is plain, but 'label' is missing",
    ),
    "long.jsonl": (b"x" * 10**6, "line 1: not JSON"),
    "notext.jsonl": (b'{"a": "\xff"}', "line 1: not JSON"),
    "deep.jsonl": (b"[" * 10**5, "not JSON"),
    "hot.jsonl": (
        GOOD.replace(b"{", b'{"temperature": 0.2, ', 1),
        "do not follow the teacher's own distribution: drawn under temperature = 0.2 (line 1)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_and_nothing_is_written(name, tmp_path):
    data, message = BAD[name]
    path = array_file(tmp_path, data, name)
    result = CliRunner().invoke(
        fit_command, [str(path), "--out", str(tmp_path / "copy.csv")], catch_exceptions=False
    )
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1
    assert len(result.output) < 500 + len(str(path))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", ["folder", "missing", "forbidden", "no place for the copy"])
def test_paths_that_cannot_be_used(kind, tmp_path):
    path, out, message = tmp_path / "a.jsonl", tmp_path / "copy.csv", "No such file"
    if kind == "folder":
        path.mkdir()
        message = "is a folder"
    elif kind != "missing":
        path.write_bytes(GOOD)
    if kind == "forbidden":
        if os.geteuid() == 0:
            pytest.skip("the superuser may read everything")
        path.chmod(0)
        message = "Permission denied"
    elif kind == "no place for the copy":
        out.mkdir()
        message = "is a folder"
    result = CliRunner().invoke(fit_command, [str(path), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_a_disk_that_fails_leaves_the_old_copy(tmp_path, monkeypatch):
    path, out = array_file(tmp_path, GOOD, "a.jsonl"), array_file(tmp_path, "old", "copy.csv")

    def broken(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    result = CliRunner().invoke(fit_command, [str(path), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 2
    assert "was not written: the disk is full" in result.output
    assert out.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "copy.csv"]


def test_the_benchmark_reads_every_format(tmp_path):
    root = Path(__file__).parents[2]
    words = [
        sys.executable,
        "benchmarks/transfer.py",
        "--records",
        "40",
        "--fit",
        "200",
        "--inputs",
        "9",
        "--rounds",
        "1",
        "--out",
        str(tmp_path / "results.md"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        words, cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    for name in [*FORMATS, "csv", "parquet, lists", "one JSON array", "sel_ptl"]:
        assert f"| {name} |" in done.stdout
    assert (tmp_path / "results.md").read_text().strip() == done.stdout.strip()
