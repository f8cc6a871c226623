"""``wen makespan``: predict the duration of the study for other numbers of workers, from the times of a run."""

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
    """Print the predicted duration for each number of workers, and its lower bound.

    Raises
    ------
    WenError
        If logs/times.csv lacks the times of a stage of any model.
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
    seconds_before = sum(last.get(stage.split("@")[0], 0.0) for stage in first)
    stages = (stage.split("@")[0] for stage in addresses(params) if stage not in first)
    seconds_after = sum(last.get(stage, 0.0) for stage in stages if stage not in (*OF_NETWORKS, "system"))
    models = [*systems, *(sum(pair) for pair in zip(trainings[-number:], predictions[-number:], strict=True))]
    serial = seconds_before + seconds_after + makespan(models, 1)
    with_systems = f" and {len(systems)} published systems" if systems else ""
    print(f"{number} models{with_systems}, from the times in {paths.times}; the start of each process is not counted")
    table = Table("workers", "minutes", "times faster", box=None)
    for count in workers:
        seconds = seconds_before + seconds_after + makespan(models, count)
        table.add_row(str(count), f"{seconds / 60:.2f}", f"{serial / seconds:.2f}")
    Console().print(table)
    bound = seconds_before + max(models) + seconds_after
    print(
        f"lower bound: {bound / 60:.2f} minutes ({seconds_before / 60:.2f} before the models, "
        f"{max(models) / 60:.2f} for the longest model, {seconds_after / 60:.2f} after them); more than {len(models)} "
        "workers do not help"
    )


def makespan(seconds: list[float], workers: int) -> float:
    """Return the time at which the last job ends, if each job in turn starts on the first free worker."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)
