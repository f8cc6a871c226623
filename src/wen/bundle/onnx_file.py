"""classifier.onnx: images in, the probability out; and whether ONNX Runtime gives what torch gives."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wen.errors import WenError
from wen.network.assembly import Assembly, example

LARGEST = 1e-4
"""How far a probability may be from torch's."""
OPSET = 18
MISSING = (
    "onnx and onnxruntime, which wen export needs, are not installed here: pip install -c constraints.txt -e "
    "'.[export]'"
)


class Answering(nn.Module):
    """An ensemble: 8-bit RGB images of shape (n, size, size, 3) to probabilities of the positive class.

    Of shape (n,), the ensemble's; and of shape (n, members), each member's, not scaled by its temperature.
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
        return (torch.sigmoid(logits / self.temperature) * self.weight).sum(1), torch.sigmoid(logits)


def check_installed() -> None:
    """Raise a `WenError` that says how to install what writes and runs ONNX."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise WenError(MISSING) from None


def write(network: Answering, size: int, about: dict[str, str], path: Path) -> None:
    """Write ``images`` -> ``probability``, ``members``, for any number of images; equal networks give equal bytes.

    Parameters
    ----------
    network : Answering
    size : int
    about : dict
        What the file's metadata say.
    path : Path
    """
    import onnx

    names = ("images", "probability", "members")
    with warnings.catch_warnings():
        # Of torch.jit.trace and its exporter; the newer one needs a package more and takes fifteen times as long.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of a transformer's checks of the size
        torch.onnx.export(
            network, (example(size),), path, input_names=names[:1], output_names=names[1:], opset_version=OPSET,
            dynamic_axes={name: {0: "n"} for name in names}, dynamo=False,
        )  # fmt: skip
    model = onnx.load(path)
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def difference(network: Answering, images: np.ndarray, path: Path) -> float:
    """How far ONNX Runtime's probabilities are from torch's, at most.

    Raises
    ------
    WenError
        If by more than `LARGEST`.
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
