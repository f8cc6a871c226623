"""A study: the test set, and every single model, ensemble, baseline and published system on it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from wen.config.member import SYSTEM, TRAINING
from wen.config.params import Params
from wen.config.seeds import seed_for
from wen.data.table import has_subjects
from wen.ensemble.combined import ensemble
from wen.ensemble.intra import JUDGED_ON, champions
from wen.ensemble.selection import champion
from wen.evaluation.metrics import UNDEFINED_WITHOUT, absent_class, decide, row_of
from wen.evaluation.units import each_image_alone
from wen.members.predictions import Averages, Predictions, averages
from wen.systems.replication import Replication

VALIDATION = "leak_free"
"""The reading by which the best single model is chosen, whatever reading the headline is about."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A single model or an ensemble, with its probabilities and measures on the test set.

    An attribute that does not apply (the fold of an ensemble, the scheme of a single model) is None.
    """

    kind: str
    """``single``, ``inter``, ``intra``, or ``system``: the average of a published system's fold models."""
    probability: np.ndarray
    """Probability of the positive class for each test image."""
    row: dict[str, Any]
    """Row of the result table, on test data; None where a measure is undefined."""
    members: list[Predictions]
    weight: np.ndarray
    score: np.ndarray
    """M_k, from which each member's weight is computed."""
    temperature: np.ndarray
    """Divisor of each member's logits before the members are combined; 1 unless params.yaml's ``calibration`` sets
    another."""
    recipe: str | None = None
    fold: int | None = None
    scheme: str | None = None
    reading: str | None = None

    @property
    def id(self) -> str:
        """The name in metrics/evidence.json, such as ``single 0.001-0``, ``inter 0.001 f1``, ``intra leak_free f1``."""
        if self.kind == "single":
            return f"single {self.recipe}-{self.fold}"
        if self.kind == "system":
            return str(self.recipe).replace("/", " ", 1)
        return f"{self.kind} {self.recipe or self.reading} {self.scheme}"

    @property
    def group(self) -> tuple[str, str | None, str | None]:
        """What the neighbours of a classifier in a table have in common with it: all but the fold or the scheme."""
        return self.kind, self.recipe, self.reading


@dataclass(frozen=True, eq=False)
class Study:
    """The test set and every classifier on it."""

    params: Params
    cells: pd.DataFrame
    """The test images' rows of data/index.csv, with the ``component`` of each, which is its unit if the split is by
    subject."""
    models: dict[str, list[Predictions]]
    """The networks of each learning rate, such as ``"0.001"``."""
    baselines: dict[str, list[Predictions]]
    """The classical members of each baseline, by its recipe; no ensemble, champion or hypothesis is about them."""
    classifiers: list[Classifier]
    repeats: pd.DataFrame
    """data/repeats.csv: classifiers on frozen features over many other splits."""
    systems: dict[str, Replication]
    """The published systems, by their names; no champion or deciding test is about them."""

    @property
    def label(self) -> np.ndarray:
        return self.cells.label.to_numpy()

    @property
    def unit(self) -> np.ndarray:
        """Each image's unit of resampling, numbered from 0: the image, or its subject if the split is by subject.

        Subjects joined by copies count as one, as in the split, even if joined only via a third outside the test set.
        """
        if self.params.split.unit == "subject":
            return pd.factorize(self.cells.component)[0]
        return np.arange(len(self.cells))

    @property
    def is_testable(self) -> bool:
        """Whether classifiers can be compared by a test: it takes two units."""
        return bool(self.unit.max() > 0)

    @property
    def has_subjects(self) -> bool:
        """Whether it is known whose cells the images show."""
        return has_subjects(self.cells)

    @property
    def has_areas(self) -> bool:
        """Whether the variance of an area under the ROC curve can be estimated: it takes two units of each class."""
        return all(len(np.unique(self.unit[self.label == label])) > 1 for label in (0, 1))

    @property
    def absent_class(self) -> int | None:
        """The class that no test image has, 0 or 1; None if both are there."""
        return absent_class(self.label)

    @property
    def networks(self) -> list[Predictions]:
        """All networks of all learning rates."""
        return [member for members in self.models.values() for member in members]

    @cached_property
    def averages(self) -> dict[str, Averages]:
        """``mean`` and ``std`` (n - 1) of each recipe's single models."""
        return {recipe: averages(members) for recipe, members in (self.models | self.baselines).items()}

    @property
    def seed(self) -> int:
        """Of the report's tests and intervals."""
        return seed_for(self.params.seed, what="evidence")

    def intervals(self, classifier: Classifier) -> dict[str, tuple[float, float]]:
        """95% interval of every measure: `image_intervals`, or by subject `subject_intervals`; NaN if undefined."""
        from wen.evaluation import resampling  # which SciPy's statistics take time to import for

        label, probability, unit = self.label, classifier.probability, self.unit
        if each_image_alone(unit):
            intervals = resampling.image_intervals(label, probability, self._resampled)
        else:
            intervals = resampling.subject_intervals(label, probability, unit)
        return intervals | dict.fromkeys(UNDEFINED_WITHOUT[self.absent_class], (math.nan, math.nan))

    @cached_property
    def _resampled(self) -> np.ndarray:
        from wen.evaluation.resampling import resample

        return resample(self.unit, self.params.report.bootstrap, self.seed)

    def right(self, classifier: Classifier) -> np.ndarray:
        """1 where the classifier's decision is right, else 0."""
        return (decide(classifier.probability) == self.label).astype(np.int64)

    def single(self, member: Predictions) -> Classifier:
        """Return a single model as a classifier."""
        return self._find(kind="single", recipe=member.member.recipe, fold=member.member.fold)

    def inter(self, recipe: str, scheme: str) -> Classifier:
        return self._find(kind="inter", recipe=recipe, scheme=scheme)

    def intra(self, reading: str, scheme: str) -> Classifier:
        return self._find(kind="intra", reading=reading, scheme=scheme)

    def system(self, name: str, variant: str) -> Classifier:
        """The unweighted average of the fold models of a published system's variant."""
        members = self.systems[name].members[variant]
        found = ensemble(members, "uniform", "none")
        row, about = row_of(self.label, found.probability), (found.weight, found.score, found.temperature)
        return Classifier("system", found.probability, row, members, *about, f"{SYSTEM}{name}/{variant}")

    @property
    def over_networks(self) -> list[tuple[Classifier, Classifier]]:
        """Each published system that weights two networks or more, and the best of these on validation data."""
        pairs = []
        for name, found in self.systems.items():
            for variant in found.about["variants"]:
                if variant["name"] == found.about["shown"] and len(variant["members"]) > 1:
                    single = found.best(variant["members"])
                    pairs.append((self.system(name, variant["name"]), self.system(name, single)))
        return pairs

    def with_scheme(self, ensemble: Classifier, scheme: str) -> Classifier:
        """The ensemble of the same members by another weighting scheme."""
        if ensemble.kind == "inter":
            return self.inter(str(ensemble.recipe), scheme)
        return self.intra(str(ensemble.reading), scheme)

    def champions(self, reading: str) -> list[Classifier]:
        """The champion of each LR of the grid, by a reading of the protocol."""
        models = [self.models[recipe] for recipe in self.params.grid]
        return [self.single(member) for member in champions(models, reading)]

    def best_single(self, reading: str = VALIDATION) -> Classifier:
        """The champion of the champions; the best single model is that of validation data."""
        candidates = self.champions(reading)
        return candidates[champion([JUDGED_ON[reading](candidate.members[0]) for candidate in candidates])]

    @property
    def focus(self) -> Classifier:
        """The classifier of metrics/headline.json, chosen by ``ensemble``, ``lr``, ``weighting`` and ``reading``."""
        params, recipe = self.params, str(self.params.lr)
        if params.ensemble == "inter":
            return self.inter(recipe, params.weighting)
        if params.ensemble == "intra":
            return self.intra(params.reading, params.weighting)
        return self.single(champions([self.models[recipe]], params.reading)[0])

    @property
    def is_optimistic(self) -> bool:
        """Whether the classifier in focus, or its members, were chosen on the test set: champions by as_written."""
        return self.params.reading != VALIDATION and self.params.ensemble != "inter"

    def _find(self, **about: str | int) -> Classifier:
        return next(
            classifier
            for classifier in self.classifiers
            if all(getattr(classifier, key) == value for key, value in about.items())
        )


def stages(members: Sequence[Predictions]) -> dict[str, int]:
    """Count the networks whose weights are of each stage of training, ``head`` and ``finetune``."""
    return {stage: sum(str(member.stage) == stage for member in members) for stage in TRAINING}


def computed(members: Sequence[Predictions]) -> list[dict[str, Any]]:
    """Count the networks by the device and precision that they were ``trained`` and ``predicted`` with."""
    counts = Counter((str(member.computed[0]), str(member.computed[1])) for member in members)
    return [{"trained": one, "predicted": other, "models": count} for (one, other), count in sorted(counts.items())]


def defined(value: float | None) -> float | None:
    """A number as metrics/evidence.json has it: None where it is undefined."""
    return None if value is None or not math.isfinite(value) else float(value)
