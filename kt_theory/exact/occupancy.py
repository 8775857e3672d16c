"""Which cells n draws leave empty: exact means over the joint law of the empty counts, for cells in
few equal groups.

The counts of n draws over cells are dependent; those of Poisson(z) many draws are independent. The
bridge is exact: with h(z) the mean after Poisson(z) draws, a polynomial in exponentials and so
entire in z,

    mean after n draws = n! [z^n] e^z h(z)
                       = n!/(2 pi r^n) int_{-pi}^{pi} exp(r e^{it} - int) h(r e^{it}) dt

for any radius r > 0. All Taylor coefficients of e^z h(z) are non-negative if the averaged quantity
is, so at the saddle r of e^r h(r)/r^n the integral loses no digits, and the N-point trapezoid rule
errs by the coefficients n +- N, n +- 2N, ..., which are below a Poisson(r) tail. Nodes: of the
order of 60 at any n. (Flajolet and Sedgewick 2009, Analytic Combinatorics, VIII.3; analytic
depoissonisation, here without remainder.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from kt_theory.numeric import bernstein

DIGITS = 45.0
"""Nats of relative accuracy that the truncations keep: e^-45 = 3e-20."""

WINDOW_NATS = 60.0
LOG_SMALLEST = -690.0
CHUNK = 2**21

_ZETA = (
    1.6449340668482264,
    1.0823232337111382,
    1.0173430619844491,
    1.0040773561979443,
    1.0009945751278181,
    *(1.0 + 4.0**-j + 9.0**-j for j in range(6, 13)),
)
_SINHC = tuple((-1.0) ** j / (j + 1) * zeta for j, zeta in enumerate(_ZETA))


@dataclass(frozen=True, eq=False)
class Cells:
    """Groups of cells with equal probability; a draw misses all of them with the probability that
    remains.

    Attributes
    ----------
    size : (L,) float array, how many cells each group holds
    probability : (L,) array, > 0, of one cell
    """

    size: np.ndarray
    probability: np.ndarray
    outside: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outside", max(0.0, 1.0 - float(self.size @ self.probability)))

    def windows(self, draws: float) -> list[np.ndarray]:
        """Return for each group the empty counts that matter after about `draws` draws (all but
        e^-60 of their law).
        """
        empty = np.exp(-self.probability * draws)
        mean = self.size * empty
        spread = bernstein(WINDOW_NATS, mean * -np.expm1(-self.probability * draws))
        low = np.maximum(np.floor(mean - spread), 0.0)
        high = np.minimum(np.ceil(mean + spread), self.size)
        return [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]

    def states(self, draws: np.ndarray) -> np.ndarray:
        """Return an upper bound on the number of joint empty counts in `windows`, for each number
        of draws.
        """
        empty = np.exp(-np.multiply.outer(draws, self.probability))
        spread = bernstein(WINDOW_NATS, self.size * empty * (1 - empty))
        with np.errstate(over="ignore"):
            return np.prod(np.minimum(self.size + 1, 2 * spread + 3), axis=-1)


@dataclass(frozen=True, eq=False)
class Contour:
    """Trapezoid nodes r e^{it}, t >= 0: n! [z^n] e^z h(z) = e^{log_scale} sum_j weight_j
    Re(e^{phase_j} h_j / h).
    """

    n: float
    radius: float
    log_scale: float
    angle: np.ndarray
    weight: np.ndarray

    def cut(self, start: int, stop: int) -> Contour:
        """Return the nodes start, ..., stop - 1."""
        return replace(self, angle=self.angle[start:stop], weight=self.weight[start:stop])


def contour(
    n: float,
    radius: float,
    log_mean: float,
    cells: Cells,
    windows: list[np.ndarray],
) -> Contour:
    """Return nodes whose truncation and aliasing stay below e^-45 of the result.

    Truncation: |e^w - 1| <= (e^|w| - 1) e^{-(|w| - Re w)/2} makes every term of e^z h(z) fall at
    least like exp(-r f (1 - cos t)/2), f the least probability of all that is not empty. Aliasing:
    the tilted law of the coefficients is at most Poisson(r) / h(r); and if cells of probability R
    stay empty for sure, which K choices of cells allow, at most K e^{-rR} Poisson(r(1-R)) / h(r).

    Parameters
    ----------
    n, radius : float
    log_mean : float
        log h(radius), at most 0; h counts the empty numbers in `windows` alone.
    cells, windows
        As in `Cells.windows`.
    """
    from kt_theory.kernels.exact import HALF_LOG_2PI, deviance, stirling_error

    least = np.array([window[0] for window in windows])
    most = np.array([window[-1] for window in windows])
    filled = 1.0 - float(cells.probability @ most)
    empty = float(cells.probability @ least)
    choices = sum(map(_log_choices, cells.size, least))
    need = DIGITS + 0.5 * np.log1p(radius)
    size = min(
        _alias_free(n, radius, need - log_mean),
        _alias_free(
            n, radius * max(1.0 - empty, 0.0), max(need - log_mean - radius * empty + choices, need)
        ),
    )
    cosine = 1 - 2 * need / (radius * max(filled, 1e-300))
    last = (
        (size - 1) / 2
        if cosine <= -1
        else min((size - 1) / 2, np.ceil(np.arccos(cosine) * size / (2 * np.pi)))
    )
    angle = 2 * np.pi / size * np.arange(last + 1)
    weight = np.full(len(angle), 2 / size)
    weight[0] /= 2
    log_poisson = -stirling_error(n) - HALF_LOG_2PI - 0.5 * np.log(n) - deviance(n, radius)
    return Contour(n, radius, log_mean - log_poisson, angle, weight)


def _alias_free(n: float, mean: float, tail: float) -> float:
    """Return an odd N for which n - N and n + N lie in a tail of Poisson(mean) of e^-tail, by
    Bernstein.
    """
    size = np.ceil(bernstein(tail, mean) + abs(n - mean)) + 1
    return float(size + 1 - size % 2)


def _log_choices(size: float, number: float) -> float:
    """Return log C(size, number), which only a bound uses."""
    from math import lgamma

    return lgamma(size + 1) - lgamma(number + 1) - lgamma(size - number + 1)


def empty_laws(
    cells: Cells, windows: list[np.ndarray], draws: float
) -> tuple[float, list[np.ndarray]]:
    """Return for each group the law of its empty count after Poisson(draws) draws: Bin(size,
    e^{-probability draws}).

    Each is divided by its largest value in the window; the logarithm of what was divided out comes
    first.
    """
    from kt_theory.kernels.exact import log_binomial_row

    laws = []
    scale = 0.0
    for size, b, window in zip(cells.size, cells.probability, windows, strict=True):
        law = np.empty(len(window))
        log_binomial_row(float(window[0]), float(size), float(b * draws), law)
        scale += float(law.max())
        laws.append(np.exp(law - law.max()))
    return scale, laws


def empty_factors(
    cells: Cells, windows: list[np.ndarray], path: Contour
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return weight e^{phase} (J,) and for each group the (J, U) continuation of `empty_laws` to
    the nodes.

    The integrand is e^{(1-B)z} z^-n prod_l C(m,u) (e^{bz} - 1)^{m-u}. With u0 the least u, a group
    whose cells are mostly full (br > 1) is taken as e^{(m-u0)bz} e^{-(u-u0)bz} (1 - e^{-bz})^{m-u};
    one whose cells are mostly empty as e^{i(m-u)t} times slow factors. Either way the fast phases
    cancel against e^{-int} before they are rounded. Where e^{-bz} might overflow, far from the real
    axis, (e^{bz} - 1)^{m-u} is taken as it stands.
    """
    n = path.n
    r = path.radius
    t = path.angle
    drop = 2 * r * np.sin(t[-1] / 2) ** 2
    step = r * (-2 * np.sin(t / 2) ** 2 + 1j * np.sin(t))
    speed = cells.outside
    turns = n
    factors = []
    laws = empty_laws(cells, windows, r)[1]
    for size, b, window, law in zip(cells.size, cells.probability, windows, laws, strict=True):
        full = size - window
        if b * r <= 1:
            usual = full[np.argmax(law)]
            turn = np.multiply.outer(1j * t, full - usual) + np.multiply.outer(
                _log_growth(b, r, step), full
            )
            factors.append(law * np.exp(turn))
            turns -= usual
        elif b * drop * max(window[-1] - window[0], 1.0) > 300:
            none = np.exp(-b * r)
            ratio = (np.exp(b * step) - none) / -np.expm1(-b * r)
            factors.append(law * np.power.outer(ratio, full))
        else:
            odds = np.exp(-b * r) / np.expm1(-b * r)
            seen = _log1p(odds * np.expm1(-b * step))
            shift = np.multiply.outer(-b * step, window - window[0])
            shift += np.multiply.outer(seen, full)
            factors.append(law * np.exp(shift))
            speed += (size - window[0]) * b
    slow = -2 * speed * r * np.sin(t / 2) ** 2
    phase = (speed * r - turns) * np.sin(t) + turns * _sine_defect(t)
    return path.weight * np.exp(slow + 1j * phase), factors


def empty_mean(cells: Cells, n: float, values: Callable[[list[np.ndarray]], np.ndarray]) -> float:
    """Return the mean of a function of the empty counts after n draws.

    Parameters
    ----------
    cells : Cells
    n : float
        At least 1.
    values : callable
        Given the windows (L arrays), the (U_1, ..., U_L) array of the function's values there, >=
        0; a largest value M above 1 takes log M from the 45 nats of accuracy.

    Returns
    -------
    float; 0 if it is below 1e-300.
    """
    radius = _saddle(cells, n, values)
    windows, table = _trimmed(cells, radius, values)
    scale, laws = empty_laws(cells, windows, radius)
    mean = float(_contract(table, [law[None, :] for law in laws])[0])
    if mean == 0.0:
        return 0.0
    path = contour(n, radius, scale + np.log(mean), cells, windows)
    if path.log_scale < LOG_SMALLEST:
        # e^r h(r) n!/r^n is an upper bound on the mean, as all coefficients are >= 0.
        return 0.0
    longest = max(len(window) for window in windows)
    block = max(1, int(CHUNK / max(longest, np.sqrt(table.size))))
    total = 0.0
    for start in range(0, len(path.angle), block):
        weight, factors = empty_factors(cells, windows, path.cut(start, start + block))
        total += float((weight * _contract(table, factors)).real.sum())
    return max(total / mean, 0.0) * float(np.exp(path.log_scale))


def _trimmed(
    cells: Cells, draws: float, values: Callable[[list[np.ndarray]], np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the windows without ends that add less than e^-60 of the mean, and the function's
    values there.

    Ends at which the function vanishes go first: the laws are then scaled to what is left, and do
    not underflow.
    """
    windows = cells.windows(draws)
    table = values(windows)
    windows, table = _cropped(windows, table, table != 0, 0.0)
    share = table
    for axis, law in enumerate(empty_laws(cells, windows, draws)[1]):
        shape = [1] * table.ndim
        shape[axis] = -1
        share = share * law.reshape(shape)
    least = float(share.sum() * np.exp(-WINDOW_NATS))
    return _cropped(windows, table, share, least)


def _cropped(
    windows: list[np.ndarray],
    table: np.ndarray,
    share: np.ndarray,
    least: float,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return windows and table without the ends of each axis whose sums of `share` are at most
    `least`.
    """
    kept = []
    for axis in range(table.ndim):
        part = share.sum(axis=tuple(a for a in range(table.ndim) if a != axis))
        used = np.flatnonzero(part > least)
        kept.append(slice(used[0], used[-1] + 1) if len(used) else slice(None))
    return [w[part] for w, part in zip(windows, kept, strict=True)], np.ascontiguousarray(
        table[tuple(kept)]
    )


def joint(factors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the (J, .) products of the first groups and of the rest, cut where the two are nearest
    in size.
    """
    sizes = np.cumsum([0.0, *(np.log(f.shape[1]) for f in factors)])
    cut = int(np.argmin(np.abs(2 * sizes - sizes[-1])))
    nodes = len(factors[0])
    return _product(factors[:cut], nodes), _product(factors[cut:], nodes)


def _product(factors: list[np.ndarray], nodes: int) -> np.ndarray:
    result = np.ones((nodes, 1))
    for factor in factors:
        result = (result[:, :, None] * factor[:, None, :]).reshape(nodes, -1)
    return result


def _contract(table: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    left, right = joint(factors)
    matrix = table.reshape(left.shape[1], right.shape[1])
    if not np.iscomplexobj(right):
        return ((right @ matrix.T) * left).sum(axis=1)
    inner = (np.ascontiguousarray(right.real) @ matrix.T) + 1j * (
        np.ascontiguousarray(right.imag) @ matrix.T
    )
    return (inner * left).sum(axis=1)


def _saddle(cells: Cells, n: float, values: Callable[[list[np.ndarray]], np.ndarray]) -> float:
    """Return a radius near the minimum of e^r h(r)/r^n.

    The tilted mean r (1 + (log h)'(r)) rises with r; within a standard deviation sqrt(n) of n the
    integral keeps its digits. Any radius gives a right result, a far one only a less accurate one.
    """

    def log_mean(windows: list[np.ndarray], table: np.ndarray, radius: float) -> float:
        scale, laws = empty_laws(cells, windows, radius)
        mean = float(_contract(table, [law[None, :] for law in laws])[0])
        return scale + float(np.log(mean)) if mean > 0 else -np.inf

    def tilted_mean(radius: float) -> float:
        windows, table = _trimmed(cells, radius, values)
        width = 0.1 / max(1.0, np.sqrt(radius))
        rise = log_mean(windows, table, radius * (1 + width)) - log_mean(
            windows, table, radius * (1 - width)
        )
        return radius + rise / (2 * width) if np.isfinite(rise) else np.inf

    radius = n
    low = n
    high = np.inf
    for _ in range(60):
        mean = tilted_mean(radius)
        if abs(mean - n) <= 0.5 * np.sqrt(n) + 0.1:
            break
        low, high = (radius, high) if mean < n else (low, radius)
        radius = (
            radius * min(max(n / max(mean, 1e-3 * n), 1.05), 4.0)
            if high == np.inf
            else 0.5 * (low + high)
        )
    return radius


def _log_growth(b: float, r: float, step: np.ndarray) -> np.ndarray:
    """Return log((e^{bz} - 1)/(e^{br} - 1)) - log(z/r), z = r + step, to full relative accuracy for
    br <= 1.

    That is b step/2 + log sinhc(bz/2) - log sinhc(br/2), log sinhc(x) = sum_j (-1)^(j+1) zeta(2j)/j
    (x/pi)^(2j). The modulus of z is r on the circle, so log(z/r) is the angle.
    """
    y0 = (b * r / (2 * np.pi)) ** 2
    rise = (b / (2 * np.pi)) ** 2 * step * (2 * r + step)
    y = y0 + rise
    value = _SINHC[-1]
    slope = np.zeros_like(y)
    for coefficient in (*_SINHC[-2::-1], 0.0):
        slope = slope * y + value
        value = value * y0 + coefficient
    return b * step / 2 + rise * slope


def _sine_defect(t: np.ndarray) -> np.ndarray:
    """Return sin t - t without cancellation."""
    s = t * t
    series = 1 - s / 20 * (
        1 - s / 42 * (1 - s / 72 * (1 - s / 110 * (1 - s / 156 * (1 - s / 210))))
    )
    return np.where(t < 0.7, -t * s / 6 * series, np.sin(t) - t)


def _log1p(w: np.ndarray) -> np.ndarray:
    x = w.real
    y = w.imag
    with np.errstate(divide="ignore"):
        size = 0.5 * np.log1p(x * (2 + x) + y * y)
    return size + 1j * np.arctan2(y, 1 + x)
