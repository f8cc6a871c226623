"""Test whether the weighting schemes differ in accuracy: one test over all ensembles.

Every ensemble is weighted by every scheme. Under the null hypothesis the schemes are exchangeable: their decisions on
an image may be permuted, in the same way in all ensembles.
"""

from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from wen.evaluation.power import POWER
from wen.evaluation.statistics import ALL_EXCHANGES, REPEATS, cochran_q
from wen.evaluation.units import each_image_alone

AMOUNTS = 24  # of images, at which the power is computed
DRAWN = 2_000  # exchanges for the power
ENOUGH = 0.995  # a power above which more images change nothing


class Schemes(NamedTuple):
    """The comparison of k schemes over e ensembles."""

    statistic: float
    """Sum of the ensembles' Cochran's Q."""
    p: float
    q: tuple[float, ...]
    """Cochran's Q of each ensemble."""
    p_of_each: tuple[float, ...]
    """p-value of each ensemble, from the same exchanges."""


def compare_schemes(right: np.ndarray, unit: np.ndarray, seed: int) -> Schemes:
    """Test whether schemes differ, over all ensembles at once.

    Parameters
    ----------
    right : ndarray of shape (e, k, n)
        1 where the ensemble by a scheme is right on an image, else 0.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    seed : int

    Returns
    -------
    Schemes
        By permutation of the schemes within each unit, the same in all ensembles: all exchanges if there are at most
        2^13, else random ones. p is 1 if the schemes agree on every image.
    """
    sums, spread = _sums(right, unit), _spread(right)
    observed = _q(sums.sum(axis=0), spread)
    disputed = (sums != sums[:, :, :1]).any(axis=(1, 2))
    q = _q(_exchanged(sums[disputed], seed), spread)
    p_of_each = (q >= observed - 1e-9).mean(axis=0)
    p = (q.sum(axis=1) >= observed.sum() - 1e-9).mean()
    return Schemes(float(observed.sum()), float(p), tuple(observed.tolist()), tuple(p_of_each.tolist()))


def smallest_scheme_difference(right: np.ndarray, unit: np.ndarray, alpha: float, seed: int) -> float | None:
    """Compute the difference that `compare_schemes` at ``alpha`` detects with 80% power, None if none is large enough.

    One scheme is taken to be right, in every ensemble, on so many more images than the others, which are images that
    all schemes decided alike. The images that schemes dispute now are still disputed, without regard to the scheme.
    """
    n, amounts = right.shape[2], _amounts(right.shape[2])
    images = np.arange(n + 1)
    at_images = np.interp(images, amounts, _power(right, unit, amounts, alpha, seed))

    def missing(difference: float) -> float:
        return POWER - float(binom.pmf(images, n, difference) @ at_images)

    return float(brentq(missing, 0.0, 1.0, xtol=1e-5)) if missing(1.0) <= 0 <= missing(0.0) else None


def _amounts(n: int) -> np.ndarray:
    """Numbers of images from 0 to n: each of the first ones, then fewer and fewer."""
    return np.unique(np.concatenate([np.arange(min(12, n) + 1), np.geomspace(1, n, AMOUNTS).astype(int)]))


def _power(right: np.ndarray, unit: np.ndarray, amounts: np.ndarray, alpha: float, seed: int) -> np.ndarray:
    """The power, if the first scheme is right on so many more images, alone and in every ensemble."""
    k, size, by_image = right.shape[1], np.bincount(unit), each_image_alone(unit)
    rng, sums, spread = np.random.default_rng(seed), _sums(right, unit), _spread(right)
    if by_image and not spread.any():  # all are right on the same images, so that Q can be as large in k ways
        return np.array([float(k) ** (1 - amount) < alpha for amount in amounts], dtype=float)
    alternative = _drawn(sums, rng)
    null, place = (_drawn(sums, rng), None) if by_image else _drawn_by_subject(sums, rng)
    gain, power = np.zeros(k), []
    for amount in amounts:
        if place is None:
            more = rng.multinomial(amount, np.full(k, 1 / k), DRAWN)
        else:  # the first scheme's part moves with all that a subject has
            of_subject = rng.multinomial(amount, size / len(unit), DRAWN)
            more = np.stack([(of_subject * (place == scheme)).sum(axis=1) for scheme in range(k)], axis=1)
        gain[0] = amount
        of_null = np.sort(_q(null + more[:, None], spread + (k - 1) * amount).sum(axis=1))
        found = _q(alternative + gain, spread + (k - 1) * amount).sum(axis=1)
        as_extreme = DRAWN - np.searchsorted(of_null, found - 1e-9)
        power.append(float(((1 + as_extreme) / (1 + DRAWN) < alpha).mean()))
        if power[-1] > ENOUGH:
            break
    return np.array(power + [1.0] * (len(amounts) - len(power)))


def _drawn_by_subject(sums: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As `_drawn`, and the scheme that each subject's first one was exchanged for, of shape (DRAWN, units)."""
    orders = np.array(list(permutations(range(sums.shape[2]))))
    ways = rng.integers(len(orders), size=(DRAWN, len(sums)))
    total = np.zeros((DRAWN, *sums.shape[1:]))
    for of_unit, row in zip(ways.T, sums, strict=True):
        total += row[:, orders].transpose(1, 0, 2)[of_unit]
    return total, np.argmin(orders, axis=1)[ways]


def _sums(right: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Images of each unit on which each ensemble by each scheme is right, of shape (units, e, k)."""
    if each_image_alone(unit):
        return right.transpose(2, 0, 1)
    return np.apply_along_axis(lambda column: np.bincount(unit, column), 2, right).transpose(2, 0, 1).astype(int)


def _spread(right: np.ndarray) -> np.ndarray:
    """Denominator of each ensemble's Q, which no exchange within images changes."""
    return np.array([cochran_q(of_ensemble.T)[1] for of_ensemble in right])


def _q(total: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Cochran's Q, of shape (..., e), from the images on which each scheme is right, of shape (..., e, k)."""
    k = total.shape[-1]
    between = k * (k - 1) * ((total - total.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return np.divide(between, spread, out=np.zeros(between.shape), where=spread > 0)


def _exchanged(disputed: np.ndarray, seed: int) -> np.ndarray:
    """Sums over the disputed units after every exchange, or after random ones, of shape (exchanges, e, k)."""
    units, e, k = disputed.shape
    if factorial(k) ** units > 2**ALL_EXCHANGES:
        drawn = _drawn(disputed, np.random.default_rng(seed), REPEATS)
        return np.concatenate([disputed.sum(axis=0)[None], drawn])  # the observed assignment is one of the exchanges
    total = np.zeros((1, e, k))
    for row in disputed:
        arranged = np.stack([row[:, list(order)] for order in permutations(range(k))])
        total = (total[:, None] + arranged).reshape(-1, e, k)
    return total


def _drawn(sums: np.ndarray, rng: np.random.Generator, repeats: int = DRAWN) -> np.ndarray:
    """Sums over units after random exchanges of the schemes within each, of shape (repeats, e, k)."""
    pattern, count = np.unique(sums.reshape(len(sums), -1), axis=0, return_counts=True)
    orders = np.array(list(permutations(range(sums.shape[2]))))
    total = np.zeros((repeats, *sums.shape[1:]))
    for row, times in zip(pattern.reshape(-1, *sums.shape[1:]), count, strict=True):
        arranged = row[:, orders].transpose(1, 0, 2)  # (orders, e, k)
        if times == 1:
            total += arranged[rng.integers(len(orders), size=repeats)]
        else:
            ways = rng.multinomial(times, np.full(len(orders), 1 / len(orders)), repeats)
            total += np.einsum("ro,oek->rek", ways, arranged)
    return total
