"""Evidence of a study: tests of the hypotheses, their verdicts, the answer in short, and intervals."""

from typing import Any

import numpy as np

from wen.config.seeds import seed_for
from wen.evaluation.coverage import coverage
from wen.evaluation.statistics import ALPHA, accuracy_difference
from wen.evaluation.units import effective
from wen.report import control
from wen.report.hypotheses import Hypotheses
from wen.report.sections import readings
from wen.report.verdicts import verdict
from wen.study import computed, stages


class Evidence(Hypotheses):
    """The evidence of a study, which metrics/evidence.json holds and the report states.

    Parameters
    ----------
    study : Study
    """

    def gathered(self) -> dict[str, Any]:
        """Compute the content of metrics/evidence.json."""
        tests, unit = self.tests(), self.study.unit
        return {
            "reading": self.reading,
            "unit": self.study.params.split.unit,
            "images": len(unit),
            "units": int(unit.max()) + 1,
            "effective_units": effective(np.bincount(unit)),
            "alpha": ALPHA,
            "family": self.family,
            "level": self.level,
            "margin": self.study.params.report.margin,
            "resamples": self.study.params.report.bootstrap,
            "coverage": self._coverage(),
            "tests": tests,
            "hypotheses": {key: verdict(key, tests, self.study) for key in ("H1", "H2", "H3", "H4")},
            "control": control.measure(self.study, self._ensembles()),
            "answer": self._answer(),
            "readings": readings.measure(self.study),
            "stages": stages(self.study.networks) | {"headline": stages(self.study.focus.members)},
            "computed": computed(self.study.networks),
            "intervals": self._intervals(),
        }

    def _coverage(self) -> dict[str, Any]:
        """Simulate the coverage of the intervals, for the classifier in focus and the best single model."""
        one, other = (self.study.right(classifier) for classifier in (self.study.focus, self.study.best_single()))
        seed = seed_for(self.study.params.seed, what="coverage")
        return coverage(one, other, self.study.label, self.study.unit, seed)._asdict()

    def _answer(self) -> dict[str, Any]:
        """Return the best learning rate, single model and ensemble, and the gain of the ensemble."""
        study, rate, averages = self.study, self.best_rate(), self.study.averages
        best = study.best_single()
        ensembles = [study.intra(self.reading, self.scheme), self._best_inter()]
        # On test data, as the page states.
        ensemble = max(ensembles, key=lambda candidate: candidate.row["accuracy"])
        gain = accuracy_difference(study.right(ensemble), study.right(best), study.unit)
        return {
            "lr": float(rate),
            "lr_mean": {recipe: averages[recipe]["mean"]["accuracy"] for recipe in study.params.grid},
            "lr_std": {recipe: averages[recipe]["std"]["accuracy"] for recipe in study.params.grid},
            "single": best.id,
            "single_accuracy": best.row["accuracy"],
            "ensemble": ensemble.id,
            "difference": gain.value,
            "difference_low": gain.low,
            "difference_high": gain.high,
        }

    def _intervals(self) -> dict[str, dict[str, list[float]]]:
        """Return the 95% interval of every measure of every classifier."""
        return {
            classifier.id: {name: list(limits) for name, limits in self.study.intervals(classifier).items()}
            for classifier in self.study.classifiers
        }
