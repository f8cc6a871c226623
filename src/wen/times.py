"""The duration of every stage: in logs/times.csv and not in an output, so that equal runs give equal bytes."""

import csv
import re
import sys
import time
from collections.abc import Callable

from wen.config.paths import Paths
from wen.config.stages import STAGES

ROW = re.compile(r"([a-z-]+),([0-9]+(?:\.[0-9]+)?)")


def clock(paths: Paths, stage: str) -> Callable[[], None]:
    """Start a stage's clock; the returned function stops it and appends a row to logs/times.csv.

    It writes no row while an exception is handled: how long a failed stage took is no measure of the stage.
    """
    begin = time.perf_counter()

    def stop() -> None:
        if sys.exception() is None:
            paths.times.parent.mkdir(exist_ok=True)
            with paths.times.open("a", newline="") as file:
                csv.writer(file).writerow([stage, f"{time.perf_counter() - begin:.1f}"])

    return stop


def spent(paths: Paths) -> dict[str, list[float]]:
    """Read the seconds of every run of each stage from logs/times.csv, in the order of the study.

    Rows that are not ``stage,seconds`` are left out: a machine that stops may leave a torn row.
    """
    if not paths.times.exists():
        return {}
    lines = paths.times.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [row.groups() for line in lines if (row := ROW.fullmatch(line))]
    runs = {stage: [float(seconds) for name, seconds in rows if name == stage] for stage in STAGES}
    return {stage: seconds for stage, seconds in runs.items() if seconds}
