"""The evidence for the thesis's questions and hypotheses (1.1, 1.2.3): tests, effects, intervals, verdicts.

H1: the three LRs differ. H2: WEN beats the best single model. H3: Intra-LR is the best of all. H4: the three
weightings differ. H1 is about learning rates and is decided by all their runs; the others are about classifiers and are
decided by paired tests of their decisions on the same test images. Also reported, but not deciding: tests of the
champions, which are the thesis' way to test H1, and tests of areas under the ROC curve.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from wen.config.seeds import seed_for
from wen.evaluation.resampling import interval, resample, resampled_measures
from wen.evaluation.runs import compare_runs
from wen.evaluation.statistics import (
    ALPHA,
    Difference,
    Outcome,
    accuracy_difference,
    auc_difference,
    compare_several,
    compare_two,
    holm,
)
from wen.results import Classifier, Study

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not_supported", "undecided"
THESIS_SCHEMES = ("accuracy", "f1", "kappa")


class Evidence:
    """Everything that the report claims about a study; metrics/evidence.json holds it.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.seed = seed_for(study.params.seed, what="evidence")
        self.reading = study.params.reading
        self.scheme = study.params.weighting

    def gathered(self) -> dict[str, Any]:
        """Compute the content of metrics/evidence.json."""
        tests, unit = self.tests(), self.study.unit
        return {
            "reading": self.reading,
            "unit": self.study.params.split.unit,
            "images": len(unit),
            "units": int(unit.max()) + 1,
            "alpha": ALPHA,
            "margin": self.study.params.report.margin,
            "repeats": self.study.params.report.bootstrap,
            "tests": tests,
            "hypotheses": {key: self.verdict(key, tests) for key in ("H1", "H2", "H3", "H4")},
            "answer": self._answer(),
            "optimism": self._optimism(),
            "intervals": self._intervals(),
        }

    def tests(self) -> list[dict[str, Any]]:
        """Every test, in the order of the hypotheses, with p-values corrected by Holm."""
        of_classifiers = [*self._h2(), *self._h3(), *self._h4()]
        family = 1 + sum(test["decides"] for test in of_classifiers)
        tests = [self._runs(ALPHA / family), *self._champions(), *of_classifiers]
        _adjust(tests)
        return tests

    def _runs(self, level: float) -> dict[str, Any]:
        """H1 over all runs; ``smallest`` is computed at the lowest level that Holm's correction can set."""
        grid = self.study.params.grid
        right = [
            [self.study.right(self.study.single(member)) for member in self.study.models[recipe]] for recipe in grid
        ]
        runs = compare_runs(np.array(right), self.study.unit)
        explained = runs.statistic * runs.df[0]
        return {
            "hypothesis": "H1",
            "measure": "accuracy",
            "between": [f"average {recipe}" for recipe in grid],
            "decides": True,
            "test": "runs",
            "statistic": runs.statistic,
            "df": list(runs.df),
            "p": runs.p,
            "effect": {"name": "partial_eta_squared", "value": explained / (explained + runs.df[1])},
            "difference": runs.difference,
            "low": runs.low,
            "high": runs.high,
            "smallest": runs.smallest(level),
            "level": level,
            "folds": runs.folds,
            "deviation": runs.deviation,
        }

    def _champions(self) -> list[dict[str, Any]]:
        """H1 the thesis' way: the champions represent their learning rates."""
        champions = self.study.champions(self.reading)
        pairs = [self._pair("H1", one, other, False) for one, other in combinations(champions, 2)]
        return [self._several("H1", champions, False), *pairs, *self._areas("H1", combinations(champions, 2))]

    def _h2(self) -> list[dict[str, Any]]:
        best = self.study.best_single(self.reading)
        pairs = [(ensemble, best) for ensemble in (self.study.intra(self.reading, self.scheme), self._best_inter())]
        return [*(self._pair("H2", *pair) for pair in pairs), *self._areas("H2", pairs)]

    def _h3(self) -> list[dict[str, Any]]:
        intra = self.study.intra(self.reading, self.scheme)
        others = [self.study.best_single(self.reading)]
        others += [self.study.inter(recipe, self.scheme) for recipe in self.study.params.grid]
        pairs = [(intra, other) for other in others]
        return [*(self._pair("H3", *pair) for pair in pairs), *self._areas("H3", pairs)]

    def _h4(self) -> list[dict[str, Any]]:
        schemes = [scheme for scheme in self.study.params.schemes if scheme in THESIS_SCHEMES]
        if len(schemes) < 2:
            return []
        tests = [self._several("H4", [group(scheme) for scheme in schemes]) for group in self._groups()]
        intra = [self.study.intra(self.reading, scheme) for scheme in schemes]
        return [*tests, *self._areas("H4", combinations(intra, 2))]

    def _groups(self) -> list[Callable[[str], Classifier]]:
        """Each ensemble, as a function of its weighting scheme."""
        inter = [lambda scheme, recipe=recipe: self.study.inter(recipe, scheme) for recipe in self.study.params.grid]
        return [lambda scheme: self.study.intra(self.reading, scheme), *inter]

    def best_rate(self) -> str:
        """The LR of the best single model: chosen on validation data, or on test data as in the thesis."""
        return self.study.best_single(self.reading).members[0].member.recipe

    def _best_inter(self) -> Classifier:
        return self.study.inter(self.best_rate(), self.scheme)

    def _pair(self, hypothesis: str, one: Classifier, other: Classifier, decides: bool = True) -> dict[str, Any]:
        right = self.study.right(one), self.study.right(other)
        outcome = compare_two(*right, self.study.unit, self.seed)
        only_one, only_other = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
        disputed = only_one + only_other
        effect = {"name": "cohen_g", "value": only_one / disputed - 0.5 if disputed else 0.0}
        difference = accuracy_difference(*right, self.study.unit)
        about = _about(hypothesis, "accuracy", [one, other], decides)
        return about | _result(outcome, difference, effect) | {"discordant": [only_one, only_other]}

    def _several(self, hypothesis: str, classifiers: list[Classifier], decides: bool = True) -> dict[str, Any]:
        """Test several; the difference is between the most and the least accurate."""
        right = np.stack([self.study.right(classifier) for classifier in classifiers], axis=1)
        outcome = compare_several(right, self.study.unit, self.seed)
        order = np.argsort(right.mean(axis=0), kind="stable")
        difference = accuracy_difference(right[:, order[-1]], right[:, order[0]], self.study.unit)
        n, k = right.shape
        effect = {"name": "eta_squared", "value": outcome.statistic / (n * (k - 1))}
        return _about(hypothesis, "accuracy", classifiers, decides) | _result(outcome, difference, effect)

    def _areas(self, hypothesis: str, pairs: Any) -> list[dict[str, Any]]:
        tests = []
        for one, other in pairs:
            probabilities = one.probability, other.probability
            outcome, difference = auc_difference(self.study.label, *probabilities, self.study.unit)
            effect = {"name": "auc_difference", "value": difference.value}
            about = _about(hypothesis, "auc", [one, other], decides=False)
            tests.append(about | _result(outcome, difference, effect))
        return tests

    def verdict(self, key: str, tests: list[dict[str, Any]]) -> dict[str, Any]:
        """Decide a hypothesis from those of its tests that decide."""
        deciding = [test for test in tests if test["hypothesis"] == key and test["decides"]]
        margin, every = self.study.params.report.margin, key == "H3"
        if not deciding:
            return {"verdict": UNDECIDED, "p_holm": None, "smallest": None}
        verdict = _differ(deciding, margin) if key in ("H1", "H4") else _better(deciding, margin, every)
        extreme = max if every else min
        return {"verdict": verdict} | {
            name: extreme(test[name] for test in deciding) for name in ("p_holm", "smallest")
        }

    def _answer(self) -> dict[str, Any]:
        """The best learning rate, single model, ensemble and schemes, and by how much the ensemble is better."""
        study, rate, averages = self.study, self.best_rate(), self.study.averages
        best = study.best_single(self.reading)
        ensembles = [study.intra(self.reading, self.scheme), self._best_inter()]
        # On test data, and the page says so.
        ensemble = max(ensembles, key=lambda candidate: candidate.row["accuracy"])
        group = self._groups()[0] if ensemble.kind == "intra" else lambda scheme: study.inter(rate, scheme)
        by_scheme = {scheme: group(scheme).row["accuracy"] for scheme in study.params.schemes}
        gain = accuracy_difference(study.right(ensemble), study.right(best), study.unit)
        return {
            "lr": float(rate),
            "lr_mean": {recipe: averages[recipe]["mean"]["accuracy"] for recipe in study.params.grid},
            "lr_std": {recipe: averages[recipe]["std"]["accuracy"] for recipe in study.params.grid},
            "single": best.id,
            "single_accuracy": best.row["accuracy"],
            "ensemble": ensemble.id,
            "ensemble_accuracy": ensemble.row["accuracy"],
            "difference": gain.value,
            "difference_low": gain.low,
            "difference_high": gain.high,
            "smallest": gain.smallest,
            "schemes": by_scheme,
            "best_schemes": [scheme for scheme, value in by_scheme.items() if value == max(by_scheme.values())],
        }

    def _optimism(self) -> list[dict[str, Any]]:
        """How much more accurate the same classifiers appear if champions are chosen on test data."""
        study, rows = self.study, []
        pairs = [
            (study.best_single("as_written"), study.best_single("leak_free")),
            *((study.intra("as_written", scheme), study.intra("leak_free", scheme)) for scheme in study.params.schemes),
        ]
        for written, free in pairs:
            difference = accuracy_difference(study.right(written), study.right(free), study.unit)
            rows.append(
                {
                    "as_written": written.id,
                    "leak_free": free.id,
                    "kind": written.kind,
                    "scheme": written.scheme,
                    "as_written_accuracy": written.row["accuracy"],
                    "leak_free_accuracy": free.row["accuracy"],
                    "difference": difference.value,
                    "low": difference.low,
                    "high": difference.high,
                }
            )
        return rows

    def _intervals(self) -> dict[str, dict[str, list[float]]]:
        """95% bootstrap interval of every measure of every classifier."""
        counts = resample(self.study.unit, self.study.params.report.bootstrap, self.seed)
        return {
            classifier.id: {
                measure: list(interval(values))
                for measure, values in resampled_measures(self.study.label, classifier.probability, counts).items()
            }
            for classifier in self.study.classifiers
        }


def _about(hypothesis: str, measure: str, classifiers: Sequence[Classifier], decides: bool) -> dict[str, Any]:
    between = [classifier.id for classifier in classifiers]
    return {"hypothesis": hypothesis, "measure": measure, "between": between, "decides": decides}


def _result(outcome: Outcome, difference: Difference, effect: dict[str, Any]) -> dict[str, Any]:
    return {
        "test": outcome.name,
        "statistic": outcome.statistic,
        "p": outcome.p,
        "effect": effect,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "smallest": difference.smallest,
    }


def _adjust(tests: list[dict[str, Any]]) -> None:
    """Add Holm's p-values. The deciding tests are one family; those of champions and those of areas are two others."""
    for kind in ((True, "accuracy"), (False, "accuracy"), (False, "auc")):
        family = [test for test in tests if (test["decides"], test["measure"]) == kind]
        for test, p in zip(family, holm([test["p"] for test in family]), strict=True):
            test["p_holm"] = p


def _differ(tests: list[dict[str, Any]], margin: float) -> str:
    """Whether they differ; not supported if every interval is within the margin."""
    if any(test["p_holm"] < ALPHA for test in tests):
        return SUPPORTED
    return NOT_SUPPORTED if all(max(-test["low"], test["high"]) < margin for test in tests) else UNDECIDED


def _better(tests: list[dict[str, Any]], margin: float, every: bool) -> str:
    """Whether the first is better than one of the others, or than every one; not supported if that is ruled out."""
    gains = [test["p_holm"] < ALPHA and test["difference"] > 0 for test in tests]
    ruled_out = [test["high"] < margin or (test["p_holm"] < ALPHA and test["difference"] < 0) for test in tests]
    if all(gains) if every else any(gains):
        return SUPPORTED
    return NOT_SUPPORTED if (any(ruled_out) if every else all(ruled_out)) else UNDECIDED
