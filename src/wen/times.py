"""How long every stage took: in logs/times.csv and not in an output, so that equal runs give equal bytes."""

import csv
import time
from collections.abc import Callable

from wen.paths import Paths

STAGES = (
    "prepare", "split", "backbone", "features", "train-fold", "predict-fold", "ensemble-inter", "ensemble-intra",
    "report",
)  # fmt: skip


def clock(paths: Paths, stage: str) -> Callable[[], None]:
    """Start a stage's clock; the function that is returned stops it and appends a row to logs/times.csv."""
    begin = time.perf_counter()

    def stop() -> None:
        if paths.params.exists():  # else this is no study's folder
            paths.times.parent.mkdir(exist_ok=True)
            with paths.times.open("a", newline="") as file:
                csv.writer(file).writerow([stage, f"{time.perf_counter() - begin:.1f}"])

    return stop


def spent(paths: Paths) -> dict[str, list[float]]:
    """The seconds of every run of each stage that logs/times.csv knows of, in the order of the study."""
    if not paths.times.exists():
        return {}
    with paths.times.open(newline="") as file:
        rows = list(csv.reader(file))
    runs = {stage: [float(seconds) for own, seconds in rows if own == stage] for stage in STAGES}
    return {stage: seconds for stage, seconds in runs.items() if seconds}
