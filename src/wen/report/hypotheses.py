"""Tests of the thesis' hypotheses (1.2.3): effects, intervals and p-values.

H1: the learning rates differ. H2: WEN beats the best single model. H3: Intra-LR is the best of all. H4: the three
weightings differ. H1 concerns learning rates and is decided by all their runs; H2 and H3 concern classifiers and are
decided by paired tests of their decisions; H4 concerns weightings and is decided by one test over all ensembles.

The plan is in docs/STATISTICS.md: the tests that decide H1, H2 and H4 are one family, each judged at 5% divided by
their number. H3 states that Intra-LR beats every other classifier, so each of its tests is judged at 5%. All other
tests decide nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from wen.evaluation.power import smallest_difference
from wen.evaluation.proportion import Estimate
from wen.evaluation.runs import compare_runs
from wen.evaluation.schemes import compare_schemes, smallest_scheme_difference
from wen.evaluation.statistics import (
    ALPHA,
    Outcome,
    accuracy_difference,
    auc_difference,
    compare_several,
    compare_two,
)
from wen.evaluation.units import each_image_alone
from wen.study import Classifier, Study

THESIS_SCHEMES = ("accuracy", "f1", "kappa")


class Hypotheses:
    """The tests of H1 to H4 of a study.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.seed = study.seed
        self.reading = study.params.reading
        self.scheme = study.params.weighting
        self.schemes = [scheme for scheme in study.params.schemes if scheme in THESIS_SCHEMES]
        self.family = 3 + (len(self.schemes) > 1) if study.is_testable else 0
        """Tests that decide H1 (one), H2 (two) and H4 (one); none on a test set of a single unit."""
        self.level = ALPHA / max(self.family, 1)

    def tests(self) -> list[dict[str, Any]]:
        """Compute every test, in the order of the hypotheses, with p-values adjusted within its family."""
        tests = [*self._runs(), *self._champions(), *self._h2(), *self._h3(), *self._h4()]
        for family in dict.fromkeys(test["family"] for test in tests):
            of_family = [test for test in tests if test["family"] == family]
            size = {"decides": max(self.family, 1), "H3": 1}.get(family, len(of_family))
            for test in of_family:
                test |= {"p_adjusted": min(1.0, size * test["p"]), "level": ALPHA / size}
        return tests

    def _runs(self) -> list[dict[str, Any]]:
        """Test H1 over all runs; with a single unit, nothing can be tested."""
        if not self.study.is_testable:
            return []
        grid = self.study.params.grid
        runs = compare_runs(self._right_of_runs(), self.study.unit)
        explained = runs.statistic * runs.df[0]
        effect = {"name": "partial_eta_squared", "value": explained / (explained + runs.df[1])}
        difference = Estimate(runs.difference, runs.low, runs.high)
        about = {"hypothesis": "H1", "family": "decides", "measure": "accuracy", "decides": True}
        return [
            about
            | {"between": [f"average {recipe}" for recipe in grid]}
            | _result(Outcome("runs", runs.statistic, runs.p), difference, effect, runs.smallest(self.level))
            | {"df": list(runs.df), "folds": runs.folds, "deviation": runs.deviation}
        ]

    def _right_of_runs(self) -> np.ndarray:
        models = self.study.models
        return np.array(
            [[self.study.right(self.study.single(run)) for run in models[lr]] for lr in self.study.params.grid]
        )

    def _champions(self) -> list[dict[str, Any]]:
        """Test H1 on the champions, which in the thesis represent their learning rates (3.3)."""
        champions = self.study.champions(self.reading)
        right = np.stack([self.study.right(champion) for champion in champions], axis=1)
        several = self._of_several("H1", "champions", champions, compare_several(right, self.study.unit, self.seed))
        pairs = [self._pair("H1", "champions", one, other) for one, other in combinations(champions, 2)]
        return [several, *pairs, *self._areas("H1", combinations(champions, 2))]

    def _h2(self) -> list[dict[str, Any]]:
        """Compare both ensembles with the best single model on validation data, and with the best on the test set.

        A published system that weights networks is compared with the best of these; this decides nothing.
        """
        chosen, on_test = self.study.best_single(), self.study.best_single("as_written")
        ensembles = (self.study.intra(self.reading, self.scheme), self._best_inter())
        deciding = [self._powered("H2", "decides", one, chosen, self.level) for one in ensembles]
        thesis = [self._pair("H2", "best_on_test", one, on_test) for one in ensembles]
        networks = [self._pair("H2", "networks", one, other) for one, other in self.study.over_networks]
        return [*deciding, *thesis, *networks, *self._areas("H2", [(one, chosen) for one in ensembles])]

    def _h3(self) -> list[dict[str, Any]]:
        """Compare Intra-LR with every other classifier; the ``upper`` limits are simultaneous."""
        intra = self.study.intra(self.reading, self.scheme)
        others = [self.study.best_single()]
        others += [self.study.inter(recipe, self.scheme) for recipe in self.study.params.grid]
        tests = [self._powered("H3", "H3", intra, other, ALPHA) for other in others]
        for test, other in zip(tests, others, strict=True):
            test["upper"] = self._difference(intra, other, ALPHA / len(others)).high
        return [*tests, *self._areas("H3", [(intra, other) for other in others])]

    def _h4(self) -> list[dict[str, Any]]:
        """Test all ensembles at once, then each of them; the latter tests are descriptive."""
        if len(self.schemes) < 2:
            return []
        groups = [[self.study.with_scheme(one, scheme) for scheme in self.schemes] for one in self._ensembles()]
        right = np.array([[self.study.right(classifier) for classifier in group] for group in groups])
        found = compare_schemes(right, self.study.unit, self.seed)
        outcomes = [Outcome("cochran_q_permuted", *of_one) for of_one in zip(found.q, found.p_of_each, strict=True)]
        of_each = [
            self._of_several("H4", "schemes", group, outcome) for group, outcome in zip(groups, outcomes, strict=True)
        ]
        widest = max(of_each, key=lambda test: (abs(test["difference"]), test["high"]))
        limits = [self._difference(*pair) for group in groups for pair in combinations(group, 2)]
        deciding = widest | {
            "family": "decides",
            "decides": True,
            "between": [f"scheme {scheme}" for scheme in self.schemes],
            "test": "schemes",
            "statistic": found.statistic,
            "p": found.p,
            "effect": {"name": "eta_squared", "value": float(np.mean([test["effect"]["value"] for test in of_each]))},
            "smallest": self._smallest_of_schemes(right),
            "reach": max(max(-one.low, one.high) for one in limits),
        }
        return [deciding, *of_each, *self._areas("H4", combinations(groups[0], 2))]

    def _ensembles(self) -> list[Classifier]:
        """Return Intra-LR and one Inter-LR for each rate, by the scheme in focus."""
        inter = [self.study.inter(recipe, self.scheme) for recipe in self.study.params.grid]
        return [self.study.intra(self.reading, self.scheme), *inter]

    def best_rate(self) -> str:
        """Return the LR of the best single model on validation data."""
        return self.study.best_single().members[0].member.recipe

    def _best_inter(self) -> Classifier:
        return self.study.inter(self.best_rate(), self.scheme)

    def _pair(self, hypothesis: str, family: str, one: Classifier, other: Classifier) -> dict[str, Any]:
        right = self.study.right(one), self.study.right(other)
        outcome = compare_two(*right, self.study.unit, self.seed)
        only_one, only_other = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
        disputed = only_one + only_other
        effect = {"name": "cohen_g", "value": only_one / disputed - 0.5 if disputed else 0.0}
        about = _about(hypothesis, family, "accuracy", [one, other])
        return about | _result(outcome, self._difference(one, other), effect) | {"discordant": [only_one, only_other]}

    def _powered(
        self, hypothesis: str, family: str, one: Classifier, other: Classifier, level: float
    ) -> dict[str, Any]:
        """Add to a deciding test the difference that it detects at its level."""
        return self._pair(hypothesis, family, one, other) | {
            "decides": True,
            "smallest": self._smallest(one, other, level),
        }

    def _difference(self, one: Classifier, other: Classifier, alpha: float = ALPHA) -> Estimate:
        return accuracy_difference(self.study.right(one), self.study.right(other), self.study.unit, alpha)

    def _smallest(self, one: Classifier, other: Classifier, level: float) -> float | None:
        """Return the difference that the test of two classifiers detects with 80% power."""
        unit = self.study.unit
        if each_image_alone(unit):
            disputed = int((self.study.right(one) != self.study.right(other)).sum())
            return smallest_difference(disputed, len(unit), level)
        pair = np.stack([self.study.right(one), self.study.right(other)])
        return smallest_scheme_difference(pair[None], unit, level, self.seed)

    def _smallest_of_schemes(self, right: np.ndarray) -> float | None:
        return smallest_scheme_difference(right, self.study.unit, self.level, self.seed)

    def _of_several(
        self, hypothesis: str, family: str, classifiers: list[Classifier], outcome: Outcome
    ) -> dict[str, Any]:
        """Test several classifiers; the difference is between the most and the least accurate."""
        accuracy = [self.study.right(classifier).mean() for classifier in classifiers]
        order = np.argsort(accuracy, kind="stable")
        difference = self._difference(classifiers[order[-1]], classifiers[order[0]])
        effect = {
            "name": "eta_squared",
            "value": outcome.statistic / (len(self.study.unit) * (len(classifiers) - 1)),
        }
        return _about(hypothesis, family, "accuracy", classifiers) | _result(outcome, difference, effect)

    def _areas(self, hypothesis: str, pairs: Iterable[tuple[Classifier, Classifier]]) -> list[dict[str, Any]]:
        """Test areas under the ROC curve; return no test if their variance cannot be estimated."""
        label, unit, tests = self.study.label, self.study.unit, []
        if not self.study.has_areas:
            return []
        for one, other in pairs:
            outcome, difference = auc_difference(label, one.probability, other.probability, unit)
            effect = {"name": "auc_difference", "value": difference.value}
            tests.append(_about(hypothesis, "areas", "auc", [one, other]) | _result(outcome, difference, effect))
        return tests


def _about(hypothesis: str, family: str, measure: str, classifiers: Sequence[Classifier]) -> dict[str, Any]:
    between = [classifier.id for classifier in classifiers]
    return {"hypothesis": hypothesis, "family": family, "measure": measure, "between": between, "decides": False}


def _result(
    outcome: Outcome, difference: Estimate, effect: dict[str, Any], smallest: float | None = None
) -> dict[str, Any]:
    return {
        "test": outcome.name,
        "statistic": outcome.statistic,
        "p": outcome.p,
        "effect": effect,
        **difference.as_difference(),
        "smallest": smallest,
    }
