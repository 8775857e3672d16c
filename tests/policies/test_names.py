"""Names of policies: what is read is what is printed, and what is wrong is said in a line."""

import re

import pytest

import kt_theory as kt
from kt_theory.policies import Policy, policies, policy
from kt_theory.policies.defaults import usual_policies
from kt_theory.policies.names import WORDS

SAME = {
    "soft": "soft",
    "rounded(0.1)": "rounded(0.1)",
    "soft quantised(8)": "quantised(8)",
    "rounded(2) renormalised(50)": "renormalised(50) rounded(2)",
    "renormalised(k=50)": "renormalised(50)",
    "sampled(50, 1)": "sampled(50)",
    "sampled(50, t=0.8)": "sampled(50, 0.8)",
    "sampled(50, probabilities=true)": "sampled(50, probabilities=true)",
    "sampled(N=50, probabilities=false)": "sampled(50)",
    "top_p(0.9) rounded(0.5) temperature(2)": "top_p(0.9) temperature(2) rounded(0.5)",
    "temperature(2)": "temperature(2)",
    "tail_mass(5) quantised(8)": "tail_mass(5) quantised(8)",
}


@pytest.mark.parametrize(("written", "printed"), SAME.items())
def test_names_are_read_and_printed_alike(written, printed):
    assert policy(written).name == printed
    assert policy(printed) == policy(written)
    assert policy(policy(written)) == policy(written)


@pytest.mark.parametrize("word", WORDS.values(), ids=list(WORDS))
def test_every_word_has_an_example_that_is_read(word):
    assert policy(word.example).words


def test_usual_policies_have_names_that_are_read():
    for labels, listed in ((128_256, None), (128_256, 64), (7, None), (2, None), (50_000, 1)):
        for one in usual_policies(labels, listed):
            assert policy(one.name) == one
            one.refuse(labels)
            if listed is not None:
                assert one.kept.most(labels) in (labels, *range(listed + 1))


def test_a_list_is_a_text_with_commas():
    text = "renormalised(5), sampled(5, probabilities=true)"
    assert policies(text) == [policy(name) for name in ("renormalised(5)", text.split(", ", 1)[1])]
    assert policies(policy("soft")) == [Policy(policy("soft").kept)]


WRONG = {
    "foo(3)": "unknown policy 'foo'",
    "renormalize(3)": "did you mean 'renormalised'",
    "renormalised(0)": "k = 0: must be at least 1",
    "renormalised(2.5)": "k = 2.5: must be a whole number",
    "renormalised": "write it as 'renormalised(50)'",
    "renormalised(3, 4)": "write it as 'renormalised(50)'",
    "renormalised(n=3)": "write it as 'renormalised(50)'",
    "soft(3)": "write it as 'soft'",
    "top_p(1)": "p = 1: must lie strictly between 0 and 1",
    "sampled(0)": "N = 0: must be at least 1",
    "sampled(5, 2)": "t = 2: must be a number from 0.001 to 1.999",
    "sampled(5, 0.5, probabilities=true)": "need no weights",
    "sampled(5, probabilities=maybe)": "must be true or false",
    "quantised(31)": "b = 31: must be at most 30",
    "quantised(0)": "b = 0: must be at least 1",
    "rounded(0)": "d = 0: must be a finite number above 0",
    "rounded(nan)": "d = ",
    "temperature(0)": "tau = 0: must be a finite number above 0",
    "renormalised(5) even_tail(5)": "says twice",
    "rounded(1) quantised(8)": "says twice",
    "sampled(5) rounded(1)": "draws are stored as they are",
    "even_tail(5) temperature(2)": "a temperature goes with",
    "renormalised(5": "write it as",
    "": "write it as",
    "5": "unknown policy '5'",
}


@pytest.mark.parametrize(("name", "says"), WRONG.items())
def test_wrong_names_are_refused_in_a_line(name, says):
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        policy(name)
    assert "\n" not in str(refused.value)


def test_lists_are_refused_that_are_empty_or_say_a_policy_twice():
    with pytest.raises(ValueError, match="at least one"):
        policies([])
    with pytest.raises(ValueError, match="named twice"):
        policies("soft, soft")


def test_as_many_labels_as_there_are_is_no_policy():
    teacher = kt.Teacher([[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match=r"k must be below the number of labels, 3"):
        kt.storage(teacher, "even_tail(3)")
    assert kt.storage(teacher, "even_tail(2)").frame["tv"][0] == 0.0


BYTES = {
    ("soft", 50_000): 4 * 50_000,
    ("rounded(0.5)", 50_000): 50_000,
    ("rounded(0.1)", 50_000): 2 * 50_000,
    ("rounded(0.0001)", 50_000): 4 * 50_000,
    ("quantised(7)", 256): 256,
    ("quantised(8)", 256): 2 * 256,
    ("quantised(15)", 256): 2 * 256,
    ("quantised(16)", 256): 4 * 256,
    ("renormalised(5)", 256): 5 * (1 + 4),
    ("renormalised(5)", 257): 5 * (2 + 4),
    ("renormalised(5)", 65_536): 5 * (2 + 4),
    ("even_tail(5)", 65_537): 5 * (4 + 4),
    ("even_tail(5) rounded(0.5)", 128_256): 5 * (4 + 1),
    ("tail_mass(5) quantised(15)", 128_256): 5 * (4 + 2) + 2,
}


@pytest.mark.parametrize(("asked", "expected"), BYTES.items())
def test_bytes_are_what_is_stored(asked, expected):
    """Numbers of labels and codes take 1, 2 or 4 bytes, values 4."""
    name, labels = asked
    one = policy(name)
    assert one.bytes(labels, one.kept.most(labels)) == expected


def test_bytes_of_what_varies_are_a_length_and_what_is_stored():
    assert policy("top_p(0.9)").bytes(128_256, 7.5) == 4 + 7.5 * (4 + 4)
    assert policy("sampled(50)").bytes(128_256, 7.5) == 1 + 7.5 * (4 + 1)
    assert policy("sampled(300)").bytes(128_256, 7.5) == 2 + 7.5 * (4 + 2)
    assert policy("sampled(50, 0.8)").bytes(128_256, 7.5) == 1 + 7.5 * (4 + 4)
    assert policy("sampled(50, probabilities=true)").bytes(128_256, 7.5) == 1 + 7.5 * (4 + 4)
