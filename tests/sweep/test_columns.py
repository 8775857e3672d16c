"""Columns made without pandas are those that Arrow makes of the same values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kt_theory.sweep.columns import column, lists


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None, "é", ""], "string"),
        ([], "string"),
        ([None] * 9, "string"),
        ([1, None, 2**62, *range(20)], "int64"),
        ([None] * 9, "int64"),
        ([], "int64"),
        ([1.5, None, float("inf")], "double"),
        ([np.float64(2)], "double"),
    ],
)
def test_a_column_is_arrows(values, kind):
    assert column(values, kind).equals(pa.array(values, kind))
    assert column(values, kind).null_count == values.count(None)


def test_not_a_number_is_no_gap():
    made = column([float("nan"), None], "double")
    assert made.null_count == 1
    assert np.isnan(made[0].as_py())


@pytest.mark.parametrize("parts", [[np.array([1, 2]), np.zeros(0, int), np.array([5])], []])
def test_lists_are_arrows(parts):
    expected = pa.array([part.tolist() for part in parts], pa.list_(pa.int32()))
    assert lists(parts, "int32").equals(expected)
