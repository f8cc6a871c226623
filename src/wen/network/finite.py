"""Error messages about infinite or NaN weights, features and logits."""

from collections.abc import Mapping, Sequence

import torch

from wen.errors import Message, WenError
from wen.network.arrays import Turned, View
from wen.network.device import name_of


def flaw(weights: Mapping[str, torch.Tensor]) -> Message:
    """Describe invalid weights: NaN, infinite, or a negative variance. Empty if all weights are valid."""
    found = {key: problem for key, tensor in weights.items() if (problem := _problem(key, tensor))}
    if not found:
        return ""
    key, problem = next(iter(found.items()))
    others = (
        f", and {len(found) - 1} more of its {len(weights)} tensors have the same problem" if len(found) > 1 else ""
    )
    return f"{key} holds {problem}{others}"


def kind_of(values: torch.Tensor) -> Message:
    """Name the kind of the values that are not finite."""
    return "NaN" if values.isnan().any() else "infinite numbers"


def overflow(dtype: torch.dtype, remedy: str) -> Message:
    """Explain why finite weights give infinite or NaN outputs, and suggest a remedy.

    Parameters
    ----------
    dtype : torch.dtype
        Precision of the convolutions.
    remedy : str
        Remedy to suggest if ``dtype`` has the largest range already.
    """
    if dtype == torch.float16:
        return "computed in float16, whose largest number is 65504; set compute.precision: float32"
    return f"computed in {name_of(dtype)} from weights that are finite but too large; {remedy}"


def nonfinite_error(source: str, images: Sequence[str], view: View, problem: str, reason: str) -> WenError:
    """Return the error for images with infinite or NaN outputs; it names the first image."""
    more = f" and of {len(images) - 1} more images" if len(images) > 1 else ""
    which = f" ({view})" if isinstance(view, Turned) else "" if view is None else f" (random view {view})"
    return WenError(f"{source} of image {images[0]}{which}{more}: {problem}; {reason}")


def _problem(key: str, tensor: torch.Tensor) -> Message:
    if not tensor.isfinite().all():
        return kind_of(tensor)
    if key.endswith("running_var") and (tensor < 0).any():
        return "a negative variance"
    return ""
