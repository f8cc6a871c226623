"""Kill a tiny study, cut its power, and compare its outputs: make chaos [SEED=1]

Runs `dvc repro` once without interruption. Then, in clones and copies, stops `dvc repro`, `dvc push`, `dvc pull`, `dvc
exp run` and `wen run` at random moments, continues each as docs/RELIABILITY.md states, and compares all outputs with
those of the first study, byte for byte. Prints a table and writes it into docs/RELIABILITY.md.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import kill
import page
import power
import transfer
from study import RATES, Trial, clone, new_study, tiny_values

SHARES = {"repro": 20, "transfer": 10, "experiments": 6, "side by side": 4, "power": 14, "idle": 6}
"""How often each is tried, of 60."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = {name: max(1, round(share * options.tries / 60)) for name, share in SHARES.items()}
    rng, begin = random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = new_study(folder, "study", tiny_values(RATES))
        empty = clone(study, folder / "empty")
        study.run("dvc", "repro")
        seconds = time.monotonic() - begin
        print(f"uninterrupted: {seconds:.0f} s", flush=True)
        study.commit("Done")
        trials = [
            *kill.trials(study, empty, folder, counts["repro"], seconds, rng),
            *transfer.pushes_and_pulls(study, folder, counts["transfer"], rng),
            *transfer.experiments(study, folder, counts["experiments"], rng),
            *transfer.side_by_side(study, empty, folder, counts["side by side"], seconds, rng),
            *power.trials(study, empty, folder, counts["power"], seconds, rng),
            *power.idle(study, folder, counts["idle"], rng),
        ]
    table = ["| stopped | tried | lost |", "|---|---|---|", *rows(trials)]
    print("\n".join([*table, *(f"{what}: {lost}" for what, lost in trials if lost)]))
    page.write("kills", f"`make chaos SEED={options.seed}`, {(time.monotonic() - begin) / 60:.1f} minutes", table)
    sys.exit(any(lost for _, lost in trials))


def rows(trials: list[Trial]) -> list[str]:
    """Return a row for each kind, and the sum."""
    tried, lost = Counter(what for what, _ in trials), Counter(what for what, files in trials if files)
    kinds = [f"| {what} | {count} | {lost[what]} |" for what, count in sorted(tried.items())]
    return [*kinds, f"| all | {tried.total()} | {lost.total()} |"]


if __name__ == "__main__":
    main()
