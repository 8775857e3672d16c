"""The table of layouts and what is told of each."""

from pathlib import Path

from kt_theory.dumps.layouts.table import HEADS, LAYOUTS

DOCS = Path(__file__).parents[2] / "docs" / "dumps.md"


def test_the_docs_have_a_line_for_each_layout_with_its_files():
    lines = DOCS.read_text().splitlines()
    for name, layout in LAYOUTS.items():
        (line,) = [line for line in lines if line.startswith(f"| `{name}` |")]
        assert any(suffix in line.split("|")[2] for suffix in layout.suffixes), name


def test_every_layout_s_files_can_be_told_apart_by_their_heads():
    for layout in LAYOUTS.values():
        assert set(layout.suffixes) <= set(HEADS)
    assert set(HEADS) == {suffix for layout in LAYOUTS.values() for suffix in layout.suffixes}
