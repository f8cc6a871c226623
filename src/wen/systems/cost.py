"""What published systems cost, before any of them runs: counted where a network runs, as measured where none does."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from wen.config.params import Backbone, Params
from wen.network.backbone import build
from wen.systems.system import Trained, find, settings_of
from wen.systems.wanted import reads


def described(params: Params, images: int, train: float, rate: float | None) -> str:
    """Say what the stages ``network`` and ``system`` cost.

    Parameters
    ----------
    params : Params
    images : int
        Of the study.
    train : float
        Images that a fold trains on.
    rate : float, optional
        Multiply-adds a second of a network in inference on this device, for hours.
    """
    if not params.systems:
        return ""
    counted = {name: count(params, name) for name in params.pretrained}
    macs = {name: one["macs"] for name, one in counted.items()}
    read = {
        (network, kind) for name in params.systems for network, kinds in reads(params, name).items() for kind in kinds
    }
    kept = sum(
        4 * images * counted[network][kind] for network, kind in read if network in counted and kind != "weights"
    )
    frozen, finetune = 0.0, 0.0
    for name in params.systems:
        settings, system = settings_of(params, name), find(name)
        fitted = [variant for variant in system.variants(settings) if variant.fit]
        frozen += fitting(params, name, train)
        if settings.depth == "finetune" and isinstance(settings, Trained):
            passes = len(params.folds) * len(fitted) * settings.epochs * 3 * train
            known = [macs[network] for network in settings.networks if network in macs]
            finetune += passes * sum(known) / max(1, len(settings.networks))
    lines = [
        f"Published systems: {len(params.systems)}, with {len(macs)} networks",
        f"  networks, every image once: {_cost(images * sum(macs.values()), rate)}",
        f"  disk, outputs of the networks as float32: {kept / 1e9:,.2f} GB",
        f"  depth frozen: {frozen / 60:,.1f} minutes on one core",
    ]
    if finetune:
        lines.append(f"  depth finetune, at most: {_cost(finetune, rate)}")
    return "\n".join(lines) + "\n"


def fitting(params: Params, name: str, train: float) -> float:
    """Seconds of one core that a system takes on stored outputs of networks, all folds of ``train`` images each."""
    settings, system = settings_of(params, name), find(name)
    if settings.depth == "finetune" and "pooled" not in system.READS["finetune"]:
        return 0.0
    return len(params.folds) * train / 1000 * system.seconds(settings)


def count(params: Params, name: str) -> dict[str, int]:
    """Multiply-adds (``macs``) of an image in one of the networks, and numbers in its ``maps`` and ``pooled`` features.

    Counted on PyTorch's meta device, which computes nothing.
    """
    options, size = Backbone(name=name, **params.pretrained[name].model_dump()), params.images.size
    with torch.device("meta"):
        network: Any = build(options, size).eval()
        with FlopCounterMode(display=False) as counter:
            maps = network.forward_features(torch.empty(1, 3, size, size))
        pooled = network.forward_head(maps, pre_logits=True)
    macs = int(counter.get_total_flops()) // 2  # a multiply-add is two operations
    return {"macs": macs, "maps": maps.numel(), "pooled": pooled.numel()}


def _cost(work: float, rate: float | None) -> str:
    hours = "" if rate is None else f", {work / rate / 3600:,.2f} hours"
    return f"{work / 1e12:,.2f} T multiply-adds{hours}"
