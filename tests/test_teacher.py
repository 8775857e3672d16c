from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory.testing import teachers


def test_a_valid_table_is_kept_to_the_bit():
    pi = np.array([[0.1] * 10, [0.7, 0.3] + [0.0] * 8])
    rho = np.array([1 / 3, 2 / 3])
    teacher = kt.Teacher(pi, rho)
    np.testing.assert_array_equal(teacher.pi, pi)
    np.testing.assert_array_equal(teacher.rho, rho)
    assert (teacher.inputs, teacher.labels) == (2, 10)
    assert teacher.pi.dtype == np.float64
    assert teacher.pi.flags.c_contiguous
    pi[0] = 0
    assert teacher.pi[0, 0] == 0.1, "the caller's array must not be the teacher's"


def test_teachers_are_immutable():
    teacher = kt.Teacher([[0.5, 0.5]])
    with pytest.raises(ValueError, match="read-only"):
        teacher.pi[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        teacher.classes.rows[0, 0] = 1
    with pytest.raises(AttributeError, match="immutable"):
        teacher.pi = np.eye(2)


def test_rho_is_uniform_if_omitted():
    np.testing.assert_array_equal(kt.Teacher(np.eye(4)).rho, [0.25] * 4)


def test_float32_tables_are_renormalised_in_float64():
    pi = np.random.default_rng(0).dirichlet(np.ones(1000), size=3).astype(np.float32)
    np.testing.assert_allclose(kt.Teacher(pi).pi.sum(axis=1), 1.0, atol=1e-15)
    with pytest.raises(ValueError, match="pi row 0 sums to"):
        kt.Teacher(pi.astype(np.float64) * (1 + 1e-6))


def test_logits():
    z = np.array([[0.0, 1.0, -np.inf], [1e4, 1e4, 1e4]])
    pi = kt.Teacher.from_logits(z).pi
    np.testing.assert_allclose(
        pi, [[1 / (1 + np.e), np.e / (1 + np.e), 0], [1 / 3] * 3], atol=1e-15
    )
    shifted = kt.Teacher.from_logits(z + np.array([[5.0], [-3.0]])).pi
    np.testing.assert_allclose(shifted, pi, atol=1e-12)


@given(teacher=teachers(), data=st.data())
def test_classes_ignore_label_and_input_order(teacher, data):
    inputs = data.draw(st.permutations(range(teacher.inputs)))
    labels = data.draw(st.permutations(range(teacher.labels)))
    other = kt.Teacher(teacher.pi[inputs][:, labels], teacher.rho[inputs])
    for mine, theirs in zip(teacher.classes, other.classes, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    rows, rho, multiplicity = teacher.classes
    assert multiplicity.sum() == teacher.inputs
    assert rho @ multiplicity == pytest.approx(1.0)
    assert (np.diff(rows, axis=1) <= 0).all()
    expected = {
        (r, *sorted(p, reverse=True)) for r, p in zip(teacher.rho, teacher.pi.tolist(), strict=True)
    }
    assert {(r, *p) for r, p in zip(rho.tolist(), rows.tolist(), strict=True)} == expected


def test_equal_rows_with_different_rho_are_different_classes():
    teacher = kt.Teacher([[0.2, 0.8], [0.8, 0.2], [0.2, 0.8]], [0.25, 0.25, 0.5])
    np.testing.assert_array_equal(teacher.classes.multiplicity, [2, 1])
    np.testing.assert_array_equal(teacher.classes.rho, [0.25, 0.5])


def test_from_classes_holds_a_trillion_inputs():
    teacher = kt.Teacher.from_classes([[0.1, 0.9], [1, 0]], [5e-13, 0.5], [10**12, 1])
    assert teacher.inputs == 10**12 + 1
    assert teacher.labels == 2
    np.testing.assert_array_equal(teacher.classes.rows[0], [0.9, 0.1])
    with pytest.raises(
        ValueError, match=r"no dense table \(1000000000001 x 2 would take 1.6e\+13 bytes\)"
    ):
        _ = teacher.pi
    assert "2 row classes" in repr(teacher)
    with pytest.raises(ValueError, match="more than the limit of 2 GiB"):
        teacher.expand()


def test_expand_gives_the_dense_teacher():
    teacher = kt.Teacher.from_classes([[0.1, 0.9], [1, 0]], [0.2, 0.6], [2, 1]).expand()
    np.testing.assert_array_equal(teacher.pi, [[0.9, 0.1], [0.9, 0.1], [1, 0]])
    np.testing.assert_array_equal(teacher.rho, [0.2, 0.2, 0.6])
    assert teacher.expand() is teacher


@pytest.mark.parametrize(
    ("rows", "rho", "multiplicity", "message"),
    [
        ([[1.0]], [0.5], [1], r"sum\(rho \* multiplicity\) = 0.5: must be 1"),
        ([[1.0]], [1.0], [0], r"multiplicity\[0\] = 0: must be a whole number"),
        ([[1.0]], [0.4], [2.5], r"multiplicity\[0\] = 2.5"),
        ([[1.0]], [1.0, 0.0], [1], r"rho has 2 entries: rows has 1 classes"),
        ([[1.0], [1.0]], [-0.5, 1.5], [1, 1], r"rho\[0\] = -0.5: input probabilities must be >= 0"),
    ],
)
def test_bad_classes(rows, rho, multiplicity, message):
    with pytest.raises(ValueError, match=message):
        kt.Teacher.from_classes(rows, rho, multiplicity)


@pytest.mark.parametrize(
    ("pi", "rho", "message"),
    [
        (
            [[0.5, 0.6], [0.5, 0.5]],
            None,
            r"pi row 0 sums to 1.1: must sum to 1; normalise=True divides by the sum",
        ),
        ([[0.5, 0.5], [0.4, 0.5], [0.1, 0.1]], None, r"pi row 1 sums to 0.9 \(and 1 more rows\)"),
        ([[1.5, -0.5]], None, r"pi\[0, 1\] = -0.5: probabilities must be >= 0"),
        ([[0.5, np.nan]], None, r"pi\[0, 1\] = nan: entries must be finite"),
        ([[0.5, np.inf]], None, r"pi\[0, 1\] = inf"),
        ([0.5, 0.5], None, r"pi has shape \(2,\): must have 2 axes, \(inputs, labels\)"),
        ([], None, r"pi has shape \(0,\)"),
        (np.zeros((0, 3)), None, r"pi has shape \(0, 3\): must have at least one input"),
        (np.zeros((3, 0)), None, r"pi has shape \(3, 0\)"),
        ([["a", "b"]], None, r"pi: must be a table of real numbers"),
        ([[0.5, 0.5], [1.0]], None, r"pi: must be a table of real numbers"),
        ([[1j, 0]], None, r"pi: must be a table of real numbers"),
        ([[1.0]], [0.5], r"rho sums to 0.5: must sum to 1"),
        ([[1.0]], [0.5, 0.5], r"rho has 2 entries: pi has 1 inputs"),
        ([[1.0], [1.0]], [1.2, -0.2], r"rho\[1\] = -0.2"),
        ([[1.0]], [[1.0]], r"rho has shape \(1, 1\): must have 1 axes"),
    ],
)
def test_bad_tables(pi, rho, message):
    with pytest.raises(ValueError, match=message):
        kt.Teacher(pi, rho)


def test_sums_off_by_more_than_rounding_are_divided_out():
    teacher = kt.Teacher([[0.5, 0.5 + 1e-10]])
    assert teacher.pi.sum() == 1.0
    assert teacher.pi[0, 0] != 0.5


def test_huge_weights_do_not_overflow():
    teacher = kt.Teacher([[1e308, 1e308], [0.5, 1.5]], [1e308, 1e308], normalise=True)
    np.testing.assert_array_equal(teacher.pi, [[0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_array_equal(teacher.rho, [0.5, 0.5])


def test_nobody_can_make_a_teacher_writeable():
    with pytest.raises(ValueError, match="WRITEABLE"):
        kt.Teacher([[0.5, 0.5]]).pi.setflags(write=True)


def test_normalise():
    teacher = kt.Teacher([[2, 6], [1, 0]], [3, 1], normalise=True)
    np.testing.assert_array_equal(teacher.pi, [[0.25, 0.75], [1, 0]])
    np.testing.assert_array_equal(teacher.rho, [0.75, 0.25])
    with pytest.raises(ValueError, match="row 1 sums to 0: cannot be normalised"):
        kt.Teacher([[1, 1], [0, 0]], normalise=True)


def test_bad_logits_and_names():
    with pytest.raises(ValueError, match="logits row 1 is -inf everywhere"):
        kt.Teacher.from_logits([[0.0, 0.0], [-np.inf, -np.inf]])
    with pytest.raises(ValueError, match=r"logits\[0, 1\] = inf"):
        kt.Teacher.from_logits([[0.0, np.inf]])
    with pytest.raises(ValueError, match="label_names has 1 entries: 2 are needed"):
        kt.Teacher([[0.5, 0.5]], label_names=["yes"])


def test_round_trip_through_pickle_and_repr():
    teacher = kt.Teacher([[0.5, 0.5], [1, 0]], [0.2, 0.8], label_names=["no", "yes"])
    copy = pickle.loads(pickle.dumps(teacher))
    np.testing.assert_array_equal(copy.pi, teacher.pi)
    np.testing.assert_array_equal(copy.rho, teacher.rho)
    assert copy.label_names == ("no", "yes")
    assert repr(teacher) == (
        "Teacher(2 inputs, 2 labels, rho from 0.2 to 0.8, 2 row classes, mean top probability 0.9, "
        "mean entropy 0.1386 nats)"
    )
    assert repr(kt.Teacher([[1.0]])).startswith(
        "Teacher(1 input, 1 label, rho uniform, 1 row class,"
    )
    big = kt.Teacher.from_classes([[1.0]], [1e-12], [10**12])
    assert pickle.loads(pickle.dumps(big)).inputs == 10**12


def test_logits_as_far_apart_as_float64_has_them_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher = kt.Teacher.from_logits([[1e308, -1e308, 0.0]])
    np.testing.assert_array_equal(teacher.pi, [[1.0, 0.0, 0.0]])


def test_teachers_by_classes_are_called_as_asked_or_by_their_content():
    given = [[0.5, 0.5]], [0.1], [10]
    assert kt.Teacher.from_classes(*given, name="mine").name == "mine"
    assert kt.Teacher.from_classes(*given).name.startswith("teacher ")
