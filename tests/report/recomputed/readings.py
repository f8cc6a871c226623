"""The two readings, what choosing on test data is worth, and what validation predicts."""

from itertools import permutations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from recomputed.intervals import measures
from recomputed.source import Classifier, Model, Source, chosen, score, weighted
from recomputed.tests_of_pairs import difference

HALVINGS = 100


def readings(source: Source) -> dict[str, Any]:
    return {"compared": compared(source), "optimism": optimism(source), "validation_predicts_test": predicts(source)}


def compared(source: Source) -> list[dict[str, Any]]:
    pairs: list[tuple[Classifier, Classifier, str | None]] = [
        (source.best_single("as_written"), source.best_single("leak_free"), None)
    ]
    for scheme in source.params.schemes:
        written, free = (source.classifiers[f"intra {reading} {scheme}"] for reading in ("as_written", "leak_free"))
        pairs.append((written, free, scheme))
    return [of_pair(source, *pair) for pair in pairs]


def of_pair(source: Source, written: Classifier, free: Classifier, scheme: str | None) -> dict[str, Any]:
    found = {
        "as_written": written.id, "leak_free": free.id, "kind": "intra" if scheme else "single", "scheme": scheme,
        "as_written_accuracy": source.row(written)["accuracy"], "leak_free_accuracy": source.row(free)["accuracy"],
        **difference(source, source.right(written), source.right(free)),
    }  # fmt: skip
    if scheme:
        called = weighted("", free.members, scheme, "test").probability >= 0.5
        found["weights_on_test_accuracy"] = float((called == source.label).mean())
        found["weights_on_test_changed"] = int((called != (free.probability >= 0.5)).sum())
    return found


def optimism(source: Source) -> dict[str, Any]:
    """Choose on one half of the test set, and see the other; with the study's halves."""
    rng = np.random.default_rng(source.seed("evidence"))
    units = len(source.size)
    sick = [2 * source.label[source.unit == u].sum() > source.size[u] for u in range(units)]
    gains: dict[str, list[float]] = {"single": [], "intra": []}
    for _ in range(HALVINGS):
        order = rng.permutation(units).tolist()
        order = [u for u in order if sick[u]] + [u for u in order if not sick[u]]
        first = np.isin(source.unit, order[::2])
        both = [gain_of(source, half) for half in (first, ~first)]
        for name, values in zip(gains, zip(*both, strict=True), strict=True):
            gains[name].append(float(np.mean(values)))
    found: dict[str, Any] = {"halvings": HALVINGS}
    for name, values in gains.items():
        low, high = (np.quantile(values, share) if units >= 5 else None for share in (0.025, 0.975))
        found[name] = {"mean": float(np.mean(values)), "low": low, "high": high}
    return found


def gain_of(source: Source, half: np.ndarray) -> tuple[float, float]:
    """How much more accurate the chosen are on the half that chose them."""

    def rows(models: list[Model]) -> list[dict[str, float]]:
        return [measures(source.label, model["test_probability"], half) for model in models]

    champions = [models[chosen(rows(models))] for models in source.models.values()]
    best = champions[chosen(rows(champions))]
    ensemble = weighted("", champions, source.params.weighting)
    right = [
        (probability >= 0.5) == source.label for probability in (best["test_probability"], ensemble.probability)
    ]  # fmt: skip
    single, intra = (float(one[half].mean() - one[~half].mean()) for one in right)
    return single, intra


def predicts(source: Source) -> dict[str, Any]:
    kappas = {
        rate: [(score(model, "kappa"), score(model, "kappa", "test")) for model in models]
        for rate, models in source.models.items()
    }
    of_rate = {rate: spearman(values) for rate, values in kappas.items()}
    known = [rate for rate, value in of_rate.items() if value is not None]
    return {
        "of_rate": of_rate, "within_rates": float(np.mean([of_rate[rate] for rate in known])) if known else None,
        "p": by_orders([kappas[rate] for rate in known]) if known else None,
        "overall": spearman([pair for values in kappas.values() for pair in values]),
        "models": sum(map(len, kappas.values())),
    }  # fmt: skip


def spearman(values: list[tuple[float, float]]) -> float | None:
    one, other = zip(*values, strict=True)
    alike = len(values) < 3 or len(set(one)) == 1 or len(set(other)) == 1
    return None if alike else float(spearmanr(one, other).statistic)


def by_orders(rates: list[list[tuple[float, float]]]) -> float:
    """Exchange the folds' test kappas, at all rates at once; the demo has few enough folds to try every order."""
    means = []
    for order in permutations(range(len(rates[0]))):
        exchanged = [spearmanr([v for v, _ in of], [of[k][1] for k in order]).statistic for of in rates]
        means.append(np.mean(exchanged))
    return float(np.mean(np.array(means) >= means[0] - 1e-9))
