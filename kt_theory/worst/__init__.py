"""Search for teachers: the worst of one student, or the one that parts two students most.

`design` has teachers of few kinds of rows, each of few levels, `ascent` climbs from one of them,
`search` says where it begins, `ceiling` what is proved of a student's worst case, `teacher` puts
them together.
"""

from kt_theory.worst.teacher import Searched, WorstTeacher, worst_teacher

__all__ = ["Searched", "WorstTeacher", "worst_teacher"]
