"""A training that was stopped, however it was stopped, goes on from its last finished epoch."""

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

Weights = dict[str, torch.Tensor]
DEPENDS_ON = {"seed", "images", "backbone", "augment", "features", "train", "head", "finetune", "compute"}


@dataclass
class Progress:
    """What a training knows after an epoch."""

    stage: str
    epoch: int
    """Epochs of the stage that are finished."""
    waited: int
    """Epochs since the best one."""
    rows: list[dict[str, float]]
    """What was logged for each epoch of both stages."""
    best: dict[str, Any]
    """The best epoch: its stage, number, accuracy and loss."""
    scaler: dict[str, Any] = field(default_factory=dict)
    tensors: Weights = field(default_factory=dict)
    """``trained.KEY`` and ``best.KEY`` of the tail, ``average.KEY`` of the module, ``optimizer.INDEX.KEY``."""

    def part(self, name: str) -> Weights:
        """The tensors under one name."""
        held = {key: tensor for key, tensor in self.tensors.items() if key.startswith(f"{name}.")}
        return {key.removeprefix(f"{name}."): tensor for key, tensor in held.items()}


class Checkpoint:
    """The file of one model's training.

    Parameters
    ----------
    path : Path
    fingerprint : str
        Of all that the training depends on; a file of another one is not resumed from.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def load(self) -> Progress | None:
        """Read the file; None if there is none, or it is damaged or of another training."""
        try:
            with safetensors.safe_open(self.path, "pt") as file:
                about = json.loads(file.metadata()["wen"])
                written = about.pop("sha256"), about.pop("fingerprint")
                if written[1] != self.fingerprint:
                    return None
                progress = Progress(**about, tensors={key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
                return progress if _digest(about, progress.tensors) == written[0] else None
        except (AttributeError, FileNotFoundError, KeyError, safetensors.SafetensorError, ValueError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        """Replace the file, whole or not at all."""
        about = {key: value for key, value in vars(progress).items() if key != "tensors"}
        tensors = {key: tensor.detach().contiguous().cpu().clone() for key, tensor in progress.tensors.items()}
        with atomic(self.path) as partial:
            proof = {"sha256": _digest(about, tensors), "fingerprint": self.fingerprint}
            metadata = {"wen": json.dumps(about | proof)}
            partial.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def fingerprint(params: Params, paths: Paths, member: Member) -> str:
    """Hash all that one model's training depends on: parameters, data, weights, code and libraries."""
    content = hashlib.sha256()
    content.update(json.dumps([member.name, params.model_dump(include=DEPENDS_ON)]).encode())
    for path in (paths.index, paths.split, paths.backbone):
        content.update(sha256(path.read_bytes()).encode())
    content.update(listed.current("train-fold", paths).encode())
    return content.hexdigest()


def _digest(about: dict[str, Any], tensors: Weights) -> str:
    """SHA-256 of all that a checkpoint holds."""
    content = hashlib.sha256(json.dumps(about).encode())
    for key, tensor in sorted(tensors.items()):
        content.update(key.encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Weights:
    """The optimiser's state by ``optimizer.INDEX.KEY``."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{index}.{key}": value for index, values in state.items() for key, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Weights) -> None:
    """Give an optimiser the state that `optimizer_tensors` took, by ``INDEX.KEY``."""
    parameters = optimizer.param_groups[0]["params"]
    state: dict[int, Weights] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        # In the parameter's own memory format: a fused step takes them for equally laid out.
        restored = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state.setdefault(int(index), {})[key] = restored
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
