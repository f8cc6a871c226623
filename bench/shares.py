"""How often the interval of a share contains the true value for few, unequal subjects: ``python bench/shares.py``.

Prints the table of docs/STATISTICS.md.
"""

import numpy as np

from wen.evaluation.proportion import share

TEST_SETS = 3000
CELLS = 65  # a subject, on average
DESIGNS = ((13, 7), (28, 14), (60, 30))
"""Subjects, and about how many of equal size they are worth; C-NMC's preliminary 28 are worth 14.4."""
SHARES = (0.8, 0.95)
ALIKE = 0.3
"""Intraclass correlation: how alike the cells of a subject are in being read rightly."""


def main() -> None:
    rng = np.random.default_rng(2019)
    print("| subjects (effective, about) | " + " | ".join(f"share {value}" for value in SHARES) + " |")
    print("|---" * (1 + len(SHARES)) + "|")
    for subjects, effective in DESIGNS:
        row = [f"{coverage(subjects, effective, value, rng):.1%}" for value in SHARES]
        print(f"| {subjects} ({effective}) | {' | '.join(row)} |")


def coverage(subjects: int, effective: float, truth: float, rng: np.random.Generator) -> float:
    spread = np.sqrt(np.log(subjects / effective))  # of log-normal sizes with this design
    inside = 0
    for _ in range(TEST_SETS):
        size = np.maximum(1, CELLS * np.exp(spread * rng.normal(size=subjects) - spread**2 / 2)).astype(int)
        alike = 1 / ALIKE - 1
        of_subject = rng.beta(truth * alike, (1 - truth) * alike, subjects)
        unit = np.repeat(np.arange(subjects), size)
        found = share(rng.random(len(unit)) < of_subject[unit], unit)
        inside += found.low <= truth <= found.high
    return inside / TEST_SETS


if __name__ == "__main__":
    main()
