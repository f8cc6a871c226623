"""Log the duration of every stage in logs/times.csv, which is not a DVC output, so that outputs stay reproducible."""

import csv
import re
import sys
import time
from collections.abc import Callable

from wen.config.paths import Paths
from wen.config.stages import STAGES

ROW = re.compile(r"([a-z-]+),([0-9]+(?:\.[0-9]+)?)")


def clock(paths: Paths, stage: str) -> Callable[[], None]:
    """Start timing a stage; the returned function appends the duration to logs/times.csv.

    It writes nothing while an exception is handled, because the duration of a failed stage is not representative.
    """
    begin = time.perf_counter()

    def stop() -> None:
        if sys.exception() is None:
            paths.times.parent.mkdir(exist_ok=True)
            with paths.times.open("a", newline="") as file:
                csv.writer(file).writerow([stage, f"{time.perf_counter() - begin:.1f}"])

    return stop


def spent(paths: Paths) -> dict[str, list[float]]:
    """Read the durations of all runs of each stage from logs/times.csv, in s, with the stages in the study's order.

    Rows that are not ``stage,seconds`` are skipped, because a power cut may leave an incomplete row.
    """
    if not paths.times.exists():
        return {}
    lines = paths.times.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [row.groups() for line in lines if (row := ROW.fullmatch(line))]
    runs = {stage: [float(seconds) for name, seconds in rows if name == stage] for stage in STAGES}
    return {stage: seconds for stage, seconds in runs.items() if seconds}
