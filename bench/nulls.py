"""Tests of H2 to H4 and intervals by subject in simulated studies: python bench/nulls.py

Decisions are drawn, not models: an image is hard or easy for all classifiers, with additional random variation of
each. Verdicts follow the rules of the report. Prints the tables of docs/STATISTICS.md; `python bench/nulls.py
power` prints one of them. Power by image and coverage of differences take seconds, the rest minutes.
"""

import argparse
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from learning_rates import study
from scipy.optimize import brentq
from scipy.stats import binom, multivariate_normal, norm

from wen.config.params import Params
from wen.config.read import load
from wen.config.seeds import seed_for
from wen.evaluation.metrics import MEASURES, evaluate
from wen.evaluation.power import smallest_difference
from wen.evaluation.resampling import subject_intervals
from wen.evaluation.schemes import compare_schemes, smallest_scheme_difference
from wen.evaluation.statistics import ALPHA, compare_two, difference_by_unit, mcnemar_mid_p
from wen.evaluation.units import effective
from wen.report.evidence import Evidence
from wen.report.verdicts import NOT_SUPPORTED, SUPPORTED, verdict
from wen.study import VALIDATION, Classifier, Study

# Images of C-NMC's people, as far as its lists name them: the preliminary test set, training fold 1, and every fourth
# of all training people by size.
PRELIMINARY = [5, 7, 9, 10, 12, 13, 18, 19, 20, 25, 29, 31, 35, 38, 47, 47, 54, 69, 77, 83, 84, 96, 111, 139, 162, 164,
               201, 262]  # fmt: skip
FOLD_1 = [53, 84, 97, 145, 146, 181, 190, 201, 212, 352, 373, 385, 405, 757]
EVERY_FOURTH = [11, 18, 29, 32, 50, 69, 74, 84, 97, 108, 113, 142, 155, 181, 190, 218, 267]
PEOPLE = {"14 people": FOLD_1, "17 people": EVERY_FOURTH, "28 people": PRELIMINARY}
TEST_SETS: dict[str, list[int]] = {
    "130 images": [1] * 130,
    "261 images": [1] * 261,
    "2,506 images": [1] * 2506,
} | PEOPLE

ACCURACY, MARGIN = 0.85, 0.01
SHARED = 0.85  # of the variance of a decision: how hard its image is
PERSON = 0.1  # of that of the rest: what a classifier has in common on a person's images
LEVEL = ALPHA / 4  # four tests decide H1, H2 and H4
ENSEMBLES, SCHEMES = 4, 3
EACH = 10  # studies with an effect for each one that says what it detects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    tables = {"errors": errors, "power": power, "schemes": power_of_all_schemes, "coverages": coverages}
    parser.add_argument("tables", nargs="*", help=f"any of {', '.join(tables)}; default: all")
    parser.add_argument("--studies", type=int, default=200, help="simulated studies for each cell of a table")
    options = parser.parse_args()
    begin = time.perf_counter()
    for name in options.tables or tables:
        tables[name](options.studies)
    print(f"\n{options.studies} studies a cell, {time.perf_counter() - begin:.0f} s.")


def errors(studies: int) -> None:
    """Print how often each verdict is wrong."""
    params = load(Path(__file__).parents[1] / "profiles/demo.yaml")
    params = params.model_copy(update={"schemes": ["accuracy", "f1", "kappa"]})
    print(f"Wrong verdicts (standard error of 5%: {100 * np.sqrt(ALPHA * (1 - ALPHA) / studies):.1f} points)\n")
    heading("", *TEST_SETS)
    for name in WRONG:
        shares = [share(params, size, name, studies) for size in TEST_SETS.values()]
        line(name, *(f"{100 * value:.1f}%" for value in shares))


def share(params: Params, sizes: list[int], name: str, studies: int) -> float:
    """Return the share of studies whose verdict on a hypothesis is wrong."""
    rng, unit = np.random.default_rng(seed_for(params.seed, name, len(sizes), what="nulls")), units(sizes)
    key, wrong, draw = WRONG[name]
    split = params.split.model_copy(update={"unit": "subject" if max(sizes) > 1 else "image"})
    params = params.model_copy(update={"split": split})
    made = study(params, 0.01, len(unit), 0.0, rng)
    cells = made.cells.assign(component=unit)
    evidence = OfClassifiers(Chosen(params, cells, made.models, {}, made.classifiers, made.repeats, {}), key)
    found = []
    for _ in range(studies):
        decide = draw(unit, rng)
        for classifier, right in zip(evidence.judged(), decide.reshape(-1, len(unit)), strict=True):
            classifier.probability[:] = np.where(right, cells.label, 1 - cells.label)
        found.append(verdict(key, evidence.tests(), evidence.study)["verdict"] == wrong)
    return float(np.mean(found))


class Chosen(Study):
    """A study whose best single model is its first one, whatever data it is chosen on."""

    def best_single(self, reading: str = VALIDATION) -> Classifier:
        return self.classifiers[0]


class OfClassifiers(Evidence):
    """The tests that decide one hypothesis, without the others."""

    def __init__(self, made: Any, key: str) -> None:
        super().__init__(made)
        self.key = key

    def judged(self) -> list[Any]:
        """Return the classifiers whose decisions are drawn: Intra-LR, then those that it is compared with."""
        if self.key == "H4":
            return [self.study.with_scheme(one, scheme) for one in self._ensembles() for scheme in self.schemes]
        if self.key == "H2":
            return [self.study.intra(self.reading, self.scheme), self._best_inter(), self.study.best_single()]
        inter = [self.study.inter(recipe, self.scheme) for recipe in self.study.params.grid]
        return [self.study.intra(self.reading, self.scheme), self.study.best_single(), *inter]

    def tests(self) -> list[dict[str, Any]]:
        tests = {"H2": self._h2, "H3": self._h3, "H4": self._h4}[self.key]()
        factor = 1 if self.key == "H3" else self.family
        return [test | {"p_adjusted": min(1.0, factor * test["p"])} for test in tests]

    def _runs(self) -> list[dict[str, Any]]:
        return []

    _champions = _runs

    def _areas(self, hypothesis: str, pairs: Any) -> list[dict[str, Any]]:
        return []

    def _smallest(self, one: Any, other: Any, level: float) -> float | None:
        return None

    def _smallest_of_schemes(self, right: np.ndarray) -> float | None:
        return None


def units(sizes: list[int]) -> np.ndarray:
    return np.arange(len(sizes)).repeat(sizes)


def decisions(unit: np.ndarray, lead: np.ndarray, rng: np.random.Generator, shared: float = SHARED) -> np.ndarray:
    """Draw 1 where a classifier is right, of shape (classifiers, n); each exceeds `ACCURACY` by its gain."""
    people, n = int(unit.max()) + 1, len(unit)
    of_person = PERSON if people < n else 0.0
    trouble = np.sqrt(1 - of_person) * rng.normal(size=n) + np.sqrt(of_person) * rng.normal(size=people)[unit]
    luck = np.sqrt(1 - of_person) * rng.normal(size=(len(lead), n))
    luck += np.sqrt(of_person) * rng.normal(size=(len(lead), people))[:, unit]
    level = norm.ppf(ACCURACY + lead)[:, None]
    right: np.ndarray = (level > np.sqrt(shared) * trouble + np.sqrt(1 - shared) * luck).astype(np.int64)
    return right


def weighted(unit: np.ndarray, rng: np.random.Generator, lead: float = 0.0) -> np.ndarray:
    """Draw decisions of ensembles by schemes that hardly differ; the first scheme of the first may be better."""
    right = np.empty((ENSEMBLES, SCHEMES, len(unit)), dtype=np.int64)
    for k in range(ENSEMBLES):
        right[k] = decisions(unit, np.array([lead if k == 0 else 0.0, 0.0, 0.0]), rng, shared=0.999)
    return right


Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]
WRONG: dict[str, tuple[str, str, Draw]] = {
    "H2 supported, no ensemble is better": ("H2", SUPPORTED, lambda u, rng: decisions(u, np.zeros(3), rng)),
    "H2 not supported, one is better by the margin": (
        "H2", NOT_SUPPORTED, lambda u, rng: decisions(u, np.array([MARGIN, -0.1, 0]), rng, 0.98)
    ),
    "H3 supported, Intra-LR equals one and beats the rest": (
        "H3", SUPPORTED, lambda u, rng: decisions(u, np.array([0, 0, -0.2, -0.2, -0.2]), rng)
    ),
    "H3 not supported, it beats all by the margin": (
        "H3", NOT_SUPPORTED, lambda u, rng: decisions(u, np.array([MARGIN, 0, 0, 0, 0]), rng, 0.98)
    ),
    "H4 supported, no weighting is better": ("H4", SUPPORTED, weighted),
    "H4 not supported, one differs by the margin": ("H4", NOT_SUPPORTED, lambda u, rng: weighted(u, rng, MARGIN)),
}  # fmt: skip


def power(studies: int) -> None:
    """Print how often a test finds the difference that a similar study states to be detected with 80% power."""
    print("\nDifference in points stated to be detected with 80% power / power\n")
    heading("", *TEST_SETS)
    for disputed in (0.05, 0.1):
        for level, key in ((LEVEL, "H2"), (ALPHA, "H3")):
            cells = [power_of_two(units(size), disputed, level, studies) for size in TEST_SETS.values()]
            line(f"{key}, {100 * disputed:.0f}% of images disputed", *cells)
    print("\nThe same by image, if the more accurate classifier is so by a shift of a normal latent variable\n")
    images = [len(size) for size in TEST_SETS.values() if max(size) == 1]
    heading("", *(f"{n:,} images" for n in images))
    for disputed in (0.05, 0.1):
        for level, key in ((LEVEL, "H2"), (ALPHA, "H3")):
            cells = [of_images(n, disputed, level, of_shift) for n in images]
            line(f"{key}, {100 * disputed:.0f}% of images disputed", *cells)


def power_of_all_schemes(studies: int) -> None:
    """Like `power`, for the test of weighting schemes."""
    print("\nH4: difference in points stated to be detected with 80% power / power\n")
    heading("", *TEST_SETS)
    for disputed in (0.0, 0.01):
        cells = [power_of_schemes(units(size), disputed, studies) for size in TEST_SETS.values()]
        line(f"H4, {100 * disputed:.0f}% disputed", *cells)


def power_of_two(unit: np.ndarray, disputed: float, level: float, studies: int) -> str:
    if int(unit.max()) + 1 == len(unit):
        return of_images(len(unit), disputed, level, of_some)
    rng = np.random.default_rng(seed_for(7, disputed, level, int(unit.max()), what="power"))
    printed, found = [], []
    for seed in range(studies // EACH):
        difference = smallest_scheme_difference(np.stack(pair(unit, disputed, 0.0, rng))[None], unit, level, seed)
        if difference is not None:
            printed.append(difference)
            found.append(
                [compare_two(*better(unit, disputed, difference, rng), unit, 0).p < level for _ in range(EACH)]
            )
    return summary(printed, found, studies)


def of_images(images: int, disputed: float, level: float, model: Callable[[float, float], tuple[float, float]]) -> str:
    """Sum over all numbers of disputed images that one study may see, and all that another one may see."""
    counts = np.arange(images + 1)
    seen = np.flatnonzero(binom.pmf(counts, images, disputed) > 1e-6)
    weight = binom.pmf(seen, images, disputed)
    printed = np.array([smallest_difference(int(n), images, level) or np.nan for n in seen])
    power = np.zeros(len(seen))
    for k, difference in enumerate(printed):
        gained, lost = model(disputed, difference)
        of_count = binom.pmf(counts, images, gained + lost)
        n = counts[of_count > 1e-9]
        fewest = fewest_of_winner(images, level)[n]
        first = gained / (gained + lost)
        power[k] = of_count[n] @ (binom.sf(fewest - 1, n, first) + binom.cdf(n - fewest, n, first))
    median = printed[np.searchsorted(np.cumsum(weight), 0.5)]
    return f"{100 * median:.1f} / {100 * weight @ power / weight.sum():.1f}%"


def of_some(alike: float, difference: float) -> tuple[float, float]:
    """Return the shares of images on which only the first, and only the second is right, with the usual disputes.

    There are more disputes only if the difference is larger than these.
    """
    share = max(alike, difference)
    return (share + difference) / 2, (share - difference) / 2


def of_shift(alike: float, difference: float) -> tuple[float, float]:
    """Like `of_some`, by the model of `decisions`."""
    z = np.linspace(-8, 8, 4001)
    weight = norm.pdf(z) / norm.pdf(z).sum()

    def only(one: float, other: float, shared: float) -> float:
        levels = ((norm.ppf(a) - np.sqrt(shared) * z) / np.sqrt(1 - shared) for a in (one, other))
        return float(weight @ (norm.cdf(next(levels)) * norm.sf(next(levels))))

    shared = shared_of(alike)
    return only(ACCURACY + difference, ACCURACY, shared), only(ACCURACY, ACCURACY + difference, shared)


@cache
def shared_of(alike: float) -> float:
    """Return the part of the variance that two equally accurate classifiers share, by their disputed images."""

    def missing(shared: float) -> float:
        cell = multivariate_normal([0, 0], [[1, shared], [shared, 1]]).cdf([norm.ppf(ACCURACY), norm.ppf(ACCURACY)])
        return 2 * (ACCURACY - float(cell)) - alike

    return float(brentq(missing, 0, 0.9999))


@cache
def fewest_of_winner(images: int, level: float) -> np.ndarray:
    """Return, for 0 to n disputed images, how many one classifier must win for mid-p to be below the level."""
    fewest = [0]
    for n in range(1, images + 1):
        wins = fewest[-1]
        while wins <= n and (2 * wins <= n or mcnemar_mid_p(wins, n - wins) >= level):
            wins += 1
        fewest.append(wins)
    return np.array(fewest)


def better(
    unit: np.ndarray, disputed: float, difference: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two classifiers, by subject, of which the first is right on a given share more of the images, at random."""
    one, other = pair(unit, disputed, 0.0, rng)
    gained = rng.random(len(unit)) < difference
    return np.where(gained, 1, one), np.where(gained, 0, other)


def pair(
    unit: np.ndarray, disputed: float, difference: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two classifiers with a share of disputed images that varies between people, mostly for the first."""
    people = int(unit.max()) + 1
    of_person = np.full(people, disputed) if people == len(unit) else beta(disputed, PERSON, people, rng)
    favour = min((1 + difference / disputed) / 2, 1.0)
    of_favour = np.full(people, favour) if people == len(unit) or favour == 1 else beta(favour, PERSON, people, rng)
    is_disputed, is_first = rng.random(len(unit)) < of_person[unit], rng.random(len(unit)) < of_favour[unit]
    return (is_disputed & is_first).astype(np.int64), (is_disputed & ~is_first).astype(np.int64)


def beta(mean: float, correlation: float, people: int | tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    strength = (1 - correlation) / correlation
    return rng.beta(mean * strength, (1 - mean) * strength, people)


def power_of_schemes(unit: np.ndarray, disputed: float, studies: int) -> str:
    rng = np.random.default_rng(seed_for(7, disputed, int(unit.max()), what="power of schemes"))
    printed, found = [], []
    for seed in range(studies // EACH):
        difference = smallest_scheme_difference(background(unit, disputed, rng), unit, LEVEL, seed)
        if difference is not None:
            printed.append(difference)
            found.append(
                [compare_schemes(one_better(unit, disputed, difference, rng), unit, 0).p < LEVEL for _ in range(EACH)]
            )
    return summary(printed, found, studies)


def one_better(unit: np.ndarray, disputed: float, difference: float, rng: np.random.Generator) -> np.ndarray:
    """Like `background`, but the first scheme is right on a given share more images in every ensemble."""
    right = background(unit, disputed, rng)
    gained = rng.random(len(unit)) < difference
    right[:, :, gained] = (np.arange(SCHEMES) == 0)[:, None]
    return right


def background(unit: np.ndarray, disputed: float, rng: np.random.Generator) -> np.ndarray:
    """Draw ensembles by schemes with a given share of disputed images, whichever scheme."""
    alike = (rng.random((ENSEMBLES, 1, len(unit))) < ACCURACY).repeat(SCHEMES, axis=1)
    different = (rng.random((ENSEMBLES, 1, len(unit))) < disputed) & (
        rng.integers(SCHEMES, size=(ENSEMBLES, 1, len(unit))) == np.arange(SCHEMES)[:, None]
    )
    return (alike ^ different).astype(np.int64)


def summary(printed: list[float], found: list[list[bool]], studies: int) -> str:
    """Return the median stated difference, the power, and its standard error between studies."""
    if len(printed) < studies // EACH / 2:
        return "none"
    error = np.mean(found, axis=1).std() / np.sqrt(len(found))
    return f"{100 * np.median(printed):.1f} / {100 * np.mean(found):.1f}% ({100 * error:.1f})"


def coverages(studies: int) -> None:
    """Print how often 95% intervals by subject contain the true value."""
    print("\nCoverage of 95% intervals by subject\n")
    heading("", *(f"{name}, worth {effective(np.array(size)):.1f}" for name, size in PEOPLE.items()))
    for disputed in (0.05, 0.1, 0.2):
        for difference in (0.0, 0.02, 0.04):
            cells = [of_difference(np.array(size), disputed, difference, 100 * studies) for size in PEOPLE.values()]
            line(f"difference of {100 * difference:.0f} points, {100 * disputed:.0f}% disputed", *cells)
    of_measures = [measures(units(size), max(studies // 2, 1)) for size in PEOPLE.values()]
    for name in MEASURES:
        line(name, *(f"{100 * found[name]:.1f}%" for found in of_measures))


def of_difference(size: np.ndarray, disputed: float, difference: float, studies: int) -> str:
    rng, people = np.random.default_rng(seed_for(7, disputed, difference, len(size), what="coverage")), len(size)
    of_person, of_favour = (
        beta(mean, PERSON, (studies, people), rng) for mean in (disputed, (1 + difference / disputed) / 2)
    )
    number = rng.binomial(size, of_person)
    gained = rng.binomial(number, of_favour)
    lost = number - gained
    _, low, high = difference_by_unit(gained, lost, size)
    return f"{100 * np.mean((low <= difference) & (difference <= high)):.1f}%"


def measures(unit: np.ndarray, studies: int) -> dict[str, float]:
    """Simulate the coverage of every measure of a classifier whose logit partly depends on the person."""
    rng = np.random.default_rng(seed_for(7, int(unit.max()), what="measures"))
    label = (np.arange(int(unit.max()) + 1) % 3 > 0).astype(np.int64)[unit]

    def probability() -> np.ndarray:
        person = 0.5 * rng.normal(size=int(unit.max()) + 1)[unit]
        return 1 / (1 + np.exp(-(2 * label - 1) - person - 0.87 * rng.normal(size=len(unit))))

    drawn = [probability() for _ in range(studies)]
    rows = pd.DataFrame([evaluate(label, score) for score in [*drawn, *(probability() for _ in range(4 * studies))]])
    truth, held = rows.mean(), dict.fromkeys(MEASURES, 0)
    for score in drawn:
        for name, (low, high) in subject_intervals(label, score, unit).items():
            held[name] += low <= truth[name] <= high
    return {name: count / studies for name, count in held.items()}


def heading(*cells: str) -> None:
    line(*cells)
    print("|---" * len(cells) + "|")


def line(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
