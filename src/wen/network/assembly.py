"""The networks of a classifier as one network: the trunk that they share once, then each one's tail."""

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

from wen.network.cut import cut
from wen.network.views import turned


class Assembly(nn.Module):
    """From 8-bit RGB images of shape (n, size, size, 3) to logits of shape (n, networks), in float32.

    NaN are the logits of an image whose activations or logits are infinite or undefined.

    Parameters
    ----------
    networks : sequence of Module
        In inference mode, with equal weights before the cut. Images are normalised as the first one's
        ``pretrained_cfg`` says.
    unfreeze_from : str
        Where they are cut.
    dtype : torch.dtype
        What the convolutions compute in.
    turns : sequence of int
        How each image is turned, as `wen.data.symmetry.turned` counts. Of several, a logit is that of the mean
        probability.
    """

    is_traced: bool
    """See `wen.network.cut.Cut`."""
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        networks: Sequence[nn.Module],
        unfreeze_from: str,
        dtype: torch.dtype = torch.float32,
        turns: Sequence[int] = (0,),
    ) -> None:
        super().__init__()
        self.turns = tuple(turns)
        pretrained: Any = networks[0].pretrained_cfg
        parts = [cut(network, unfreeze_from, dtype) for network in networks]
        self.is_traced = parts[0].is_traced
        self.trunk, self.tails = parts[0].trunk, nn.ModuleList(part.tail for part in parts)
        device = next(networks[0].parameters()).device
        self.register_buffer("mean", torch.tensor(pretrained["mean"], device=device))
        self.register_buffer("std", torch.tensor(pretrained["std"], device=device))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = (images.float() / 255 - self.mean) / self.std
        if len(self.turns) > 1:
            values = torch.cat([turned(values, turn) for turn in self.turns])
        # Not movedim(-1, 1), of which ONNX's exporter makes an axis that ONNX Runtime refuses.
        activations = self.trunk(values.permute(0, 3, 1, 2))
        logits = torch.cat([tail(activations) for tail in self.tails], 1)
        known = activations.isfinite().flatten(1).all(1, keepdim=True) & logits.isfinite()
        logits = logits.where(known, torch.nan)
        return logits if len(self.turns) == 1 else of_mean(logits.reshape(len(self.turns), -1, len(self.tails)))


def of_mean(logits: torch.Tensor) -> torch.Tensor:
    """The logit of the mean, over the first dimension, of the probabilities that logits stand for.

    The same to rounding as ``logit(sigmoid(logits).mean(0))``, but finite where a probability is rounded to 0 or 1.
    """
    # The logarithms of sigmoid(x) and of 1 - sigmoid(x) are -softplus(-x) and -softplus(x).
    return torch.logsumexp(-softplus(-logits), 0) - torch.logsumexp(-softplus(logits), 0)


def example(size: int) -> torch.Tensor:
    """Two images to trace a network with; any number may be given to it later."""
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


def to_openvino(assembly: Assembly, size: int) -> tuple[bytes, bytes]:
    """Describe an assembly as OpenVINO does: in XML, and the constants that it refers to by their place.

    Equal weights give equal bytes. A model that is read from this computes other last digits than the one that was
    converted, so a study and a bundle of it both read it.
    """
    import openvino
    from openvino.frontend import FrontEndManager  # not openvino.convert_model: it reports each use to its maker
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit.trace, which the decoder uses
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of a transformer's checks of the size
        once = {"check_trace": False}  # or it is traced twice
        decoder = TorchScriptPythonDecoder(assembly, example_input=example(size), trace_kwargs=once)
    model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, size, size, 3])
    with tempfile.TemporaryDirectory() as name:
        xml, constants = Path(name, "model.xml"), Path(name, "model.bin")
        openvino.serialize(model, xml, constants)
        return _without_names(xml.read_bytes()), constants.read_bytes()


def _without_names(xml: bytes) -> bytes:
    """Call layers by their number: OpenVINO's names count what the process has converted before."""
    xml = re.sub(rb'<net name="[^"]*"', b'<net name="classifier"', xml)
    xml = re.sub(rb'<attribute name="fused_names"[^>]*/>', b"", xml)
    return re.sub(rb'<layer id="(\d+)" name="[^"]*"', rb'<layer id="\1" name="\1"', xml)
