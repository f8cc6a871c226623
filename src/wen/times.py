"""How long every stage took: in logs/times.csv and not in an output, so that equal runs give equal bytes."""

import csv
import re
import sys
import time
from collections.abc import Callable

from wen.config.paths import Paths
from wen.config.stages import STAGES

ROW = re.compile(r"([a-z-]+),([0-9]+(?:\.[0-9]+)?)")


def clock(paths: Paths, stage: str) -> Callable[[], None]:
    """Start a stage's clock; the function that is returned stops it and appends a row to logs/times.csv.

    Unless it is called because of an exception: a stage that failed says nothing of how long it takes.
    """
    begin = time.perf_counter()

    def stop() -> None:
        if sys.exception() is None:
            paths.times.parent.mkdir(exist_ok=True)
            with paths.times.open("a", newline="") as file:
                csv.writer(file).writerow([stage, f"{time.perf_counter() - begin:.1f}"])

    return stop


def spent(paths: Paths) -> dict[str, list[float]]:
    """The seconds of every run of each stage that logs/times.csv knows of, in the order of the study.

    Rows that are not ``stage,seconds`` are left out: one may be torn where a machine stopped.
    """
    if not paths.times.exists():
        return {}
    lines = paths.times.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [row.groups() for line in lines if (row := ROW.fullmatch(line))]
    runs = {stage: [float(seconds) for own, seconds in rows if own == stage] for stage in STAGES}
    return {stage: seconds for stage, seconds in runs.items() if seconds}
