"""Students: rules with a name, the access level they need and where they come from.

`student` has the record, `rules` what students are made of, `named` those that need no parameter.
`paper` has the paper's students, `distorted` those of distorted answers, `confused` those of noisy
labels, `gradients` those whose answers reach beyond a row, `greedy` and `non_target` those of such
answers, `pooled` those that learn from all rows together, `prior` those that start from a table of
their own, `losses` those of losses that mix labels and probabilities, `minimiser` those of training
objectives, `informed` those that know possible labels or equal inputs, `representation` those that
know the teacher's features; `moments` what statistics of the teacher are worth as a prior; `risk`
the exact risk of any, `sparse` how they are fitted to records.
"""

from __future__ import annotations

from kt_theory.students.confused import confused
from kt_theory.students.distorted import logits, noisy, quantised, rounded, tempered
from kt_theory.students.gradients import grad_ful, jacobian
from kt_theory.students.informed import grouped, masked
from kt_theory.students.losses import hinton
from kt_theory.students.minimiser import minimiser
from kt_theory.students.moments import label_marginal, moment_prior
from kt_theory.students.named import NAMED, as_students
from kt_theory.students.paper import CE_FUL, CE_PTL, CE_SGL, SEL_PTL, STUDENTS, add_c, top_k
from kt_theory.students.pooled import affine_ful, tempered_mle
from kt_theory.students.prior import best_shrinkage, shrink, with_prior
from kt_theory.students.representation import equal_maps, features, relations
from kt_theory.students.rules import RowRule, TableRule, row_rule, table_rule
from kt_theory.students.student import Student, refuse_too_little_access

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
    "confused",
    "equal_maps",
    "features",
    "grad_ful",
    "grouped",
    "hinton",
    "jacobian",
    "label_marginal",
    "logits",
    "masked",
    "minimiser",
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
