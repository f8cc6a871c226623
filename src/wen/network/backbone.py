"""The network: one of timm's of the EfficientNet family with a single output, and files of its weights."""

import difflib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models.efficientnet import EfficientNet

from wen.errors import WenError
from wen.files import whole
from wen.network.finite import flaw

HEAD = "classifier."
Weights = dict[str, torch.Tensor]


def build(name: str) -> EfficientNet:
    """Build the network with one output neuron in place of its old head, weights not yet loaded.

    Parameters
    ----------
    name : str
        timm's name, e.g. ``tf_efficientnetv2_m.in1k``.

    Raises
    ------
    WenError
        If timm has no such network or it is of another family.
    """
    known = timm.list_models(name.split(".")[0])
    if not known:
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=5))
        raise WenError(f"backbone.name: timm has no {name!r}" + (f"; did you mean {near}?" if near else ""))
    try:
        network = timm.create_model(name, pretrained=False, num_classes=1)
    except RuntimeError as error:  # an unknown tag after the dot
        raise WenError(f"backbone.name: {error}") from None
    if not isinstance(network, EfficientNet):
        raise WenError(f"backbone.name: {name} is a {type(network).__name__}, not of the EfficientNet family")
    return network


def load(name: str, path: Path, device: torch.device) -> EfficientNet:
    """Build a network with the weights that `save` wrote, ready for inference on ``device``.

    A backbone's file has no head; the network's is then still to be initialised.

    Raises
    ------
    WenError
        If the file is missing, damaged, of another network, or holds numbers that are none.
    """
    network = build(name)
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `dvc repro` makes it") from None
    except safetensors.SafetensorError as error:
        raise WenError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    differing = difference(weights, network.state_dict(), head=any(key.startswith(HEAD) for key in weights))
    if differing:
        raise WenError(f"{path}: is of another network than backbone.name.\n{differing}")
    if found := flaw(weights):
        raise WenError(f"{path}: {found}, which was not so when it was written; delete it and run `dvc repro`")
    network.load_state_dict(weights, strict=False)
    return network.eval().to(device).to(memory_format=torch.channels_last)


def about(path: Path) -> dict[str, Any]:
    """What `save` wrote besides the weights; a file without it is a `WenError`."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            found: dict[str, Any] = json.loads(file.metadata()["wen"])
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `dvc repro` makes it") from None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WenError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    return found


def save(weights: Weights, about: dict[str, object], path: Path) -> None:
    """Write weights as safetensors with ``about`` as JSON in the metadata's ``wen``.

    Raises
    ------
    WenError
        If a weight is infinite or undefined; nothing is written.
    """
    if found := flaw(weights):
        raise WenError(f"{path}: not written: {found}")
    # safetensors orders several metadata keys at random; one key keeps the bytes equal.
    with whole(path) as partial:
        content = safetensors.torch.save(
            {key: tensor.contiguous().cpu() for key, tensor in weights.items()},
            metadata={"wen": json.dumps(about, sort_keys=True)},
        )
        partial.write_bytes(content)


def difference(found: Weights, expected: Weights, head: bool) -> str:
    """Say which keys are missing, not expected or of another shape; empty if none. ``head``: its keys count, too."""
    wanted = {key: item.shape for key, item in expected.items() if head or not key.startswith(HEAD)}
    groups = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "of another shape": [
            f"{key} {tuple(found[key].shape)} instead of {tuple(shape)}"
            for key, shape in wanted.items()
            if key in found and found[key].shape != shape
        ],
    }
    return "\n".join(
        f"{len(keys)} {what}: {', '.join(keys[:8])}{', ...' if len(keys) > 8 else ''}"
        for what, keys in groups.items()
        if keys
    )
