"""The benchmark runs, and refuses a contestant that does other work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from grids import few_quick

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_a_report_is_written_without_the_peer_that_compiles(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import engine

    everybody = engine.contestants
    monkeypatch.setattr(
        engine,
        "contestants",
        lambda *size, **options: {
            name: one for name, one in everybody(*size, **options).items() if name != "numba"
        },
    )
    report = tmp_path / "results.md"
    words = ["engine.py", "--quick", "--only-peers", "--out", str(report)]
    monkeypatch.setattr(sys, "argv", words)
    engine.main()
    text = report.read_text()
    assert "| (2, 3, 5e+01) |" in text
    assert "Geometric mean of batched / engine" in text
    assert capsys.readouterr().out.strip() in text


@pytest.mark.long
def test_the_quick_benchmark_writes_its_report(tmp_path):
    report = tmp_path / "results.md"
    command = [
        sys.executable,
        str(BENCHMARKS / "engine.py"),
        "--quick",
        "--only-peers",
        "--out",
        str(report),
    ]
    subprocess.run(command, check=True, capture_output=True)
    text = report.read_text()
    assert "| (2, 3, 5e+01) |" in text
    assert "Geometric mean of batched / engine" in text


def test_a_contestant_with_other_risks_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from engine import agree

    error = np.full(4, 1e-4)
    agree({"engine": (np.full(4, 0.3), error), "peer": (np.full(4, 0.3001), error)})
    with pytest.raises(AssertionError, match="peer finds"):
        agree({"engine": (np.full(4, 0.3), error), "peer": (np.full(4, 0.31), error)})


def test_a_run_replaces_the_section_of_its_own_processor(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from engine import HEAD, with_section

    one, two = "## A, AVX2\n\nold\n", "## B, NEON\n\n### Start\n\nits own\n"
    both = with_section(with_section("", one), two)
    assert both == "\n".join([HEAD, one, two])
    new = one.replace("old", "new")
    assert with_section(both, new) == "\n".join([HEAD, new, two])


def test_the_certificate_of_a_list_is_at_most_the_least_of_published_bounds(monkeypatch):
    """To 2 %, in each draw; `benchmarks/certificates.md` has all 30 settings."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from certificates import SETTINGS, measured

    assert len(SETTINGS) == 30
    for setting in SETTINGS[:27:5]:
        assert measured(setting, 1)["ratio"] <= 1.02
    report = (BENCHMARKS / "certificates.md").read_text().splitlines()
    rows = [line.split("|") for line in report if line.startswith("|")][2:]
    assert [row[1:5] for row in rows] == [[f" {part} " for part in each] for each in SETTINGS]
    assert max(float(row[-2]) for row in rows) <= 1.02


@pytest.mark.long
def test_the_certificate_of_a_list_is_at_most_the_least_of_published_bounds_everywhere(monkeypatch):
    """30 settings, 20 draws of each."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from certificates import SETTINGS, measured

    assert max(measured(setting, 20)["ratio"] for setting in SETTINGS) <= 1.02


@pytest.mark.parametrize(
    ("level", "inputs", "labels"),
    few_quick(
        [
            ("hard", 1, 10),
            ("partial", 1, 4),
            ("partial", 2, 20),
            ("partial", 100, 12),
            ("top_k(5)", 10, 10),
            ("top_k(1)", 2, 1_000_000),
        ],
        [("partial", 2, 20)],
    ),
)
def test_the_table_of_widths_is_what_the_limits_are(level, inputs, labels, monkeypatch):
    """A row of docs/widths.md, computed again, number by number."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import widths

    table = (BENCHMARKS.parent / "docs" / "widths.md").read_text(encoding="utf-8")
    assert widths.line(level, inputs, labels) in table.splitlines()


def test_the_table_of_widths_has_all_its_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import widths

    table = (BENCHMARKS.parent / "docs" / "widths.md").read_text(encoding="utf-8")
    starts = [line.split(" | ")[:3] for line in table.splitlines() if line.startswith("| ")][1:]
    assert starts == [[f"| {level}", str(S), f"{A:,}"] for level, S, A in widths.rows()]
