"""``wen makespan``: how long the study would take with more workers, from the times of a run."""

import heapq

from rich.console import Console
from rich.table import Table

from wen.config.jobs import addresses, before
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.stages import OF_NETWORKS
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
            f"{paths.times}: has the times of {len(trainings)} trainings and {len(predictions)} predictions, "
            f"{number} of each are needed; run the study on this machine first"
        )
    last = {stage: seconds[-1] for stage, seconds in times.items()}
    first = before(params)
    systems = times.get("system", [])[-len(params.systems) :] if params.systems else []
    begins = sum(last.get(stage.split("@")[0], 0.0) for stage in first)
    stages = (stage.split("@")[0] for stage in addresses(params) if stage not in first)
    after = sum(last.get(stage, 0.0) for stage in stages if stage not in (*OF_NETWORKS, "system"))
    models = [*(sum(pair) for pair in zip(trainings[-number:], predictions[-number:], strict=True)), *systems]
    alone = begins + after + makespan(models, 1)
    beside = f" and {len(systems)} published systems" if systems else ""
    print(f"{number} models{beside}, from the times in {paths.times}; the start of each process is not counted")
    table = Table("workers", "minutes", "times faster", box=None)
    for count in workers:
        seconds = begins + after + makespan(models, count)
        table.add_row(str(count), f"{seconds / 60:.2f}", f"{alone / seconds:.2f}")
    Console().print(table)
    print(
        f"lower bound: {(begins + max(models) + after) / 60:.2f} minutes ({begins / 60:.2f} before the models, "
        f"{max(models) / 60:.2f} for the longest model, {after / 60:.2f} after them); more than {len(models)} "
        "workers do not help"
    )


def makespan(seconds: list[float], workers: int) -> float:
    """When the last of independent jobs ends, if each starts on the first worker that is free, in their order."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)
