"""95% intervals of every measure: by image the bootstrap's, by subject the jackknife's; Wilson's at 0 and 1."""

import numpy as np

from recomputed.shares import share
from recomputed.simulated import logit_limits
from recomputed.source import MEASURES, Classifier, Source


def intervals(source: Source) -> dict[str, dict[str, list[float]]]:
    return {id: of_one(source, classifier) for id, classifier in source.classifiers.items()}


def of_one(source: Source, classifier: Classifier) -> dict[str, list[float]]:
    n, probability = len(source.label), classifier.probability
    of_all = measures(source.label, probability, np.ones(n))
    if source.by_image:
        drawn = np.random.default_rng(source.seed("evidence")).multinomial(
            n, np.full(n, 1 / n), size=source.params.report.bootstrap
        )
        values = [measures(source.label, probability, counts) for counts in drawn]
        found = {key: percentiles([one[key] for one in values]) for key in MEASURES}
    else:
        without = [measures(source.label, probability, source.unit != u) for u in range(len(source.size))]
        found = {key: over_subjects(source, key, of_all[key], [one[key] for one in without]) for key in MEASURES}
    ends = {key for key in MEASURES if of_all[key] in (-1 if key == "kappa" else 0, 1)}
    return found | {key: at_the_end(source, key, of_all[key], probability >= 0.5) for key in ends}


def percentiles(values: list[float]) -> list[float]:
    return [float(limit) for limit in np.nanquantile(values, [0.025, 0.975])]


def at_the_end(source: Source, key: str, value: float, called: np.ndarray) -> list[float]:
    """Of the images that the measure depends on: those of the class with fewer units, unless another set is named."""
    sick = source.label == 1
    sizes = [np.unique(source.unit[of], return_counts=True)[1] for of in (sick, ~sick)]
    of_sick, of_healthy = (size.sum() ** 2 / (size**2).sum() for size in sizes)
    fewer = sick if of_sick < of_healthy else ~sick
    every = np.full(len(sick), True)
    named = {"accuracy": every, "weighted_f1": every, "recall": sick, "specificity": ~sick, "precision": called}
    images = named.get(key, fewer)
    if not images.any():
        return [np.nan, np.nan]
    found = share(source, np.full(images.sum(), float(value == 1)), source.unit[images])
    limits = [float(found["low"] or 0), float(found["high"] or 0)]
    return [2 * limit - 1 for limit in limits] if key == "kappa" else limits


def over_subjects(source: Source, key: str, value: float, without: list[float]) -> list[float]:
    if key != "kappa":
        return list(map(float, logit_limits(source, value, np.array(without))))
    low, high = logit_limits(source, (value + 1) / 2, (np.array(without) + 1) / 2)  # from [-1, 1]
    return [float(2 * low - 1), float(2 * high - 1)]


def measures(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Every measure of a sample that holds each image so many times, by its definition; 0 / 0 is 0."""
    called, w = probability >= 0.5, np.asarray(counts, float)
    tp, fn = w[(label == 1) & called].sum(), w[(label == 1) & ~called].sum()
    fp, tn = w[(label == 0) & called].sum(), w[(label == 0) & ~called].sum()
    n = tp + fn + fp + tn
    precision, recall, specificity = over(tp, tp + fp), over(tp, tp + fn), over(tn, tn + fp)
    f1, f1_hem = over(2 * tp, 2 * tp + fp + fn), over(2 * tn, 2 * tn + fp + fn)
    chance = ((tp + fp) * (tp + fn) + (tn + fn) * (tn + fp)) / n**2
    positive, negative = label == 1, label == 0
    pairs = np.outer(w[positive], w[negative])
    wins = (probability[positive][:, None] > probability[negative]) + (
        probability[positive][:, None] == probability[negative]
    ) / 2
    return {
        "accuracy": (tp + tn) / n, "precision": precision, "recall": recall, "f1": f1,
        "kappa": over((tp + tn) / n - chance, 1 - chance),
        "auc": (pairs * wins).sum() / pairs.sum() if pairs.sum() else np.nan,
        "specificity": specificity, "balanced_accuracy": (recall + specificity) / 2,
        "weighted_f1": ((tp + fn) * f1 + (tn + fp) * f1_hem) / n,
    }  # fmt: skip


def over(part: float, total: float) -> float:
    return float(part / total) if total else 0.0
