"""How often simulated studies call H1 supported: python bench/learning_rates.py [--studies 500]

A simulated study has three learning rates, five folds and a test set; its models are drawn, not trained. Images are
hard or easy for every model, a fold is good or bad for every rate, and there is random variation of each run and of
each decision. Verdicts follow the rules of the report. Prints the tables of docs/STATISTICS.md.
"""

import argparse
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import f, norm, t

from wen.config.member import Member
from wen.config.params import Params
from wen.config.read import load
from wen.config.seeds import seed_for
from wen.ensemble.combined import ensemble
from wen.ensemble.intra import JUDGED_ON, champions
from wen.evaluation.runs import compare_runs
from wen.evaluation.statistics import ALPHA
from wen.members.predictions import Predictions
from wen.report.evidence import Evidence
from wen.report.verdicts import SUPPORTED, verdict
from wen.study import Classifier, Study

DEVIATIONS = (0.004, 0.008, 0.012, 0.017)  # of accuracy between the runs of a rate
IMAGES = (130, 261, 2506)  # of the test set
VALIDATION = 400  # images of a fold, on which champions are chosen
ACCURACY = 0.85
FOLD = 0.25  # of the variance between runs: what the rates have in common at a fold
SHARED = 0.3  # of the variance of a decision: how hard its image is, for every model alike
LEVEL = ALPHA / 4  # of the test: four tests decide H1, H2 and H4
EFFECT = 0.05  # how much worse one rate is than the other two, where they differ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500, help="simulated studies for each cell of a table")
    studies = parser.parse_args().studies
    begin = time.perf_counter()
    verdicts(studies)
    power(studies)
    candidates(2 * studies)
    print(f"\n{studies} studies a cell ({2 * studies} in the last table), {time.perf_counter() - begin:.0f} s.")


def verdicts(studies: int) -> None:
    """Print how often H1 is supported by the report's verdict, and by champions, if no rate has an effect."""
    params = load(Path(__file__).parents[1] / "profiles/demo.yaml")
    params = params.model_copy(update={"schemes": ["accuracy", "f1", "kappa"]})
    cells = {(deviation, n): shares(params, deviation, n, studies) for deviation in DEVIATIONS for n in IMAGES}
    error = 100 * np.sqrt(ALPHA * (1 - ALPHA) / studies)
    print(f"No effect: H1 supported, by all runs / by champions (standard error of 5%: {error:.1f} points)\n")
    grid(cells, "supported", "champions supported")
    print("\nNo effect: p below 0.05 before adjustment, by all runs / by champions\n")
    grid(cells, "p", "champions p")


def shares(params: Params, deviation: float, images: int, studies: int) -> dict[str, float]:
    """Return the shares of studies in which each test finds a difference between the rates."""
    rng = np.random.default_rng(seed_for(params.seed, deviation, images, what="learning rates"))
    found = []
    for _ in range(studies):
        evidence = OfRates(study(params, deviation, images, 0.0, rng))
        tests = evidence.tests()
        runs, cochran = tests[:2]
        found.append(
            {
                "supported": verdict("H1", tests, evidence.study)["verdict"] == SUPPORTED,
                "p": runs["p"] < ALPHA,
                "champions supported": cochran["p_adjusted"] < ALPHA,
                "champions p": cochran["p"] < ALPHA,
            }
        )
    return {str(name): float(value) for name, value in pd.DataFrame(found).mean().items()}


class OfRates(Evidence):
    """The tests of H1 only."""

    def _areas(self, hypothesis: str, pairs: Any) -> list[dict[str, Any]]:
        return []

    def _h2(self) -> list[dict[str, Any]]:
        return []

    _h3 = _h4 = _h2


def power(studies: int) -> None:
    """Print how often the test of H1 finds the difference that a similar study states to be detected with 80% power."""
    cells = {}
    for deviation in DEVIATIONS:
        for images in IMAGES:
            rng, unit = np.random.default_rng(seed_for(7, deviation, images, what="power")), np.arange(images)
            printed, found = [], []
            for _ in range(studies):
                pilot = compare_runs(decisions(np.zeros(3), deviation, images, rng), unit).smallest(LEVEL)
                if pilot is not None:
                    effect = np.array([0.0, pilot / 2, pilot])
                    printed.append(pilot)
                    found.append(compare_runs(decisions(effect, deviation, images, rng), unit).p < LEVEL)
            cells[deviation, images] = {"points": float(np.median(printed)), "power": float(np.mean(found))}
    print(f"\nH1 at the level of {100 * LEVEL:.2f}%: difference stated to be detected with 80% power / power\n")
    grid(cells, "points", "power")


def decisions(effect: np.ndarray, deviation: float, images: int, rng: np.random.Generator) -> np.ndarray:
    accuracy = run_accuracies(effect, np.full(len(effect), deviation), 5, rng)
    return (margins(accuracy, images, rng) > 0).astype(np.int64)


def study(params: Params, deviation: float, images: int, effect: float, rng: np.random.Generator) -> Study:
    """Draw a study: its models' probabilities on validation and test images, and their ensembles."""
    rates, folds = len(params.lr_grid), len(params.folds)
    accuracy = run_accuracies(np.array([0.0] * (rates - 1) + [effect]), np.full(rates, deviation), folds, rng)
    label = np.arange(images) % 3 % 2
    test = margins(accuracy, images, rng)
    names, place = np.arange(images).astype(str), np.zeros((images, 1, 1))
    of_training = np.array(False), np.array(""), np.array(0), np.array(["", ""])  # diverged, stage, epoch, devices
    models: dict[str, list[Predictions]] = {recipe: [] for recipe in params.grid}
    for fold in params.folds:
        validation_label = np.arange(VALIDATION) % 3 % 2
        validation = margins(accuracy[:, [fold]], len(validation_label), rng)[:, 0]
        for k, recipe in enumerate(params.grid):
            on_validation = probability(validation[k], validation_label)
            on_test = probability(test[k, fold], label)
            member, ids = Member(recipe, fold), np.arange(VALIDATION).astype(str)
            both = ids, validation_label, on_validation, names, label, on_test
            models[recipe].append(Predictions(member, *both, place, *of_training))
    unused = [np.ones(1)] * 3  # weights, scores, temperatures
    classifiers = [
        Classifier("single", member.test_probability, {}, [member], *unused, member.member.recipe, member.member.fold)
        for members in models.values()
        for member in members
    ]
    chosen = {reading: champions(list(models.values()), reading) for reading in JUDGED_ON}
    for scheme in params.schemes:
        for recipe, members in models.items():
            combined = ensemble(members, scheme, "none").probability
            classifiers.append(Classifier("inter", combined, {}, members, *unused, recipe, None, scheme))
        for reading, members in chosen.items():
            combined = ensemble(members, scheme, "none").probability
            classifiers.append(
                Classifier("intra", combined, {}, members, *unused, None, None, scheme, reading)
            )  # fmt: skip
    return Study(params, pd.DataFrame({"label": label}), models, {}, classifiers, pd.DataFrame(), {})


def run_accuracies(effect: np.ndarray, deviation: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the true accuracy of each run, of shape (rates, folds)."""
    luck = np.sqrt(1 - FOLD) * rng.normal(size=(len(effect), folds)) + np.sqrt(FOLD) * rng.normal(size=folds)
    accuracy: np.ndarray = np.clip(ACCURACY - effect[:, None] + deviation[:, None] * luck, 0.02, 0.995)
    return accuracy


def margins(accuracy: np.ndarray, images: int, rng: np.random.Generator, habit: float = 0.0) -> np.ndarray:
    """Draw the margin by which each decision is right, of shape (rates, folds, images).

    ``habit`` is the part of an image for a rate. The share of the variance that is shared neither by all models nor by
    those of a rate is independent for each decision.
    """
    rates, folds = accuracy.shape
    trouble = np.sqrt(SHARED) * rng.normal(size=images) + np.sqrt(habit) * rng.normal(size=(rates, 1, images))
    noise = np.sqrt(1 - SHARED - habit) * rng.normal(size=(rates, folds, images))
    margin: np.ndarray = norm.ppf(accuracy)[:, :, None] - trouble - noise
    return margin


def probability(margin: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return probabilities of ALL that are at least one half where the decision is right and the image is ALL."""
    value: np.ndarray = 1 / (1 + np.exp(-2 * margin * (2 * label - 1)))
    return value


def grid(cells: dict[tuple[float, int], dict[str, float]], *columns: str) -> None:
    print("| between runs, points | " + " | ".join(f"{n:,} images" for n in IMAGES) + " |")
    print("|---" * (1 + len(IMAGES)) + "|")
    for s in DEVIATIONS:
        row = [" / ".join(f"{100 * cells[s, n][column]:.1f}%" for column in columns) for n in IMAGES]
        print(f"| {100 * s:.1f} | " + " | ".join(row) + " |")


def candidates(studies: int) -> None:
    """Print how often alternative tests find a difference (p below 0.05) if there is none."""
    cases = {
        "runs spread alike (1.2 points)": ([0.012] * 3, 0.0, 0.0),
        "they spread by 1.5, 2.9 and 8.2 points": ([0.015, 0.029, 0.082], 0.0, 0.0),
        "each rate has images of its own that it misreads": ([0.008] * 3, 0.3, 0.0),
        "one rate is 5 points worse (power)": ([0.012] * 3, 0.0, EFFECT),
    }
    print("\nTests that were tried, 261 images: p below 0.05\n")
    print("| | " + " | ".join(TESTS) + " |\n" + "|---" * (1 + len(TESTS)) + "|")
    for name, (deviation, habit, effect) in cases.items():
        rng = np.random.default_rng(seed_for(7, name, what="candidates"))
        found = []
        for _ in range(studies):
            accuracy = run_accuracies(np.array([0.0, 0.0, effect]), np.array(deviation), 5, rng)
            right = (margins(accuracy, 261, rng, habit) > 0).astype(np.int64)
            found.append([test(right) < ALPHA for test in TESTS.values()])
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f}%" for share in np.mean(found, axis=0)) + " |")


def repeated_measures(right: np.ndarray) -> float:
    """Analysis of variance of accuracies with the folds as blocks; the images are taken as given."""
    accuracy = right.mean(axis=2)
    k, r = accuracy.shape
    mean = accuracy.mean(axis=1)
    residual = accuracy - mean[:, None] - accuracy.mean(axis=0) + accuracy.mean()
    error = (residual**2).sum() / ((k - 1) * (r - 1))
    return float(f.sf(r * mean.var(ddof=1) / max(error, 1e-12), k - 1, (k - 1) * (r - 1)))


def nadeau_bengio(right: np.ndarray) -> float:
    """Corrected t (2003) of the differences of each pair over the folds; the smallest p by Bonferroni."""
    accuracy = right.mean(axis=2)
    k, r = accuracy.shape
    difference = np.array([accuracy[i] - accuracy[j] for i, j in combinations(range(k), 2)])
    error = np.sqrt(difference.var(axis=1, ddof=1) * (1 / r + 1 / (r - 1)))
    statistic = np.abs(difference.mean(axis=1)) / np.maximum(error, 1e-12)
    return min(1.0, len(difference) * 2 * float(t.sf(statistic, r - 1).min()))


def two_way_bootstrap(right: np.ndarray, repeats: int = 400) -> float:
    """Resample folds and images (Owen 2007); z of the difference of each pair; the smallest p by Bonferroni."""
    k, r, n = right.shape
    rng = np.random.default_rng(0)
    images = rng.multinomial(n, np.full(n, 1 / n), repeats) / n
    folds = rng.multinomial(r, np.full(r, 1 / r), repeats) / r
    means = np.einsum("krn,bn,br->bk", right, images, folds, optimize=True)
    pairs = list(combinations(range(k), 2))
    z = [abs((right[i] - right[j]).mean()) / max((means[:, i] - means[:, j]).std(), 1e-12) for i, j in pairs]
    return min(1.0, len(pairs) * 2 * float(norm.sf(max(z))))


TESTS: dict[str, Callable[[np.ndarray], float]] = {
    "the study's F": lambda right: compare_runs(right, np.arange(right.shape[2])).p,
    "repeated measures": repeated_measures,
    "Nadeau-Bengio": nadeau_bengio,
    "two-way bootstrap": two_way_bootstrap,
}


if __name__ == "__main__":
    main()
