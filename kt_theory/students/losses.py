"""Students that mix the sampled labels with the probabilities shown, as losses for distillation
do.
"""

from __future__ import annotations

import numpy as np

from kt_theory.access import SOFT
from kt_theory.exact.empirical import Mixed
from kt_theory.students.paper import CE_FUL, CE_SGL
from kt_theory.students.rules import RowRule
from kt_theory.students.student import Student
from kt_theory.validation import number_between, positive

_NEWTON_STEPS = 1000


def hinton(alpha: float, temperature: float = 1.0) -> Student:
    """Return the student of Hinton's loss: part cross-entropy with the labels, part with rows at a
    temperature T.

    On a visited row, with e the frequencies of its labels, p the row, p_T = softmax(log p / T) and
    q_T likewise, it is

        argmin over q of  alpha CE(e, q) + (1-alpha) T^2 KL(p_T || q_T).

    T = 1: the loss is CE(alpha e + (1-alpha) p, q) up to a constant, so q = alpha e + (1-alpha) p
    exactly, and TV(q, p) = alpha TV(e, p) on every visited row:

        risk = risk of ce_ful + alpha (risk of ce_sgl - risk of ce_ful),

    which tends to 0 as alpha sqrt(S(A-1)/(2 pi n)) at worst: the labels are noise where the row is
    known, and alpha = 0 is best. T != 1: the minimum of a convex function of the logits, by
    Newton's method to 1e-12 in its gradient

        alpha (q - e) + (1-alpha) T (q_T - p_T);

    it tends to p too, and has no exact risk. As n grows the noise of a rare label a enters with a
    weight of about alpha p_a / (alpha p_a + (1-alpha) p_T(a)): a T above 1 takes it from the rare
    labels. As T -> infinity the second part of the loss tends to logit matching, (1-alpha)/(2B)
    sum_a (z_a - log p_a)^2 over the B labels of positive probability, both logits of mean 0, and q
    to its minimum with an error of order 1/T. alpha = 0 is `ce_ful` and alpha = 1 is `ce_sgl`, at
    every T. Unvisited rows are uniform.

    Parameters
    ----------
    alpha : float
        Weight of the sampled labels, from 0 to 1.
    temperature : float
        T, from 0.001 to 1000.

    References
    ----------
    Hinton, Vinyals and Dean (2015), Distilling the knowledge in a neural network, arXiv 1503.02531,
    sections 2 and 2.1.
    """
    weight = number_between(alpha, "alpha", low=0.0, high=1.0)
    tau = positive(temperature, "temperature", low=1e-3, high=1e3)
    reference = "Hinton, Vinyals and Dean (2015), arXiv 1503.02531"
    name = f"hinton({weight:g}, {tau:g})" if tau != 1.0 else f"hinton({weight:g})"
    if weight in (0.0, 1.0):
        end = CE_SGL if weight else CE_FUL
        rule = RowRule(_mixture, [weight])
        return Student(name, SOFT, rule, reference, end.exact, sparse=end.sparse)
    if tau == 1.0:
        return Student(name, SOFT, RowRule(_mixture, [weight]), reference, Mixed(weight))
    return Student(name, SOFT, RowRule(_newton, [weight, tau]), reference)


def _mixture(counts, revealed, out, parameters):
    weight = parameters[0]
    visits = counts.sum()
    for a in range(counts.size):
        if visits == 0:
            out[a] = 1.0 / counts.size
        else:
            out[a] = weight * (counts[a] / visits) + (1.0 - weight) * revealed[a]


def _newton(counts, revealed, out, parameters):
    """Write the minimum for T != 1 and 0 < alpha < 1; the parameters are alpha and T.

    The Hessian is D - alpha q q^T - (1-alpha) q_T q_T^T with D = diag(alpha q + (1-alpha) q_T), and
    does not see a constant in the logits. With the constant that makes q_T . step = 0, the Newton
    step is D^-1 (s q - gradient), s = alpha q . step, so one division solves for it.
    """
    weight, tau = parameters[0], parameters[1]
    other = 1.0 - weight
    labels = counts.size
    visits = counts.sum()
    if visits == 0:
        out[:] = 1.0 / labels
        return
    logit, hot, target, step = (
        np.empty(labels),
        np.empty(labels),
        np.empty(labels),
        np.empty(labels),
    )
    top = revealed.max()
    mass = 0.0
    for a in range(labels):
        target[a] = (revealed[a] / top) ** (1.0 / tau)
        mass += target[a]
        start = weight * (counts[a] / visits) + other * revealed[a]
        # A label without counts and target has no weight in the minimum.
        logit[a] = np.log(start) if counts[a] > 0 or target[a] > 0.0 else -np.inf
    target /= mass
    for _ in range(_NEWTON_STEPS):
        top = logit.max()
        mass = 0.0
        hot_mass = 0.0
        for a in range(labels):
            out[a], hot[a] = np.exp(logit[a] - top), np.exp((logit[a] - top) / tau)
            mass += out[a]
            hot_mass += hot[a]
        out /= mass
        hot /= hot_mass
        above = 0.0
        below = 0.0
        largest = 0.0
        for a in range(labels):
            curve = weight * out[a] + other * hot[a]
            if curve > 0.0:
                step[a] = weight * (out[a] - counts[a] / visits) + other * tau * (
                    hot[a] - target[a]
                )
                largest = max(largest, abs(step[a]))
                above -= weight * out[a] * step[a] / curve
                below += other * out[a] * hot[a] / curve
        if largest <= 1e-15 * max(tau, 1.0):
            break
        slope, mean, hot_mean, hard, soft = 0.0, 0.0, 0.0, 0.0, 0.0
        for a in range(labels):
            curve = weight * out[a] + other * hot[a]
            gradient = step[a]
            step[a] = (out[a] * (above / below) - gradient) / curve if curve > 0.0 else 0.0
            slope += gradient * step[a] if curve > 0.0 else 0.0
            mean += out[a] * step[a]
            hot_mean += hot[a] * step[a]
            hard += counts[a] / visits * step[a]
            soft += target[a] * step[a]
        size = 1.0
        # Far from the minimum the loss must fall; close to it the fall is lost in rounding.
        while slope < -1e-14 and size > 1e-12:
            hard_rise = 0.0
            soft_rise = 0.0
            for a in range(labels):
                hard_gap = size * (step[a] - mean)
                soft_gap = size * (step[a] - hot_mean) / tau
                # A step so far would overflow, on a label whose weight may have underflowed: it
                # is refused.
                far = hard_gap > 600.0 or soft_gap > 600.0
                hard_rise += np.inf if far else out[a] * np.expm1(hard_gap)
                soft_rise += np.inf if far else hot[a] * np.expm1(soft_gap)
            rise = weight * (np.log1p(hard_rise) + size * (mean - hard))
            rise += other * tau * (tau * np.log1p(soft_rise) + size * (hot_mean - soft))
            if rise <= 1e-4 * size * slope:
                break
            size *= 0.5
        for a in range(labels):
            logit[a] += size * step[a]
        if slope > -1e-28:
            break
    mass = 0.0
    top = logit.max()
    for a in range(labels):
        out[a] = np.exp(logit[a] - top)
        mass += out[a]
    out /= mass
