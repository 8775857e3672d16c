"""Gaussian noise on what is revealed, from streams of its own: the counts keep their bits whoever
else is watching.

The noise on (s, a) in a repeat is a function of the key of the cell, the repeat and (s, a) alone:
word s A + a of the repeat's noise stream, turned into a normal deviate by the inverse of the normal
distribution function (Wichura 1988, algorithm AS 241, PPND16: relative error below 1e-15). A word
gives 52 bits of a tail probability below 1/2 and a sign: the law is symmetric, its distribution
function is within 2^-53 of the normal one everywhere, and no deviate is beyond 8.3. Students who
see the same answers see the same noise. A noisy label costs some 17 ns, an exponential included.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.streams import mix64, start_stream

_TAG = np.uint64(0x6E6F697365)
_SIGN, _DROP = np.uint64(63), np.uint64(11)
_BITS = np.uint64(2**52 - 1)
_TO_TAIL = 2.0**-53


@njit(**BARE)
def start_noise(key, repeat, noise_key, state):
    """Set `state`, (3,) uint64, to the start of the noise of repeat number `repeat`; `noise_key`,
    (2,), is scratch.
    """
    noise_key[0] = mix64(key[0] ^ _TAG)
    noise_key[1] = mix64(key[1] ^ _TAG)
    start_stream(noise_key, repeat, state)


@njit(**BARE)
def normal(state, cell):
    """Return the normal deviate of cell number `cell` = s A + a, uint64."""
    word = mix64(state[0] + state[1] * cell)
    deviate = _upper_deviate((np.float64((word >> _DROP) & _BITS) + 0.5) * _TO_TAIL)
    return -deviate if word >> _SIGN else deviate


def noise_of(key: np.ndarray, repeat: int, cells: int) -> np.ndarray:
    """Return the deviates of one repeat, (cells,), in the order s A + a."""
    normals = np.empty(cells)
    fill_normals(key, repeat, np.empty(2, dtype=np.uint64), np.empty(3, dtype=np.uint64), normals)
    return normals


@njit(**LEAF)
def fill_normals(key, repeat, noise_key, state, normals):
    """Do what `noise_of` says on the memory that it has laid out."""
    start_noise(key, repeat, noise_key, state)
    for j in range(normals.size):
        normals[j] = normal(state, np.uint64(j))


@njit(**LEAF)
def _upper_deviate(tail):
    """Return z >= 0 with P(N(0, 1) > z) = tail, for 0 < tail <= 1/2."""
    q = 0.5 - tail
    if q <= 0.425:
        r = 0.180625 - q * q
        top = 2.5090809287301226727e3
        top = top * r + 3.3430575583588128105e4
        top = top * r + 6.7265770927008700853e4
        top = top * r + 4.5921953931549871457e4
        top = top * r + 1.3731693765509461125e4
        top = top * r + 1.9715909503065514427e3
        top = top * r + 1.3314166789178437745e2
        top = top * r + 3.3871328727963666080e0
        low = 5.2264952788528545610e3
        low = low * r + 2.8729085735721942674e4
        low = low * r + 3.9307895800092710610e4
        low = low * r + 2.1213794301586595867e4
        low = low * r + 5.3941960214247511077e3
        low = low * r + 6.8718700749205790830e2
        low = low * r + 4.2313330701600911252e1
        return q * top / (low * r + 1.0)
    r = np.sqrt(-np.log(tail))
    return _middle_tail(r - 1.6) if r <= 5.0 else _far_tail(r - 5.0)


@njit(**BARE)
def _middle_tail(r):
    top = 7.74545014278341407640e-4
    top = top * r + 2.27238449892691845833e-2
    top = top * r + 2.41780725177450611770e-1
    top = top * r + 1.27045825245236838258e0
    top = top * r + 3.64784832476320460504e0
    top = top * r + 5.76949722146069140550e0
    top = top * r + 4.63033784615654529590e0
    top = top * r + 1.42343711074968357734e0
    low = 1.05075007164441684324e-9
    low = low * r + 5.47593808499534494600e-4
    low = low * r + 1.51986665636164571966e-2
    low = low * r + 1.48103976427480074590e-1
    low = low * r + 6.89767334985100004550e-1
    low = low * r + 1.67638483018380384940e0
    low = low * r + 2.05319162663775882187e0
    return top / (low * r + 1.0)


@njit(**BARE)
def _far_tail(r):
    top = 2.01033439929228813265e-7
    top = top * r + 2.71155556874348757815e-5
    top = top * r + 1.24266094738807843860e-3
    top = top * r + 2.65321895265761230930e-2
    top = top * r + 2.96560571828504891230e-1
    top = top * r + 1.78482653991729133580e0
    top = top * r + 5.46378491116411436990e0
    top = top * r + 6.65790464350110377720e0
    low = 2.04426310338993978564e-15
    low = low * r + 1.42151175831644588870e-7
    low = low * r + 1.84631831751005468180e-5
    low = low * r + 7.86869131145613259100e-4
    low = low * r + 1.48753612908506148525e-2
    low = low * r + 1.36929880922735805310e-1
    low = low * r + 5.99832206555887937690e-1
    return top / (low * r + 1.0)
