"""A bundle's classifier, ready to be applied: on a CPU by OpenVINO, without torch; elsewhere by torch and timm."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wen.bundle.manifest import OPENVINO, WEIGHTS, read
from wen.config.params import Backbone, Compute, Predict
from wen.members.apply import Applied, Predictor, Preparation, batch_of, classify
from wen.network.compiled import Logits, compiled


def opened(folder: Path, device_name: str) -> Applied:
    """Check a bundle and load its classifier; ``auto`` is the CPU.

    Raises
    ------
    WenError
        If it is no bundle, of another version, incomplete or damaged; or there is no such device.
    """
    content = read(folder)
    members, images, classes = content["members"], content["images"], content["classes"]
    batch = batch_of(content["batch_size"], Predict.model_validate(content["predict"]))
    how = Preparation(images["crop"], images["size"], batch, content["data"]["usual"])
    return Applied(
        about={"classifier": content["classifier"], "study": content["study"]},
        members=[member["name"] for member in members],
        weight=np.array([member["weight"] for member in members]),
        temperature=np.array([member["temperature"] for member in members]),
        classes=(classes["negative"], classes["positive"]),
        threshold=content["threshold"],
        seed=content["seed"],
        answers=partial(classify, predictor=_predictor(folder, content, device_name), how=how),
    )


def _predictor(folder: Path, content: dict[str, Any], device_name: str) -> Predictor:
    options = Compute.model_validate(content["compute"])
    on_cpu = device_name in ("auto", "cpu") and options.precision in ("auto", "float32")
    if on_cpu and options.cpu_engine == "openvino":
        logits = compiled(folder / OPENVINO, folder / WEIGHTS, options)
    else:
        logits = _by_torch(folder / WEIGHTS, content, "cpu" if device_name == "auto" else device_name)

    def probabilities(images: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        found: np.ndarray = expit(logits(images).astype(np.float64))
        return found

    return probabilities


def _by_torch(path: Path, content: dict[str, Any], device_name: str) -> Logits:
    from wen.bundle import weights
    from wen.members.networks import logits_of
    from wen.network import device

    options, size = Compute.model_validate(content["compute"]), content["images"]["size"]
    device.settle(options)
    where = device.choose(device_name, options)
    names = [member["name"] for member in content["members"]]
    network = content["network"]
    networks = weights.load(path, names, Backbone.model_validate(network["backbone"]), size, where)
    turns = Predict.model_validate(content["predict"]).turns
    return logits_of(networks, network["unfreeze_from"], size, where, options, turns)
