"""classifier.onnx: from images to probabilities; and a comparison of ONNX Runtime with torch."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from torch import nn

from wen.errors import WenError
from wen.evaluation.metrics import CLIP
from wen.network.assembly import Assembly, example

LARGEST = 1e-4
"""Largest difference from torch's probabilities that is accepted."""
OPSET = 18
HIGHEST_LOGIT = float(logit(1 - CLIP))
"""Limit of the logits that a temperature divides, as in `wen.ensemble.temperature.scale`."""
MISSING = (
    "onnx and onnxruntime, which wen export needs, are not installed here: pip install -c constraints.txt -e "
    "'.[export]'"
)


class Answering(nn.Module):
    """An ensemble that maps 8-bit RGB images of shape (n, size, size, 3) to probabilities of the positive class.

    It returns those of the ensemble, of shape (n,), and those of each member, of shape (n, members), which are not
    scaled by a temperature.
    """

    weight: torch.Tensor
    temperature: torch.Tensor

    def __init__(self, assembly: Assembly, weight: np.ndarray, temperature: np.ndarray) -> None:
        super().__init__()
        self.assembly = assembly
        self.register_buffer("weight", torch.tensor(weight, dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.assembly(images)
        clipped = logits.clamp(-HIGHEST_LOGIT, HIGHEST_LOGIT)
        return (torch.sigmoid(clipped / self.temperature) * self.weight).sum(1), torch.sigmoid(logits)


def check_installed() -> None:
    """Raise a `WenError` with the command to install ONNX, if it is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise WenError(MISSING) from None


def write(network: Answering, size: int, about: dict[str, str], path: Path) -> None:
    """Write a network with input ``images`` and outputs ``probability`` and ``members``.

    It accepts any number of images. Equal networks give equal bytes.

    Parameters
    ----------
    network : Answering
    size : int
    about : dict
        Metadata of the file.
    path : Path
    """
    import onnx

    names = ("images", "probability", "members")
    with warnings.catch_warnings():
        # From torch.jit.trace and its exporter; the newer exporter needs another package and takes 15 times as long.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # from the checks of the image size in transformers
        torch.onnx.export(
            network, (example(size),), path, input_names=names[:1], output_names=names[1:], opset_version=OPSET,
            dynamic_axes={name: {0: "n"} for name in names}, dynamo=False,
        )  # fmt: skip
    model = onnx.load(path)
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def difference(network: Answering, images: np.ndarray, path: Path) -> float:
    """Return the largest difference between the probabilities of ONNX Runtime and torch.

    Raises
    ------
    WenError
        If it is larger than `LARGEST`.
    """
    import onnxruntime

    with torch.inference_mode():
        expected, _ = network(torch.from_numpy(images))
    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found, _ = session.run(None, {"images": images})
    largest = float(np.abs(found - expected.numpy()).max())
    if not largest <= LARGEST:
        raise WenError(
            f"{path.name}: not written, because ONNX Runtime's probabilities differ from torch's by {largest:.1g}"
        )
    return largest
