"""``wen makespan``: how long the study would take with more workers, from the times of a run."""

import heapq

from rich.console import Console
from rich.table import Table

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.stages import BEFORE, OF_NETWORKS, addresses
from wen.errors import WenError
from wen.times import spent


def run(params: Params, paths: Paths, workers: list[int]) -> None:
    """Print the predicted makespan for each number of workers, and what bounds it.

    Raises
    ------
    WenError
        If logs/times.csv does not know each stage of every model.
    """
    times = spent(paths)
    number = len(params.networks)
    trainings, predictions = times.get("train-fold", []), times.get("predict-fold", [])
    if min(len(trainings), len(predictions)) < number:
        raise WenError(
            f"{paths.times}: knows {len(trainings)} trainings and {len(predictions)} predictions, {number} of each "
            "are needed; run the study on this machine first"
        )
    last = {stage: seconds[-1] for stage, seconds in times.items()}
    before = sum(last.get(stage, 0.0) for stage in BEFORE)
    stages = (stage.split("@")[0] for stage in addresses(params))
    after = sum(last.get(stage, 0.0) for stage in stages if stage not in (*BEFORE, *OF_NETWORKS))
    models = [sum(pair) for pair in zip(trainings[-number:], predictions[-number:], strict=True)]
    alone = before + after + makespan(models, 1)
    print(f"{number} models, by the times in {paths.times}; the start of each process comes on top")
    table = Table("workers", "minutes", "times faster", box=None)
    for count in workers:
        seconds = before + after + makespan(models, count)
        table.add_row(str(count), f"{seconds / 60:.2f}", f"{alone / seconds:.2f}")
    Console().print(table)
    print(
        f"not below {(before + max(models) + after) / 60:.2f} minutes: {before / 60:.2f} before the models, "
        f"{max(models) / 60:.2f} for the longest of them, {after / 60:.2f} after them; "
        f"more workers than {number} have nothing to do"
    )


def makespan(seconds: list[float], workers: int) -> float:
    """When the last of independent jobs ends, if each starts on the first worker that is free, in their order."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)
