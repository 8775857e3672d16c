"""The figures that the docs give of estimates are those of the benchmark's result file. Nothing is measured here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = (ROOT / "docs" / "access-levels.md").read_text()
RESULTS = (ROOT / "benchmarks" / "plan_accuracy.md").read_text()
ALL = "All kinds but those outside the model"
BY_KIND = "By kind, from 2 records per input on (hard labels alone: from 4)"
SHOWN = ("a number is given", "of these within 1.35", "interval holds the true n")


def rows(text):
    """The rows of the first Markdown table, by the names of their columns; 97 % is written 97%."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(head, (cell.replace(" %", "%") for cell in row), strict=True)) for row in body]


def documented(mark):
    """The rows of a table of the docs, in the words of the results."""
    (block,) = re.findall(rf"<!-- {mark} -->\n(.*?)<!-- end -->", DOCS, re.S)
    found = rows(block.replace("top_k(2)", "top_k").replace("within a factor 1.35", "within 1.35"))
    for row in found:
        row["from"], row["level"] = f"{row.pop('records of')} records", row.pop("level planned")
    return found


def measured(heading):
    """The rows of the results under a heading."""
    (block,) = re.findall(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", RESULTS, re.S | re.M)
    return rows(block)


def place(row):
    return row["from"], row["level"], float(row["records per input"])


def test_the_table_of_all_kinds_is_the_measured_one():
    shown = {place(row): [row[name] for name in SHOWN] for row in documented("plan accuracy")}
    assert shown == {
        place(row): [row[name] for name in SHOWN] for row in measured(ALL) if place(row)[2] >= 2.0
    }


def named(row):
    return f"{row['teacher']}, {row['level']} from {row['from']}, {row['records per input']}"


@pytest.mark.parametrize("row", documented("plan outside"), ids=named)
def test_what_lies_outside_the_model_is_as_measured(row):
    if row["records per input"].startswith("from"):
        assert row["records per input"] == ("from 4" if row["from"] == "hard records" else "from 2")
        found = [other for other in measured(BY_KIND) if other["kind"] == row["teacher"]]
        (found,) = (
            other
            for other in found
            if (other["from"], other["level"]) == (row["from"], row["level"])
        )
    else:
        (found,) = (other for other in measured(row["teacher"]) if place(other) == place(row))
    for name in (*SHOWN, "numbers / true n"):
        assert row[name] == found[name], name


def test_the_text_beside_the_tables_is_as_measured():
    text, found = (" ".join(one.replace(" %", "%").split()) for one in (DOCS, RESULTS))
    looks, seconds, largest = re.search(
        r"reveals less: (0 of [\d,]+ looks)\. Seconds a plan: median ([\d.]+), largest ([\d.]+)\.",
        found,
    ).groups()
    assert f"The order of the levels was broken in {looks}" in text
    assert f"a plan took {seconds} seconds (median; at most {largest}," in text
    few, near, held = re.search(
        r"With half a record per input, the interval holds the true n in (\d+%) of sets\. .* (\d+%) of the numbers are "
        r"within 1\.35, and (\d+%) of the intervals hold",
        found,
    ).groups()
    assert f"With half a record per input the interval holds the true n in {few} of sets" in text
    assert (
        f"{near} of the numbers are within 1.35 and {held} of the intervals hold the true n" in text
    )
    kinds, outside = re.search(
        r"(\d+) kinds of teachers, 2 sets .* 3 kinds of teachers, (\d+) sets", found
    ).groups()
    assert f"over {kinds} kinds of teachers" in text
    assert f"measured on {outside} sets of each" in text
    (rows_given,) = (
        row[SHOWN[0]] for row in measured(ALL) if place(row) == ("soft records", "soft", 2.0)
    )
    only = 100 - int(rows_given.rstrip("%"))
    assert f"Whole rows from 2 records per input get an interval only in {only}% of sets" in text
