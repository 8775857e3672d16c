"""The catalogue: every access level, student and objective by name, and what belongs to each.

`names` has the tables and reads and prints names by one grammar (`grammar`; what comes from a file,
`files`; students of one's own, `imported` and `source`); `own` has the students of a level,
`brackets` what is proved of it, `channels` both for levels behind a channel. To add a level, a
student or an objective, add an entry in `names`; a channel of a new kind also needs its cases in
`channels`, another part its cases in `own` and `brackets`.
"""

from kt_theory.catalogue.imported import no_imports, origin
from kt_theory.catalogue.names import (
    LEVELS,
    OBJECTIVES,
    STUDENTS,
    build_student,
    granted,
    identity,
    is_imported,
    level,
    level_recipe,
    located,
    name_of,
    objective,
    student,
    student_access,
    student_recipe,
    typed,
)
from kt_theory.catalogue.own import default_students, own_student

__all__ = [
    "LEVELS",
    "OBJECTIVES",
    "STUDENTS",
    "build_student",
    "default_students",
    "granted",
    "identity",
    "is_imported",
    "level",
    "level_recipe",
    "located",
    "name_of",
    "no_imports",
    "objective",
    "origin",
    "own_student",
    "student",
    "student_access",
    "student_recipe",
    "typed",
]
