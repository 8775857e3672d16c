"""How JSON lies on the disk: indented, wrapped, compressed, cut off."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from transfer_cases import FORMATS, RECORDS, stated

from kt_theory import packed
from kt_theory.transfer.read import json_files
from kt_theory.transfer.read.json_files import loads
from kt_theory.transfer.sets import TransferSet

DOCS = [FORMATS["openai_chat"](*record) for record in RECORDS]
SHOWN = [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS]


def zstd(data):
    import pyarrow as pa

    return pa.Codec("zstd").compress(data, asbytes=True)


def read(tmp_path, text, name="a.json", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return TransferSet.read(path, **options)


LAYOUTS = {
    "one after the other": "\n".join(json.dumps(doc, indent=2) for doc in DOCS),
    "without a line between": "".join(json.dumps(doc, indent="\t") for doc in DOCS),
    "with commas": ",\n".join(json.dumps(doc, indent=1) for doc in DOCS),
    "data": json.dumps({"data": DOCS}),
    "records, indented": json.dumps(
        {"object": "list", "n": [1, [2]], "records": DOCS, "more": False}, indent=2
    ),
    "results": json.dumps({"results": DOCS}, indent=0),
    "responses": json.dumps({"responses": DOCS}, indent=4),
    "items, a record a line": '{"items": [\n' + ",\n".join(map(json.dumps, DOCS)) + "\n]}",
    "pages": "\n".join(json.dumps({"data": DOCS[i : i + 2]}) for i in (0, 2)),
    "windows": "\r\n".join(json.dumps(doc, indent=2).replace("\n", "\r\n") for doc in DOCS),
    "marked": "\ufeff"
    + json.dumps(DOCS[0], indent=2)
    + "".join(json.dumps(doc, indent=2) for doc in DOCS[1:]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", ["json", "jsonl", "txt"])
def test_every_layout_holds_the_same_records(layout, suffix, tmp_path, monkeypatch):
    for block in (1 << 20, 700, 64):
        monkeypatch.setattr(json_files, "_BLOCK", block)
        transfer = read(tmp_path, LAYOUTS[layout], f"a.{suffix}")
        assert stated(transfer) == SHOWN
        assert transfer.account.outcomes == {"read": 4}
        assert list(transfer.line) == [1, 2, 3, 4]


def test_a_list_longer_than_what_is_looked_at_is_not_loaded_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "_HEAD", 200)
    monkeypatch.setattr(json_files, "_BLOCK", 100)
    monkeypatch.setattr(json_files, "elements_of", None)
    for text in (
        json.dumps({"object": "list", "data": DOCS}),
        json.dumps({"data": DOCS}, indent=1),
    ):
        assert stated(read(tmp_path, text)) == SHOWN


def test_one_object_is_one_record(tmp_path):
    for indent in (None, 2):
        transfer = read(tmp_path, json.dumps(DOCS[0], indent=indent))
        assert stated(transfer) == SHOWN[:1]


def test_records_with_a_list_of_such_a_name_are_records(tmp_path):
    docs = [{"input": "q", "label": "a", "data": [1], "results": [{}]}]
    for text in (json.dumps(docs[0]), json.dumps(docs[0], indent=2)):
        assert stated(read(tmp_path, text)) == [("q", "a", {})]


def test_a_first_line_that_breaks_off_is_one_line(tmp_path):
    whole = [json.dumps(doc) for doc in DOCS]
    for cut in (60, len(whole[0]) - 1, 1):
        account = read(tmp_path, "\n".join([whole[0][:cut], *whole[1:]]), "a.jsonl").account
        assert account.outcomes == {"read": 3, "malformed": 1}


def test_indented_records_that_break_off_say_so(tmp_path):
    text = "\n".join(json.dumps(doc, indent=2) for doc in DOCS)
    account = read(tmp_path, text[:-30]).account
    assert account.outcomes == {"read": 3, "malformed": 1}
    account = read(tmp_path, text + "\n}").account
    assert account.outcomes == {"read": 4, "malformed": 1}


@pytest.mark.parametrize(
    ("pack", "suffix"),
    [(gzip.compress, "gz"), (zstd, "zst"), (zstd, "zstd"), (gzip.compress, "GZ")],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a"])
def test_compressed_files(pack, suffix, name, tmp_path):
    data = "\n".join(map(json.dumps, DOCS)).encode()
    for given in (f"{name}.{suffix}", name):
        assert stated(read(tmp_path, pack(data), given)) == SHOWN
    assert stated(read(tmp_path, pack(data) + pack(b"\n" + data), name)) == SHOWN * 2
    assert stated(read(tmp_path, data, f"{name}.{suffix}")) == SHOWN
    assert (
        stated(read(tmp_path, pack(json.dumps({"data": DOCS}, indent=1).encode()), name)) == SHOWN
    )


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_compressed_tables(pack, tmp_path):
    data = b"input,label\nq,a\nr,b\n"
    for name in ("a.csv", "a.csv.gz"):
        assert stated(read(tmp_path, pack(data), name)) == [("q", "a", {}), ("r", "b", {})]
    with pytest.raises(ValueError, match=rf"{tmp_path}/b\.csv\.gz.*nothing"):
        read(tmp_path, pack(data), "b.csv.gz", input="nothing")


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_what_grows_beyond_all_records_is_refused(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "SMALL", 1 << 20)
    for data in (b" " * (1 << 22), b'{"input": "q", "label": "a"}\n' * (1 << 17)):
        monkeypatch.setattr(packed, "RATIO", 50)
        with pytest.raises(ValueError, match="over 50 times its size: decompress it first"):
            read(tmp_path, pack(data), "a.jsonl.gz")
    monkeypatch.setattr(packed, "RATIO", 10**9)
    assert len(read(tmp_path, pack(data), "a.jsonl.gz")) == 1 << 17


def test_a_long_text_without_an_end_takes_one_pass():
    """Two million bytes of escaped quotes: each is looked at once."""
    line = b'{"input": "' + b'NaN \\"' * 350_000
    start = time.process_time()
    with pytest.raises(ValueError, match=r"end of data|unexpected"):
        loads(line)
    assert time.process_time() - start < 5
    assert loads(b'{"a": "NaN \\\\", "b": NaN, "c": "\\"NaN"}')["a"] == "NaN \\"


def test_text_that_is_no_unicode_and_numbers_out_of_bounds_are_one_line(tmp_path):
    good = json.dumps(DOCS[0])
    odd = [
        good.replace("Is it", "\\ud800"),
        good.replace("-0.25", "1e999"),
        good.replace("-0.25", "-" + "9" * 400),
    ]
    account = read(tmp_path, "\n".join([good, *odd]), "a.jsonl").account
    assert sum(account.outcomes.values()) == 4
    assert account.outcomes["malformed"] >= 1
