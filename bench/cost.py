"""What a profile costs, counted from its network without running it: python bench/cost.py profiles/thesis.yaml

Operations and shapes come from a forward pass on PyTorch's meta device, which computes nothing. GPU memory is
that of stage 2's weights, gradients, Adam's moments and what the forward pass keeps for the backward pass.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from wen.network.backbone import build
from wen.network.cut import cut
from wen.params import load

C_NMC_IMAGES = 12_528


def main(profile: str) -> None:
    params = load(Path(profile))
    with torch.device("meta"):
        parts = cut(build(params.backbone.name), params.finetune.unfreeze_from)
        image = torch.empty(1, 3, params.images.size, params.images.size)
        with multiply_adds(parts.trunk) as trunk:
            activation = parts.trunk(image)
        with multiply_adds(parts.top) as top:
            pooled = parts.top(activation)
        kept = bytes_kept(parts.tail.train(), activation.expand(params.train.batch_size, -1, -1, -1))
    models = len(params.lr_grid) * len(params.folds)
    share = 1 - params.split.test_fraction
    train = C_NMC_IMAGES * share * (1 - 1 / len(params.folds))
    validation = C_NMC_IMAGES * share / len(params.folds)
    views = params.augment.views
    stage_2 = models * params.finetune.epochs * (3 * train + validation) * top[0]
    frozen_in_stage_2 = models * params.finetune.epochs * (train + validation) * trunk[0]
    stage_1_unshared = models * params.head.epochs * (train + validation) * (trunk[0] + top[0])
    shared = C_NMC_IMAGES * (1 + views) * (trunk[0] + top[0])
    parameters = sum(p.numel() for p in parts.tail.parameters())
    whole = parameters + sum(p.numel() for p in parts.trunk.parameters())
    width = 4 if params.features.dtype == "float32" else 2
    for label, value in {
        "network": f"{params.backbone.name} at {params.images.size} px, unfrozen from {params.finetune.unfreeze_from}",
        "multiply-adds per image, frozen and trained part": f"{trunk[0] / 1e9:.2f} and {top[0] / 1e9:.2f} G",
        "parameters trained in stage 2": f"{parameters / 1e6:.1f} M",
        "frozen network, once for all models (features)": f"{shared / 1e15:.2f} P multiply-adds",
        "stage 1 if every model ran the frozen network": f"{stage_1_unshared / 1e15:.2f} P",
        "stage 2, trained part, all epochs": f"{stage_2 / 1e15:.2f} P",
        "stage 2, frozen part, if not cached": f"{frozen_in_stage_2 / 1e15:.2f} P",
        "disk, pooled features": f"{C_NMC_IMAGES * (1 + views) * pooled.numel() * width / 1e9:.1f} GB",
        f"disk, activations as {params.features.dtype}": (
            f"{C_NMC_IMAGES * (1 + views) * activation.numel() * width / 1e9:.1f} GB"
        ),
        "disk, models": f"{models * 4 * whole / 1e9:.1f} GB",
        f"GPU memory of stage 2, batch {params.train.batch_size}, float32 or half": (
            f"{(16 * parameters + kept) / 1e9:.1f} or {(16 * parameters + kept / 2) / 1e9:.1f} GB"
        ),
    }.items():
        print(f"| {label} | {value} |")


@contextmanager
def multiply_adds(module: nn.Module) -> Iterator[list[int]]:
    """Count the multiply-adds of convolutions and linear layers while the block runs."""
    total = [0]

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        total[0] += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    yield total
    for hook in hooks:
        hook.remove()


def bytes_kept(module: nn.Module, inputs: torch.Tensor) -> int:
    """Bytes of float32 tensors that a forward pass keeps for the backward pass, weights left out."""
    kept: dict[int, torch.Tensor] = {}
    weights = {id(parameter) for parameter in module.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights:
            kept[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(inputs)
    return sum(4 * tensor.numel() for tensor in kept.values())


if __name__ == "__main__":
    main(sys.argv[1])
