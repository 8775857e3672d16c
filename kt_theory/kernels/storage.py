"""What copies lose that are made of what a policy stores of each row: total variation and KL(p||q).

A row is its head, the labels that are known one by one in descending order; where whole rows are
longer than their heads, the rest, in the order of the labels; and where a dump lists only some
labels, the hidden ones: h labels of mass M together, none above `cap`. Of those every loss has a
least and a largest value over all spreads. The spreads are a polytope whose corners put `cap` on
as many labels as there is mass for; a sum of convex functions of one label is largest there, and
least where all labels are equal; of concave ones the other way round.

Legend: p, lp a row's probabilities and their logarithms; tail[j] the mass from label j on, beyond
the head too; plogp[j] the sum of p log p over the first j; r, rl the rest; A labels; N draws.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kt_theory.kernels.exact import binomial
from kt_theory.kernels.options import BARE, LEAF

SOFT, RENORMALISED, EVEN_TAIL, TAIL_MASS, TOP_P, SAMPLED, SAMPLED_STATED = range(7)
AS_IS, ROUNDED, QUANTISED = range(3)

KIND, SIZE, CHANNEL, POOLED = range(4)
"""Columns of `what`: the kind, k or N, the channel, and N times the visits."""

SHARE, AMOUNT, LAST_CODE, TAU, CHANNEL_ERROR = range(5)
"""Columns of `how`: p or t, step or bits, the last code of a step, the temperature, and how far at
most the channel moves a row that it cannot see."""

TV_LEAST, TV_MOST, KL_LEAST, KL_MOST, STORED = range(5)
"""Columns of what is found: losses, and how many labels are stored (at most)."""

ORDER = 6
"""Sums of so many powers stand for the light labels of the rest: N p at most `_LIGHT`, so that
the first term that is left out is below 2^-51 of the sum."""

_LIGHT = 1.0 / 128.0
_SQUARED = 4096  # above so many draws (1-p)^N is an exponential
_ROUNDING = 2.0**-52


@njit(**LEAF)
def storage_losses(
    heads, lengths, rows, thresholds, labels, complete, what, how, tables, scratch, rest, found
):
    """Write the losses of every row under every policy to found (m, P, 5).

    Parameters
    ----------
    heads : (m, H) float64
        Log-probabilities in descending order.
    lengths : (m,) int64
        How many of them a row has.
    rows : (m, A) float64
        All log-probabilities in the order of the labels, where rows are longer than their heads;
        (0, 0) otherwise.
    thresholds : (m,) float64
        The last of each head: what is below it, or equal but no longer in the head, is the rest.
    labels : int
        A.
    complete : bool
        Whether what is listed is the whole of the mass, as of whole rows.
    what : (P, 4) int64
    how : (P, 5) float64
    tables : (P, T) float64
        e^(-tau d j) of a policy that rounds to multiples of d, for codes j below T.
    scratch : (6, H + 1) float64
    rest : (3, A) float64, or (3, 0)
    found : (m, P, 5) float64
        NaN where a head is too short for its row, though the rest is known.
    """
    policies = what.shape[0]
    most = 1
    for j in range(policies):
        if what[j, KIND] >= SAMPLED:
            most = max(most, what[j, POOLED], what[j, SIZE])
    p, lp, tail, plogp, q, powers = (
        scratch[0],
        scratch[1],
        scratch[2],
        scratch[3],
        scratch[4],
        scratch[5],
    )
    r, rl, other = rest[0], rest[1], rest[2]
    for i in range(heads.shape[0]):
        n = lengths[i]
        size = 0
        if rows.shape[0] > 0:
            size = _split_rest(heads[i], rows[i], thresholds[i], r, rl)
        hidden = labels - n - size
        rest_plogp, mass, cap = _prepare(
            heads[i], n, r, rl, size, hidden, complete, p, lp, tail, plogp
        )
        heavy = _light_powers(r, rl, size, _LIGHT / most, powers)
        row = (p, lp, tail, plogp, n, r, rl, size, rest_plogp, heavy, powers, mass, hidden, cap)
        for j in range(policies):
            _one(row, labels, what[j], how[j], tables[j], q, other, found[i, j])


@njit(**BARE)
def _split_rest(logs, row, threshold, r, rl):
    """Write the logarithms of the rest to rl; return how many."""
    equal = 0
    for j in range(logs.size - 1, -1, -1):
        if logs[j] != threshold:
            break
        equal += 1
    size = 0
    for a in range(row.size):
        x = row[a]
        if x < threshold:
            rl[size] = x
            size += 1
        elif x == threshold:
            if equal > 0:
                equal -= 1
            else:
                rl[size] = x
                size += 1
    return size


@njit(**BARE)
def _prepare(logs, n, r, rl, size, hidden, complete, p, lp, tail, plogp):
    """Fill p, lp, tail, plogp and r with a row that sums to 1; return the rest's sum of p log p,
    the hidden mass and the cap.
    """
    listed = 0.0
    for j in range(n):
        p[j] = math.exp(logs[j])
        listed += p[j]
    more = 0.0
    for j in range(size):
        r[j] = math.exp(rl[j])
        more += r[j]
    total = listed + more
    mass = 0.0
    if hidden > 0 and not complete and total < 1.0:
        mass = 1.0 - total
        total = 1.0
    shift, factor = math.log(total), 1.0 / total
    rest_mass, rest_plogp = 0.0, 0.0
    for j in range(size):
        r[j] *= factor
        rl[j] -= shift
        rest_mass += r[j]
        if r[j] > 0.0:
            rest_plogp += r[j] * rl[j]
    plogp[0] = 0.0
    for j in range(n):
        p[j] *= factor
        lp[j] = logs[j] - shift
        plogp[j + 1] = plogp[j] + (p[j] * lp[j] if p[j] > 0.0 else 0.0)
    tail[n] = rest_mass + mass
    for j in range(n - 1, -1, -1):
        tail[j] = tail[j + 1] + p[j]
    cap = 0.0
    if hidden > 0:
        # Rounded values may hide more than their own cap allows: the least that holds it then.
        cap = max(p[n - 1], mass / hidden)
    return rest_plogp, mass, cap


@njit(**BARE)
def _light_powers(r, rl, size, light, powers):
    """Move the rest's labels above `light` to its front; write the sums of powers 0 to ORDER of the
    others. Return how many are above.
    """
    heavy = 0
    s1, s2, s3, s4, s5, s6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(size):
        x = r[j]
        if x > light:
            r[j], r[heavy] = r[heavy], x
            rl[j], rl[heavy] = rl[heavy], rl[j]
            heavy += 1
        else:
            x2 = x * x
            s1 += x
            s2 += x2
            s3 += x2 * x
            s4 += x2 * x2
            s5 += x2 * x2 * x
            s6 += x2 * x2 * x2
    powers[0] = size - heavy
    powers[1], powers[2], powers[3], powers[4], powers[5], powers[6] = s1, s2, s3, s4, s5, s6
    return heavy


@njit(**BARE)
def _one(row, labels, what, how, table, q, other, found):
    """Write the losses of one row under one policy."""
    n, size, hidden = row[4], row[7], row[12]
    kind, k = what[KIND], what[SIZE]
    found[:] = 0.0
    if kind == SAMPLED:
        _drawn(row, labels, what, how[SHARE], q, other, found)
    elif kind == SAMPLED_STATED:
        _stated(row, labels, what, q, other, found)
    elif kind == SOFT:
        found[STORED] = labels
        if what[CHANNEL] != AS_IS and hidden > 0:
            found[TV_MOST], found[KL_MOST] = how[CHANNEL_ERROR], math.inf
        elif what[CHANNEL] != AS_IS:
            _whole_coded(row, what, how, table, q, other, found)
    else:
        if kind == TOP_P:
            k = _reach(row, how[SHARE])
        if k > n and size > 0:
            found[:] = math.nan
        elif k > n:
            _beyond(row, kind, k, how, found)
        elif kind in (EVEN_TAIL, TAIL_MASS):
            _with_tail(row, labels, what, how, table, k, q, found)
        else:
            _cut(row, what, how, table, k, q, found)


# The k most probable labels.


@njit(**BARE)
def _reach(row, share):
    """Return the least k whose mass reaches `share`, n + 1 where the head does not."""
    tail, n = row[2], row[4]
    left = 1.0 - share
    for k in range(1, n + 1):
        if tail[k] <= left * (1.0 + 4.0 * _ROUNDING):
            return k
    return n + 1


@njit(**BARE)
def _cut(row, what, how, table, k, q, found):
    """p_T / P on the first k labels, 0 elsewhere."""
    tail = row[2]
    lost = tail[k]
    found[STORED] = k
    away, kl = lost, 0.0
    if what[CHANNEL] != AS_IS:
        shift = _at_temperature(row[1], k, row[6], 0, how[TAU])
        if how[TAU] == 1.0:
            shift = math.log(tail[0] - lost)
        away, kl, _ = _coded(row, k, shift, 0.0, 0, what, how, table, q)
        away += lost
        away *= 0.5
    if lost > 0.0:
        kl = math.inf
    found[TV_LEAST] = found[TV_MOST] = away
    found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)


@njit(**BARE)
def _with_tail(row, labels, what, how, table, k, q, found):
    """p on the first k labels, the rest shared equally or free."""
    lost = row[2][k]
    outside = labels - k
    found[STORED] = k
    bucket = what[KIND] == TAIL_MASS
    away, kl, given = 0.0, 0.0, lost
    if what[CHANNEL] != AS_IS:
        # The bucket's value is the last of k + 1; equal shares are what the channel's student does.
        if bucket:
            away, kl, given = _coded(row, k, 0.0, lost, 0, what, how, table, q)
        else:
            away, kl, given = _coded(row, k, 0.0, 0.0, outside, what, how, table, q)
    if bucket:
        least = _least_outside(row, k)
        found[TV_LEAST] = 0.5 * (away + abs(lost - given))
        found[TV_MOST] = 0.5 * (away + lost - least + abs(given - least))
        found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)
        if lost > 0.0:
            more = lost * math.log(lost / given) if given > 0.0 else math.inf
            found[KL_LEAST] = max(kl + more, 0.0)
            found[KL_MOST] = math.inf if outside > 1 else found[KL_LEAST]
        return
    share = given / outside
    low, high = _above(row, k, share)
    spread = lost - given
    found[TV_LEAST] = 0.5 * (away + max(2.0 * low - spread, 0.0))
    found[TV_MOST] = 0.5 * (away + max(2.0 * high - spread, 0.0))
    if lost <= 0.0:
        found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)
    elif share <= 0.0:
        found[KL_LEAST] = found[KL_MOST] = math.inf
    else:
        even, heaped = _tail_plogp(row, k)
        rest = kl - lost * math.log(share)
        found[KL_LEAST] = max(rest + even, 0.0)
        found[KL_MOST] = max(rest + heaped, 0.0)


@njit(**BARE)
def _above(row, k, share):
    """Return the least and the largest sum of (p - share)^+ beyond the first k labels."""
    p, n, r, size = row[0], row[4], row[5], row[7]
    mass, hidden, cap = row[11], row[12], row[13]
    low = 0.0
    at = k
    while at < n and p[at] > share:
        low += p[at] - share
        at += 1
    if at == n:
        low += _rest_above(r, size, share)
    high = low
    if mass > 0.0:
        low += max(mass - hidden * share, 0.0)
        full = min(math.floor(mass / cap), hidden)
        high += full * max(cap - share, 0.0) + max(mass - full * cap - share, 0.0)
        high = max(low, high)
    return low, high


@njit(**BARE)
def _rest_above(r, size, share):
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    stop = size - size % 4
    for j in range(0, stop, 4):
        one += max(r[j] - share, 0.0)
        two += max(r[j + 1] - share, 0.0)
        three += max(r[j + 2] - share, 0.0)
        four += max(r[j + 3] - share, 0.0)
    for j in range(stop, size):
        one += max(r[j] - share, 0.0)
    return (one + two) + (three + four)


@njit(**BARE)
def _tail_plogp(row, k):
    """Return the least and the largest sum of p log p beyond the first k labels."""
    plogp, n, rest_plogp = row[3], row[4], row[8]
    mass, hidden, cap = row[11], row[12], row[13]
    known = plogp[n] - plogp[k] + rest_plogp
    if mass <= 0.0:
        return known, known
    low, high = _hidden_plogp(mass, hidden, cap)
    return known + low, known + high


@njit(**BARE)
def _hidden_plogp(mass, hidden, cap):
    low = mass * math.log(mass / hidden)
    full = min(math.floor(mass / cap), hidden)
    left = mass - full * cap
    high = full * cap * math.log(cap)
    if left > 0.0:
        high += left * math.log(left)
    return low, max(low, high)


@njit(**BARE)
def _least_outside(row, k):
    """Return the least that the least probable label can have."""
    p, n, r, size = row[0], row[4], row[5], row[7]
    mass, hidden, cap = row[11], row[12], row[13]
    if hidden > 0:
        return max(mass - (hidden - 1) * cap, 0.0)
    least = p[n - 1] if k < n else math.inf
    for j in range(size):
        least = min(least, r[j])
    return least


@njit(**BARE)
def _beyond(row, kind, k, how, found):
    """Bounds where the first k labels are not all listed: j = k - n of the hidden ones are kept."""
    n, mass, hidden, cap = row[4], row[11], row[12], row[13]
    if kind == TOP_P:
        wanted = max(how[SHARE] - (1.0 - mass), 0.0)
        least = max(mass - wanted - cap, 0.0)
        most = mass - wanted
        found[STORED] = n + min(math.ceil(wanted * hidden / mass), hidden) if mass > 0.0 else n
    else:
        j = k - n
        found[STORED] = k
        least = max(mass - j * cap, 0.0)
        most = mass * (1.0 - j / hidden)
        if kind == EVEN_TAIL:
            a, b = math.sqrt(j), math.sqrt(hidden)
            least, most = 0.0, mass * (b - a) / (b + a)
        elif kind == TAIL_MASS:
            least = 0.0
    error = how[CHANNEL_ERROR]
    found[TV_LEAST] = max(least - error, 0.0)
    found[TV_MOST] = min(most + error, 1.0)
    found[KL_MOST] = math.inf if mass > 0.0 or error > 0.0 else 0.0
    if kind not in (EVEN_TAIL, TAIL_MASS) and least > 0.0:
        found[KL_LEAST] = math.inf


# Values that are not stored as they are.


@njit(**BARE)
def _coded(row, k, shift, bucket, outside, what, how, table, q):
    """Write to q what a student makes of the values of the first k labels, e^(lp / tau - shift), as
    they are stored, up to a factor; return sum |p - q| and sum p log(p/q) over them, and what it
    gives to all others together.

    bucket: the mass of one more value, 0 for none. outside: how many labels share what is left.
    """
    p, lp, tail = row[0], row[1], row[2]
    last, share = 0.0, 0.0
    if what[CHANNEL] == ROUNDED:
        # log q is a multiple of the step, so that no logarithm is taken.
        whole, kl = _steps(p, lp, k, shift, how, table, q)
        if bucket > 0.0:
            last = _step(-math.log(bucket), how, table)
        if outside > 0 and 1.0 - whole > (k + outside) * _ROUNDING:
            share = 1.0 - whole
        whole += last + share
        kl += math.log(whole) * (tail[0] - tail[k])
    else:
        shown, positive = _multiples(p, lp, k, shift, how, q)
        values = k
        if bucket > 0.0:
            last = np.rint(bucket / how[AMOUNT]) * how[AMOUNT]
            values += 1
            positive += last > 0.0
        left = 1.0 - shown - last
        each = 0.0
        if left < 0.0:
            each = left / positive
        elif outside > 0:
            share = left
        else:
            each = left / values
        whole = share + _corrected(q, k, each, how[TAU])
        if bucket > 0.0 and (last > 0.0 or each > 0.0):
            last = max(last + each, 0.0)
        whole += last
        kl = _loss(p, lp, q, k, whole)
    return _away(p, q, k, whole), kl, (share + last) / whole


@njit(**BARE)
def _whole_coded(row, what, how, table, q, other, found):
    """Whole rows, every value as it is stored."""
    p, lp, n, r, rl, size = row[0], row[1], row[4], row[5], row[6], row[7]
    tau = how[TAU]
    shift = _at_temperature(lp, n, rl, size, tau)
    if what[CHANNEL] == ROUNDED:
        head_total, head_kl = _steps(p, lp, n, shift, how, table, q)
        rest_total, rest_kl = _steps(r, rl, size, shift, how, table, other)
        total = head_total + rest_total
        kl = head_kl + rest_kl + math.log(total)
    else:
        head_total, head_positive = _multiples(p, lp, n, shift, how, q)
        rest_total, rest_positive = _multiples(r, rl, size, shift, how, other)
        left = 1.0 - (head_total + rest_total)
        takers = n + size if left >= 0.0 else head_positive + rest_positive
        total = _corrected(q, n, left / takers, tau) + _corrected(other, size, left / takers, tau)
        kl = _loss(p, lp, q, n, total) + _loss(r, rl, other, size, total)
    found[TV_LEAST] = 0.5 * (_away(p, q, n, total) + _away(r, other, size, total))
    found[TV_MOST] = found[TV_LEAST]
    found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)


@njit(**BARE)
def _at_temperature(lp, n, rl, size, tau):
    """Return the shift that makes e^(lp / tau - shift) sum to 1; 0 at temperature 1."""
    if tau == 1.0:
        return 0.0
    top = lp[0]
    total = 0.0
    for a in range(n):
        total += math.exp((lp[a] - top) / tau)
    for a in range(size):
        total += math.exp((rl[a] - top) / tau)
    return top / tau + math.log(total)


@njit(**BARE)
def _step(height, how, table):
    """Return e^(-tau d j), j the code of e^-height."""
    code = min(np.rint(height / how[AMOUNT]), how[LAST_CODE])
    if code < table.size:
        return table[int(code)]
    return math.exp(-how[TAU] * how[AMOUNT] * code)


@njit(**BARE)
def _steps(p, lp, n, shift, how, table, q):
    """Write what is shown of rounded logarithms, to the power tau; return its sum, and that of
    p log(p/q) before q is divided by its own.
    """
    step, last, tau = how[AMOUNT], how[LAST_CODE], how[TAU]
    total, kl = 0.0, 0.0
    for a in range(n):
        q[a] = 0.0
        if p[a] > 0.0:
            height = shift - lp[a] if tau == 1.0 else shift - lp[a] / tau
            code = min(np.rint(height / step), last)
            nats = tau * step * code
            q[a] = table[int(code)] if code < table.size else math.exp(-nats)
            total += q[a]
            kl += p[a] * (lp[a] + nats)
    return total, kl


@njit(**BARE)
def _multiples(p, lp, n, shift, how, q):
    """Write the multiples of the unit that are shown; return their sum, and how many are not 0."""
    unit, tau = how[AMOUNT], how[TAU]
    plain = tau == 1.0
    factor = math.exp(-shift)
    total, positive = 0.0, 0
    for a in range(n):
        x = p[a] * factor if plain else math.exp(lp[a] / tau - shift)
        q[a] = np.rint(x / unit) * unit
        total += q[a]
        positive += q[a] > 0.0
    return total, positive


@njit(**BARE)
def _raised(x, tau):
    return x if tau == 1.0 else x**tau


@njit(**BARE)
def _corrected(q, n, each, tau):
    """Add each label's share of what the sum missed, undo the temperature, and return the sum."""
    nothing = _raised(max(each, 0.0), tau)
    total = 0.0
    for a in range(n):
        q[a] = _raised(max(q[a] + each, 0.0), tau) if q[a] > 0.0 else nothing
        total += q[a]
    return total


@njit(**BARE)
def _away(p, q, n, total):
    away, factor = 0.0, 1.0 / total
    for a in range(n):
        away += abs(p[a] - q[a] * factor)
    return away


@njit(**BARE)
def _loss(p, lp, q, n, total):
    """Return the sum of p log(p/q); q repeats itself, and so do its logarithms."""
    kl, before, log = 0.0, -1.0, 0.0
    for a in range(n):
        if p[a] > 0.0:
            if q[a] != before:
                before = q[a]
                log = math.log(before / total) if before > 0.0 else -math.inf
            kl += p[a] * (lp[a] - log)
    return kl


# Labels that are drawn.


@njit(**BARE)
def _missed(p, draws):
    """Return (1-p)^draws."""
    if draws > _SQUARED:
        return math.exp(draws * math.log1p(-p)) if p < 1.0 else 0.0
    base, power = 1.0 - p, 1.0
    while draws > 0:
        if draws & 1:
            power *= base
        base *= base
        draws >>= 1
    return power


@njit(**BARE)
def _half_deviation(p, draws):
    """Return E|X/N - p| / 2, X ~ Bin(N, p): p (1-p)^N where N p < 1, de Moivre's form elsewhere."""
    if draws * p < 1.0:
        return p * _missed(p, draws)
    above = math.floor(draws * p) + 1.0
    if p >= 1.0 or above > draws:
        return 0.0
    return (1.0 - p) * above / draws * binomial(above, float(draws), p, 1.0 - p)


@njit(**BARE)
def _light_sum(powers, draws, extra):
    """Return the sum of p^extra (1-p)^N over the light labels of the rest."""
    total, factor = 0.0, 1.0
    for j in range(ORDER + 1 - extra):
        total += factor * powers[j + extra]
        factor *= -(draws - j) / (j + 1.0)
    return total


@njit(**BARE)
def _unseen(row, draws):
    """Return how many known labels N draws are expected to leave."""
    p, n, r, heavy, powers = row[0], row[4], row[5], row[9], row[10]
    known = _light_sum(powers, draws, 0)
    for a in range(n):
        known += _missed(p[a], draws)
    for a in range(heavy):
        known += _missed(r[a], draws)
    return known


@njit(**BARE)
def _unseen_hidden(row, draws):
    """Return how many hidden labels N draws are expected to leave at least: if all are equal."""
    mass, hidden = row[11], row[12]
    return hidden * _missed(mass / hidden, draws) if mass > 0.0 else float(hidden)


@njit(**BARE)
def _hidden_deviation(row, draws):
    """Return bounds on the sum of E|X/N - p| / 2 over the hidden labels.

    f(p) = p (1-p)^N is concave up to 1/N, so that the corners of the polytope hold the least and
    equal labels the largest. Above, f(p)/p still falls: M f(cap)/cap is a lower bound, and the
    tangent at M/h an upper one as long as its slope is at least (1-1/N)^N, which no f(p)/p beyond
    1/N exceeds.
    """
    mass, hidden, cap = row[11], row[12], row[13]
    if mass <= 0.0:
        return 0.0, 0.0
    even = mass / hidden
    most = hidden * _half_deviation(even, draws)
    if draws * cap < 1.0:
        full = min(math.floor(mass / cap), hidden)
        left = min(max(mass - full * cap, 0.0), cap)
        least = full * _half_deviation(cap, draws) + _half_deviation(left, draws)
        return min(least, most), most
    least = mass * _half_deviation(cap, draws) / cap
    slope = _missed(even, draws - 1) * (1.0 - (draws + 1) * even)
    if slope < _missed(1.0 / draws, draws):
        most = mass
    return min(least, most), most


@njit(**BARE)
def _drawn(row, labels, what, power, q, other, found):
    """Frequencies of N draws, from p or from p^t with weights."""
    p = row[0]
    draws = what[POOLED]
    if power == 1.0:
        n, r, heavy, powers = row[4], row[5], row[9], row[10]
        known, unseen = _light_sum(powers, draws, 1), _light_sum(powers, draws, 0)
        for x in (p[:n], r[:heavy]):
            for a in range(x.size):
                chance = _missed(x[a], draws)
                unseen += chance
                known += x[a] * chance if draws * x[a] < 1.0 else _half_deviation(x[a], draws)
        low, high = _hidden_deviation(row, draws)
        found[TV_LEAST], found[TV_MOST] = known + low, min(known + high, 1.0)
        if draws != what[SIZE]:
            unseen = _unseen(row, what[SIZE])
        found[STORED] = labels - unseen - _unseen_hidden(row, what[SIZE])
    else:
        _weighted(row, what, power, q, other, found)
    if p[0] < 1.0:
        found[KL_LEAST] = found[KL_MOST] = math.inf


@njit(**BARE)
def _missed_light(p, draws):
    """Return (1-p)^N, N p at most `_LIGHT`: the binomial series."""
    x = 1.0 - (draws - 4) * p / 5.0
    x = 1.0 - (draws - 3) * p / 4.0 * x
    x = 1.0 - (draws - 2) * p / 3.0 * x
    x = 1.0 - (draws - 1) * p / 2.0 * x
    return 1.0 - draws * p * x


@njit(**BARE)
def _weighted(row, what, power, head, other, found):
    """Draws from q ~ p^t, each with the weight p/q, divided by the sum W of all weights.

    1/2 sum_a E|X p/(N q) - p| is exact; dividing by W moves the copy by |W - 1| / 2, whose mean is
    at most half the standard deviation sqrt((sum p^2/q - 1) / N).
    """
    p, lp, n, r, rl, size = row[0], row[1], row[4], row[5], row[6], row[7]
    mass, hidden, cap = row[11], row[12], row[13]
    draws, once = what[POOLED], what[SIZE]
    known = 0.0
    for a in range(n):
        head[a] = math.exp(power * lp[a])
        known += head[a]
    for a in range(size):
        other[a] = math.exp(power * rl[a])
        known += other[a]
    low_z, high_z = known, known
    if mass > 0.0:
        even = hidden * math.exp(power * math.log(mass / hidden))
        full = min(math.floor(mass / cap), hidden)
        left = max(mass - full * cap, 0.0)
        heaped = full * cap**power + left**power
        low_z += min(even, heaped)
        high_z += max(even, heaped)
    low, high, square, stored = 0.0, 0.0, 0.0, 0.0
    factor, other_factor = 1.0 / low_z, 1.0 / high_z
    alike = draws == once
    for a in range(n):
        if p[a] > 0.0:
            q = head[a] * factor
            chance = _missed(q, draws)
            part = chance if draws * q < 1.0 else _half_deviation(q, draws) / q
            low += p[a] * part
            stored += 1.0 - (chance if alike else _missed(q, once))
            square += p[a] * (p[a] / head[a])
            if mass > 0.0:
                q = head[a] * other_factor
                part = _missed(q, draws) if draws * q < 1.0 else _half_deviation(q, draws) / q
                high += p[a] * part
    for a in range(size):
        if r[a] > 0.0:
            q = other[a] * factor
            if draws * q <= _LIGHT:
                chance = _missed_light(q, draws)
                low += r[a] * chance
                stored += 1.0 - (chance if alike else _missed_light(q, once))
            else:
                low += r[a] * (_half_deviation(q, draws) / q)
                stored += 1.0 - _missed(q, once)
            square += r[a] * (r[a] / other[a])
    if mass > 0.0:
        # A hidden label misses no more than its p, and no less than where its q is largest.
        q = min(cap**power / low_z, 1.0)
        low += mass * _half_deviation(q, draws) / q
        high += mass
        even = hidden * (mass / hidden) ** (2.0 - power)
        square += mass * cap ** (1.0 - power) if power < 1.0 else even
        share = (high_z - known) / high_z
        stored += hidden * (1.0 - _missed(share / hidden, once))
    else:
        high = low
    spread = 0.5 * math.sqrt(max(high_z * square - 1.0, 0.0) / draws)
    found[TV_LEAST], found[TV_MOST] = max(low - spread, 0.0), min(high + spread, 1.0)
    found[STORED] = stored


UNSEEN, MISSING, ABOVE, SQUARE, CROSSED, BELOW, ENTROPY, VARIANCE = range(8)
"""Sums over labels for `_stated`; each label p is unseen with probability q = (1-p)^N.

q; p q; (p - c)^+ q; (p - c)^2 q (1-q); those above c of (p - c) p q / (1-p), those below of (c - p)
p q / (1-p); p log p q; p^2 q (1-q)."""


@njit(**BARE)
def _stated(row, labels, what, q, other, found):
    """N draws, each with its probability; the mass that was not drawn is shared equally.

    With Z the unseen labels, U their number, R their mass, the loss is 1/2 sum_Z |p - R/U|. With c
    = E R / E U it differs from 1/2 sum_Z |p - c|, whose mean is exact, by at most |R - cU| / 2;
    from below by no more than the N/(A-N)-th part of |R - cU|, since 1/2 sum_Z |p - x| is convex in
    x, R - cU has mean 0, and the slope at c is U times what all labels give it, up to that part. E
    |R - cU| is at most the standard deviation: being unseen is negatively associated, and the
    covariance of two labels at most N p p' (1-p)^(N-1) (1-p')^(N-1).
    """
    p, lp, n, r, rl, size = row[0], row[1], row[4], row[5], row[6], row[7]
    heavy, powers, mass, hidden = row[9], row[10], row[11], row[12]
    draws = what[POOLED]
    sums = powers[ORDER + 1 : ORDER + 9]
    sums[:] = 0.0
    sums[UNSEEN], sums[MISSING] = _light_sum(powers, draws, 0), _light_sum(powers, draws, 1)
    _count(p, n, draws, sums, q)
    _count(r, heavy, draws, sums, other)
    left = sums[UNSEEN] if draws == what[SIZE] else _unseen(row, what[SIZE])
    found[STORED] = labels - left - _unseen_hidden(row, what[SIZE])
    if mass > 0.0:
        _stated_hidden(row, labels, draws, sums, q, found)
        return
    unseen, missing = sums[UNSEEN] + hidden, sums[MISSING]
    c = missing / unseen if unseen > 0.0 else 0.0
    _spread(p, lp, n, q, c, sums)
    _spread(r, rl, heavy, other, c, sums)
    _spread_light(r, rl, heavy, size, draws, c, sums)
    deviation = math.sqrt(sums[SQUARE] + 2.0 * draws * sums[CROSSED] * sums[BELOW])
    part = 0.5
    if labels > 3 * draws:
        part = draws / (labels - draws)
    found[TV_LEAST] = max(sums[ABOVE] - part * deviation, 0.0)
    found[TV_MOST] = min(sums[ABOVE] + 0.5 * deviation, missing)
    if missing > 0.0:
        # -x log x is concave, and R log R at most R log r + R (R - r) / r.
        level = sums[ENTROPY] - missing * math.log(missing)
        few = level + missing * math.log(max(labels - draws, 1)) - sums[VARIANCE] / missing
        found[KL_LEAST] = max(few, 0.0)
        found[KL_MOST] = max(level + missing * math.log(labels), 0.0)


@njit(**BARE)
def _count(p, n, draws, sums, chances):
    unseen, missing = 0.0, 0.0
    for a in range(n):
        chance = _missed(p[a], draws)
        chances[a] = chance
        unseen += chance
        missing += p[a] * chance
    sums[UNSEEN] += unseen
    sums[MISSING] += missing


@njit(**BARE)
def _spread(p, lp, n, chances, c, sums):
    above, square, crossed, below, entropy, variance = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(n):
        x, chance = p[a], chances[a]
        gap = x - c
        part = chance * (1.0 - chance)
        square += gap * gap * part
        if gap > 0.0:
            above += gap * chance
            crossed += gap * x * chance / (1.0 - x) if x < 1.0 else 0.0
        else:
            below -= gap * x * chance / (1.0 - x) if x < 1.0 else 0.0
        if x > 0.0:
            entropy += x * lp[a] * chance
            variance += x * x * part
    sums[ABOVE] += above
    sums[SQUARE] += square
    sums[CROSSED] += crossed
    sums[BELOW] += below
    sums[ENTROPY] += entropy
    sums[VARIANCE] += variance


@njit(**BARE)
def _spread_light(r, rl, start, stop, draws, c, sums):
    """The same for light labels: 1 - q is at most N p, and q at most 1."""
    above, entropy, variance, mass, square, crossed = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(start, stop):
        x = r[a]
        if x > 0.0:
            chance = _missed_light(x, draws)
            entropy += x * rl[a] * chance
            variance += x * x * x
            if x > c:
                above += (x - c) * chance
                square += (x - c) * (x - c) * x
                crossed += (x - c) * x
            else:
                mass += x
    sums[ABOVE] += above
    sums[ENTROPY] += entropy
    sums[VARIANCE] += draws * variance
    sums[SQUARE] += draws * (square + c * c * mass)
    sums[CROSSED] += crossed
    sums[BELOW] += c * mass


@njit(**BARE)
def _stated_hidden(row, labels, draws, sums, chances, found):
    """The loss is sum_Z (p - R/U)^+, R/U at most 1/(A-N), and at most R."""
    p, lp, n = row[0], row[1], row[4]
    mass, hidden, cap = row[11], row[12], row[13]
    known = sums[MISSING]
    share = 1.0
    if labels > draws:
        share = 1.0 / (labels - draws)
    _spread(p, lp, n, chances, share, sums)
    least, most = known + mass * _missed(cap, draws), known + _hidden_deviation(row, draws)[1]
    found[TV_LEAST], found[TV_MOST] = sums[ABOVE], min(most, 1.0)
    low, high = _hidden_plogp(mass, hidden, cap)
    first, last = -least * math.log(least), -most * math.log(most)
    variance = (sums[VARIANCE] + mass * cap) / least
    few = sums[ENTROPY] + low + min(first, last) + least * math.log(max(labels - draws, 1))
    top = max(first, last)
    if least < 1.0 / math.e < most:
        top = 1.0 / math.e
    many = sums[ENTROPY] + _missed(cap, draws) * high + top + most * math.log(labels)
    found[KL_LEAST], found[KL_MOST] = max(few - variance, 0.0), max(many, 0.0)
