"""95% intervals of every measure: by image the bootstrap's, or Wilson's at 0 and 1; by subject the jackknife's."""

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from recomputed.simulated import logit_limits
from recomputed.source import MEASURES, Classifier, Source


def intervals(source: Source) -> dict[str, dict[str, list[float]]]:
    return {id: of_one(source, classifier) for id, classifier in source.classifiers.items()}


def of_one(source: Source, classifier: Classifier) -> dict[str, list[float]]:
    if source.by_image:
        n = len(source.label)
        seed = source.seed("evidence")
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=source.params.report.bootstrap)
        values = [measures(source.label, classifier.probability, counts) for counts in drawn]
        of_all = measures(source.label, classifier.probability, np.ones(n))
        found = {}
        for key in MEASURES:
            if of_all[key] in (-1 if key == "kappa" else 0, 1):
                found[key] = at_the_end(key, of_all[key], depends(key, source.label, classifier.probability >= 0.5))
                continue
            known = [one[key] for one in values if not np.isnan(one[key])]
            found[key] = [float(limit) for limit in np.quantile(known, [0.025, 0.975])]
        return found
    of_all = measures(source.label, classifier.probability, np.ones(len(source.label)))
    without = [measures(source.label, classifier.probability, source.unit != u) for u in range(len(source.size))]
    return {key: over_subjects(source, key, of_all[key], [one[key] for one in without]) for key in MEASURES}


def depends(key: str, label: np.ndarray, called: np.ndarray) -> int:
    """Number of images on which a measure of 0 or 1 rests."""
    if key in ("accuracy", "weighted_f1"):
        return len(label)
    if key == "precision":
        return int(called.sum())
    positive = int(label.sum())
    return {"recall": positive, "specificity": len(label) - positive}.get(key, min(positive, len(label) - positive))


def at_the_end(key: str, value: float, images: int) -> list[float]:
    if not images:
        return [np.nan, np.nan]
    low, high = proportion_confint(images * (value == 1), images, method="wilson")
    return [2 * low - 1, 2 * high - 1] if key == "kappa" else [low, high]


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
