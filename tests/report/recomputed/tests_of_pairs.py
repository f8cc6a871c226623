"""Paired tests and intervals, written out: by image, and by subject."""

from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm, t
from statsmodels.stats.contingency_tables import cochrans_q

from recomputed.source import Classifier, Source


def freedom(size: np.ndarray) -> float:
    """Effective number of subjects (Kish) less 1, and at least 1."""
    return max(size.sum() ** 2 / (size**2).sum() - 1, 1)


def quantile(source: Source, alpha: float = 0.05) -> float:
    return float(norm.isf(alpha / 2) if source.by_image else t.isf(alpha / 2, freedom(source.size)))


def difference(source: Source, one: np.ndarray, other: np.ndarray, alpha: float = 0.05) -> dict[str, float]:
    """Bonett & Price (2012); by subject with t, and every difference that `rejection` does not reject."""
    n, only_one, only_other = len(one), (one > other).sum(), (one < other).sum()
    first, second = (only_one + 1) / (n + 2), (only_other + 1) / (n + 2)
    reach = quantile(source, alpha) * np.sqrt((first + second - (first - second) ** 2) / (n + 2))
    low, high, value = first - second - reach, first - second + reach, float(np.mean(one - other))
    if not source.by_image:
        net = np.array([(one - other)[source.unit == k].sum() for k in range(len(source.size))])
        found = [limit(net, source.size, quantile(source, alpha), value, end) for end in (-1.0, 1.0)]
        low, high = min(low, found[0]), max(high, found[1])
    return {"difference": value, "low": max(low, -1.0), "high": min(high, 1.0)}


def limit(net: np.ndarray, size: np.ndarray, quantile: float, value: float, end: float) -> float:
    """From the observed difference towards an end of [-1, 1], the last one that t over subjects does not reject."""
    if rejection(net, size, quantile, value) >= 0:
        return value
    if rejection(net, size, quantile, end) <= 0:
        return end
    return float(brentq(lambda difference: rejection(net, size, quantile, difference), value, end, xtol=1e-14))


def rejection(net: np.ndarray, size: np.ndarray, quantile: float, difference: float) -> float:
    """Above 0 if t of the mean of net - difference * size, of the effective number of subjects, rejects (Fieller)."""
    z, m = net - difference * size, freedom(size) + 1
    spread = (z**2).sum() - z.sum() ** 2 * (size**2).sum() / size.sum() ** 2
    return float(z.sum() ** 2 - quantile**2 * spread * m / (m - 1))


def two(source: Source, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """McNemar's mid-p, or by subject every exchange of signs."""
    gained, lost = int((one > other).sum()), int((one < other).sum())
    if source.by_image:
        return {"test": "mcnemar_mid_p", "statistic": min(gained, lost), "p": mid_p(gained, lost)}
    net = np.array([(one - other)[source.unit == k].sum() for k in range(source.unit.max() + 1)])
    signs = np.array(list(product([1, -1], repeat=len(net))))
    return {"test": "sign_flip", "statistic": net.sum(), "p": np.mean(np.abs(signs @ net) >= abs(net.sum()))}


def mid_p(gained: int, lost: int) -> float:
    """Half of what is as far from an even split, and all that is farther."""
    n = gained + lost
    counts = np.arange(n + 1)
    weight, far = binom.pmf(counts, n, 0.5), np.abs(counts - n / 2)
    distance = abs(gained - n / 2)
    return float(weight[far > distance].sum() + weight[far == distance].sum() / 2) if n else 1.0


def smallest_by_image(disputed: int, images: int, alpha: float) -> float | None:
    """The difference that mid-p detects with 80% power, by summing over all tables."""
    significant = [np.array([mid_p(b, n - b) < alpha for b in range(n + 1)]) for n in range(images + 1)]

    def power(gain: float) -> float:
        share = max((disputed + 0.5) / (images + 1), gain)
        first = min((1 + gain / share) / 2, 1)
        return float(
            sum(
                binom.pmf(n, images, share) * binom.pmf(np.arange(n + 1), n, first)[significant[n]].sum()
                for n in range(images + 1)
            )
        )

    return None if power(1) < 0.8 else float(brentq(lambda gain: power(gain) - 0.8, 0, 1, xtol=1e-7))


def cochran(right: np.ndarray) -> float:
    """Q of decisions of shape (n, k) by statsmodels; 0 if all agree on every image."""
    disputed = right[(right != right[:, :1]).any(axis=1)]
    return float(cochrans_q(disputed).statistic) if len(disputed) else 0.0


def area(source: Source, one: Classifier, other: Classifier) -> dict[str, Any]:
    """DeLong et al. (1988) by all pairs of an ALL and a HEM; by subject Obuchowski (1997)."""
    return area_of(source, one.probability, other.probability)


def area_of(source: Source, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    positive = source.label == 1
    m, n = positive.sum(), (~positive).sum()
    wins = [
        (p[positive][:, None] > p[~positive]) + (p[positive][:, None] == p[~positive]) / 2 for p in (one, other)
    ]  # fmt: skip
    net = wins[0] - wins[1]
    value = net.mean()
    of_all, of_hem = net.mean(axis=1) - value, net.mean(axis=0) - value
    if source.by_image:
        variance = (of_all**2).sum() / (m - 1) / m + (of_hem**2).sum() / (n - 1) / n
    else:
        shares = np.zeros((2, len(positive)))
        shares[0, positive], shares[1, ~positive] = of_all / m, of_hem / n
        sick, healthy = shares @ (source.unit[:, None] == np.unique(source.unit))
        i, i_10, i_01 = (len(np.unique(source.unit[of])) for of in (positive | True, positive, ~positive))
        variance = i_10 / (i_10 - 1) * (sick**2).sum() + i_01 / (i_01 - 1) * (healthy**2).sum()
        variance += 2 * i / (i - 1) * (sick * healthy).sum()
    error = np.sqrt(variance)
    statistic = value / error if error > 1e-12 else 0.0
    df = np.inf if source.by_image else freedom(source.size)
    reach = quantile(source) * error
    return {
        "test": "delong" if source.by_image else "obuchowski",
        "statistic": statistic, "p": 2 * t.sf(abs(statistic), df),
        "difference": value, "low": max(value - reach, -1.0), "high": min(value + reach, 1.0),
    }  # fmt: skip
