"""Students: rules with a name, the access level they need and where they come from.

`core` has the records and the paper's students, `channels` those of distorted answers, `pooled` those that learn from
all rows together, `prior` those that start from a table of their own, `losses` those of losses that mix labels and
probabilities, `restricted` those that know or are told no more than labels, `representation` those that know the
teacher's features, `moments` what statistics of the teacher are worth as a prior.
"""

from __future__ import annotations

from kt_theory.students.distorted import jacobian, logits, noisy, quantised, rounded, tempered
from kt_theory.students.student import (
    CE_FUL,
    CE_PTL,
    CE_SGL,
    NAMED,
    SEL_PTL,
    STUDENTS,
    RowRule,
    Student,
    TableRule,
    add_c,
    as_students,
    grad_ful,
    refuse_too_little_access,
    row_rule,
    table_rule,
    top_k,
)
from kt_theory.students.losses import hinton
from kt_theory.students.moments import label_marginal, moment_prior
from kt_theory.students.pooled import affine_ful, tempered_mle
from kt_theory.students.prior import best_shrinkage, shrink, with_prior
from kt_theory.students.representation import equal_maps, features, relations
from kt_theory.students.informed import grouped, masked

__all__ = [
    "CE_FUL",
    "CE_PTL",
    "CE_SGL",
    "NAMED",
    "SEL_PTL",
    "STUDENTS",
    "RowRule",
    "Student",
    "TableRule",
    "add_c",
    "affine_ful",
    "as_students",
    "best_shrinkage",
    "equal_maps",
    "features",
    "grad_ful",
    "grouped",
    "hinton",
    "jacobian",
    "label_marginal",
    "logits",
    "masked",
    "moment_prior",
    "noisy",
    "quantised",
    "refuse_too_little_access",
    "relations",
    "rounded",
    "row_rule",
    "shrink",
    "table_rule",
    "tempered",
    "tempered_mle",
    "top_k",
    "with_prior",
]
