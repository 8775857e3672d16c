"""Copies of sequence teachers: students that see the last tokens alone, learnt from a dump."""

from kt_theory.sequences.certificate import SequenceCertificate
from kt_theory.sequences.copy import SequenceCopy
from kt_theory.sequences.learn import SEQUENCE_STUDENTS, fit_dump

__all__ = ["SEQUENCE_STUDENTS", "SequenceCertificate", "SequenceCopy", "fit_dump"]
