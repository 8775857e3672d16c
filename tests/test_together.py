"""A test of many cases fails where one of them does, and names it."""

from __future__ import annotations

import pytest
from together import together


def is_small(number, most):
    assert number <= most, "too large"


def test_all_that_fail_are_named():
    together([(1, 2), (2, 2)])(is_small)()
    with pytest.raises(AssertionError, match=r"2 of 3 fail\n3-2: .*too large(.|\n)*\n4-2: "):
        together([(3, 2), (1, 2), (4, 2)])(is_small)()


def test_an_error_that_is_awaited_in_vain_fails():
    def raises(number):
        with pytest.raises(ZeroDivisionError):
            1 / number

    together([0])(raises)()
    with pytest.raises(AssertionError, match="1 of 2 fail\n1: Failed"):
        together([0, 1])(raises)()


def test_no_cases_are_refused():
    with pytest.raises(ValueError, match="no cases"):
        together([])
