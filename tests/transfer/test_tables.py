"""Tables of records as they lie on people's disks: delimiters, names of columns, types, encodings, line numbers."""

from __future__ import annotations

import datetime
import decimal
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kt_theory.transfer.account import OUTCOMES, Account
from kt_theory.transfer.read import tables
from kt_theory.transfer.read.answers import Reading
from kt_theory.transfer.sets import TransferSet


def written(folder, data, name="a.csv"):
    path = folder / name
    if isinstance(data, pa.Table):
        pq.write_table(data, path)
    else:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder, data, name="a.csv", **options):
    return TransferSet.read(written(folder, data, name), **options)


def records(transfer):
    """What each record holds: input, label, and the log-probability of its label to six digits."""
    own = dict.fromkeys(range(len(transfer)))
    for record, label, value in zip(
        transfer.entry_record, transfer.entry_label, transfer.entry_logp, strict=True
    ):
        if label == transfer.sampled[record]:
            own[int(record)] = round(float(value), 6)
    names = zip(transfer.inputs, transfer.sampled, own.values(), strict=True)
    return [(transfer.input_names[s], transfer.label_names[a], value) for s, a, value in names]


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", None), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_what_parts_the_cells_is_recognised_and_said(delimiter, name, suffix, tmp_path):
    rows = [
        ["input", "label", "logprob"],
        ['"one, two; three|four\tfive"', "a", "-0.5"],
        ["q", '"b;c"', "-1"],
    ]
    transfer = read(tmp_path, "\n".join(delimiter.join(row) for row in rows), f"a{suffix}")
    assert records(transfer) == [("one, two; three|four\tfive", "a", -0.5), ("q", "b;c", -1.0)]
    assert transfer.account.notes == ([] if name is None else [f"cells are parted by {name}"])


def test_cells_that_hold_other_delimiters_do_not_mislead(tmp_path):
    assert records(read(tmp_path, "input,label\na;b;c,x\nd;e;f,y\n")) == [
        ("a;b;c", "x", None),
        ("d;e;f", "y", None),
    ]
    assert records(read(tmp_path, "text|label\na, b|x\n")) == [("a, b", "x", None)]


def test_decimal_commas(tmp_path):
    transfer = read(tmp_path, "input;label;logprob\nq;a;-0,5\nr;b;-1\n")
    assert records(transfer) == [("q", "a", -0.5), ("r", "b", -1.0)]
    assert "numbers are written with decimal commas: 0,25 is 0.25" in transfer.account.notes
    assert records(read(tmp_path, 'input,label,prob\nq,a,"0,25"\n')) == [("q", "a", -1.386294)]
    with pytest.raises(ValueError, match=r"temperature = 0\.7 \(line 2\)"):
        read(tmp_path, "input;label;temperature\nq;a;0,7\n")


GUESSED = {
    "prompt,completion": "'prompt' is taken for the input, 'completion' for the label: input=... and label=... name",
    "Question,Answer": "'Question' is taken for the input, 'Answer' for the label",
    "text,sentiment": "'text' is taken for the input, 'sentiment' for the label",
    "x,y": "'x' is taken for the input, 'y' for the label",
    "input,target": "'target' is taken for the label: label=... names another",
    "query,label": "'query' is taken for the input: input=... names another",
}


@pytest.mark.parametrize("header", GUESSED)
def test_usual_names_are_guessed_and_each_guess_is_said_once(header, tmp_path):
    question, answer = header.split(",")
    expected = [("q", "a", None), ("r", "b", None)] * 200
    transfer = read(tmp_path, f"{header}\n" + "q,a\nr,b\n" * 200)
    lines = "".join(f'{{"{question}": "{s}", "{answer}": "{a}"}}\n' for s, a, _ in expected)
    for found in (transfer, read(tmp_path, lines, "a.jsonl")):
        assert records(found) == expected
        assert [note[: len(GUESSED[header])] for note in found.account.notes] == [GUESSED[header]]
    frame = pa.table({question: ["q", "r"], answer: ["a", "b"]})
    assert records(read(tmp_path, frame, "a.parquet")) == expected[:2]


@pytest.mark.parametrize(
    ("name", "value", "logp", "said"),
    [
        ("log_prob", -0.5, -0.5, "log-probability"),
        ("logprobs", -0.5, -0.5, "log-probability"),
        ("probability", 0.5, -0.693147, "probability"),
        ("p", 0.5, -0.693147, "probability"),
        ("Confidence", 0.5, -0.693147, "probability"),
        ("prob", 0.5, -0.693147, ""),
    ],
)
def test_probabilities_are_guessed(name, value, logp, said, tmp_path):
    found = [
        read(tmp_path, f"input,label,{name}\nq,a,{value}\n"),
        read(tmp_path, f'{{"input": "q", "label": "a", "{name}": {value}}}\n', "a.jsonl"),
        read(tmp_path, pa.table({"input": ["q"], "label": ["a"], name: [value]}), "a.parquet"),
    ]
    for transfer in found:
        assert records(transfer) == [("q", "a", logp)]
        assert transfer.account.notes == (
            [f"{name!r} is taken for the label's {said}: logprob=... names another"] if said else []
        )


def test_what_is_no_number_states_no_probability(tmp_path):
    transfer = read(tmp_path, 'input,label,logprobs\nq,a,"[1, 2]"\n')
    assert records(transfer) == [("q", "a", None)]
    assert transfer.account.notes == [
        "column 'logprobs' holds no numbers: no probability is taken from it"
    ]
    line = '{"prompt": "q", "completion": "a", "logprobs": {"content": []}}\n'
    assert records(read(tmp_path, line, "a.jsonl")) == [("q", "a", None)]
    line = '{"input": "q", "label": "a", "prob": "0.5"}\n{"input": "q", "label": "a", "prob": "much"}\n'
    transfer = read(tmp_path, line, "a.jsonl")
    assert records(transfer) == [("q", "a", -0.693147)]
    assert transfer.account.skipped == [(2, "malformed", "prob = 'much': must be a number")]


def test_columns_that_are_named(tmp_path):
    text = "input,ask,label,says,logprob,lp\nx,q,y,a,-9,-0.5\n"
    named = {"input": "ask", "label": "says", "logprob": "lp"}
    transfer = read(tmp_path, text, **named)
    assert records(transfer) == [("q", "a", -0.5)]
    assert transfer.account.notes == []
    frame = pa.table(
        {
            name: [cell]
            for name, cell in zip(*(line.split(",") for line in text.split()), strict=True)
        }
    )
    assert records(read(tmp_path, frame, "a.parquet", **named)) == [("q", "a", -0.5)]
    line = '{"input": "x", "ask": "q", "label": "y", "meta": {"says": "a"}, "logprob": -9, "lp": -0.5}\n'
    assert records(
        read(tmp_path, line, "a.jsonl", input="ask", label="meta.says", logprob="lp")
    ) == [("q", "a", -0.5)]
    assert records(read(tmp_path, "q.x,label\nq,a\n", input="q.x")) == [("q", "a", None)]
    assert records(read(tmp_path, "input,label,p\nq,a,0.5\n", logprob="p")) == [
        ("q", "a", -0.693147)
    ]
    with pytest.raises(ValueError, match="column 'lp' is missing; the columns are input, label"):
        read(tmp_path, "input,label\nq,a\n", logprob="lp")


AMBIGUOUS = [
    (
        "prompt,question,label",
        "'prompt' and 'question' may both hold the input: input='prompt' takes the first",
    ),
    (
        "input,answer,target",
        "'answer' and 'target' may both hold the label: label='answer' takes the first",
    ),
    (
        "input,label,p,confidence",
        "'p' and 'confidence' may both hold the label's probability: logprob='p'",
    ),
]


@pytest.mark.parametrize(("header", "message"), AMBIGUOUS)
def test_two_names_of_a_kind_are_refused(header, message, tmp_path):
    names = header.split(",")
    cells = ["0.5"] * len(names)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, f"{header}\n{','.join(cells)}\n")
    line = "{" + ", ".join(f'"{name}": 0.5' for name in names) + "}\n"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, line, "a.jsonl", format="plain", on_error="raise")


def test_the_formats_own_name_wins(tmp_path):
    transfer = read(tmp_path, "question,input,output,label\nx,q,y,a\n")
    assert records(transfer) == [("q", "a", None)]
    assert transfer.account.notes == [
        "'output' is not the label: label=... names it in place of 'label'",
        "'question' is no part of the input: input=... names it in place of 'input'",
    ]


def test_what_is_said_before_the_input_is_part_of_it(tmp_path):
    found = [
        read(tmp_path, "instruction,input,output\none,q,a\ntwo,q,b\nthree,,c\n"),
        read(
            tmp_path,
            '{"instruction": "one", "input": "q", "output": "a"}\n{"instruction": "two", "input": "q", "output": "b"}\n'
            '{"instruction": "three", "input": "", "output": "c"}\n',
            "a.jsonl",
        ),
    ]
    for transfer in found:
        assert transfer.input_names == (
            "instruction: one\nq",
            "instruction: two\nq",
            "instruction: three\n",
        )
        assert any("'instruction' is part of the input" in note for note in transfer.account.notes)
    assert read(tmp_path, "system,prompt,y\ns,q,a\nt,q,a\n", input="prompt").input_names == ("q",)
    assert read(tmp_path, "instruction,output\none,a\n").input_names == ("one",)


def test_an_index_column_is_no_input(tmp_path):
    assert records(read(tmp_path, ",text,label\n0,q,a\n1,r,b\n")) == [
        ("q", "a", None),
        ("r", "b", None),
    ]
    assert records(read(tmp_path, "Unnamed: 0,x,y\n0,q,a\n1,r,b\n")) == [
        ("q", "a", None),
        ("r", "b", None),
    ]
    with pytest.raises(
        ValueError, match=r"column 'input' is missing; .* input=.* 'id' looks like an index"
    ):
        read(tmp_path, "id,label\n0,a\n1,b\n")
    for start in (0, 1):
        text = "id,label\n" + "".join(f"{start + i},a\n" for i in range(5))
        (warning,) = read(tmp_path, text, input="id").account.warnings
        assert warning.startswith(f"column 'id' looks like an index, {start}, {start + 1}, ...")
    assert read(tmp_path, "id,label\n0,a\n0,a\n1,b\n", input="id").account.warnings == []


def test_columns_named_twice(tmp_path):
    for header in ("input,label,label", "text,text,y", "input,label,temperature,temperature"):
        name = header.split(",")[-1] if "text" not in header else "text"
        cells = ",".join("1" for _ in header.split(","))
        with pytest.raises(
            ValueError, match=rf"column '{name}' is named twice, as columns \d and \d"
        ):
            read(tmp_path, f"{header}\n{cells}\n")
    assert records(read(tmp_path, "note,input,note,label\nx,q,x,a\n")) == [("q", "a", None)]
    assert records(read(tmp_path, ",,input,label\n1,1,q,a\n")) == [("q", "a", None)]
    frame = pa.table([["q"], ["q"], ["a"]], names=["input", "input", "label"])
    with pytest.raises(ValueError, match="column 'input' is named twice, as columns 1 and 2"):
        read(tmp_path, frame, "a.parquet")


SETTINGS = [
    ("input,label,top_k\nq,a,0\nq,a,1\n", "top_k = 1 .line 3"),
    ("input,label,Temperature\nq,a,1\nq,a,0\n", r"Temperature = 0(\.0)? .line 3"),
    ('input,label,extra_body\nq,a,\nq,b,"{""min_p"": 0.1}"\n', r"extra_body\.min_p = 0\.1 .line 3"),
    ("input,label,extra_body\nq,a,\"{'top_k': 5}\"\n", r"extra_body\.top_k = 5 .line 2"),
    ('input,label,request\nq,a,"{""guided_choice"": [""a""]}"\n', "guided_choice"),
]


@pytest.mark.parametrize(("text", "message"), SETTINGS)
def test_settings_in_cells_are_judged(text, message, tmp_path):
    with pytest.raises(
        ValueError, match=f"do not follow the teacher's own distribution.*{message}"
    ):
        read(tmp_path, text)


def test_settings_that_cannot_be_read_are_malformed(tmp_path):
    account = read(tmp_path, "input,label,extra_body\nq,a,{top_k: 5}\n").account
    assert account.skipped == [
        (2, "malformed", "extra_body = '{top_k: 5}': neither JSON nor a Python dict or list"),
    ]


def test_what_pandas_writes_of_a_dict_is_read(tmp_path):
    transfer = read(tmp_path, "input,label,top_logprobs\nq,a,\"{'a': -0.5, 'b': -1.0}\"\n")
    assert transfer.entry_logp.tolist() == [-0.5, -1.0]


def test_line_numbers_are_those_of_the_file(tmp_path, monkeypatch):
    text = '\n\ninput,label\nq,a\n"two\nlines",b\nq\n\nr,c\n'
    for block in (1 << 22, 1):
        monkeypatch.setattr(tables, "_BLOCK", block)
        transfer = read(tmp_path, text)
        assert transfer.line.tolist() == [4, 5, 9]
        assert [entry[:2] for entry in transfer.account.skipped] == [(7, "malformed"), (8, "blank")]
    transfer = read(tmp_path, "input,label\nq,a\nr,b\n")
    assert transfer.line.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "input,label\ncafé,a\n".encode("cp1252"),
            r"Windows-1252 \(cp1252\), see byte 0xe9 on line 2; save it as UTF-8",
        ),
        ("input,label\ncafé,a\n".encode("utf-16"), "seems to be UTF-16; save it as UTF-8"),
        ("input,label\ncafé,a\n".encode("utf-16-le"), "seems to be UTF-16 without a mark"),
        ("input,label\ncafé,a\n".encode("utf-16-be"), "seems to be UTF-16 without a mark"),
    ],
)
def test_other_encodings_are_refused_by_name(data, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, data)
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_byte_is_no_other_encoding(tmp_path):
    account = read(tmp_path, "input,label\né,a\n".encode() + b"caf\xe9,b\n").account
    assert account.skipped == [(3, "malformed", "not UTF-8")]


def test_files_without_records(tmp_path):
    for data in ("", "\n", "input,label\n", "text;y\n"):
        assert len(read(tmp_path, data)) == 0
    assert (
        len(
            read(
                tmp_path,
                pa.table({"x": pa.array([], pa.string()), "y": pa.array([], pa.string())}),
                "a.parquet",
            )
        )
        == 0
    )


def test_long_names(tmp_path):
    long = "x" * 10**6
    for data, name in (
        (f"input;label\n{long};a\n", "a.csv"),
        (pa.table({"input": [long], "label": ["a"]}), "a.parquet"),
        (f'{{"prompt": "{long}", "y": "a"}}\n', "a.jsonl"),
    ):
        assert read(tmp_path, data, name).input_names == (long,)


class Forwards(io.RawIOBase):
    """A file that can only be read on, as one that is being decompressed."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.data.read(min(7, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def test_a_file_object_is_read_forwards_alone(monkeypatch):
    text = "\ufeffinput;label\n" + "".join(f"q{i};a\n" for i in range(50)) + '"x;y";b\nz\n'
    monkeypatch.setattr(tables, "_BLOCK", 40)
    reading = Reading("first_token", None, {}, Account(source="a.csv.gz"))
    found = []
    for chunk in tables.csv_chunks(io.BufferedReader(Forwards(text.encode())), reading):
        found.append(len(chunk.sizes) if isinstance(chunk, tables.Columns) else len(chunk))
    assert sum(found) == 52
    assert reading.account.notes == ["cells are parted by semicolons"]


NAMED = {
    "date": ([datetime.date(2024, 1, 2)], "2024-01-02"),
    "timestamp": ([datetime.datetime(2024, 1, 2, 3, 4, 5)], "2024-01-02T03:04:05"),
    "fraction": ([datetime.datetime(2024, 1, 2, 3, 4, 5, 120000)], "2024-01-02T03:04:05.12"),
    "zone": ([datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)], "2024-01-02T03:04:05Z"),
    "decimal": ([decimal.Decimal("1.50")], "1.50"),
    "integer": ([3], "3"),
    "truth": ([True], "true"),
    "dictionary": (pa.array(["a"]).dictionary_encode(), "a"),
    "view": (pa.array(["a"], pa.string_view()), "a"),
    "dictionary of numbers": (pa.array([7]).dictionary_encode(), "7"),
}


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("more", [{}, {"temperature": [1.0]}])
def test_parquet_types_that_name_inputs_and_labels(kind, more, tmp_path):
    cells, name = NAMED[kind]
    assert read(
        tmp_path, pa.table({"input": cells, "label": ["a"], **more}), "a.parquet"
    ).input_names == (name,)
    assert read(
        tmp_path, pa.table({"input": ["q"], "label": cells, **more}), "a.parquet"
    ).label_names == (name,)


def test_the_unit_of_a_timestamp_does_not_name_it(tmp_path):
    moment = datetime.datetime(2024, 1, 2, 3, 4, 50)
    names = set()
    for unit in ("s", "ms", "us", "ns"):
        table = pa.table({"input": pa.array([moment], pa.timestamp(unit)), "label": ["a"]})
        names |= set(read(tmp_path, table, "a.parquet").input_names)
    assert names == {"2024-01-02T03:04:50"}


UNNAMED = {
    "binary": [b"x"],
    "duration": [datetime.timedelta(1)],
    "list": [["a"]],
    "struct": [{"a": 1}],
}


@pytest.mark.parametrize("kind", UNNAMED)
def test_parquet_types_that_are_refused_by_name(kind, tmp_path):
    for table, column in (
        (pa.table({"input": UNNAMED[kind], "label": ["a"]}), "input"),
        (pa.table({"input": ["q"], "label": UNNAMED[kind]}), "label"),
        (pa.table({"input": ["q"], "label": ["a"], "logprob": UNNAMED[kind]}), "logprob"),
    ):
        with pytest.raises(
            ValueError, match=rf"a\.parquet: column '{column}' has type {kind}"
        ) as caught:
            read(tmp_path, table, "a.parquet")
        assert len(str(caught.value).splitlines()) == 1


def test_parquet_numbers_of_other_types(tmp_path):
    half = {
        "input": ["q", "q"],
        "label": ["a", "b"],
        "logprob": pa.array([decimal.Decimal("-0.5")] * 2),
    }
    assert records(read(tmp_path, pa.table(half), "a.parquet")) == [
        ("q", "a", -0.5),
        ("q", "b", -0.5),
    ]
    cool = {**half, "temperature": pa.array([decimal.Decimal("1.0"), decimal.Decimal("0.5")])}
    with pytest.raises(ValueError, match=r"temperature = 0\.5"):
        read(tmp_path, pa.table(cool), "a.parquet")
    numbers = pa.table({"input": ["q", "r", "s"], "label": [1.0, None, 2.5]})
    transfer = read(tmp_path, numbers, "a.parquet")
    assert [record[:2] for record in records(transfer)] == [("q", "1"), ("s", "2.5")]
    chat = pa.table({"input": [[{"role": "user", "content": "hi"}]], "label": ["a"]})
    assert read(tmp_path, chat, "a.parquet").input_names == ("hi",)


def test_damaged_parquet_is_one_line_with_the_name(tmp_path):
    path = written(
        tmp_path, pa.table({"input": ["q", "r"] * 50, "label": ["a", "b"] * 50}), "a.parquet"
    )
    whole = path.read_bytes()
    for data in (
        whole[:-20],
        whole[:30],
        whole[:4] + b"\x00" * 60 + whole[64:],
        whole[:-40] + b"\xff" * 32 + whole[-8:],
    ):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match=r"a\.parquet is not a Parquet file, or a damaged one"
        ) as caught:
            TransferSet.read(path)
        assert len(str(caught.value).splitlines()) == 1


HEADERS = [
    ("input;label;logprob", "q{};a;-0,5"),
    ("Prompt\ty\tp", "q{}\ta\t0.5"),
    ("text|sentiment|note", "q{}|a|x"),
]


@pytest.mark.parametrize(("header", "row"), HEADERS)
def test_by_columns_is_row_by_row(header, row, tmp_path, monkeypatch):
    text = "\n".join([header, *(row.format(i % 7) for i in range(200))])
    found = read(tmp_path, text)
    monkeypatch.setattr(tables, "_columns", lambda *arguments: None)
    careful = read(tmp_path, text)
    assert records(found) == records(careful)
    assert found.line.tolist() == careful.line.tolist()
    assert found.account.notes == careful.account.notes


def mutated(data, rng):
    """Change, drop or put in some bytes."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = rng.integers(len(data))
        kind = rng.integers(3)
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            del data[place]
        else:
            data[place:place] = bytes([rng.choice(list(b',;\t|"\n\r\x00{}\xff\xe9=.'))])
    return bytes(data)


WHOLE = [
    b'input,label,logprob,top_logprobs,temperature\nq,a,-0.5,"{""a"": -0.5}",1\nr,b,-1,,1\n',
    b'\n\nPrompt;Answer;p\nq;a;0,5\nr;"b;c";0,25\n',
    b"id|text|sentiment|seed\n0|q|pos|1\n1|r|neg|2\n",
]


@pytest.mark.parametrize("whole", WHOLE)
def test_damaged_tables_are_one_line_or_an_account_that_adds_up(whole, tmp_path):
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        path = written(tmp_path, mutated(whole, rng))
        try:
            account = TransferSet.read(path, as_sampled=True).account
        except ValueError as error:
            outcomes.add(f"refused, {len(str(error).splitlines())} lines")
            continue
        lines = [line for line, _, _ in account.skipped]
        assert lines == sorted(set(lines))
        assert account.lines == sum(account.outcomes.values())
        outcomes |= set(account.outcomes)
    assert {"read", "malformed", "refused, 1 lines"} <= outcomes <= {*OUTCOMES, "refused, 1 lines"}


def test_a_label_that_is_no_field_is_refused_or_said(tmp_path):
    answer = '{"request": {"prompt": "q"}, "response": {"choices": [{"text": "a"}]}}\n'
    for options in ({}, {"format": "openai_completions"}):
        with pytest.raises(
            ValueError, match=r"unknown label 'first_tokn' \(did you mean 'first_token'"
        ):
            read(tmp_path, answer, "a.jsonl", label="first_tokn", **options)
    account = read(tmp_path, '{"input": "q", "label": "a"}\n', "a.jsonl", label="says").account
    assert account.skipped == [
        (1, "no label", "field 'says' is missing: neither a label nor top_logprobs")
    ]


@pytest.mark.parametrize(
    "mark", ["sep={}\n", "sep={}\r\n", '"sep={}"\n', "SEP={}  \n", "\ufeffsep={}\n"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_the_first_line_of_excel_names_what_parts_the_cells(mark, delimiter, tmp_path):
    rows = [["input", "label", "logprob"], ["q; r, s", "a", "-0.5"], ["q", "b"]]
    text = "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    transfer = read(tmp_path, mark.format(delimiter) + text)
    assert transfer.input_names == ("q; r, s",)
    assert transfer.line.tolist() == [3]
    assert [line for line, *_ in transfer.account.skipped] == [4]


def test_a_column_that_is_called_like_the_line_of_excel(tmp_path):
    assert read(tmp_path, "input,label,sep=\nq,a,x\n").input_names == ("q",)
