"""The networks that are a classifier's members, on images that were not in the study."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from wen.config.member import Member
from wen.config.params import Compute, Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.network import backbone, device
from wen.network.assembly import Assembly, graph_of
from wen.network.compiled import Logits, compiled
from wen.network.graph import joined


class Networks:
    """The members of a classifier, of which the frozen network is loaded and run once.

    Parameters
    ----------
    members : sequence of Member
    params, paths
    where : device

    Raises
    ------
    WenError
        As `loaded` does.
    """

    def __init__(self, members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> None:
        networks = loaded(members, params, paths, where)
        cut_from, turns = params.finetune.unfreeze_from, params.predict.turns
        self.logits = logits_of(networks, cut_from, params.images.size, where, params.compute, turns)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the positive class, (images, members), from 8-bit RGB images, (images, size, size, 3).

        NaN is the probability of an image whose activations or logits are infinite or undefined.
        """
        return probabilities(self.logits(images))


def loaded(members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> list[nn.Module]:
    """Load the members' networks.

    Raises
    ------
    WenError
        If a model was trained with another preparation of images or another cut than params.yaml now says.
    """
    now = {
        "images": params.images.model_dump(),
        "backbone": params.backbone.model_dump(exclude={"weights"}),
        "unfreeze_from": params.finetune.unfreeze_from,
    }
    for file in (paths.model(member) for member in members):
        then = {key: backbone.about(file).get(key) for key in now}
        if then != now:
            raise WenError(f"{file}: trained with {then}, but params.yaml has {now}; run `dvc repro`")
    return [backbone.load(params, paths.model(member), where) for member in members]


def logits_of(
    networks: Sequence[nn.Module],
    cut_from: str,
    size: int,
    where: torch.device,
    options: Compute,
    turns: Sequence[int] = (0,),
) -> Logits:
    """Make the function that runs networks with one trunk on images of ``size`` px: by OpenVINO on a CPU, or by torch.

    Of an image that is turned by several ``turns``, it gives the logit of the mean probability.
    Torch also runs half types, in which OpenVINO would compute the heads, too, and networks that cannot be traced.
    """
    dtype = device.precision(where, options)
    openvino = where.type == "cpu" and options.cpu_engine == "openvino" and dtype == torch.float32
    graph = graph_of(networks[0], cut_from, size, turns) if openvino else None
    if graph:
        states = [{name: weight.numpy() for name, weight in one.state_dict().items()} for one in networks]
        return compiled(*joined(graph, states), options)
    assembly = Assembly(networks, cut_from, dtype, turns).eval()

    def logits(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = assembly(device.to_device(torch.from_numpy(images), where)).cpu().numpy()
        return found

    return logits


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the positive class, in float64, from logits in float32."""
    found: np.ndarray = expit(logits.astype(np.float64))
    return found
