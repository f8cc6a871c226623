"""Load the classifier of a bundle: on a CPU with OpenVINO, without torch; on other devices with torch and timm."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wen.bundle.manifest import OPENVINO, WEIGHTS, read
from wen.config.params import Backbone, Compute, Predict
from wen.errors import WenError
from wen.members.apply import Applied, Predictor, Preparation, batch_of, classify, probabilities
from wen.members.located import Maps
from wen.network.compiled import Logits, compiled

if TYPE_CHECKING:
    import torch
    from torch import nn


def opened(folder: Path, device_name: str) -> Applied:
    """Check a bundle and load its classifier.

    Parameters
    ----------
    folder : Path
        Written by ``wen export``.
    device_name : str
        ``auto`` (the CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Returns
    -------
    Applied
        ``answers(files)`` yields an `Answer`, or an error message, for each image.

    Raises
    ------
    WenError
        If the folder is not a bundle of this version, if it is incomplete or damaged, or if the device does not exist.
    """
    content = read(folder)
    members, images, classes = content["members"], content["images"], content["classes"]
    batch = batch_of(content["batch_size"], Predict.model_validate(content["predict"]))
    how = Preparation(images["crop"], images["size"], batch, content["data"]["usual"])
    weight = np.array([member["weight"] for member in members])
    return Applied(
        about={"classifier": content["classifier"], "study": content["study"]},
        members=[member["name"] for member in members],
        weight=weight,
        temperature=np.array([member["temperature"] for member in members]),
        classes=(classes["negative"], classes["positive"]),
        threshold=content["threshold"],
        seed=content["seed"],
        answers=partial(classify, predictor=_predictor(folder, content, device_name), how=how),
        how=how,
        synthetic=content["data"]["synthetic"],
        maps=Maps(partial(_networks_again, folder, content), content["network"]["unfreeze_from"], weight),
    )


def _predictor(folder: Path, content: dict[str, Any], device_name: str) -> Predictor:
    options = Compute.model_validate(content["compute"])
    on_cpu = device_name in ("auto", "cpu") and options.precision in ("auto", "float32")
    if on_cpu and options.cpu_engine == "openvino":
        logits = compiled(folder / OPENVINO, folder / WEIGHTS, options)
    else:
        logits = _by_torch(folder, content, "cpu" if device_name == "auto" else device_name)

    return lambda images: probabilities(logits(images))


def _by_torch(folder: Path, content: dict[str, Any], device_name: str) -> Logits:
    from wen.members.networks import logits_of
    from wen.network import device

    options, size = Compute.model_validate(content["compute"]), content["images"]["size"]
    device.settle(options)
    where, cut_from = device.choose(device_name, options), content["network"]["unfreeze_from"]
    turns = Predict.model_validate(content["predict"]).turns
    return logits_of(_networks(folder, content, where), cut_from, size, where, options, turns)


def _networks(folder: Path, content: dict[str, Any], where: "torch.device") -> "list[nn.Module]":
    """Build the members' networks with timm, for inference."""
    from wen.bundle import weights

    names = [member["name"] for member in content["members"]]
    backbone = Backbone.model_validate(content["network"]["backbone"])
    return weights.load(folder / WEIGHTS, names, backbone, content["images"]["size"], where)


def _networks_again(folder: Path, content: dict[str, Any]) -> "list[nn.Module]":
    """Build the networks on the CPU; refuse a bundle that changed after it was opened."""
    import torch

    from wen.network import device

    if read(folder) != content:
        raise WenError(f"{folder}: changed since it was opened; run this again")
    device.settle(Compute.model_validate(content["compute"]))
    return _networks(folder, content, torch.device("cpu"))
