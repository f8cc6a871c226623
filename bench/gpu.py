"""Time the thesis profile's work on a GPU, and its memory: python bench/gpu.py [--device cuda]

EfficientNetV2-M at 450 px in batches of 64, cut before blocks.5, with random weights, on synthetic cells: one step of
stage 2 and the frozen network's forward pass, in the precision that `auto` chooses and in float32. Prints a table; the
memory that `wen plan` forecasts is beside what was allocated.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from wen.config.member import Member
from wen.config.params import Params, load
from wen.config.paths import Paths
from wen.members.finetune import initialise
from wen.network import backbone, device
from wen.network.cost import count, memory_of_stage_2
from wen.network.cut import Cut, cut
from wen.network.frozen import Frozen, runner
from wen.network.steps import Steps, Task

REPEATS = 10
MEMBER = Member("0.0001", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--profile", default="thesis")
    options = parser.parse_args()
    params = load(Paths().profiles / f"{options.profile}.yaml")
    table = Table("work", "precision", "ms (least to most)", "images/s", "GB allocated", "GB by wen plan")
    for precision in ("auto", "float32"):
        compute = params.compute.model_copy(update={"precision": precision})
        device.settle(compute)
        where = device.choose(options.device, compute)
        for row in rows(params.model_copy(update={"compute": compute}), where):
            table.add_row(*row)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    network = f"{params.backbone.name} at {params.images.size} px"
    Console(width=110).print(f"{name}, torch {torch.__version__}, {network}", table)


def rows(params: Params, where: torch.device) -> Iterator[tuple[str, ...]]:
    size, batch = params.images.size, params.train.batch_size
    dtype = device.precision(where, params.compute)
    torch.manual_seed(0)
    network = backbone.build(params.backbone, size).to(where).to(memory_format=torch.channels_last).eval()
    parts = cut(network, params.finetune.unfreeze_from, dtype)
    initialise(parts.head, params.seed, MEMBER.fold)
    images = torch.rand(batch, size, size, 3, device=where)
    frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    forward = runner(frozen, size, where, params.compute)
    yield row("frozen forward", dtype, batch, *measured(lambda: forward(images), where), "")
    with torch.inference_mode():
        pixels = (2 * images - 1).movedim(-1, 1)
    planned = memory_of_stage_2(params, count(params)) / 1e9
    yield row("step of stage 2", dtype, batch, *measured(step(params, parts, pixels, where), where), f"{planned:.2f}")


def step(params: Params, parts: Cut, pixels: torch.Tensor, where: torch.device) -> Callable[[], object]:
    """One step: the frozen part forward, the trained part forward and backward, and Adam."""
    label = torch.arange(len(pixels)).numpy() % 2
    task = Task(params, MEMBER, parts.tail, label, label, label, where)
    steps = Steps(task, parts.tail)

    class Activations:
        def batches(self, rows: object, view: int | None) -> Iterator[torch.Tensor]:
            with torch.no_grad():
                activations = parts.trunk(pixels)
            yield activations

    every = torch.arange(len(pixels)).numpy()
    return lambda: steps.run(Activations(), [every], 0)


def measured(work: Callable[[], object], where: torch.device) -> tuple[list[float], float]:
    """Seconds of some repeats after a first, and the most bytes allocated beyond what was there, in GB."""
    with allocated(where) as peak:
        seconds = []
        for _ in range(REPEATS + 2):
            begin = time.perf_counter()
            work()
            device.wait(where)
            seconds.append(time.perf_counter() - begin)
    return seconds[2:], peak[0] / 1e9


@contextmanager
def allocated(where: torch.device) -> Iterator[list[int]]:
    peak = [0]
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    yield peak
    if where.type == "cuda":
        peak[0] = torch.cuda.max_memory_allocated()


def row(
    work: str, dtype: torch.dtype, batch: int, seconds: list[float], gigabytes: float, planned: str
) -> tuple[str, ...]:
    name = str(dtype).removeprefix("torch.")
    spread = f"{1e3 * median(seconds):.1f} ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f})"
    return work, name, spread, f"{batch / median(seconds):,.0f}", f"{gigabytes:.2f}", planned


if __name__ == "__main__":
    main()
