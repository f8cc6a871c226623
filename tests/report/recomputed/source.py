"""What the report is made of, read from its files: predictions, and the table of images."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn import metrics

from wen.config.params import Params

THESIS = ("accuracy", "precision", "recall", "f1", "kappa")
MEASURES = ("accuracy", "precision", "recall", "f1", "kappa", "auc", "specificity", "balanced_accuracy", "weighted_f1")
Model = dict[str, Any]
"""The arrays of one file of predictions, and the measures on both parts of the data."""


class Classifier:
    """A single model or an ensemble: its id, members, and probabilities of the test images."""

    def __init__(self, id: str, members: list[Model], probability: np.ndarray, **about: Any) -> None:
        self.id, self.members, self.probability, self.about = id, members, probability, about


class Source:
    """The study as read from its files; ensembles are formed again by (2.20) and (2.21)."""

    def __init__(self, params: Params, root: Path) -> None:
        self.params, self.root = params, root
        cells = pd.read_csv(root / "data/index.csv").assign(**pd.read_csv(root / "data/split.csv")[["part", "fold"]])
        self.all_cells, self.cells = cells, cells[cells.part == "test"].reset_index(drop=True)
        self.label = self.cells.label.to_numpy()
        by_image = params.split.unit == "image"
        self.unit = np.arange(len(self.cells)) if by_image else pd.factorize(self.cells.subject)[0]
        self.by_image, self.size = by_image, np.bincount(self.unit)
        self.rates = [str(lr) for lr in params.lr_grid]
        self.recipes = [f"baseline/{name}" for name in params.baselines]
        self.models = {recipe: [self._read(recipe, fold) for fold in params.folds] for recipe in self.rates}
        self.baselines = {recipe: [self._read(recipe, fold) for fold in params.folds] for recipe in self.recipes}
        self.classifiers = {one.id: one for one in [*self._singles(), *self._inter(), *self._intra()]}
        self.focus = self.classifiers[self._focus()]

    def _read(self, recipe: str, fold: int) -> Model:
        with np.load(self.root / f"data/predictions/{recipe}/{fold}.npz") as arrays:
            model = dict(arrays) | {"name": f"{recipe}-{fold}", "recipe": recipe}
        rows = {part: row(model[f"{part}_label"], model[f"{part}_probability"]) for part in ("validation", "test")}
        return model | {"rows": rows}

    def _singles(self) -> list[Classifier]:
        both = [*self.models.values(), *self.baselines.values()]
        return [Classifier(single_id(one), [one], one["test_probability"]) for models in both for one in models]

    def _inter(self) -> list[Classifier]:
        return [
            weighted(f"inter {rate} {scheme}", self.models[rate], scheme)
            for rate in self.rates for scheme in self.params.schemes
        ]  # fmt: skip

    def _intra(self) -> list[Classifier]:
        return [
            weighted(f"intra {reading} {scheme}", self.champions(reading), scheme)
            for reading in ("as_written", "leak_free") for scheme in self.params.schemes
        ]  # fmt: skip

    def _focus(self) -> str:
        params = self.params
        if params.ensemble == "inter":
            return f"inter {params.lr} {params.weighting}"
        if params.ensemble == "intra":
            return f"intra {params.reading} {params.weighting}"
        return single_id(best(self.models[str(params.lr)], params.reading))

    def champions(self, reading: str) -> list[Model]:
        return [best(self.models[rate], reading) for rate in self.rates]

    def best_single(self, reading: str) -> Classifier:
        return self.classifiers[single_id(best(self.champions(reading), reading))]

    def right(self, classifier: Classifier) -> np.ndarray:
        return ((classifier.probability >= 0.5) == self.label).astype(int)

    def row(self, classifier: Classifier) -> dict[str, float]:
        return row(self.label, classifier.probability)

    def averages(self) -> dict[str, dict[str, dict[str, float]]]:
        """Mean and standard deviation (n - 1) of the fold models of each recipe."""
        found = {}
        for recipe, models in (self.models | self.baselines).items():
            rows = [model["rows"]["test"] for model in models]
            columns = {key: [one[key] for one in rows] for key in rows[0]}
            found[recipe] = {
                "mean": {key: float(np.mean(values)) for key, values in columns.items()},
                "std": {key: float(np.std(values, ddof=1)) for key, values in columns.items()},
            }
        return found

    def seed(self, what: str) -> int:
        """The seed of a draw, from the study's seed and what is drawn, as `wen.config.seeds` says."""
        return int.from_bytes(hashlib.sha256(f"{self.params.seed!r}|{what}".encode()).digest()[:4], "big")


def single_id(model: Model) -> str:
    return f"single {model['name']}"


def row(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Every measure, by scikit-learn."""
    called = (probability >= 0.5).astype(int)
    tn, fp, fn, tp = metrics.confusion_matrix(label, called, labels=[0, 1]).ravel()
    specificity = metrics.recall_score(label, called, pos_label=0, zero_division=0)
    recall = metrics.recall_score(label, called, zero_division=0)
    return {
        "accuracy": metrics.accuracy_score(label, called),
        "precision": metrics.precision_score(label, called, zero_division=0),
        "recall": recall,
        "f1": metrics.f1_score(label, called, zero_division=0),
        "kappa": metrics.cohen_kappa_score(label, called),
        "auc": metrics.roc_auc_score(label, probability),
        "specificity": specificity,
        "balanced_accuracy": (recall + specificity) / 2,
        "weighted_f1": metrics.f1_score(label, called, average="weighted", zero_division=0),
        "tn": int(tn), "fp": int(fp), "fn": int(fn), "tp": int(tp),
    }  # fmt: skip


def mean_ranks(rows: list[dict[str, float]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Ranks within each of the thesis' five measures, 1 the highest, and their mean."""
    ranks = {key: rankdata([-one[key] for one in rows]) for key in THESIS}
    return ranks, np.mean(list(ranks.values()), axis=0)


def chosen(rows: list[dict[str, float]]) -> int:
    """The lowest mean rank; ties by kappa, then by the earlier one."""
    _, mean = mean_ranks(rows)
    return sorted(range(len(rows)), key=lambda k: (mean[k], -rows[k]["kappa"], k))[0]


def best(models: list[Model], reading: str) -> Model:
    part = {"as_written": "test", "leak_free": "validation"}[reading]
    return models[chosen([model["rows"][part] for model in models])]


def score(model: Model, scheme: str, part: str = "validation") -> float:
    """M_k: uniform, or a measure."""
    return 1.0 if scheme == "uniform" else float(model["rows"][part][scheme])


def weighted(id: str, members: list[Model], scheme: str, part: str = "validation") -> Classifier:
    """(2.20) and (2.21)."""
    scores = [score(model, scheme, part) for model in members]
    positive = [max(value, 0.0) for value in scores]
    weights = [value / sum(positive) for value in positive]
    probability = sum(weight * model["test_probability"] for weight, model in zip(weights, members, strict=True))
    return Classifier(id, members, np.asarray(probability), score=scores, weight=weights, scheme=scheme)
