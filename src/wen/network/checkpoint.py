"""Checkpoints of one model's training: an interrupted training resumes after its last completed epoch."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from wen.code import listed
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import atomic, sha256
from wen.network import device
from wen.network.arrays import ends
from wen.network.weights_file import Weights

DEPENDS_ON = {"seed", "images", "backbone", "augment", "features", "train", "head", "finetune", "compute"}


@dataclass
class Progress:
    """State of a training after an epoch. The field names are the keys of the checkpoint's JSON metadata."""

    stage: str
    epoch: int
    """Number of completed epochs of the stage."""
    waited: int
    """Number of epochs since the last improvement, compared with the patience."""
    rows: list[dict[str, float]]
    """Metrics of each completed epoch, of both stages."""
    best: dict[str, Any]
    """The best epoch: its stage, number, accuracy and loss."""
    scaler: dict[str, Any] = field(default_factory=dict)
    tensors: Weights = field(default_factory=dict)
    """Tensors named ``trained.KEY`` and ``best.KEY`` (keys of the tail), ``average.KEY`` (keys of the stage's module)
    and ``optimizer.INDEX.KEY``."""

    def group(self, name: str) -> Weights:
        """Return the tensors named ``name.KEY``, by KEY."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}


class Checkpoint:
    """Checkpoint file of one model's training.

    Parameters
    ----------
    path : Path
    fingerprint : str
        Hash of everything that the training depends on. A checkpoint with another fingerprint is ignored.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def load(self) -> Progress | None:
        """Read the checkpoint; None if it is missing, damaged or has another fingerprint."""
        try:
            with safetensors.safe_open(self.path, "pt") as file:
                about = json.loads(file.metadata()["wen"])
                digest, fingerprint = about.pop("sha256"), about.pop("fingerprint")
                if fingerprint != self.fingerprint:
                    return None
                progress = Progress(**about, tensors={key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
                return progress if _digest(about, progress.tensors) == digest else None
        except (AttributeError, FileNotFoundError, KeyError, safetensors.SafetensorError, ValueError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        """Replace the checkpoint atomically."""
        about = {key: value for key, value in vars(progress).items() if key != "tensors"}
        tensors = {key: tensor.detach().contiguous().cpu().clone() for key, tensor in progress.tensors.items()}
        with atomic(self.path) as partial:
            checks = {"sha256": _digest(about, tensors), "fingerprint": self.fingerprint}
            metadata = {"wen": json.dumps(about | checks)}
            partial.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def fingerprint(params: Params, paths: Paths, member: Member, where: torch.device) -> str:
    """Hash everything that a model's training depends on: parameters, data, features, weights, code, device."""
    content = hashlib.sha256(device.described(where, params.compute).encode())
    content.update(json.dumps([member.name, params.model_dump(include=DEPENDS_ON)]).encode())
    for path in (paths.index, paths.split, paths.backbone):
        content.update(sha256(path.read_bytes()).encode())
    content.update(ends(sorted(paths.features.glob("*.npy"))).encode())
    content.update(listed.current(["train-fold"], paths)["train-fold"].encode())
    return content.hexdigest()


def _digest(about: dict[str, Any], tensors: Weights) -> str:
    """SHA-256 of the metadata and tensors of a checkpoint."""
    content = hashlib.sha256(json.dumps(about).encode())
    for key, tensor in sorted(tensors.items()):
        content.update(key.encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Weights:
    """Return the optimiser's state as tensors named ``optimizer.INDEX.KEY``."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{index}.{key}": value for index, values in state.items() for key, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Weights) -> None:
    """Load the state that `optimizer_tensors` returned, by ``INDEX.KEY``, into an optimiser."""
    parameters = optimizer.param_groups[0]["params"]
    state: dict[int, Weights] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        # In the parameter's memory format, which fused Adam requires of its moments.
        restored = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
        state.setdefault(int(index), {})[key] = restored
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
