"""The simulations of the study, repeated with other draws: equal within the error of both simulations."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binom, t

from recomputed.shares import share as wilson
from recomputed.source import Source
from recomputed.tests_of_pairs import freedom, quantile, rejection

DRAWS = 2_000
SUBJECT_STUDIES, SUBJECT_EXCHANGES = 400, 300


@dataclass(frozen=True)
class Simulated:
    """A value that the study's own may differ from by the tolerance."""

    value: float
    tolerance: float


def smallest_by_exchange(source: Source, right: np.ndarray, level: float) -> Simulated | None:
    """The gain of one scheme that the test of exchanges detects with 80% power; decisions of shape (e, k, n)."""
    power = (power_by_image if source.by_image else power_by_subject)(source, right, level)
    if power(1.0) < 0.8:
        return None
    low, high = 0.0, 1.0
    while high - low > max(1e-4, high / 50):
        middle = (3 * low + high) / 4 if high > 0.2 else (low + high) / 2
        low, high = (middle, high) if power(middle) < 0.8 else (low, middle)
    return Simulated(high, max(0.012, 0.12 * high))


def power_by_image(source: Source, right: np.ndarray, level: float) -> Callable[[float], float]:
    """Of one more image at a time, weighted by how likely so many are."""
    k, n, rng = right.shape[1], right.shape[2], np.random.default_rng(7)
    spread, orders = below(right), np.array(list(permutations(range(k))))

    def drawn() -> np.ndarray:
        ways = rng.integers(len(orders), size=(DRAWS, n))
        return sum(right[:, :, j][:, orders[ways[:, j]]].transpose(1, 0, 2) for j in range(n))  # type: ignore[return-value]

    def at(amount: int) -> float:
        if not spread.any():
            return float(k ** (1.0 - amount) < level)
        null, found = drawn() + rng.multinomial(amount, [1 / k] * k, DRAWS)[:, None], drawn()
        found[:, :, 0] += amount
        of_null = np.sort(summed_q(null, spread + (k - 1) * amount))
        as_extreme = DRAWS - np.searchsorted(of_null, summed_q(found, spread + (k - 1) * amount) - 1e-9)
        return float(((1 + as_extreme) / (1 + DRAWS) < level).mean())

    powers = np.ones(n + 1)
    for amount in range(n + 1):
        powers[amount] = at(amount)
        if powers[amount] > 0.995:
            break
    return lambda gain: float(binom.pmf(np.arange(n + 1), n, gain) @ powers)


def power_by_subject(source: Source, right: np.ndarray, level: float) -> Callable[[float], float]:
    """One study after another: its subjects' schemes exchanged, its gains drawn, and its own exchanges counted."""
    (e, k, _), size, rng = right.shape, source.size, np.random.default_rng(7)
    units, spread, orders = len(size), below(right), np.array(list(permutations(range(k))))
    sums = np.stack([right[:, :, source.unit == u].sum(axis=2) for u in range(units)])
    weight = (sums - sums.mean(axis=2)[:, :, None]) ** 2
    freedom = 2 * (1 - 1 / k) * weight.sum() ** 2 / (weight**2).sum() - 1 if weight.any() else 1.0
    place = rng.random((SUBJECT_STUDIES, units))
    ways = rng.integers(len(orders), size=(SUBJECT_STUDIES, units))
    scale = np.sqrt(freedom / rng.chisquare(freedom, SUBJECT_STUDIES))
    turns = orders[rng.integers(len(orders), size=(SUBJECT_EXCHANGES, units))]
    if len(orders) ** units <= 2**13:  # all, of which every study needs only so many as one order of the first subject
        turns = np.array(list(product(orders[:1], *[orders] * (units - 1))))[1:]

    def finds(study: int, gain: float) -> bool:
        gained = binom.ppf(place[study], size, gain)
        if not weight.any():  # the exchanges that leave all that is gained with one scheme
            return bool(k ** (1.0 - np.count_nonzero(gained)) < level)
        kept = np.sqrt(1 - gain) * scale[study]
        rows = np.stack([row[:, order] * kept for row, order in zip(sums, orders[ways[study]], strict=True)])
        rows[:, :, 0] += gained[:, None]
        left = spread * kept**2 + (k - 1) * gained.sum()
        unit, ensemble = np.arange(units)[:, None, None], np.arange(e)[:, None]
        null = summed_q(rows[unit, ensemble, turns[:, :, None]].sum(axis=1), left)
        as_extreme = (null >= summed_q(rows.sum(axis=0)[None], left) - 1e-9).sum()
        return bool((1 + as_extreme) / (1 + len(turns)) < level)

    return lambda gain: float(np.mean([finds(study, gain) for study in range(SUBJECT_STUDIES)]))


def below(right: np.ndarray) -> np.ndarray:
    """Denominator of each ensemble's Q."""
    k = right.shape[1]
    return np.array([(k * one.sum(axis=0) - one.sum(axis=0) ** 2).sum() for one in right])


def summed_q(total: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Cochran's Q summed over ensembles, from right decisions of shape (..., e, k)."""
    k = total.shape[-1]
    between = k * k * (k - 1) * total.var(axis=-1)
    found: np.ndarray = np.divide(between, spread, out=np.zeros(between.shape), where=spread > 0).sum(axis=-1)
    return found


def coverage(source: Source) -> dict[str, Any]:
    """How often the intervals hold the truth: by image summed over all outcomes, by subject simulated."""
    one, other = (source.right(classifier) for classifier in (source.focus, source.best_single("leak_free")))
    size, n = source.size, len(source.label)
    units = len(size)
    hits = np.array([one[source.unit == u].sum() for u in range(units)])
    sick = np.array([2 * source.label[source.unit == u].sum() > size[u] for u in range(units)]).astype(int)
    of_class = np.array([smoothed(one[source.label == kind]) for kind in (0, 1)])
    mean = of_class[sick]
    share, part = smoothed(one != other), smoothed((one > other)[one != other])
    truth, lead = (mean * size).sum() / n, share * (2 * part - 1)
    if source.by_image:
        accuracy, gain, error = *exactly(n, truth, share, part, lead), 0.02
        return {
            "accuracy": Simulated(accuracy, error), "difference": Simulated(gain, error), "correlation": 0.0
        }  # fmt: skip
    gained = np.array([(one > other)[source.unit == u].sum() for u in range(units)])
    lost = np.array([(one < other)[source.unit == u].sum() for u in range(units)])
    rng = np.random.default_rng(5)
    rho = correlation(hits, size, mean)
    number = rng.binomial(size, shares(mean, rho, rng))
    of_disputed = correlation(gained + lost, size, np.full(units, share))
    disputed = rng.binomial(size, shares(np.full(units, share), of_disputed, rng))
    of_first = correlation(gained, gained + lost, np.full(units, part))
    first = rng.binomial(disputed, shares(np.full(units, part), of_first, rng))
    held = [holds_accuracy(source, row, truth) for row in number]
    led = [holds_lead(source, a, b - a, lead) for a, b in zip(first, disputed, strict=True)]
    return {
        "accuracy": Simulated(float(np.mean(held)), 0.03), "difference": Simulated(float(np.mean(led)), 0.03),
        "correlation": rho,
    }  # fmt: skip


def exactly(n: int, truth: float, share: float, part: float, lead: float) -> tuple[float, float]:
    counts = np.arange(n + 1)
    low, high = (binom.ppf(q, n, counts / n) / n for q in (0.025, 0.975))
    accuracy = binom.pmf(counts, n, truth)[(low <= truth) & (truth <= high)].sum()
    gain = 0.0
    for disputed in counts:
        first = np.arange(disputed + 1)
        a, b = (first + 1) / (n + 2), (disputed - first + 1) / (n + 2)
        reach = 1.959964 * np.sqrt((a + b - (a - b) ** 2) / (n + 2))
        inside = (a - b - reach <= lead) & (lead <= a - b + reach)
        gain += binom.pmf(disputed, n, share) * binom.pmf(first, disputed, part)[inside].sum()
    return float(accuracy), float(gain)


def smoothed(hits: np.ndarray) -> float:
    return float((np.sum(hits) + 1) / (len(hits) + 2))


def correlation(number: np.ndarray, size: np.ndarray, mean: np.ndarray) -> float:
    """Of two images of a subject, from Pearson's statistic over subjects of several images; kept in [0.01, 0.5]."""
    several = size > 1
    if not several.any():
        return 0.01
    number, size, mean = number[several], size[several], mean[several]
    chi = ((number - size * mean) ** 2 / (size * mean * (1 - mean))).sum()
    return float(min(max((chi - len(size)) / (size - 1).sum(), 0.01), 0.5))


def shares(mean: np.ndarray, rho: float, rng: np.random.Generator) -> np.ndarray:
    total = (1 - rho) / rho
    return rng.beta(mean * total, (1 - mean) * total, (DRAWS, len(mean)))


def holds_accuracy(source: Source, number: np.ndarray, truth: float) -> bool:
    size, n = source.size, source.size.sum()
    if number.sum() in (0, n):
        found = wilson(source, np.full(n, number.sum() / n), np.repeat(np.arange(len(size)), size))
        low, high = found["low"] or 0.0, found["high"] or 0.0
    else:
        low, high = logit_limits(source, number.sum() / n, (number.sum() - number) / (n - size))
    return bool(low <= truth <= high)


def logit_limits(source: Source, value: float, without: np.ndarray) -> tuple[float, float]:
    """Interval of a share over subjects on the logit scale, by the jackknife and t."""
    n, units = source.size.sum(), len(source.size)
    inside = min(max(value, 1 / (2 * n)), 1 - 1 / (2 * n))
    variance = (units - 1) / units * ((without - without.mean()) ** 2).sum()
    variance = max(variance, inside * (1 - inside) / n) if np.isfinite(variance) else np.inf
    reach = t.isf(0.025, freedom(source.size)) * np.sqrt(variance) / (inside * (1 - inside))
    return min(expit(logit(inside) - reach), value), max(expit(logit(inside) + reach), value)


def holds_lead(source: Source, gained: np.ndarray, lost: np.ndarray, lead: float) -> bool:
    n = source.size.sum()
    a, b = (gained.sum() + 1) / (n + 2), (lost.sum() + 1) / (n + 2)
    by_image = abs(a - b - lead) <= quantile(source) * np.sqrt((a + b - (a - b) ** 2) / (n + 2))
    return bool(by_image or rejection(gained - lost, source.size, quantile(source), lead) <= 0)
