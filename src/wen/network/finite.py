"""Numbers that are none: infinite or undefined (NaN) weights, features and logits, and what to do about them."""

from collections.abc import Mapping, Sequence

import torch

from wen.errors import Message, WenError
from wen.network.arrays import Turned, View


def flaw(weights: Mapping[str, torch.Tensor]) -> Message:
    """Say which weights no network can have: NaN, infinite, or a negative variance; empty if there are none."""
    found = {key: problem for key, tensor in weights.items() if (problem := _problem(key, tensor))}
    if not found:
        return ""
    key, problem = next(iter(found.items()))
    others = (
        (f", and {len(found) - 1} more of its {len(weights)} tensors have the same problem") if len(found) > 1 else ""
    )
    return f"{key} holds {problem}{others}"


def kind_of(values: torch.Tensor) -> Message:
    """What the numbers that are none are."""
    return "NaN" if values.isnan().any() else "infinite numbers"


def overflow(dtype: torch.dtype, remedy: str) -> Message:
    """Say why finite weights give no finite number for an image, and what to do.

    Parameters
    ----------
    dtype : torch.dtype
        What the convolutions compute in.
    remedy : str
        What to do about the weights, where no other type has more range.
    """
    if dtype == torch.float16:
        return "computed in float16, whose largest number is 65504; set compute.precision: float32"
    name = str(dtype).removeprefix("torch.")
    return f"computed in {name} from weights that are finite but too large; {remedy}"


def refusal(source: str, images: Sequence[str], view: View, problem: str, reason: str) -> WenError:
    """Make the error that some images' numbers are none, which names the first of them."""
    more = f" and of {len(images) - 1} more images" if len(images) > 1 else ""
    which = f" ({view})" if isinstance(view, Turned) else "" if view is None else f" (random view {view})"
    return WenError(f"{source} of image {images[0]}{which}{more}: {problem}; {reason}")


def _problem(key: str, tensor: torch.Tensor) -> Message:
    if not tensor.isfinite().all():
        return kind_of(tensor)
    if key.endswith("running_var") and (tensor < 0).any():
        return "a negative variance"
    return ""
