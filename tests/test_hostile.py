"""Hostile input of every kind: one line that says what is wrong, in time and memory that are linear in its size."""

from __future__ import annotations

import ast
import contextlib
import gc
import gzip
import inspect
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory import delimited
from kt_theory.catalogue import files, grammar
from kt_theory.cli import main
from kt_theory.cli.shared import Names
from kt_theory.sweep.replay import find
from kt_theory.sweep.spec import Spec
from kt_theory.transfer.account import Skip
from kt_theory.transfer.read import files as record_files
from kt_theory.transfer.read import json_files, tables
from kt_theory.transfer.read.json_files import loads
from kt_theory.transfer.read.reasoning import answered

PACKAGE = Path(kt.__file__).parent
PROGRAM = [sys.executable, "-m", "kt_theory"]
CLEAR = (ValueError, OSError, ImportError)
"""What bad input may raise, in one line."""


def refused(call, *given, **named):
    """Call a function: True if it refuses what is given in one line, False if it accepts it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(*given, **named)
    except CLEAR as error:
        said = str(error)
    else:
        return False
    assert said
    assert "\n" not in said
    return True


# Time.


def seconds(call):
    """Return the seconds of processor time that a call takes, without collections of garbage."""
    gc.disable()
    try:
        start = time.process_time()
        refused(call)
        return time.process_time() - start
    finally:
        gc.enable()


def assert_linear(call, texts, tries=8):
    """Four times the size takes at most twelve times as long, where a quadratic takes sixteen.

    Each is the least of up to eight times, or `tries`, as a loaded machine only adds: a false alarm needs a
    delay in all of them, a quadratic is over the bound however often it is tried.
    """
    small = large = math.inf
    for _ in range(tries):
        times = [seconds(lambda text=text: call(text)) for text in texts]
        small, large = min(small, times[0]), min(large, times[1])
        if large < max(12 * small, 0.03):
            return
    raise AssertionError(f"{small} s, {large} s for four times the size")


def patterns():
    """Yield every regular expression of the package, compiled, with the method that is called."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "import re\n" not in source:
            continue
        module = ".".join(["kt_theory", *path.relative_to(PACKAGE).with_suffix("").parts])
        held = vars(__import__(module, fromlist=["_"]))
        calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
        calls = [
            n
            for n in calls
            if isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
        ]
        for call in calls:
            name, verb = call.func.value.id, call.func.attr
            if isinstance(held.get(name), re.Pattern):
                yield pytest.param(held[name], verb, id=f"{module}.{name}.{verb}")
            elif name == "re" and verb not in ("compile", "escape"):
                given = call.args[0]
                text = held[given.id] if isinstance(given, ast.Name) else ast.literal_eval(given)
                yield pytest.param(re.compile(text), verb, id=f"{module}:{call.lineno}")
        for pattern in held.get("_PYTHON", ()):
            yield pytest.param(pattern[0], "sub", id=f"{module} {pattern[0].pattern[:20]}")


def pieces(pattern):
    """Texts that a pattern may stumble on: what it is made of, runs of each character, and halves of its literals."""
    text = (
        pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    )
    found = [
        " ",
        "a",
        "1",
        '"',
        "'",
        "\\",
        '\\"',
        ",",
        "(",
        "[",
        "{",
        "=",
        "<",
        ":",
        "a=",
        "a=[",
        "x=(",
        "\r",
        "1,",
    ]
    found += re.findall(r"[A-Za-z_|]{3,}", text)[:12]
    found += [f"<{word}" for word in re.findall(r"[a-z]{4,}", text)[:4]] + [
        "</s>",
        "<|end|>",
        "<|channel|>",
        "label='",
    ]
    return dict.fromkeys(found)


@pytest.mark.parametrize(("pattern", "verb"), [*patterns()])
def test_regular_expressions_are_linear(pattern, verb):
    for piece in pieces(pattern):
        for tail in ("", "\x00"):
            texts = [piece * (size // len(piece)) + tail for size in (4_000, 16_000)]
            if isinstance(pattern.pattern, bytes):
                texts = [text.encode() for text in texts]
            used = getattr(pattern, "findall" if verb in ("sub", "finditer", "split") else verb)
            assert_linear(used, texts)


def test_a_quadratic_is_seen():
    """In one of five tries at least: a delay of the shorter text alone hides it."""
    quadratic, texts = re.compile(r"(a+)\s*b").findall, ["a" * size for size in (1_500, 6_000)]
    for _ in range(5):
        try:
            assert_linear(quadratic, texts, tries=1)
        except AssertionError:
            return
    pytest.fail("no quadratic was seen")


def _answered(text):
    try:
        return answered(text, [text], True)
    except Skip:
        return None


READ = {
    "names of JSON": lambda text: loads('{"a":NaN,"b":' + text),
    "a name": grammar.parse,
    "names": grammar.split,
    "labels": lambda text: Names().convert(text, None, None),
    "an answer": _answered,
    "an expression": lambda text: (
        kt.sweep.Spec(
            name="a",
            n=[10],
            repeats=2,
            teachers=[{"family": "uniform", "inputs": text, "labels": 2}],
        ).cells
    ),
}


@pytest.mark.parametrize(
    "piece",
    ['\\"', '"', "(", "NaN,", "a,", "a(", "-", "</s> ", "  ", "[", "<think>", "1+", "noisy "],
)
@pytest.mark.parametrize("read", READ)
def test_parsers_are_linear(read, piece):
    assert_linear(READ[read], [piece * (size // len(piece)) for size in (8_000, 32_000)])


CUT = {
    "text": b'{"input": "' + b'\\"' * 500_000,
    "names": b'{"input": NaN, "b": "' + b'\\"' * 500_000,
    "brackets": b"[" * 500_000,
    "objects": b'{"a":' * 200_000,
    "lists in the head": b"{x\n" + b'"data":[],' * 50_000,
    "array of one": b'[{"input": "' + b'\\"' * 2_500_000,
    "many lines": b"{\n" * 50_000,
    "returns": b"input,label\n" + b"a,b\r" * 100_000,
    "quotes": b"input,label\n" + b'"' * 500_001,
    "spaces": b'{"input": "q", "label": "<think>x</think>' + b" </s>" * 100_000 + b'"}',
}


@pytest.mark.parametrize("what", CUT)
def test_files_are_read_in_a_second(what, tmp_path):
    path = tmp_path / ("a.csv" if CUT[what].startswith(b"input") else "a.jsonl")
    path.write_bytes(CUT[what])
    assert seconds(lambda: kt.TransferSet.read(path)) < 2


MEASURED = """
import resource, sys
from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.json_files import loads
text = eval(sys.argv[1])
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    loads(text)
except ValueError:
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024 / len(text))
"""


def renamed_one_by_one(raw):
    """What numbers in place of names outside of texts make of a text, byte by byte."""
    found, inside, place = "", False, 0
    while place < len(raw):
        if inside and raw[place] == "\\":
            found += raw[place : place + 2]
            place += 2
            continue
        inside ^= raw[place] == '"'
        name = next((name for name in NUMBERS if raw.startswith(name, place)), None)
        if name is None or inside:
            found += raw[place]
            place += 1
        else:
            found += NUMBERS[name]
            place += len(name)
    return found


NUMBERS = {"NaN": "-1e+308", "-Infinity": "-1e+308", "Infinity": "1e+308"}


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
def test_names_of_json_are_found_across_blocks(block, monkeypatch):
    monkeypatch.setattr(json_files, "_BLOCK", block)
    rng = np.random.default_rng(block)
    for _ in range(200):
        texts = ['"' + "".join(rng.choice(WITHIN, 4)) + '"' for _ in range(3)]
        raw = ",".join(rng.choice([*NUMBERS, "a", "Na", "", "[", *texts], 6))
        assert json_files._renamed(raw.encode()).decode() == renamed_one_by_one(raw)


WITHIN = ["NaN", "Infinity", '\\"', "\\\\", "a", "-"]


@pytest.mark.parametrize(
    "text", ["b'[NaN,\"' + b'ab ' * 7_000_000", "b'[NaN' + b',\"a\"' * 5_000_000"]
)
def test_names_of_json_take_few_bytes_a_byte(text):
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, text], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 4.5


RECORD = {"input": "q", "label": "a"}


def laid_out(layout, records):
    """Return records as text in one of the layouts of files."""
    texts = [json.dumps(record) for record in records]
    return {
        "lines": "\n".join(texts),
        "array": f"[{', '.join(texts)}]",
        "wrapped": f'{{"data": [{", ".join(texts)}]}}',
        "objects": "\n".join(json.dumps(record, indent=1) for record in records),
    }[layout]


@pytest.mark.parametrize("layout", ["lines", "array", "wrapped", "objects"])
def test_a_record_that_is_too_long_is_left_out_and_not_held(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "MOST_LINE", 1000)
    monkeypatch.setattr(json_files, "_BLOCK", 100)
    monkeypatch.setattr(json_files, "_HEAD", 500)
    records = [{"input": "a" * length, "label": "a"} for length in (3, 900, 1001, 5000, 4)]
    path = tmp_path / "a.jsonl"
    path.write_text(laid_out(layout, records))
    read = kt.TransferSet.read(path)
    assert list(map(len, read.input_names)) == [3, 900, 4]
    said = "more than 1,000 bytes: too long for one record"
    assert read.account.skipped == [(3, "malformed", said), (4, "malformed", said)]


def test_no_more_of_a_long_line_is_asked_for(monkeypatch):
    monkeypatch.setattr(json_files, "MOST_LINE", 1000)
    monkeypatch.setattr(json_files, "_BLOCK", 100)
    given = []

    class Watched(io.BytesIO):
        def readline(self, size=-1):
            given.append(super().readline(size))
            return given[-1]

    lines = list(json_files._lines(Watched(b"{}\n" + b"a" * 10_000 + b"\n{}")))
    assert [lines[0], lines[2]] == [b"{}\n", b"{}"]
    assert isinstance(lines[1], Skip)
    assert max(map(len, given)) == 1001


@pytest.mark.parametrize("inner", ["0,", "[],", "{},", '"a",', "NaN,", "[", '{"a":0},'])
def test_a_record_of_too_many_values_is_not_parsed(inner, tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "MOST_VALUES", 100)
    few, many = ('{"input":"q","label":"a","x":[' + inner * n + "0]}" for n in (20, 101))
    within = json.dumps({"input": inner * 200, "label": "b"})
    path = tmp_path / "a.jsonl"
    path.write_text(f"{few}\n{many}\n{within}\n")
    outcomes = [reason for _, _, reason in kt.TransferSet.read(path).account.skipped]
    assert outcomes[-1] == "more than 100 values: too many for one record"
    assert len(outcomes) == (2 if inner == "[" else 1)


def test_values_are_counted_as_a_parser_counts_them(monkeypatch):
    monkeypatch.setattr(json_files, "MOST_VALUES", 8)
    for text in ('[1,2,3,[4,5],{"a":6}]', '["[[[[{{{{,,,,", 1,2,3,4,5,6]', '{"a":[1,2,3,4,5,6,7]}'):
        assert loads(text) == json.loads(text)
    for text in ("[1,2,3,[4,5],{},[]]", '["[[[",1,2,3,4,5,6,7,8]', "[[[[[[[[["):
        with pytest.raises(json_files.TooMuch):
            loads(text)


def test_a_record_of_too_many_fields_is_none(tmp_path):
    path = tmp_path / "a.jsonl"
    more = {f"k{i}": 1 for i in range(9_999)}
    path.write_text(
        "\n".join(map(json.dumps, (RECORD | more, RECORD, RECORD | dict(list(more.items())[:-1]))))
    )
    read = kt.TransferSet.read(path)
    assert len(read) == 2
    assert read.account.skipped == [(1, "malformed", "10,001 fields: at most 10,000")]


@pytest.mark.parametrize("empty", ["a", "1", "", "data:", "[]"])
def test_a_file_that_holds_almost_no_record_is_none(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(record_files, "_MOST_EMPTY", 500)
    path = tmp_path / "a.jsonl"
    record = json.dumps(RECORD)
    for lines in ([empty] * 499, ([empty] * 8 + [record]) * 100):
        path.write_text("\n".join([record, *lines]) + "\n")
        assert len(kt.TransferSet.read(path)) == 1 + lines.count(record)
    path.write_text("\n".join([record, *([empty] * 19 + [record]) * 100]))
    with pytest.raises(
        ValueError, match=r"of its first [5-9]\d\d lines hold no record, line 2 the"
    ):
        kt.TransferSet.read(path)


CELLS = {
    "a line": ("input,label\na,b\n" + "a" * 70_000, "line 3 has more than 33,554,432 letters"),
    "cells": ("input,label\na,b\n" + "," * 1_000 + "\na,b", "line 3 has more than 1,000 cells"),
    "a header": ("," * 1_000, "line 1 has more than 1,000 cells: too many for one line"),
    "blank lines": ("\n" * 10_001 + "input,label\na,b", "its first 10,000 lines are blank"),
}


@pytest.mark.parametrize("what", CELLS)
def test_lines_that_no_table_has_are_refused(what, tmp_path, monkeypatch):
    for module in (delimited, tables):
        monkeypatch.setattr(module, "MOST_LINE", 5_000)
        monkeypatch.setattr(module, "MOST_CELLS", 1_000)
    path, (text, said) = tmp_path / "a.csv", CELLS[what]
    (tmp_path / "few.csv").write_text("input,label\nq,a\n")
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        kt.TransferSet.read(path)
    if what in ("cells", "a line"):
        with pytest.raises(ValueError, match=said):
            kt.TransferSet.read(tmp_path / "few.csv", label_map=path)
    if what != "blank lines":
        path.write_text(text.replace("input,label", "yes,no").replace("a,b", "0,1"))
        with pytest.raises(ValueError, match=said):
            kt.teachers.from_table(path)


def test_long_cells_and_blank_lines_are_read_all_the_same(tmp_path):
    path = tmp_path / "a.csv"
    long = 'a "word", and\na line of its own; ' * 9_000
    path.write_text("\n" * 9_999 + 'input,label\n"' + long.replace('"', '""') + '",a\nq,b\n')
    read = kt.TransferSet.read(path)
    assert read.input_names == (long, "q")
    assert read.account.skipped == []


def test_labels_are_merged_in_one_pass(tmp_path):
    texts = []
    for size in (3_000, 12_000):
        path = tmp_path / f"{size}.jsonl"
        tops = {f"k{i}": -20.0 for i in range(size)}
        path.write_text(json.dumps({**RECORD, "top_logprobs": tops}))
        texts.append(path)
    assert_linear(kt.TransferSet.read, texts)


def test_long_settings_are_not_parsed_and_not_overlooked(tmp_path):
    path = tmp_path / "a.jsonl"
    for name, settings in (
        ("sampling_params", "{" + "'a': 1, " * 140_000 + "}"),
        ("params", "{" + "'temperature': 1, " * 70_000 + "}"),
    ):
        path.write_text(json.dumps({**RECORD, name: settings}))
        with pytest.raises(ValueError, match=rf"{name} = .*, which cannot be read"):
            kt.TransferSet.read(path)
    path.write_text(json.dumps({**RECORD, "top_logprobs": "{" + "'a': -1, " * 120_000 + "}"}))
    assert kt.TransferSet.read(path).account.outcomes == {"malformed": 1}


BIG = {
    "NaN": ("a.jsonl", b"", b"NaN,", b"", 2),
    "an array of NaN": ("a.jsonl", b"[", b"NaN,", b"1]", 2),
    "a list of NaN": ("a.jsonl", b'{"input":"q","label":"a","x":[', b"NaN,", b"1]}", 2),
    "brackets": ("a.jsonl", b"", b"[", b"", 6),
    "lists": ("a.jsonl", b"[", b"[],", b"1]", 2),
    "numbers": ("a.jsonl", b"[", b"1,", b"1]", 2),
    "texts": ("a.jsonl", b'{"input":"q","label":"a","x":[', b'"ab",', b"1]}", 2),
    "a text": ("a.jsonl", b'{"input":"', b"word ", b'","label":"a"}', 2),
    "lines": ("a.jsonl", b"", b"a\n", b"", 2),
    "blank lines": ("a.jsonl", b"", b"\n", b"", 2),
    "CSV of commas": ("a.csv", b"", b",", b"", 2),
    "a header": ("a.csv", b"input,label", b",c1234", b"\na,b", 2),
    "a row": ("a.csv", b"input,label\n", b"ab,", b"", 2),
    "a cell": ("a.csv", b"input,label\n", b"word ", b",b", 2),
    "a cell of lines": ("a.csv", b'input,label\n"', b"some words\n", b'",b', 6),
    "a table of commas": ("t.csv", b"", b",", b"", 2),
    "a cell of a table": ("t.csv", b"a,b\n", b"1", b",0\n", 2),
    "an input with NaN": ("60.jsonl", b'{"input":"', b"word ", b'","label":"a","logprob":NaN}', 4),
}
"""Name, head, what is repeated up to 100 MB, or 60, tail, and how many seconds it may take."""

MEASURE = """
import re, sys, time
import kt_theory as kt
def peak():
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
read = kt.teachers.from_table if sys.argv[1].endswith("t.csv") else kt.TransferSet.read
for path in sys.argv[1:]:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, start = peak(), time.process_time()
    try:
        said = f"read {len(read(path))}"
    except ValueError as error:
        said = f"refused: {error}"
    print(peak() - before, time.process_time() - start, said)
"""


@pytest.mark.long
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no such measure here")
@pytest.mark.parametrize("what", BIG)
def test_a_hundred_megabytes_of_one_kind(what, tmp_path):
    """At most 6 bytes a byte, and a few seconds: twice of what an idle machine takes, or more."""
    name, head, piece, tail, limit = BIG[what]
    size = 60_000_000 if name.startswith("60") else 100_000_000
    small, path = tmp_path / f"small{name}", tmp_path / name
    for target, times in ((small, 3), (path, size // len(piece))):
        target.write_bytes(head + piece * times + tail)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, small, path], capture_output=True, text=True, check=True
    )
    memory, spent, said = done.stdout.splitlines()[1].split(" ", 2)
    assert int(memory) < 6 * size
    assert float(spent) < limit
    if name.startswith("60"):
        assert said == "read 1"
    else:
        assert said == "read 0" or said.startswith("refused")
    assert "\n" not in done.stderr.strip()


# Sizes.


def header(shape):
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        held, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return held.getvalue()


def bombs(folder):
    """Write small files whose headers say that they hold much, or that do."""
    shape = (30_000, 10_000)
    (folder / "cells.npy").write_bytes(header(shape) + bytes(100))
    (folder / "cut.npy").write_bytes(header((1000, 10_000)) + bytes(100))
    with (
        zipfile.ZipFile(folder / "zeros.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("pi.npy", "w") as held,
    ):
        held.write(header((1000, 10_000)))
        held.write(bytes(80_000_000))
    zeros = pa.table({name: np.zeros(4_000_000) for name in ("a", "b", "rho")})
    pq.write_table(zeros, folder / "zeros.parquet")
    same = pa.DictionaryArray.from_arrays(np.zeros(8_000_000, dtype=np.int32), ["a"])
    pq.write_table(pa.table({"input": same, "label": same}), folder / "records.parquet")
    for name, opened in (
        ("a.jsonl.gz", gzip.open),
        ("b.jsonl.zst", lambda path, _: pa.CompressedOutputStream(path, "zstd")),
    ):
        with opened(str(folder / name), "wb") as file:
            for _ in range(90):
                file.write(b"a" * 1_000_000)
    return [
        "cells.npy",
        "cut.npy",
        "zeros.npz",
        "zeros.parquet",
        "records.parquet",
        "a.jsonl.gz",
        "b.jsonl.zst",
    ]


PEAK = """
import resource, sys
import kt_theory as kt
import pyarrow.parquet, pandas
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    read = kt.TransferSet.read if "json" in path or "records" in path else kt.teachers.from_table
    try:
        read(path)
        print()
    except ValueError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024, error)
"""


def test_sizes_are_refused_before_they_are_allocated(tmp_path):
    """One process for all: its peak never falls, so that none of them took more than the bound."""
    names = bombs(tmp_path)
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run([sys.executable, "-c", PEAK, *paths], capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == len(names), done
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        megabytes, _, said = line.partition(" ")
        assert name in said, (name, done)
        assert int(megabytes) < 200, (name, megabytes)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_only_regular_files_are_read(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    (tmp_path / "folder.csv").mkdir()
    for path in (pipe, tmp_path / "folder.csv", Path("/dev/zero")):
        table = {"teachers": [{"family": "table", "file": str(path)}], "n": [10]}
        mask = f"masked(ce_sgl, {path})"
        for call in (
            lambda path=path: kt.TransferSet.read(path),
            lambda path=path: kt.teachers.from_table(path),
            lambda path=path: files.read_array(str(path)),
            lambda path=path: files.read_graph(str(path), 3),
            lambda path=path: Spec.read(path),
            lambda table=table: Spec(name="a", repeats=2, **table).cells,
            lambda mask=mask: (
                kt.sweep.Spec(
                    name="a",
                    n=[1],
                    repeats=2,
                    students=[mask],
                    teachers=[{"family": "uniform", "inputs": 2, "labels": 2}],
                ).cells
            ),
        ):
            assert refused(call)


# The program.


def run(*words, **options):
    return subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, timeout=100, **options)


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "records.jsonl"
    lines = [{"input": f"é{i % 3}", "label": "yes", "logprob": -0.5} for i in range(30)]
    path.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    return path


def test_standard_input_is_read(records):
    there = run("fit", records).stdout.replace(b"records.jsonl", b"standard input.jsonl")
    assert there == run("fit", "-", input=records.read_bytes()).stdout
    risk = ["risk", "-", "--n", "10", "--repeats", "10"]
    table = CliRunner().invoke(main, risk, input=b"yes,no\n0.5,0.5\n")
    assert table.exit_code == 0
    assert "ce_sgl" in table.stdout
    text = CliRunner().invoke(main, [*risk, "--ngram", "1"], input=b"abcabcab" * 9)
    assert text.exit_code == 0
    for words, given in ((["fit", "-"], bytes(200)), (["risk", "-", "--n", "1"], b"yes,no\n1,2\n")):
        done = CliRunner().invoke(main, words, input=given)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert "standard input" in done.stderr


FULL = """
import resource
from kt_theory.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="no limits on files here")
def test_machine_code_that_cannot_be_kept_names_its_file(tmp_path):
    (tmp_path / "teacher.csv").write_text("yes,no\n0.5,0.5\n")
    words = ["risk", str(tmp_path / "teacher.csv"), "--n", "10", "--repeats", "10"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 2, done
    assert re.fullmatch(
        r"Error: .*cache.*\.nb[ci]: no file may become that large here \(ulimit -f\), where Numba "
        r"keeps machine code \(NUMBA_CACHE_DIR is another folder\)\n",
        done.stderr,
    ), done.stderr


ENDLESS = """
import sys
from kt_theory import machine
from kt_theory.cli import standard_input
from kt_theory.cli.main import main
standard_input.MOST_COPIED = 5_000_000
for disk in ("large", "full"):
    if disk == "full":
        machine.free_space = lambda folder: 3_000_000
    try:
        main()
    except SystemExit as end:
        assert end.code == 2, end.code
"""


@pytest.mark.skipif(os.name == "nt", reason="no pipes without end here")
@pytest.mark.parametrize("command", [["fit", "-"], ["risk", "-", "--n", "10"]])
def test_standard_input_without_an_end_is_refused(command, tmp_path):
    """Once where the disk is large, then where it is full."""
    with subprocess.Popen(["yes", "a,b"], stdout=subprocess.PIPE) as source:
        done = subprocess.run(
            [sys.executable, "-c", ENDLESS, *command],
            stdin=source.stdout,
            capture_output=True,
            timeout=100,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            text=True,
        )
        source.kill()
    assert done.returncode == 0, done
    large, full = done.stderr.splitlines()
    assert "standard input holds more than 5,000,000 bytes: give the name of a file" in large
    assert "standard input holds more than 1,500,000 bytes, half of what is free in " in full
    assert not list(tmp_path.iterdir())


def test_copies_of_compressed_files_respect_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"input,label\n" + b"a,b\n" * 500_000))
    assert len(kt.TransferSet.read(path)) == 500_000
    monkeypatch.setattr("kt_theory.machine.free_space", lambda folder: 3_000_000)
    with pytest.raises(ValueError, match=r"a\.csv\.gz holds more than 1,500,000 bytes, half of"):
        kt.TransferSet.read(path)


BOTH = """
import sys
from kt_theory.__main__ import main
path = sys.argv[1]
for more in ([], ["--json"]):
    sys.argv[1:] = ["fit", path, *more]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    if not more:
        print("AND")
"""


@pytest.mark.parametrize(
    "setting",
    [
        {"PYTHONIOENCODING": "ascii"},
        pytest.param({"PYTHONIOENCODING": "latin-1"}, marks=pytest.mark.long),
        {"LC_ALL": "C"},
    ],
)
def test_other_locales(setting, records):
    records.rename(records.with_name("é→.jsonl"))
    done = subprocess.run(
        [sys.executable, "-c", BOTH, records.with_name("é→.jsonl")],
        capture_output=True,
        env={**os.environ, **setting},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode(setting.get("PYTHONIOENCODING", "utf-8"), "replace")
    table, _, document = said.partition("AND\n")
    assert len(table.splitlines()) > 2
    assert json.loads(document)


@pytest.mark.skipif(os.name == "nt", reason="no signals of this kind here")
@pytest.mark.parametrize("after", few_quick([0.12, 0.3, 0.6, 1.0], [0.12, 0.6]))
def test_an_interrupt_is_one_line(after, tmp_path):
    source = "import time, sys; from kt_theory.__main__ import main; print('on', flush=True); sys.argv[1:] = "
    source += "['limits', '--inputs', '1000', '--labels', '500', '--n', ','.join(map(str, range(10**6, 10**6 + 900)))]; main()"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"on\n"
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1].startswith(b"Interrupted")
    assert b"Traceback" not in said


# Mutations.

VALUES = [
    *(
        None,
        True,
        "no",
        b"x",
        5,
        -1,
        0,
        1.5,
        float("nan"),
        float("inf"),
        10**400,
        Fraction(1, 3),
        Decimal("0.5"),
        1j,
    ),
    *(
        [],
        {},
        [[]],
        ["a"],
        [None],
        {"a": 1},
        object(),
        set(),
        (1, 2, 3),
        int,
        [[1, 2], [3]],
        [10**400, 1],
    ),
    *(
        np.array([["a", "b"]]),
        np.zeros((0, 2)),
        np.zeros((2, 2, 2)),
        np.array(3),
        np.datetime64("2020-01-01"),
    ),
    np.ma.masked_array([[0.5, 0.5], [0.2, 0.8]], mask=[[0, 1], [0, 0]]),
    np.ma.masked_array([1, 2], mask=[0, 1]),
    *("(" * 2000, "-" * 200_000, "9" * 400, "top_k(" * 1000),
]

TEACHER = kt.Teacher([[0.5, 0.5], [0.2, 0.8]])
GOOD = {
    **{
        "teacher": TEACHER,
        "pi": TEACHER.pi,
        "table": TEACHER.pi,
        "rho": [0.5, 0.5],
        "n": 4,
        "student": "ce_sgl",
    },
    **{
        "students": ["ce_sgl"],
        "inputs": 2,
        "labels": 2,
        "k": 1,
        "c": 0.5,
        "tau": 2.0,
        "repeats": 4,
        "level": "hard",
    },
    **{
        "access": "hard",
        "rows": [[0.5, 0.5]],
        "row": [0.5, 0.5],
        "step": 0.5,
        "bits": 3,
        "sigma": 0.1,
        "tv": 0.1,
    },
    **{
        "following": [[0, 1], [1, 0]],
        "features": [[1.0], [2.0]],
        "graph": kt.graphs.path(2),
        "frame": pd.DataFrame({"n": [10], "mean": [0.1]}),
    },
    **{
        "text": "abcabc",
        "order": 1,
        "path": "none.csv",
        "transfer": kt.TransferSet.from_arrays(["a", "b"], [0, 1]),
    },
    **{
        "p": [[0.5, 0.5]],
        "q": [[0.5, 0.5]],
        "logits": [[0.0, 1.0]],
        "multiplicity": [1],
        "family": "instance1",
    },
    **{
        "folder": "none",
        "folders": ["none"],
        "out": "none",
        "spec": "none.toml",
        "rule": max,
        "name": "x",
        "id": "x",
    },
}
ROOMS = (
    kt,
    kt.students,
    kt.access,
    kt.objectives,
    kt.teachers,
    kt.queries,
    kt.graphs,
    kt.compression,
    kt.generations,
    kt.sweep,
)


def public():
    """Yield what users call: functions and classes of the rooms' own names, and ways to build."""
    for room in ROOMS:
        for name in getattr(room, "__all__", None) or dir(room):
            found = getattr(room, name)
            helper = (
                getattr(found, "__module__", "") in ("kt_theory.validation", "kt_theory.numeric")
                and room is not kt
            )
            record = isinstance(found, type) and (
                issubclass(found, (tuple, Exception)) or hasattr(found, "__dataclass_fields__")
            )
            own = getattr(found, "__module__", "").startswith("kt_theory")
            if (
                own
                and callable(found)
                and not (name.startswith("_") or record or helper)
                and name not in NOT_PUBLIC
            ):
                yield found
    yield from (kt.TransferSet.from_arrays, kt.Teacher.from_logits, kt.Teacher.from_classes)


NOT_PUBLIC = {"refuse_too_little_access", "require_teacher"}
"""Names that rooms hold for each other."""


@pytest.mark.parametrize("call", [*dict.fromkeys(public())], ids=lambda call: call.__qualname__)
def test_values_of_wrong_types(call, monkeypatch):
    """What is refused does not depend on how long a search looks: it is short here."""
    for name in ("RANDOM", "COARSE", "FINE", "CLIMBED", "POLISHED"):
        monkeypatch.setattr(f"kt_theory.worst.search.{name}", 1)
    given = list(inspect.signature(call).parameters.values())
    given = [each for each in given if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    base = {each.name: GOOD.get(each.name, 1) for each in given if each.default is each.empty}
    for parameter in given:
        for value in VALUES:
            named = {**base, parameter.name: value}
            first = [named.pop(each.name) for each in given if each.kind is each.POSITIONAL_ONLY]
            refused(call, *first, **named)


TRANSFER = kt.TransferSet.from_arrays(["a", "b"], [0, 1], logprobs=np.log(TEACHER.pi))
COPY = kt.fit(TRANSFER)
FRAME = pd.DataFrame({"student": "a", "n": [10, 20, 40], "mean": [0.3, 0.2, 0.1]})
FRAME["std_error"] = 0.01


def reading(option):
    """Return what reads a file with an option given."""

    def read(value, folder):
        (folder / "few.csv").write_text("input,label,logprob\nq,a,-0.5\n")
        return kt.TransferSet.read(folder / "few.csv", **{option: value})

    return read


def sweeping(option):
    """Return what runs a sweep with an option given."""

    def run_sweep(value, folder):
        given = {"executor": "threads", "workers": 1, "progress": False, option: value}
        teachers = [{"family": "uniform", "inputs": 1, "labels": 2}]
        spec = Spec(name="a", n=[1], repeats=2, students=["ce_sgl"], teachers=teachers)
        return kt.sweep.run(spec, folder / "sweep", **given)

    return run_sweep


SMALL_SPEC = Spec(
    name="a", n=[1], repeats=2, teachers=[{"family": "uniform", "inputs": 1, "labels": 2}]
)
METHODS = {
    **{
        f"read, {option}": reading(option)
        for option in (
            *("format", "label", "input", "logprob", "labels", "other", "label_map", "fold"),
            *("model", "requests", "on_error", "as_sampled"),
        )
    },
    **{f"sweep, {option}": sweeping(option) for option in ("shard", "workers", "fail_fast")},
    "read, path": lambda value, _: kt.TransferSet.read(value),
    "take": lambda value, _: TRANSFER.take(value),
    "seen_by": lambda value, _: TRANSFER.seen_by(value),
    "aligned": lambda value, _: TRANSFER.aligned(value),
    "certificate": lambda value, _: COPY.certificate(value),
    "write": lambda value, folder: COPY.write(folder / value if type(value) is str else value),
    "balls": lambda value, _: kt.graphs.path(3).balls(value),
    "cdf": lambda value, _: kt.missing_mass_law(TEACHER, 3).cdf(value),
    "quantile": lambda value, _: kt.missing_mass_law(TEACHER, 3).quantile(value),
    "counts": lambda value, _: kt.students.NAMED["ce_sgl"].table(value, [[0.5, 0.5]]),
    "revealed": lambda value, _: kt.students.NAMED["ce_sgl"].table([[1, 1]], value),
    "name of a student": lambda value, _: kt.Student(value, "hard", max),
    "name of a teacher": lambda value, _: repr(kt.Teacher(TEACHER.pi, name=value).name),
    "names of labels": lambda value, _: kt.Teacher(TEACHER.pi, label_names=value),
    "normalise": lambda value, _: kt.Teacher(TEACHER.pi, normalise=value),
    "sampled": lambda value, _: kt.students.top_k(1, sampled=value),
    "log_linear": lambda value, _: kt.bounds.log_linear(value, value),
    "delta": lambda value, _: kt.bounds.table(3, 3, 5, delta=value),
    "mean": lambda value, _: kt.fit_rate(FRAME.assign(mean=[value] * 3)),
    "std_error": lambda value, _: kt.fit_rate(FRAME.assign(std_error=[value] * 3)),
    "student": lambda value, _: kt.fit_rate(FRAME.assign(student=[value] * 3)),
    "id of a cell": lambda value, _: find(SimpleNamespace(spec=SMALL_SPEC), value),
    "levels": lambda value, _: kt.plan(1, 2, 0.3, top=(), levels=value),
    "prices": lambda value, _: kt.plan(1, 2, 0.3, top=(), prices=value),
    "tv": lambda value, _: kt.plan(1, 2, value, top=()),
    "hops": lambda value, _: kt.minimax_risk("gradient", 3, 3, 5, graph="path", hops=value),
    "scores": lambda value, _: kt.TransferSet.from_arrays(["a"], logits=value),
}
MORE_VALUES = [*VALUES, pd.NA, "\ud800", 5e-324, 1e308, -1e308, [[1e308, -1e308, 0.0]], "..", ""]


@pytest.mark.parametrize("method", METHODS)
def test_methods_and_options_of_wrong_types(method, tmp_path):
    for value in MORE_VALUES:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", kt.PowerLawWarning)
            try:
                METHODS[method](value, tmp_path)
            except CLEAR as error:
                said = str(error)
                assert said, value
                assert "\n" not in said, value


def test_what_is_no_truth_value_is_refused():
    """A word that Python takes for true is not what anybody means by it."""
    for call in (
        lambda: kt.Teacher(TEACHER.pi, normalise="no"),
        lambda: kt.students.top_k(1, sampled="no"),
        lambda: kt.teachers.from_table("none.csv", normalise="no"),
        lambda: kt.TransferSet.read("none.csv", as_sampled="no"),
        lambda: kt.simulate(TEACHER, n=1, repeats=2, progress="no"),
        lambda: kt.sweep.run(SMALL_SPEC, "none", progress="no"),
        lambda: kt.policies.storage(TEACHER, progress="no"),
    ):
        with pytest.raises(ValueError, match="= 'no': must be True or False"):
            call()


@pytest.mark.parametrize("missing", [pd.NA, pd.NaT, float("nan"), None])
def test_what_is_missing_is_no_option(missing, tmp_path):
    for name in ("control", "progress", "keep_losses"):
        with pytest.raises(ValueError, match=f"^{name} = .*: must be True or False$"):
            kt.simulate(TEACHER, n=1, repeats=2, **{"progress": False, name: missing})
    for name, said in (("progress", "must be True or False"), ("executor", "must be one of thr")):
        with pytest.raises(ValueError, match=f"^{name} = .*: {said}"):
            sweeping(name)(missing, tmp_path)


def test_names_that_are_no_unicode_stand_in_tables():
    teacher = kt.Teacher(TEACHER.pi, name="a\ud800", label_names=["\udcff", "b"])
    found = kt.simulate(teacher, kt.Student("c\ud800", "hard", own_rule), 3, 4, progress=False)
    assert found.frame["teacher"].tolist() == ["a\\ud800"]
    assert found.frame["student"].tolist() == ["c\\ud800"]
    records = kt.TransferSet.from_arrays(["a\ud800"], [0], labels=["\udcff", "b"])
    assert kt.fit(records).table["input"].tolist() == ["a\\ud800"]


@kt.row_rule
def own_rule(counts, revealed, out):
    out[:] = 1.0 / counts.size


def test_examples_of_wrong_types():
    for call, given in (
        (kt.TransferSet.from_arrays, {"inputs": ["a"], "sampled": 5}),
        (
            kt.simulate,
            {"teacher": TEACHER, "students": "ce_sgl", "n": 5, "repeats": 5, "keep_losses": "no"},
        ),
        (kt.Teacher, {"pi": np.ma.masked_array(TEACHER.pi, mask=[[0, 1], [0, 0]])}),
        (kt.Teacher.from_logits, {"logits": np.ma.masked_array(TEACHER.pi, mask=[[0, 1], [0, 0]])}),
        (kt.students.add_c, {"c": b"1"}),
    ):
        assert refused(call, **given), call
    assert kt.students.tempered(Fraction(1, 2)).name == kt.students.tempered(0.5).name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([[0.5, 0.5], [-1e308, 1e308]], [0.5, 0.5]), r"q\[1, 0\] = -1e\+308: probabilities must"),
        (([0.5, 0.5], [0.5, np.nan]), r"p\[1\] = nan: probabilities must lie in \[0, 1\]"),
        (([[0.5, 0.5]], [[0.2, 0.8]], [1e308]), r"rho\[0\] = 1e\+308: probabilities must lie"),
        ((np.array([0.5, 0.5j]), [0.5, 0.5]), "q: must be a table of real numbers"),
        (([0.5, 0.5], [0.2, 0.2, 0.6]), r"q has shape \(2,\), p \(3,\): must be"),
        (([[0.5, 0.5]], [[0.2, 0.8]], [0.5, 0.5]), r"rho \(2,\): must be"),
    ],
)
def test_distances_are_of_probabilities(given, said):
    with pytest.raises(ValueError, match=said) as raised:
        kt.total_variation(*given)
    assert "\n" not in str(raised.value)


DEEP = [
    b"[" * 1000 + b"]" * 1000,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b'{"input": "q", "label": ' + b"[" * 900 + b"]" * 900 + b"}",
]


def test_deep_inputs(tmp_path):
    path = tmp_path / "deep.jsonl"
    for text in DEEP:
        path.write_bytes(text)
        refused(kt.TransferSet.read, path)
        refused(kt.TransferSet.read, path, label_map=path)
        refused(kt.TransferSet.read, path, requests=path)
        (tmp_path / "deep.toml").write_bytes(b"n = " + text)
        refused(Spec.read, tmp_path / "deep.toml")


# What is written.


def test_formulas_are_written_as_text(tmp_path):
    from kt_theory.output import write_table

    frame = pd.DataFrame(
        {"label": ["=1+1", "-1", "+a", "@x", "plain", "-"], "@p": [-1.0, 1, 2, 3, 4, 5]}
    )
    lines = write_table(frame, tmp_path / "a.csv").read_text().splitlines()
    assert lines == ["label,'@p", "'=1+1,-1", "-1,1", "'+a,2", "'@x,3", "plain,4", "'-,5"]
    records = tmp_path / "records.jsonl"
    records.write_text(
        "".join(json.dumps({"input": "=q", "label": "=1+1"}) + "\n" for _ in range(9))
    )
    copy = kt.fit(kt.TransferSet.read(records)).write(tmp_path / "copy.csv")
    assert copy is not None
    assert ",=" not in (tmp_path / "copy.csv").read_text().replace("\n", ",")


def test_marks_in_names_leave_the_page_whole(tmp_path):
    name = "@DATA@</script>@PLOTLY@@TITLE@"
    teachers = [{"family": "uniform", "inputs": 2, "labels": 2, "name": name}]
    spec = Spec(name=name, n=[4], repeats=4, students=["ce_sgl"], teachers=teachers)
    kt.sweep.run(spec, tmp_path / "sweep", progress=False)
    from kt_theory.sweep.report import write_report

    page = write_report(tmp_path / "sweep", tmp_path / "a.html").read_text(encoding="utf-8")
    data = page.split('type="application/json">')[1].split("</script>")[0]
    assert name in json.loads(data)["spec"]
    assert page.count("<h1>Sweep @DATA@&lt;/script&gt;@PLOTLY@@TITLE@</h1>") == 1


@pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind here")
def test_names_give_a_terminal_no_orders(tmp_path):
    import pty

    (tmp_path / "a.csv").write_text("a\x1b[31m\x1b]0;title\x07\u202e,b\n1,0\n", encoding="utf-8")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "fit", "a.csv"], stdout=theirs, stderr=theirs, cwd=tmp_path
    ) as process:
        os.close(theirs)
        said = os.read(ours, 10_000)
    assert process.returncode == 2
    assert b"the columns are a\\x1b[31m\\x1b]0;title\\x07\\u202e, b" in said.replace(b"\r\n", b"")
    assert not {0x1B, 0x07} & set(said)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file that fails when read")
def test_a_file_that_fails_while_it_is_read_is_named():
    with pytest.raises(OSError, match="Input/output error: '/proc/self/mem'"):
        kt.TransferSet.read("/proc/self/mem")
    done = run("fit", "/proc/self/mem")
    assert done.returncode == 2
    assert done.stderr == b"Error: /proc/self/mem: Input/output error\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shard", "²/3"], "--shard ²/3: must be I/N"),
        (["--shard", "1/" + "9" * 5000], "--shard 1/9"),
        (["--executor", "dask://x:y"], "executor = 'dask://x:y': must be dask://HOST:PORT"),
        (["--executor", "dask://"], "executor = 'dask://': must be dask://HOST:PORT"),
    ],
)
def test_options_of_sweeps(options, said, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    words = ["sweep", "run", tmp_path / "sweep.toml", "--out", tmp_path / "out", *options]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr[-300:]
    assert said in done.stderr


LONG = "a" * 100_000
REFUSED = {
    "columns of one name": ("t.csv", "a," * 100_000, "occurs twice, as columns 1 and 2:"),
    "a column of a long name": (
        "t.csv",
        f"{LONG},{LONG}\n1,0\n",
        "occurs twice, as columns 1 and 2",
    ),
    "records of one name": ("r.csv", "input,label" + ",label" * 100_000, "as columns 2 and 3"),
    "an edge of numbers": ("g.csv", "0.0,1.0\n1,2\n", "line 1: '0.0,1.0': must be two inputs"),
    "edges below one name": ("g.csv", "edges\n0,1\n", "line 1: 'edges': must be two inputs"),
    "a long edge": ("g.csv", f"a,b\n{LONG}", "line 2: .*must be two inputs"),
    "edges in Latin-1": ("g.csv", b"a,\xe9\n0,1\n", "is not a UTF-8 text: byte 2"),
    "a map in Latin-1": ("m.csv", b"a,\xe9\n", "m.csv is not a UTF-8 text: byte 2"),
    "a map of two minds": (
        "m.csv",
        "a,yes\nb,no\na,no\n",
        "line 3: 'a' counts as 'yes' and as 'no'",
    ),
    "a map of one column": ("m.csv", f"{LONG * 2}\n", "line 1: 1 cells; must be two"),
    "a map that is cut": ("m.csv", 'a,"yes', "line 1 is not CSV"),
    "a map of lists": (
        "m.json",
        json.dumps({LONG: [1] * 9}),
        "must be a label, or a list of variants",
    ),
    "a long specification": (
        "s.toml",
        "#" * (1 << 24) + "#",
        "16,777,217 bytes: at most 16,777,216",
    ),
}
READERS = {
    "t": kt.teachers.from_table,
    "r": kt.TransferSet.read,
    "g": lambda path: files.read_graph(str(path), 3),
    "m": lambda path: kt.TransferSet.read(path.with_name("few.csv"), label_map=path),
    "s": Spec.read,
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_are_of_one_line_that_is_not_long(what, tmp_path):
    name, text, said = REFUSED[what]
    (tmp_path / "few.csv").write_text("input,label\nq,a\n")
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said) as raised:
        READERS[name[0]](tmp_path / name)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


TABLES = {
    "limits": [
        "limits",
        "--inputs",
        "3",
        "--labels",
        "4",
        "--n",
        "4,40",
        "--level",
        "rounded(1)",
    ],
    "plan": ["plan", "--inputs", "3", "--labels", "4", "--tv", "0.3", "--price", "hard=0.01"],
    "plan of a teacher": ["plan", "--teacher", "a longer name.csv", "--tv", "0.1"],
    "plan of answers": ["plan", "--answers", "records.jsonl", "--tv", "0.3"],
    "risk": ["risk", "a longer name.csv", "--n", "10,1000", "--repeats", "10"],
    "fit": ["fit", "records.jsonl"],
    "check": ["sweep", "check", "sweep.toml"],
    "status": ["sweep", "status", "out"],
}
"""Every command that prints a table, or words that stand below one."""

SWEEP = """
name = "a sweep of a name that is not short"
n = [10, 100]
repeats = 4
students = ["ce_sgl", "grad_ful(cycle, 2)"]
[[teachers]]
family = "instance2"
inputs = [4, 10]
labels = 11
"""


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self):
        return True


def shown(words, width, monkeypatch):
    """Return what a command prints on a terminal so wide, behind it what it says beside, no bars."""
    monkeypatch.setenv("COLUMNS", str(width))
    said, beside = Terminal(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(beside):
        main.main(words, standalone_mode=False)
    return said.getvalue() + without_bars(beside.getvalue())


def without_bars(text):
    return "".join(f"{line}\n" for line in text.splitlines() if line.strip() and "%|" not in line)


@pytest.mark.parametrize("what", TABLES)
def test_tables_fit_the_terminal(what, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a longer name.csv").write_text("input,yes,no\na long name,0.5,0.5\nb,0.25,0.75\n")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    if what == "status":
        kt.sweep.run(Spec.read(tmp_path / "sweep.toml"), tmp_path / "out", progress=False)
    said = {}
    for width in (40, 200):
        said[width] = shown(TABLES[what], width, monkeypatch)
        lines = said[width].splitlines()
        assert max(map(len, lines)) <= width, width
    # Nothing is lost where it is narrow.
    assert set(re.findall(r"\d+\.\d+", said[200])) <= set(re.findall(r"\d+\.\d+", said[40]))


@pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind here")
def test_a_real_terminal_shows_the_same(records, tmp_path, monkeypatch):
    import pty

    monkeypatch.chdir(tmp_path)
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "40"}
    with subprocess.Popen(
        [*PROGRAM, *TABLES["fit"]], stdout=theirs, stderr=theirs, env=env
    ) as process:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):
            while block := os.read(ours, 4096):
                text += block
    assert process.returncode == 0, text
    expected = shown(TABLES["fit"], 40, monkeypatch)
    assert text.decode().splitlines() == expected.splitlines()
