"""Time and memory of the thesis profile's work on a GPU: python bench/gpu.py [--device cuda]

EfficientNetV2-M at 450 px in batches of 64, cut before blocks.5, with random weights, on synthetic cells: one step of
stage 2 and the forward pass of the frozen network, in the precision that `auto` chooses and in float32. The table
compares the allocated memory with the estimate of `wen plan`, and the time with plain timm: the complete network in
one graph under autocast, channels last, with PyTorch's own Adam.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import timm
import torch
from rich.console import Console
from rich.table import Table

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.members.finetune import initialise
from wen.network import backbone, device
from wen.network.cost import count, memory_of_stage_2
from wen.network.cut import Cut, cut
from wen.network.frozen import Frozen, runner
from wen.network.steps import Task, Trainer

REPEATS, STEPS = 10, 4
"""How often each work is measured, and how many of it a measurement holds: a pass begins and ends by a wait."""
MEMBER = Member("0.0001", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--profile", default="thesis")
    parser.add_argument("--precision", nargs="+", default=["auto", "float32"])
    options = parser.parse_args()
    params = load(Paths().profiles / f"{options.profile}.yaml")
    titles = ("work", "precision", "ms (least to most)", "images/s", "plain timm, ms", "GB allocated", "GB by wen plan")
    table = Table(*titles)
    for precision in options.precision:
        compute = params.compute.model_copy(update={"precision": precision})
        device.settle(compute)
        where = device.choose(options.device, compute)
        for row in rows(params.model_copy(update={"compute": compute}), where):
            table.add_row(*row)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    network = f"{params.backbone.name} at {params.images.size} px"
    Console(width=130).print(f"{name}, torch {torch.__version__}, {network}", table)


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
    with torch.inference_mode():
        pixels = (2 * images - 1).movedim(-1, 1)
    planned = memory_of_stage_2(params, count(params)) / 1e9
    works = [
        ("frozen forward", repeated(lambda: forward(images)), lambda: plain_forward(network, pixels, dtype), ""),
        (
            "step of stage 2",
            step(params, parts, pixels, where),
            lambda: plain_step(params, pixels, dtype),
            f"{planned:.2f}",
        ),
    ]
    for name, work, peer, forecast in works:  # the peer is built afterwards: its memory is not the study's
        study = measured(work, where)
        yield row(
            (name, str(dtype).removeprefix("torch.")), batch, study, measured(repeated(peer()), where)[0], forecast
        )


def repeated(work: Callable[[], object]) -> Callable[[], object]:
    """Repeat the work as many times as one measurement contains."""

    def times() -> None:
        for _ in range(STEPS):
            work()

    return times


def plain_forward(network: torch.nn.Module, pixels: torch.Tensor, dtype: torch.dtype) -> Callable[[], object]:
    """Run the forward pass of the complete network as usual code does."""

    def forward() -> torch.Tensor:
        with torch.inference_mode(), device.autocast(pixels.device, dtype):
            return network(pixels)

    return forward


def plain_step(params: Params, pixels: torch.Tensor, dtype: torch.dtype) -> Callable[[], object]:
    """Run a training step as usual code does: frozen parts need no gradient and are in evaluation mode."""
    network = timm.create_model(params.backbone.name, num_classes=1).to(
        pixels.device, memory_format=torch.channels_last
    )
    cut_at = int(params.finetune.unfreeze_from.removeprefix("blocks."))
    frozen = [network.conv_stem, network.bn1, *network.blocks[:cut_at]]
    network.train()
    for module in frozen:
        module.eval().requires_grad_(False)
    optimizer = torch.optim.Adam(parameter for parameter in network.parameters() if parameter.requires_grad)
    label = (torch.arange(len(pixels), device=pixels.device) % 2).float()
    inputs = pixels.clone()  # of no inference mode, which a graph cannot keep

    def train() -> None:
        with device.autocast(pixels.device, dtype):
            logit = network(inputs).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit.float(), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return train


def step(params: Params, parts: Cut, pixels: torch.Tensor, where: torch.device) -> Callable[[], object]:
    """Run a pass of `STEPS` steps: frozen forward pass, forward and backward pass of the trained part, and Adam."""
    label = torch.arange(len(pixels)).numpy() % 2
    task = Task(params, MEMBER, parts.tail, label, label, label, where)
    trainer = Trainer(task, parts.tail)

    class Activations:
        def batches(self, rows: object, view: int | None) -> Iterator[torch.Tensor]:
            for _ in range(STEPS):
                with torch.no_grad():
                    activations = parts.trunk(pixels)
                yield activations

    every = torch.arange(len(pixels)).numpy()
    return lambda: trainer.run(Activations(), [every] * STEPS, 0)


def measured(work: Callable[[], object], where: torch.device) -> tuple[list[float], float]:
    """Return the seconds of one of a work's `STEPS`, repeatedly after a warm-up, and the peak memory, in GB."""
    with allocated(where) as peak:
        seconds = []
        for _ in range(REPEATS + 2):
            begin = time.perf_counter()
            work()
            device.synchronize(where)
            seconds.append((time.perf_counter() - begin) / STEPS)
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
    about: tuple[str, str], batch: int, measures: tuple[list[float], float], plain: list[float], planned: str
) -> tuple[str, ...]:
    seconds, gigabytes = measures
    spread = f"{1e3 * median(seconds):.1f} ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f})"
    peer = f"{1e3 * median(plain):.1f} ({median(plain) / median(seconds):.2f} x)"
    return *about, spread, f"{batch / median(seconds):,.0f}", peer, f"{gigabytes:.2f}", planned


if __name__ == "__main__":
    main()
