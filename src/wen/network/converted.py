"""Convert a module of torch to OpenVINO."""

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import openvino


def to_openvino(module: nn.Module, example: torch.Tensor) -> "openvino.Model":
    """Convert a module for inputs like an example, and any batch size."""
    from openvino.frontend import FrontEndManager  # not openvino.convert_model, which sends usage data
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from torch.jit.trace, which the decoder uses
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # from the image size checks of transformers
        # Tracing by torch.fx has succeeded, so the network runs the same way each time; checking that doubles the time.
        decoder = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
    model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, *example.shape[1:]])
    return model
