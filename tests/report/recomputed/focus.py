"""The classifier in focus: its calibration, its use, its subjects, its maps."""

import io
from typing import Any

import numpy as np
import statsmodels.api as sm
from PIL import Image
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit
from scipy.stats import norm, t
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from recomputed.source import Classifier, Model, Source, single_id
from recomputed.tests_of_pairs import freedom, quantile

UNDEFINED = {"value": None, "low": None, "high": None}
MISSED = 5
Estimate = dict[str, float | None]


def calibration(source: Source) -> dict[str, Any]:
    focus = source.focus
    members = [source.classifiers[single_id(model)] for model in focus.members] if len(focus.members) > 1 else []
    uniform = np.random.default_rng(source.seed("calibrated")).random((1000, len(source.label)))
    fitted = {str(model["name"]): temperature(model) for model in focus.members}
    scaled = sum(
        weight * expit(logit(model["test_probability"]) / fitted[str(model["name"])])
        for weight, model in zip(focus.about.get("weight", [1.0]), focus.members, strict=True)
    )
    return {
        "draws": 1000,
        "models": [of_model(source, own, uniform) for own in (focus, *members)],
        "bins": bins(source),
        "temperature": {
            "applied": False, "members": fitted,
            "without": scores(source.label, focus.probability), "with": scores(source.label, np.asarray(scaled)),
        },
    }  # fmt: skip


def bin_of(probability: np.ndarray) -> np.ndarray:
    return np.digitize(probability, np.arange(1, 10) / 10)


def error(label: np.ndarray, probability: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width."""
    own = bin_of(probability)
    return float(sum(abs((probability - label)[own == k].sum()) for k in range(10)) / len(label))


def scores(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    return {
        "ece": error(label, probability), "log_loss": log_loss(label, probability),
        "brier": brier_score_loss(label, probability),
    }  # fmt: skip


def of_model(source: Source, own: Classifier, uniform: np.ndarray) -> dict[str, Any]:
    ordered = np.sort(own.probability)
    drawn = [error((row < ordered).astype(int), ordered) for row in uniform]
    return {
        "id": own.id, **scores(source.label, own.probability),
        "calibrated": {
            "value": np.mean(drawn), "low": np.quantile(drawn, 0.025), "high": np.quantile(drawn, 0.975)
        },
        **recalibration(source, own.probability),
    }  # fmt: skip


def recalibration(source: Source, probability: np.ndarray) -> dict[str, Estimate]:
    """Cox's (1958) regressions by statsmodels; by subject with robust errors."""
    score, one = logit(probability), np.ones((len(probability), 1))
    both = regression(source, np.column_stack([one, score]), None)
    (large,) = regression(source, one, score)
    return {"slope": both[1], "intercept": both[0], "in_the_large": large}


def regression(source: Source, x: np.ndarray, offset: np.ndarray | None) -> list[Estimate]:
    model = sm.GLM(source.label, x, family=sm.families.Binomial(), offset=offset).fit(tol=1e-14, maxiter=200)
    covariance = np.asarray(model.cov_params())
    if not source.by_image:
        residual = x * (source.label - model.fittedvalues)[:, None]
        units = len(source.size)
        sums = np.stack([residual[source.unit == u].sum(axis=0) for u in range(units)])
        covariance = covariance @ (sums.T @ sums) @ covariance * units / (units - 1)
    reach = quantile(source) * np.sqrt(np.diag(covariance))
    return [{"value": b, "low": b - r, "high": b + r} for b, r in zip(model.params, reach, strict=True)]


def temperature(model: Model) -> float:
    """The temperature of lowest log loss, between 0.05 and 20."""
    label, score = model["validation_label"], logit(model["validation_probability"])

    def loss(x: float) -> float:
        return float(log_loss(label, expit(score / np.exp(x)), labels=[0, 1]))

    bounds = np.log([0.05, 20])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(np.exp(min((*bounds, found.x), key=loss)))


def bins(source: Source) -> list[dict[str, float]]:
    own, found = bin_of(source.focus.probability), []
    for k in sorted(set(own.tolist())):
        inside = own == k
        value = share(source, source.label[inside], source.unit[inside])
        found.append(
            {
                "images": int(inside.sum()), "predicted": source.focus.probability[inside].mean(),
                "observed": value["value"], "low": value["low"], "high": value["high"],
            }
        )  # fmt: skip
    return found


def share(source: Source, hit: np.ndarray, unit: np.ndarray) -> Estimate:
    """Wilson's interval, by subject with Korn & Graubard's (1998) effective number of images and t."""
    n, value = len(hit), float(np.mean(hit))
    names, size = np.unique(unit, return_counts=True)
    images, alpha = float(n), 0.05
    if len(names) < n:
        images = size.sum() ** 2 / (size**2).sum()
        net = np.array([(hit[unit == name] - value).sum() for name in names])
        variance = (net**2).sum() / n**2 * len(names) / max(len(names) - 1, 1)
        if 0 < value < 1 and variance > 0:
            images = min(max(value * (1 - value) / variance, images), n)
        alpha = 2 * norm.sf(t.isf(0.025, freedom(size)))
    low, high = proportion_confint(value * images, images, alpha, method="wilson")
    return {"value": value, "low": min(max(low, 0), value), "high": max(min(high, 1), value)}


def decisions(source: Source) -> dict[str, Any]:
    params, focus = source.params.report, source.focus
    label = np.concatenate([model["validation_label"] for model in focus.members])
    probability = np.concatenate([model["validation_probability"] for model in focus.members])
    grid = np.linspace(0, 1, 101)
    costs = [cost(label, probability, threshold) for threshold in grid]
    chosen = {
        "half": 0.5, "specificity": at_specificity(label, probability, params.specificity),
        "cost": grid[int(np.argmin(costs))],
    }  # fmt: skip
    sensitivity, specificity = rates(source, source.label, focus.probability, 0.5, source.unit)
    odds = 1 / (1 + MISSED)
    called = focus.probability >= odds
    benefit = (called & (source.label == 1)).mean() - (called & (source.label == 0)).mean() * odds / (1 - odds)
    prevalence = source.label.mean()
    return {
        "missed": MISSED, "validation_images": len(label), "prevalence": prevalence,
        "prevalences": [
            {
                "prevalence": one, "ppv": predictive(sensitivity, specificity, one),
                "npv": predictive(specificity, sensitivity, 1 - one),
            }
            for one in params.prevalences
        ],
        "thresholds": {rule: at(source, label, probability, threshold) for rule, threshold in chosen.items()},
        "net_benefit": {
            "threshold": odds, "model": benefit, "all": prevalence - (1 - prevalence) * odds / (1 - odds)
        },
    }  # fmt: skip


def cost(label: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    called = probability >= threshold
    return float((MISSED * (~called & (label == 1)).sum() + (called & (label == 0)).sum()) / len(label))


def at_specificity(label: np.ndarray, probability: np.ndarray, target: float) -> float:
    """The lowest threshold with that specificity: a probability, or just above the highest."""
    levels = sorted({*probability.tolist(), np.nextafter(probability.max(), 2)})
    return next(level for level in levels if (probability[label == 0] < level).mean() >= target)


def rates(
    source: Source, label: np.ndarray, probability: np.ndarray, threshold: float, unit: np.ndarray
) -> tuple[Estimate, Estimate]:
    right = (probability >= threshold) == label
    one, other = (share(source, right[label == kind], unit[label == kind]) for kind in (1, 0))
    return one, other


def at(source: Source, label: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, Any]:
    on_test = rates(source, source.label, source.focus.probability, threshold, source.unit)
    on_validation = rates(source, label, probability, threshold, np.arange(len(label)))
    return {
        "threshold": threshold,
        "validation": {"sensitivity": on_validation[0]["value"], "specificity": on_validation[1]["value"]},
        "sensitivity": on_test[0], "specificity": on_test[1],
        "cost": cost(source.label, source.focus.probability, threshold),
    }  # fmt: skip


def predictive(found: Any, other: Any, prevalence: float) -> Estimate:
    """Bayes; the interval of false / found by Donner & Zou's (2012) recovery of variances for a ratio."""
    f, fl, fu = 1 - other["value"], 1 - other["high"], 1 - other["low"]
    d, dl, du = found["value"], found["low"], found["high"]
    if d == f == 0:
        return UNDEFINED

    def limit(of_f: float, of_d: float, sign: int) -> float:
        above, below = of_f * (2 * f - of_f), of_d * (2 * d - of_d)
        if below == 0:
            return np.inf
        return float((f * d + sign * np.sqrt(max((f * d) ** 2 - above * below, 0))) / below)

    low, high = limit(fl, du, -1), limit(fu, dl, 1)
    odds = (1 - prevalence) / prevalence
    value, least, most = (1 / (1 + odds * ratio) for ratio in (f / d if d else np.inf, high, low))
    return {"value": value, "low": least, "high": most}


def people(source: Source) -> dict[str, Any]:
    names = sorted(source.cells.subject.unique(), key=str)
    rows = [of_person(source, name) for name in names]
    one_class = [row for row in rows if row["label"] is not None]
    accuracy = np.array([row["accuracy"] for row in rows])
    mean: Estimate = {"value": accuracy.mean(), "low": None, "high": None}
    if len(rows) > 1 and np.ptp(accuracy):
        low, high = t.interval(0.95, len(rows) - 1, accuracy.mean(), accuracy.std(ddof=1) / np.sqrt(len(rows)))
        mean |= {"low": max(low, 0), "high": min(high, 1)}
    return {
        "id": source.focus.id, "subjects": len(rows),
        "mixed": [str(name) for name, row in zip(names, rows, strict=True) if row["label"] is None], "accuracy": mean,
        "verdicts": {
            way: {
                "right": sum(row["verdict_right"][way] for row in one_class), "subjects": len(one_class),
                "sensitivity": of_class(one_class, way, 1), "specificity": of_class(one_class, way, 0),
            }
            for way in ("mean", "share")
        },
        "auc": area_over(one_class),
        "by_subject": sorted(rows, key=lambda row: (row["accuracy"], -row["images"])),
    }  # fmt: skip


def of_person(source: Source, name: Any) -> dict[str, Any]:
    own = (source.cells.subject == name).to_numpy()
    label, probability = source.label[own], source.focus.probability[own]
    called, right = probability >= 0.5, ((probability >= 0.5) == label).sum()
    kind = int(label[0]) if len(set(label.tolist())) == 1 else None
    low, high = proportion_confint(right, len(label), method="wilson")
    verdicts = {"mean": probability.mean() >= 0.5, "share": called.mean() >= 0.5}
    correct = {way: None if kind is None else bool(verdict == kind) for way, verdict in verdicts.items()}
    return {
        "subject": str(name), "label": kind, "images": len(label), "right": int(right),
        "accuracy": right / len(label), "low": max(low, 0), "high": min(high, 1),
        "probability": probability.mean(), "called": called.mean(), "verdict_right": correct,
        "misread": False in correct.values(),
    }  # fmt: skip


def of_class(rows: list[dict[str, Any]], way: str, label: int) -> Estimate:
    right = [row["verdict_right"][way] for row in rows if row["label"] == label]
    if not right:
        return UNDEFINED
    low, high = proportion_confint(sum(right), len(right), method="wilson")
    return {"value": sum(right) / len(right), "low": max(low, 0), "high": min(high, 1)}


def area_over(rows: list[dict[str, Any]]) -> Estimate:
    """Area over subjects, with Newcombe's (2006) method 5."""
    label = [row["label"] for row in rows]
    if len(set(label)) < 2:
        return UNDEFINED
    value = float(roc_auc_score(label, [row["probability"] for row in rows]))
    m, n = sum(label), len(label) - sum(label)

    def far(true: float) -> float:
        """Squared distance in standard errors, less 1.96 squared, times the variance."""
        half = (m + n) / 2 - 1
        variance = true * (1 - true) / (m * n) * (1 + half * (1 - true) / (2 - true) + half * true / (1 + true))
        return float((value - true) ** 2 - norm.isf(0.025) ** 2 * variance)

    low = brentq(far, 0, value - 1e-9, xtol=1e-13) if value > 0 else 0.0
    high = brentq(far, value + 1e-9, 1, xtol=1e-13) if value < 1 else 1.0
    return {"value": value, "low": low, "high": high}


def pictures(source: Source) -> dict[str, np.ndarray]:
    with np.load(source.root / "data/test-cells.npz") as arrays:
        ends = arrays["end"].tolist()
        content, ids = arrays["content"].tobytes(), arrays["id"].tolist()
    return {
        id: np.asarray(Image.open(io.BytesIO(content[begin:end])))
        for id, begin, end in zip(ids, [0, *ends], ends, strict=False)
    }


def maps(source: Source) -> dict[str, Any]:
    """Where the weight of every test image's map lies."""
    focus, shown = source.focus, pictures(source)
    total = sum(
        weight * model["test_map"].astype(float)
        for weight, model in zip(focus.about.get("weight", [1.0]), focus.members, strict=True)
    )
    inside, size = [], []
    for id, values, called in zip(source.cells.id, np.asarray(total), focus.probability >= 0.5, strict=True):
        cell = (shown[id] > 0).any(axis=2)
        size.append(cell.mean())
        signed = (values if called else -values).astype(np.float32)
        large = np.asarray(Image.fromarray(signed).resize(cell.shape[::-1], Image.Resampling.BICUBIC), float)
        positive = np.maximum(large, 0)
        if positive.sum() > 0:
            inside.append(positive[cell].sum() / positive.sum())
    return {
        "images": len(size), "weighted": len(inside), "on_black": int((np.array(inside) < 0.5).sum()),
        "inside": np.median(inside), "cell": np.median(size),
    }  # fmt: skip
