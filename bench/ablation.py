"""What averaging over turned copies gains on people that nobody trained on: python bench/ablation.py STUDY [--splits N]

STUDY is a folder in which `wen study` and `dvc repro prepare backbone` have run. Each of N splits by subject holds out
other people. The heads of five folds learn from frozen features, validation chooses the learning rate, and the plain
average of the five predicts the test people, from images as they are and over their turned copies: the same heads.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score
from tune import RATES, pooled

from wen.config.params import Params, load
from wen.config.paths import Paths
from wen.data.components import components
from wen.data.split import assign
from wen.data.symmetry import TURNS
from wen.data.table import DEVELOPMENT, TEST, read_copies, read_index
from wen.errors import WenError
from wen.network import device
from wen.repeats import heads
from wen.repeats.one_split import drawn

VIEWS = {"none": [0], "flips": [0, 4, 6, 2], "quarter turns": [0, 1, 2, 3], "dihedral": list(TURNS)}
MEASURES = ("accuracy", "AUC")


def main() -> None:
    """Print the mean of each measure over the splits, and the paired difference from images as they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    params, paths = load(options.study / "params.yaml"), Paths(options.study)
    device.settle(params.compute)
    params = params.model_copy(update={"lr_grid": RATES})
    index, copies = read_index(paths), read_copies(paths)
    turns = pooled(params, paths, index, TURNS)
    label, found, shares = index.label.to_numpy(), [], []
    for repeat in range(options.splits):
        own = drawn(params, "subject", repeat)
        try:
            cells = assign(index, copies, own.split, len(own.folds), own.seed)
        except WenError as error:
            print(f"split {repeat} left out: {error}")
            continue
        test, development = (np.flatnonzero(cells.part == part) for part in (TEST, DEVELOPMENT))
        shares.append(len(test) / len(development))
        found.append(scores(own, cells.fold.to_numpy(), turns, label, test))
    people = len(np.unique(components(index, copies)))
    print(f"{len(index):,} images of {people} people or groups of them, {len(found)} splits by subject\n")
    print("| predict.tta | " + " | ".join(f"{name} | difference [95%]" for name in MEASURES) + " |")
    print("|---" * (1 + 2 * len(MEASURES)) + "|")
    values = np.array(found)  # (splits, views, measures)
    for k, name in enumerate(VIEWS):
        parts = []
        for m in range(len(MEASURES)):
            difference, low, high = corrected(values[:, k, m] - values[:, 0, m], float(np.mean(shares)))
            parts += [f"{values[:, k, m].mean():.3f}", f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]" if k else ""]
        print(f"| {name} | {' | '.join(parts)} |")


def scores(
    params: Params, fold: np.ndarray, turns: list[np.ndarray], label: np.ndarray, test: np.ndarray
) -> list[list[float]]:
    """Accuracy and AUC on the test people, of each entry of `VIEWS`."""
    models, validated = [], []
    for k in params.folds:
        validates, trains = np.flatnonzero(fold == k), np.flatnonzero((fold >= 0) & (fold != k))
        weight = heads.train(params, k, turns[0], label, (trains, validates))
        plain = heads.probability(weight, turns[0][validates])
        validated.append([roc_auc_score(label[validates], own) for own in plain.T])
        models.append(np.stack([heads.probability(weight, values[test]) for values in turns]))
    rate = int(np.mean(validated, axis=0).argmax())
    each = np.mean(models, axis=0)[:, :, rate]  # (turns, test images)
    rows = []
    for views in VIEWS.values():
        probability = each[views].mean(axis=0)
        rows.append([accuracy_score(label[test], probability >= 0.5), roc_auc_score(label[test], probability)])
    return rows


def corrected(differences: np.ndarray, share: float) -> tuple[float, float, float]:
    """Mean of differences over splits, and its 95% interval by the corrected t of Nadeau & Bengio (2003).

    Parameters
    ----------
    differences : ndarray of shape (splits,)
    share : float
        Test images over development images: splits share most of these, so their differences are not independent.
    """
    n, mean = len(differences), float(differences.mean())
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((1 / n + share) * differences.var(ddof=1))
    return mean, mean - float(half), mean + float(half)


if __name__ == "__main__":
    main()
