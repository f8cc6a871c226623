"""Whether the probabilities of the classifier in focus and its members fit the labels."""

from typing import Any

import numpy as np
import statsmodels.api as sm
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from recomputed.shares import Estimate, share
from recomputed.source import Classifier, Model, Source, single_id
from recomputed.tests_of_pairs import quantile


def calibration(source: Source) -> dict[str, Any]:
    focus = source.focus
    members = [source.classifiers[single_id(model)] for model in focus.members] if len(focus.members) > 1 else []
    uniform = np.random.default_rng(source.seed("calibrated")).random((1000, len(source.size)))
    fitted = {str(model["name"]): temperature(model) for model in focus.members}
    scaled = sum(
        weight * expit(logit(model["test_probability"]) / fitted[str(model["name"])])
        for weight, model in zip(focus.about.get("weight", [1.0]), focus.members, strict=True)
    )
    return {
        "draws": 1000,
        "models": [of_model(source, classifier, uniform) for classifier in (focus, *members)],
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
    bin_index = bin_of(probability)
    return float(sum(abs((probability - label)[bin_index == k].sum()) for k in range(10)) / len(label))


def scores(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    return {
        "ece": error(label, probability), "log_loss": log_loss(label, probability),
        "brier": brier_score_loss(label, probability),
    }  # fmt: skip


def of_model(source: Source, classifier: Classifier, uniform: np.ndarray) -> dict[str, Any]:
    order = np.argsort(classifier.probability, kind="stable")
    ordered, column = classifier.probability[order], np.arange(len(order)) if source.by_image else source.unit[order]
    drawn = [error((row[column] < ordered).astype(int), ordered) for row in uniform]
    return {
        "id": classifier.id, **scores(source.label, classifier.probability),
        "calibrated": {
            "value": np.mean(drawn), "low": np.quantile(drawn, 0.025), "high": np.quantile(drawn, 0.975)
        },
        **recalibration(source, classifier.probability),
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
    bin_index, found = bin_of(source.focus.probability), []
    for k in sorted(set(bin_index.tolist())):
        inside = bin_index == k
        value = share(source, source.label[inside], source.unit[inside])
        found.append(
            {
                "images": int(inside.sum()), "predicted": source.focus.probability[inside].mean(),
                "observed": value["value"], "low": value["low"], "high": value["high"],
            }
        )  # fmt: skip
    return found
