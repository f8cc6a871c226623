"""What a setting changes: python bench/paired.py STUDY OTHER

Both are folders of finished studies that differ in a setting, with the same test images. Each row is a classifier in
both: the best ensemble of one learning rate (chosen on validation data), that of the learning rates' champions, and the
best single model. Differences are paired, with 95% intervals by image or, with a split by subject, by subject.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wen.config.paths import Paths
from wen.config.read import load
from wen.evaluation.proportion import UNDEFINED, Estimate
from wen.evaluation.statistics import accuracy_difference, auc_difference
from wen.report.hypotheses import Hypotheses
from wen.report.language import ABSENT
from wen.results import gather
from wen.study import Classifier, Study


def main() -> None:
    """Print a row for each kind of classifier."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("other", type=Path)
    options = parser.parse_args()
    study, other = (gather(load(folder / "params.yaml"), Paths(folder)) for folder in (options.study, options.other))
    if study.cells.id.tolist() != other.cells.id.tolist():
        raise SystemExit(f"{options.study} and {options.other} have other test images; compare studies of one split")
    if study.label.tolist() != other.label.tolist():
        raise SystemExit(f"{options.study} and {options.other} have other labels; compare studies of the same classes")
    print(f"{len(study.cells):,} test images, {len(np.unique(study.unit)):,} images or groups of people to resample")
    print(f"Differences are {options.other.name} minus {options.study.name}.\n")
    print("| classifier | accuracy | difference [95%] | AUC | difference [95%] |\n|---|---|---|---|---|")
    for (name, one), (_, two) in zip(shown(study), shown(other), strict=True):
        accuracy = accuracy_difference(other.right(two), study.right(one), study.unit)
        area = UNDEFINED
        if study.has_areas:
            _, area = auc_difference(study.label, two.probability, one.probability, study.unit)
        print(f"| {name} {_cells('accuracy', one, two, accuracy)} {_cells('auc', one, two, area)} |")


def _cells(measure: str, one: Classifier, two: Classifier, gain: Estimate) -> str:
    """Both values and their difference; a dash where it is undefined, or its variance cannot be estimated."""
    values = (one.row[measure], two.row[measure])
    change = ABSENT if None in values else " to ".join(f"{value:.3f}" for value in values)
    difference = ABSENT if np.isnan(gain.value) else f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    return f"| {change} | {difference}"


def shown(study: Study) -> Iterator[tuple[str, Classifier]]:
    """Yield the study's best ensembles and single model, by what they are called."""
    yield "Inter-LR", study.inter(Hypotheses(study).best_rate(), study.params.weighting)
    yield "Intra-LR", study.intra(study.params.reading, study.params.weighting)
    yield "best single model", study.best_single()


if __name__ == "__main__":
    main()
