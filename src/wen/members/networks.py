"""Load the networks of a classifier, and run them on new images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from wen.config.member import Member
from wen.config.params import Compute, Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.network import backbone, device
from wen.network.assembly import Assembly, to_graph
from wen.network.compiled import Logits, compiled
from wen.network.graph import joined


def load_networks(members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> list[nn.Module]:
    """Load the members' networks.

    Raises
    ------
    WenError
        If a model was trained with other images, another backbone or another cut than params.yaml says.
    """
    expected = {
        "images": params.images.model_dump(),
        "backbone": params.backbone.model_dump(exclude={"weights"}),
        "unfreeze_from": params.finetune.unfreeze_from,
    }
    for file in (paths.model(member) for member in members):
        found = {key: backbone.about(file).get(key) for key in expected}
        if found != expected:
            raise WenError(f"{file}: trained with {found}, but params.yaml has {expected}; run `dvc repro`")
    return [backbone.load(params, paths.model(member), where) for member in members]


def logits_of(
    networks: Sequence[nn.Module],
    cut_from: str,
    size: int,
    where: torch.device,
    options: Compute,
    turns: Sequence[int],
) -> Logits:
    """Return a function that runs networks with a shared trunk on images of ``size`` px.

    It runs in OpenVINO on a CPU in float32, else in torch. Half precision always runs in torch, because OpenVINO would
    also compute the heads in it; so do networks that cannot be traced. With several ``turns``, the function returns
    the logit of the mean probability.
    """
    dtype = device.precision(where, options)
    openvino = where.type == "cpu" and options.cpu_engine == "openvino" and dtype == torch.float32
    graph = to_graph(networks[0], cut_from, size, turns) if openvino else None
    if graph:
        states = [{name: weight.numpy() for name, weight in one.state_dict().items()} for one in networks]
        return compiled(*joined(graph, states), options)
    assembly = Assembly(networks, cut_from, dtype, turns).eval()

    def logits(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            output: np.ndarray = assembly(device.to_device(torch.from_numpy(images), where)).cpu().numpy()
        return output

    return logits
