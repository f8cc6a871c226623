"""Estimate the cost of published systems: operations of their networks are counted, other times were measured."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from wen.config.params import Params
from wen.network.backbone import build
from wen.systems.system import Trained, find, settings_of
from wen.systems.wanted import reads


def describe(params: Params, images: int, train: float, rate: float | None) -> str:
    """Describe the cost of the stages ``network`` and ``system``.

    Parameters
    ----------
    params : Params
    images : int
        Number of images of the study.
    train : float
        Number of training images of a fold.
    rate : float, optional
        Speed of this device in inference, in multiply-adds per second. With it, durations are given in hours.
    """
    if not params.systems:
        return ""
    counts = counted(params)
    macs = {name: one["macs"] for name, one in counts.items()}
    frozen, finetune = 0.0, 0.0
    for name in params.systems:
        settings, system = settings_of(params, name), find(name)
        fitted = [variant for variant in system.variants(settings) if variant.fit]
        frozen += fit_seconds(params, name, train)
        if settings.depth == "finetune" and isinstance(settings, Trained):
            passes = len(params.folds) * len(fitted) * settings.epochs * 3 * train
            network_macs = [macs[network] for network in settings.networks if network in macs]
            finetune += passes * sum(network_macs) / max(1, len(settings.networks))
    lines = [
        f"Published systems: {len(params.systems)}; networks that they use: {len(macs)}",
        f"  networks, every image once: {_cost(images * sum(macs.values()), rate)}",
        f"  disk, outputs of the networks as float32: {stored_bytes(params, images, counts) / 1e9:,.2f} GB",
        f"  depth frozen: {frozen / 60:,.1f} minutes on one core",
    ]
    if finetune:
        lines.append(f"  depth finetune, at most: {_cost(finetune, rate)}")
    return "\n".join(lines) + "\n"


def counted(params: Params) -> dict[str, dict[str, int]]:
    """Return the `count` of each network, by its name."""
    return {name: count(params, name) for name in params.pretrained}


def stored_bytes(params: Params, images: int, counts: dict[str, dict[str, int]]) -> int:
    """Return the size of the networks' outputs that systems read, float32, from the networks' ``counts``."""
    read = {
        (network, kind) for name in params.systems for network, kinds in reads(params, name).items() for kind in kinds
    }
    return sum(4 * images * counts[network][kind] for network, kind in read if network in counts and kind != "weights")


def fit_seconds(params: Params, name: str, train: float) -> float:
    """Return the time to fit a system to stored features in all folds of ``train`` images, on one core, in s."""
    settings, system = settings_of(params, name), find(name)
    if settings.depth == "finetune" and "pooled" not in system.READS["finetune"]:
        return 0.0
    return len(params.folds) * train / 1000 * system.seconds(settings)


def count(params: Params, name: str) -> dict[str, int]:
    """Count a network's multiply-adds per image (``macs``) and the sizes of its ``maps`` and ``pooled`` features.

    The forward pass runs on PyTorch's meta device, which computes nothing.
    """
    options, size = params.network_of_systems(name), params.images.size
    with torch.device("meta"):
        network: Any = build(options, size).eval()
        with FlopCounterMode(display=False) as counter:
            maps = network.forward_features(torch.empty(1, 3, size, size))
        pooled = network.forward_head(maps, pre_logits=True)
    macs = int(counter.get_total_flops()) // 2  # one multiply-add is two FLOPs
    return {"macs": macs, "maps": maps.numel(), "pooled": pooled.numel()}


def _cost(work: float, rate: float | None) -> str:
    hours = "" if rate is None else f", {work / rate / 3600:,.2f} hours"
    return f"{work / 1e12:,.2f} T multiply-adds{hours}"
