"""Read weights from safetensors and PyTorch files without running code in them, and explain files that are neither."""

import argparse
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from wen.errors import Message, WenError

Weights = dict[str, torch.Tensor]
WRAPPERS = (
    "state_dict_ema", "model_ema", "params_ema", "ema", "state_dict", "model_state_dict", "model_state", "model",
    "net", "network", "params", "weights", "module",
)  # fmt: skip
"""Keys under which checkpoints keep the weights. Averaged weights come first, as in timm."""
SCALAR = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace,  # options in the checkpoints of timm's train.py
    np.dtype,
    type(np.dtype("float64")),
    type(np.dtype("int64")),
    (SCALAR, "numpy.core.multiarray.scalar"),  # written with numpy 1
    (SCALAR, "numpy._core.multiarray.scalar"),
]
"""Types that a checkpoint may contain besides tensors: options and metrics of the training."""
FOREIGN = {
    b"version https://git-lfs": "a git-lfs pointer instead of the file; run `git lfs pull` where it came from",
    b"<": "a web page, which sites send instead of a file that requires a login; download it again",
    b"\x89HDF": "HDF5, as written by Keras; save the weights as safetensors with timm's names",
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"ustar": "a tar archive; unpack it",
}
"""First bytes of common files that are not checkpoints, and what these files are."""


def read(path: Path) -> tuple[Weights, str]:
    """Read the named tensors of a safetensors or PyTorch file. The format is recognised from the content.

    Returns
    -------
    dict
        The weights.
    str
        The key under which they were found, such as ``state_dict`` or ``model.ema``; empty at the top level.

    Raises
    ------
    WenError
        If the file is missing or of another kind. The message says what the file is.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise WenError(f"backbone.weights: no such file: {path}; correct the path, or set hub or pip") from None
    except OSError as error:
        raise WenError(f"backbone.weights: {path}: {error.strerror}") from None
    if cause := _foreign(path, start):
        raise WenError(f"backbone.weights: {path} is not a checkpoint of tensors: {cause}")
    try:
        content = safetensors.torch.load_file(path) if start[8:9] == b"{" else _load(path)
    except Exception as error:  # torch and safetensors raise many types for other files
        raise WenError(f"backbone.weights: {path} is not a checkpoint of tensors: {_cause(error, start)}") from None
    weights, wrapper = _unwrapped(content)
    if not weights:
        raise WenError(
            f"backbone.weights: {path} contains something other than named tensors ({_content(content)}); save "
            "model.state_dict()"
        )
    return weights, wrapper


def _load(path: Path) -> Any:
    with torch.serialization.safe_globals(HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _foreign(path: Path, start: bytes) -> Message:
    """Describe a file that is not a checkpoint, from its first bytes; empty if it may be one."""
    if not start:
        return "the file is empty"
    for magic, kind in FOREIGN.items():
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(magic) or (magic == b"ustar" and start[257:262] == magic):
            return kind
    if path.suffix == ".onnx" or (start[:1] == b"\x08" and b"onnx" in start[:64]):
        return "an ONNX graph; save the weights as safetensors with timm's names"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("constants.pkl") for name in names):
            return "a TorchScript program; save its state_dict()"
        if any(name.endswith(".npy") for name in names):
            return "NumPy arrays; save the weights as safetensors with timm's names"
        if not any(name.endswith("data.pkl") for name in names):
            return f"a zip archive of {len(names)} other files ({', '.join(names[:3])}); unpack it"
    return ""


def _cause(error: Exception, start: bytes) -> Message:
    """Explain an error of torch or safetensors, without torch's advice to load the file unsafely."""
    text = str(error)
    if found := re.search(r"GLOBAL (\S+)", text):
        return (
            f"it contains {found[1]}, an object that only code can create, and code in a file is never run; save "
            "model.state_dict() alone where it was made"
        )
    if isinstance(error, safetensors.SafetensorError) and start[8:9] == b"{":
        return f"damaged safetensors ({text})"
    return "neither safetensors nor a torch.save file, or damaged"


def _unwrapped(content: Any) -> tuple[Weights, str]:
    """Find the named tensors in the content of a checkpoint, and the keys under which they are nested."""
    if not isinstance(content, dict):
        return {}, ""
    for key in WRAPPERS:
        if isinstance(content.get(key), dict):
            weights, inner = _unwrapped(content[key])
            if weights:
                return weights, f"{key}.{inner}" if inner else key
    tensors = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
    named = len(tensors) == len(content) and all(isinstance(key, str) for key in content)
    return (tensors, "") if named else ({}, "")


def _content(content: Any) -> Message:
    if not isinstance(content, dict):
        return type(content).__name__
    return f"keys {', '.join(map(str, list(content)[:8]))}" if content else "nothing"
