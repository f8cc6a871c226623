"""The tests, the verdicts, the control and the answer."""

from itertools import combinations, permutations, product
from math import factorial
from typing import Any

import numpy as np
from scipy.stats import chi2

from recomputed.runs import runs
from recomputed.simulated import Simulated, smallest_by_exchange
from recomputed.source import Classifier, Source, single_id, weighted
from recomputed.tests_of_pairs import area, cochran, difference, smallest_by_image, two

Test = dict[str, Any]


class Hypotheses:
    """What the section of the hypotheses says."""

    def __init__(self, source: Source) -> None:
        params = source.params
        self.source = source
        self.schemes = [one for one in params.schemes if one in ("accuracy", "f1", "kappa")]
        self.family = 4 if len(self.schemes) > 1 else 3
        self.level = 0.05 / self.family
        self.chosen, self.on_test = source.best_single("leak_free"), source.best_single("as_written")
        self.rate = str(self.chosen.members[0]["recipe"])
        self.intra = source.classifiers[f"intra {params.reading} {params.weighting}"]
        self.inter = [source.classifiers[f"inter {rate} {params.weighting}"] for rate in source.rates]
        self.ensembles = [self.intra, *self.inter]
        self.best_inter = source.classifiers[f"inter {self.rate} {params.weighting}"]

    def tests(self) -> list[Test]:
        found = [*self._h1(), *self._h2(), *self._h3(), *self._h4()]
        for test in found:
            size = {"decides": self.family, "H3": 1}.get(test["family"])
            size = size or sum(other["family"] == test["family"] for other in found)
            test |= {"p_adjusted": _capped(size, test["p"]), "level": 0.05 / size}
        return found

    def _h1(self) -> list[Test]:
        source, champions = self.source, self.source.champions(self.source.params.reading)
        right = np.array(
            [[(m["test_probability"] >= 0.5) == source.label for m in source.models[rate]] for rate in source.rates]
        )
        classifiers = [source.classifiers[single_id(model)] for model in champions]
        about = {"hypothesis": "H1", "family": "decides", "measure": "accuracy", "decides": True}
        return [
            about | {"between": [f"average {rate}" for rate in source.rates]}
            | runs(source, right.astype(float), self.level),
            self._several("H1", "champions", classifiers),
            *(self._pair("H1", "champions", *pair) for pair in combinations(classifiers, 2)),
            *(self._area("H1", *pair) for pair in combinations(classifiers, 2)),
        ]  # fmt: skip

    def _h2(self) -> list[Test]:
        pair = (self.intra, self.best_inter)
        return [
            *(self._decides("H2", "decides", one, self.chosen, self.level) for one in pair),
            *(self._pair("H2", "best_on_test", one, self.on_test) for one in pair),
            *(self._area("H2", one, self.chosen) for one in pair),
        ]

    def _h3(self) -> list[Test]:
        others = [self.chosen, *self.inter]
        tests = [
            self._decides("H3", "H3", self.intra, other, 0.05)
            | {"upper": self._difference(self.intra, other, 0.05 / len(others))["high"]}
            for other in others
        ]
        return [*tests, *(self._area("H3", self.intra, other) for other in others)]

    def _h4(self) -> list[Test]:
        groups = [
            [self.source.classifiers[f"{one.id.rsplit(' ', 1)[0]} {scheme}"] for scheme in self.schemes]
            for one in self.ensembles
        ]
        right = np.array([[self.source.right(one) for one in group] for group in groups])
        statistic, p, q, p_of_each = self._exchanged(right)
        each = [
            self._of_several("H4", "schemes", group, {"test": "cochran_q_permuted", "statistic": one, "p": p_each})
            for group, one, p_each in zip(groups, q, p_of_each, strict=True)
        ]
        widest = max(each, key=lambda test: (abs(test["difference"]), test["high"]))
        limits = [self._difference(*pair) for group in groups for pair in combinations(group, 2)]
        eta = float(np.mean([test["effect"]["value"] for test in each]))
        deciding = widest | {
            "family": "decides", "decides": True, "between": [f"scheme {scheme}" for scheme in self.schemes],
            "test": "schemes", "statistic": statistic, "p": p, "effect": {"name": "eta_squared", "value": eta},
            "smallest": smallest_by_exchange(self.source, right, self.level),
            "reach": max(max(-one["low"], one["high"]) for one in limits),
        }  # fmt: skip
        return [deciding, *each, *(self._area("H4", *pair) for pair in combinations(groups[0], 2))]

    def _exchanged(self, right: np.ndarray) -> tuple[float, Any, list[float], list[Any]]:
        """Permute the schemes within each unit, in all ensembles alike."""
        source, (_, k, _) = self.source, right.shape
        sums = np.stack([right[:, :, source.unit == u].sum(axis=2) for u in range(source.unit.max() + 1)])
        disputed = sums[(sums != sums[:, :, :1]).any(axis=(1, 2))]
        fixed = sums.sum(axis=0) - disputed.sum(axis=0)
        orders = np.array(list(permutations(range(k))))
        exact = factorial(k) ** len(disputed) <= 2**13
        ways: Any = product(orders, repeat=len(disputed))
        if not exact:
            ways = np.random.default_rng(1).choice(orders, (20_000, len(disputed)))
        total = np.array([fixed + sum(row[:, w] for row, w in zip(disputed, way, strict=True)) for way in ways])
        spread = np.array([(k * one.sum(axis=0) - one.sum(axis=0) ** 2).sum() for one in right])
        observed = np.array([cochran(one.T) for one in right])
        q = k * (k - 1) * total.var(axis=2) * k / np.where(spread > 0, spread, np.inf)
        p, each = (q.sum(axis=1) >= observed.sum() - 1e-9).mean(), (q >= observed - 1e-9).mean(axis=0)
        as_found = (lambda value: float(value)) if exact else (lambda value: Simulated(float(value), 0.025))
        return float(observed.sum()), as_found(p), observed.tolist(), [as_found(one) for one in each]

    def _decides(self, hypothesis: str, family: str, one: Classifier, other: Classifier, level: float) -> Test:
        return self._pair(hypothesis, family, one, other) | {
            "decides": True, "smallest": self._smallest(one, other, level)
        }  # fmt: skip

    def _smallest(self, one: Classifier, other: Classifier, level: float) -> Any:
        right = np.stack([self.source.right(one), self.source.right(other)])
        if not self.source.by_image:
            return smallest_by_exchange(self.source, right[None], level)
        found = smallest_by_image(int((right[0] != right[1]).sum()), right.shape[1], level)
        return None if found is None else Simulated(found, 3e-5)  # which both roots are sought to

    def _difference(self, one: Classifier, other: Classifier, alpha: float = 0.05) -> dict[str, float]:
        return difference(self.source, self.source.right(one), self.source.right(other), alpha)

    def _pair(self, hypothesis: str, family: str, one: Classifier, other: Classifier) -> Test:
        right = self.source.right(one), self.source.right(other)
        gained, lost = int((right[0] > right[1]).sum()), int((right[0] < right[1]).sum())
        g = gained / (gained + lost) - 0.5 if gained + lost else 0.0
        return (
            _about(hypothesis, family, "accuracy", [one, other])
            | two(self.source, *right) | difference(self.source, *right)
            | {"effect": {"name": "cohen_g", "value": g}, "discordant": [gained, lost], "smallest": None}
        )  # fmt: skip

    def _area(self, hypothesis: str, one: Classifier, other: Classifier) -> Test:
        found = area(self.source, one, other)
        effect = {"name": "auc_difference", "value": found["difference"]}
        return _about(hypothesis, "areas", "auc", [one, other]) | found | {"effect": effect, "smallest": None}

    def _several(self, hypothesis: str, family: str, group: list[Classifier]) -> Test:
        right, k = np.stack([self.source.right(one) for one in group], axis=1), len(group)
        statistic = cochran(right)
        if self.source.by_image:
            outcome = {"test": "cochran_q", "statistic": statistic, "p": chi2.sf(statistic, k - 1)}
        else:
            sums = np.stack([right[self.source.unit == u].sum(axis=0) for u in range(self.source.unit.max() + 1)])
            orders = np.array(list(permutations(range(k))))
            total = np.zeros((1, k))
            for one in sums:
                total = (total[:, None] + one[orders]).reshape(-1, k)
            p = np.mean(total.var(axis=1) >= sums.sum(axis=0).var() - 1e-9)
            outcome = {"test": "cochran_q_permuted", "statistic": statistic, "p": Simulated(float(p), 0.02)}
        return self._of_several(hypothesis, family, group, outcome)

    def _of_several(self, hypothesis: str, family: str, group: list[Classifier], outcome: Test) -> Test:
        accuracy = [self.source.right(one).sum() for one in group]
        low = accuracy.index(min(accuracy))
        high = max(k for k, value in enumerate(accuracy) if value == max(accuracy))
        eta = outcome["statistic"] / (len(self.source.label) * (len(group) - 1))
        return (
            _about(hypothesis, family, "accuracy", group) | outcome | self._difference(group[high], group[low])
            | {"effect": {"name": "eta_squared", "value": eta}, "smallest": None}
        )  # fmt: skip

    def verdicts(self, tests: list[Test]) -> dict[str, Any]:
        margin, alike = self.source.params.report.margin, np.ones(len(self.source.label))
        found = {}
        for key in ("H1", "H2", "H3", "H4"):
            deciding = [test for test in tests if test["hypothesis"] == key and test["decides"]]
            significant = [bool(plain(test["p_adjusted"]) < 0.05) for test in deciding]
            better = [was and test["difference"] > 0 for was, test in zip(significant, deciding, strict=True)]
            if key == "H1":
                alike_runs = np.ones((len(self.source.rates), len(self.source.params.folds), len(alike)))
                reach = runs(self.source, alike_runs, self.level)["high"]
            else:
                reach = difference(self.source, alike, alike, 0.05 / len(deciding) if key == "H3" else 0.05)["high"]
            supported = {"H1": significant[0], "H2": any(better), "H3": all(better), "H4": significant[0]}[key]
            refuted = {
                "H1": max(-deciding[0]["low"], deciding[0]["high"]) < margin,
                "H2": all(test["high"] < margin for test in deciding),
                "H3": any(test.get("upper", 1) < margin for test in deciding),
                "H4": deciding[0].get("reach", 1) < margin,
            }[key]
            smallest = [test["smallest"] for test in deciding]
            found[key] = {
                "verdict": "supported" if supported else "not_supported" if refuted else "undecided",
                "p_adjusted": self._deciding_p(key, deciding),
                "smallest": None if None in smallest else max(smallest, key=plain),
                "reach": reach,
                "cannot_refute": reach >= margin,
            }
        return found

    def _deciding_p(self, key: str, deciding: list[Test]) -> float:
        """Of the most significant test, for H3 of the least; H2 and H3 say which classifier is better."""
        against = [key in ("H2", "H3") and test["difference"] <= 0 for test in deciding]
        p = [1.0 if other_way else test["p_adjusted"] for test, other_way in zip(deciding, against, strict=True)]
        found: float = (max if key == "H3" else min)(p, key=plain)
        return found

    def control(self) -> dict[str, Any]:
        rows = []
        for one in self.ensembles:
            average = weighted("", one.members, "uniform").probability
            right = ((average >= 0.5) == self.source.label).astype(int)
            for scheme in self.source.params.schemes:
                if scheme == "uniform":
                    continue
                ensemble = self.source.classifiers[f"{one.id.rsplit(' ', 1)[0]} {scheme}"]
                outcome = two(self.source, self.source.right(ensemble), right)
                rows.append(
                    {
                        "id": ensemble.id, "changed": int(((ensemble.probability >= 0.5) != (average >= 0.5)).sum()),
                        "largest": float(np.abs(ensemble.probability - average).max()),
                        **difference(self.source, self.source.right(ensemble), right),
                        "test": outcome["test"], "p": outcome["p"],
                    }
                )  # fmt: skip
        for row in rows:
            row["p_adjusted"] = min(1.0, len(rows) * row["p"])
        return {
            "images": len(self.source.label), "rows": rows,
            "changed": max(row["changed"] for row in rows), "largest": max(row["largest"] for row in rows),
            "p_adjusted": min(row["p_adjusted"] for row in rows),
        }  # fmt: skip

    def answer(self) -> dict[str, Any]:
        source, averages = self.source, self.source.averages()
        ensemble = max((self.intra, self.best_inter), key=lambda one: source.right(one).sum())
        gain = self._difference(ensemble, self.chosen)
        return {
            "lr": float(self.rate),
            "lr_mean": {rate: averages[rate]["mean"]["accuracy"] for rate in source.rates},
            "lr_std": {rate: averages[rate]["std"]["accuracy"] for rate in source.rates},
            "single": self.chosen.id, "single_accuracy": source.row(self.chosen)["accuracy"], "ensemble": ensemble.id,
            "difference": gain["difference"], "difference_low": gain["low"], "difference_high": gain["high"],
        }  # fmt: skip


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Simulated) else value


def _capped(size: int, p: Any) -> Any:
    """Bonferroni's adjustment."""
    return Simulated(min(1.0, size * p.value), size * p.tolerance) if isinstance(p, Simulated) else min(1.0, size * p)


def _about(hypothesis: str, family: str, measure: str, group: list[Classifier]) -> Test:
    between = [one.id for one in group]
    return {"hypothesis": hypothesis, "family": family, "measure": measure, "between": between, "decides": False}
