"""How fast this device runs the study's network, from a short try."""

import time
from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from wen.config.params import Compute, Params
from wen.network import backbone, device
from wen.network.cost import Cost, Rates
from wen.network.cut import cut
from wen.network.frozen import Frozen, runner

SECONDS = 10.0  # all rates together, or as long as two images take


def rates(params: Params, cost: Cost, where: torch.device) -> Rates:
    """Measure what this device reaches, with untrained weights: each kind of work for a third of `SECONDS`."""
    size, batch = params.images.size, params.train.batch_size
    network = backbone.build(params.backbone.name).eval().to(where).to(memory_format=torch.channels_last)
    parts = cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute))
    frozen_part = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    with torch.inference_mode():
        activation = parts.trunk(torch.rand(1, 3, size, size, device=where))

    def frozen(options: Compute) -> float:
        run = runner(frozen_part, size, where, options)
        images = _images_a_second(lambda n: run(torch.rand(n, size, size, 3, device=where)), batch, where)
        return (cost.trunk + cost.tail) * images

    def forward(n: int) -> None:
        parts.tail.eval()
        with torch.inference_mode():
            parts.tail(activation.expand(n, -1, -1, -1).contiguous(memory_format=torch.channels_last))

    def train(n: int) -> None:
        parts.tail.train()
        activations = activation.clone().expand(n, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        logit = parts.tail(activations).squeeze(1)
        binary_cross_entropy_with_logits(logit, torch.zeros_like(logit)).backward()

    exact = device.for_storage(params.compute)
    mixed = frozen(params.compute)
    is_same = device.precision(where, exact) == device.precision(where, params.compute)
    return Rates(
        frozen=mixed,
        tail=cost.tail * _images_a_second(forward, batch, where),
        training=3 * cost.tail * _images_a_second(train, batch, where),
        stored=mixed if is_same else frozen(exact),
    )


def _images_a_second(step: Callable[[int], object], batch: int, where: torch.device) -> float:
    """Run a step for a while, on a whole batch if that fits into the time, else on as many images as do."""

    def seconds(n: int) -> float:
        begin = time.perf_counter()
        step(n)
        device.wait(where)
        return time.perf_counter() - begin

    budget = SECONDS / 3
    first = seconds(2)
    if first > budget:  # too slow a device to repeat it
        return 2 / first
    n = int(min(batch, max(2, budget / 4 / (seconds(2) / 2))))
    seconds(n)
    begin, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - begin < budget / 2:
        seconds(n)
        done += n
    return done / (time.perf_counter() - begin)
