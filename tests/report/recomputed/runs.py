"""H1 over all runs: Obuchowski & Rockette (1995), by averaging every covariance of two runs."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, f, ncf, t

from recomputed.source import Source
from recomputed.tests_of_pairs import freedom


def runs(source: Source, right: np.ndarray, level: float) -> dict[str, Any]:
    """The test that decides H1, of decisions of shape (rates, folds, n)."""
    k, r, n = right.shape
    accuracy = right.mean(axis=2)
    mean = accuracy.mean(axis=1)
    residual = accuracy - mean[:, None] - accuracy.mean(axis=0) + accuracy.mean()
    between_runs = residual @ residual.T / (r - 1)
    covariance = of_test_sets(source, right)
    pairs = [(a, i, b, j) for a in range(k) for b in range(k) for i in range(r) for j in range(r)]

    def average(rule: Any) -> float:
        return float(np.mean([covariance[pair] for pair in pairs if rule(*pair)]))

    within = average(lambda a, i, b, j: a == b and i != j)
    across = average(lambda a, i, b, j: a != b and i != j)
    one_model = average(lambda a, i, b, j: a == b and i == j)
    same_fold = average(lambda a, i, b, j: a != b and i == j)
    images = max(r * (within - across), 0)
    noise = one_model - same_fold - (within - across)
    spread = np.trace(between_runs) / (k - 1)
    at_random = max(spread, noise)
    variance = max(at_random + images, r / (n + 2) ** 2)
    df = degrees(source, right, between_runs, at_random, images)
    statistic = r * mean.var(ddof=1) / variance
    error = np.sqrt(2 * variance / r)
    reach = t.isf(0.05 / (k * (k - 1)), df[1]) * error
    return {
        "test": "runs", "statistic": statistic, "df": list(df), "p": f.sf(statistic, *df), "folds": r,
        "deviation": np.sqrt(spread), "difference": np.ptp(mean),
        "low": max(np.ptp(mean) - reach, -1.0), "high": min(np.ptp(mean) + reach, 1.0),
        "effect": {"name": "partial_eta_squared", "value": statistic * df[0] / (statistic * df[0] + df[1])},
        "smallest": smallest(level, df, error, k),
    }  # fmt: skip


def of_test_sets(source: Source, right: np.ndarray) -> np.ndarray:
    """Covariance of any two runs' accuracies over test sets, of shape (k, r, k, r)."""
    k, r, n = right.shape
    units = source.unit.max() + 1
    deviation = (right - right.mean(axis=2, keepdims=True)) / n
    sums = np.stack([deviation[:, :, source.unit == u].sum(axis=2) for u in range(units)], axis=-1).reshape(k * r, -1)
    df = freedom(source.size)
    return (sums @ sums.T * (df + 1) / df).reshape(k, r, k, r)


def degrees(
    source: Source, right: np.ndarray, between_runs: np.ndarray, at_random: float, images: float
) -> tuple[float, float]:
    """Satterthwaite's for the error, Huynh & Feldt's (1976) correction for the rates."""
    k, r, _ = right.shape
    if not (at_random or images):  # all runs decide alike: the units' degrees, and no rate varies more than another
        return float(k - 1), float(k - 1) * source.unit.max()
    of_error = (at_random + images) ** 2 / (at_random**2 / (r - 1) + images**2 / freedom(source.size))
    less_mean = of_test_sets(source, right - right.mean(axis=0))
    shared = r * np.mean([less_mean[:, i, :, j] for i in range(r) for j in range(r) if i != j], axis=0)
    total = between_runs
    if images:
        values, vectors = np.linalg.eigh(shared)
        values = np.maximum(values, 0)
        total = total + vectors @ np.diag(values) @ vectors.T * images * (k - 1) / values.sum()
    epsilon = np.trace(total) ** 2 / (total**2).sum()
    above, below = (of_error + 1) * epsilon - 2, of_error - epsilon
    most = k - 1 if above > 1e-9 else 1  # where 0 / 0 leaves a single contrast
    of_rates = most if below <= 1e-9 else min(max(above / below, 1), k - 1)
    return float(of_rates), float(of_rates * of_error)


def smallest(level: float, df: tuple[float, float], error: float, rates: int) -> float | None:
    """The difference with 80% power (Muller & Barton 1989), over 25 quantiles of the true error."""
    true = chi2.ppf((np.arange(25) + 0.5) / 25, df[1]) / df[1]

    def missing(root: float) -> float:
        return 0.8 - float(np.mean([ncf.sf(f.isf(level, *df), *df, root**2 * one) for one in true]))

    root = brentq(missing, 0, 200)
    found = float(root * error * np.sqrt((rates - 1) / df[0]))
    return found if found <= 1 else None
