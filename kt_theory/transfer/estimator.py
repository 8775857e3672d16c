"""Students as scikit-learn classifiers. scikit-learn itself loads when one is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.students import Student
from kt_theory.transfer.fit import Copy, fit
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import as_floats


class CopyClassifier:
    """A student on the distinct rows of X: a classifier by scikit-learn's conventions.

    Every distinct row of X is one input. There is no generalisation: on a row that was not in the
    training data all classes are equally probable, as for every student of the package.

    Parameters
    ----------
    student : str, Student or None
        As for `kt_theory.fit`. None: the frequencies of the labels (`ce_sgl`), or all that the
        teacher's probabilities state, where they are given.

    Attributes
    ----------
    classes_ : (A,) array
        The labels, sorted.
    copy_ : Copy
        The table; `copy_.certificate()` bounds its distance from the teacher.

    Examples
    --------
    >>> from kt_theory.transfer.estimator import CopyClassifier
    >>> CopyClassifier().fit([[0], [0], [1]], ["no", "yes", "yes"]).predict_proba([[0], [1], [2]])
    array([[0.5, 0.5],
           [0. , 1. ],
           [0.5, 0.5]])
    """

    _estimator_type = "classifier"
    classes_: np.ndarray
    copy_: Copy
    n_features_in_: int

    def __init__(self, student: str | Student | None = None) -> None:
        self.student = student

    def fit(self, X: ArrayLike, y: ArrayLike, proba: ArrayLike | None = None) -> CopyClassifier:
        """Learn the table.

        Parameters
        ----------
        X : array_like, (n, features)
            Finite numbers.
        y : array_like, (n,)
            The labels that the teacher gave.
        proba : array_like, (n, A), optional
            What the teacher says of each label in the order of the sorted labels of y, NaN where it
            says nothing.

        Returns
        -------
        The classifier itself.
        """
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import validate_data

        table, labels = validate_data(self, X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        keys = _keys(table)
        self._rows: dict[bytes, int] = {}
        inputs = [self._rows.setdefault(key, len(self._rows)) for key in keys]
        names = [str(i) for i in range(len(self.classes_))]
        if proba is None:
            logprobs = None
        else:
            stated = as_floats(proba, "proba")
            if stated.shape != (len(keys), len(names)):
                raise ValueError(
                    f"proba has shape {stated.shape}: must be (n, labels) = "
                    f"{(len(keys), len(names))}"
                )
            if (stated < 0).any() or (stated > 1 + 1e-6).any():
                raise ValueError(
                    "proba: entries must lie in [0, 1], or be NaN where the teacher says nothing"
                )
            with np.errstate(divide="ignore"):
                # A stated 0 is stated: the smallest log-probability that is not taken for a
                # censoring mark.
                logprobs = np.maximum(np.log(stated), -999.0)
        records = TransferSet.from_arrays(inputs, codes, logprobs=logprobs, labels=names)
        student = "ce_sgl" if self.student is None and proba is None else self.student
        self.copy_ = fit(records, student)
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the copy's probabilities: (n, A), rows sum to 1, columns as in `classes_`."""
        from sklearn.utils.validation import check_is_fitted, validate_data

        check_is_fitted(self, "copy_")
        keys = _keys(validate_data(self, X, reset=False))
        dense = np.vstack([self.copy_.pi, np.full(len(self.classes_), 1.0 / len(self.classes_))])
        return dense[[self._rows.get(key, -1) for key in keys]]

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of each row, the first of `classes_` among equals."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of rows whose label is predicted."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters."""
        return {"student": self.student}

    def set_params(self, **params: Any) -> CopyClassifier:
        """Set the constructor's parameters."""
        unknown = params.keys() - {"student"}
        if unknown:
            raise ValueError(f"unknown parameter {min(unknown)!r}: the only one is 'student'")
        self.student = params.get("student", self.student)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=ClassifierTags(),
        )

    def __repr__(self) -> str:
        return f"CopyClassifier(student={self.student!r})"


def _keys(table: Any) -> list[bytes]:
    """What tells rows apart; adding 0 makes -0.0 and 0.0 the same."""
    rows = np.ascontiguousarray(table, dtype=np.float64) + 0.0
    return [row.tobytes() for row in rows]
