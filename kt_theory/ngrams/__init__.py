"""n-gram models: counts of contexts of every length, and the named ways to smooth them."""

from kt_theory.ngrams.back_off import BackOff
from kt_theory.ngrams.discounts import AbsoluteDiscounting, KneserNey, ModifiedKneserNey
from kt_theory.ngrams.good_turing import GoodTuring
from kt_theory.ngrams.named import SMOOTHINGS, learn, smoothing_named
from kt_theory.ngrams.smoothing import Smoothing

__all__ = [
    "SMOOTHINGS",
    "AbsoluteDiscounting",
    "BackOff",
    "GoodTuring",
    "KneserNey",
    "ModifiedKneserNey",
    "Smoothing",
    "learn",
    "smoothing_named",
]
