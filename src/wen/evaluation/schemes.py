"""Test whether the weighting schemes differ in accuracy: one test over all ensembles.

Every ensemble is weighted by every scheme. Under the null hypothesis the schemes are exchangeable: their decisions on
an image may be permuted, in the same way in all ensembles.
"""

from collections.abc import Callable
from itertools import permutations, product
from math import factorial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from wen.evaluation.power import POWER
from wen.evaluation.statistics import ALL_EXCHANGES, REPEATS, cochran_q
from wen.evaluation.units import each_image_alone, effective

AMOUNTS = 24  # of images, at which the power by image is computed
DRAWN = 2_000  # exchanges for it
STUDIES = 400  # simulated for the power by subject
EXCHANGES = 400  # of each, besides the observed one
ALL_OF_FEW = 6**4  # exchanges that are all tried
ENOUGH = 0.995  # a power above which more images change nothing


Power = Callable[[float], float]


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

    One scheme is assumed to be right, and the others wrong, on this share more of the images, in every ensemble and at
    random images. The schemes still disagree on the other images on which they disagree now, regardless of the scheme.
    """
    power_at = (_power_by_image if each_image_alone(unit) else _power_by_subject)(right, unit, alpha, seed)
    low, high = 0.0, 1 / len(unit)
    while power_at(high) < POWER:
        if high == 1:
            return None
        low, high = high, min(2 * high, 1.0)
    return float(brentq(lambda difference: power_at(difference) - POWER, low, high, xtol=high / 500))


def _power_by_image(right: np.ndarray, unit: np.ndarray, alpha: float, seed: int) -> Power:
    """Return the power at a difference, which determines the binomial number of images gained."""
    n, k = right.shape[2], right.shape[1]
    rng, sums, spread = np.random.default_rng(seed), _sums(right, unit), _spread(right)
    alternative, null = _drawn(sums, rng), _drawn(sums, rng)
    amounts, gain, power = _amounts(n), np.zeros(k), []
    for amount in amounts:
        gain[0] = amount
        if spread.any():
            more = rng.multinomial(amount, np.full(k, 1 / k), DRAWN)
            of_null = np.sort(_q(null + more[:, None], spread + (k - 1) * amount).sum(axis=1))
            found = _q(alternative + gain, spread + (k - 1) * amount).sum(axis=1)
            as_extreme = DRAWN - np.searchsorted(of_null, found - 1e-9)
            power.append(float(((1 + as_extreme) / (1 + DRAWN) < alpha).mean()))
        else:
            power.append(float(_p_without_noise(amount, k) < alpha))
        if power[-1] > ENOUGH:
            break
    power += [1.0] * (len(amounts) - len(power))
    images = np.arange(n + 1)
    at_images = np.interp(images, amounts, power)
    return lambda difference: float(binom.pmf(images, n, difference) @ at_images)


def _amounts(n: int) -> np.ndarray:
    """Return numbers of images from 0 to n: all small ones, then increasingly sparse ones."""
    return np.unique(np.concatenate([np.arange(min(12, n) + 1), np.geomspace(1, n, AMOUNTS).astype(int)]))


def _p_without_noise(units: Any, k: int) -> Any:
    """Return the p-value if one scheme is better in these units only: k exchanges reach the largest Q."""
    return float(k) ** (1 - units)


def _power_by_subject(right: np.ndarray, unit: np.ndarray, alpha: float, seed: int) -> Power:
    """Return the power as a function of the difference: the share of simulated studies whose own test detects it.

    Each study has the subjects of this one. Its noise is this study's, with the schemes permuted within each subject,
    as under the null hypothesis; the images that the first scheme gains are drawn at random. The variance of the noise
    is estimated from few subjects, so it is scaled in each study by a chi-squared draw with the degrees of freedom of a
    sum of squares.
    """
    (e, k, n), size, rng = right.shape, np.bincount(unit), np.random.default_rng(seed)
    sums, spread, draws, starts = _sums(right, unit), _spread(right), rng.random((STUDIES, n)), np.cumsum(size) - size

    def gains(difference: float) -> np.ndarray:
        of_subject: np.ndarray = np.add.reduceat(draws < difference, starts, axis=1, dtype=float)
        return of_subject

    squares = (sums - sums.mean(axis=2, keepdims=True)) ** 2
    if not squares.any():
        return lambda difference: float((_p_without_noise((gains(difference) > 0).sum(axis=1), k) < alpha).mean())
    freedom = 2 * effective(squares.ravel()) * (k - 1) / k - 1
    scale = np.sqrt(freedom / rng.chisquare(freedom, STUDIES))
    orders = np.array(list(permutations(range(k))))
    of_study = np.eye(k)[orders[rng.integers(len(orders), size=(STUDIES, len(size)))]]
    drawn = np.einsum("sutf,uef->utse", of_study, sums).reshape(-1, STUDIES * e)  # sums of images, so exact
    exchange = np.eye(k)[orders[_ways(len(orders), len(size), rng)]].transpose(0, 2, 1, 3).reshape(-1, len(size) * k)
    noise = (exchange @ drawn).reshape(-1, k, STUDIES, e)
    noise = (noise - noise.mean(axis=1, keepdims=True)) * scale[:, None]
    square = (noise**2).sum(axis=1)

    def power(difference: float) -> float:
        gained, rest = gains(difference), 1 - difference
        amount = gained.sum(axis=1)
        more = (exchange[:, ::k] @ gained.T).reshape(-1, k, STUDIES)
        denominator = rest * scale[:, None] ** 2 * spread + (k - 1) * amount[:, None]
        weight = 1 / np.where(denominator > 0, denominator, 1)  # 0 if schemes agree everywhere, as is the rest
        q = rest * np.einsum("rse,se->rs", square, weight)
        q += 2 * np.sqrt(rest) * (np.einsum("rkse,se->rks", noise, weight) * more).sum(axis=1)
        q += ((more**2).sum(axis=1) - amount**2 / k) * weight.sum(axis=1)
        return float(((q >= q[0] - 1e-9).mean(axis=0) < alpha).mean())

    return power


def _ways(orders: int, units: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the order of each unit's schemes in each exchange, of shape (exchanges, units); the first is as observed.

    For few units, all exchanges are listed, up to a common permutation of all units, which does not change Q.
    """
    if orders ** (units - 1) <= ALL_OF_FEW:
        return np.array([(0, *others) for others in product(range(orders), repeat=units - 1)])
    return np.concatenate([np.zeros((1, units), dtype=int), rng.integers(orders, size=(EXCHANGES, units))])


def _sums(right: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Count the images of each unit on which each ensemble by each scheme is right, of shape (units, e, k)."""
    if each_image_alone(unit):
        return right.transpose(2, 0, 1)
    return np.apply_along_axis(lambda column: np.bincount(unit, column), 2, right).transpose(2, 0, 1).astype(int)


def _spread(right: np.ndarray) -> np.ndarray:
    """Return the denominator of each ensemble's Q, which no exchange within images changes."""
    return np.array([cochran_q(of_ensemble.T)[1] for of_ensemble in right])


def _q(total: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return Cochran's Q, of shape (..., e), from the images on which each scheme is right, of shape (..., e, k).

    If the schemes agree on every image, numerator and denominator are 0, and Q is 0.
    """
    k = total.shape[-1]
    between: np.ndarray = k * (k - 1) * ((total - total.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return between / np.maximum(spread, 1)


def _exchanged(disputed: np.ndarray, seed: int) -> np.ndarray:
    """Return sums over the disputed units after every exchange, or after random ones, of shape (exchanges, e, k)."""
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
    """Return sums over units after random exchanges of the schemes within each, of shape (repeats, e, k)."""
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
