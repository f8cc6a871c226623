"""The device a network runs on, and its arithmetic."""

import os
from contextlib import AbstractContextManager

import torch

from wen.errors import WenError
from wen.params import Compute


def choose(name: str) -> torch.device:
    """Turn ``auto`` into the best device there is (CUDA, then MPS, then CPU), or take one by name.

    Raises
    ------
    WenError
        If the named device is not here.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in here.items() if available))
    if not here.get(name.split(":")[0], False):
        available = ", ".join(kind for kind, there in here.items() if there)
        raise WenError(f"--device {name}: not available here; there is {available} (or auto)")
    return torch.device(name)


def settle(options: Compute) -> None:
    """Make torch repeatable: a fixed number of threads, deterministic kernels where there are any."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not repeatable without
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def precision(device: torch.device, options: Compute) -> torch.dtype:
    """The type that convolutions compute in: ``auto`` is bfloat16 or float16 on a GPU that has it.

    float16 needs a `torch.amp.GradScaler` in training.
    """
    if options.precision != "auto":
        dtype: torch.dtype = getattr(torch, options.precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Mixed precision if ``dtype`` is a half type, plain arithmetic otherwise."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Send a tensor to the device; a GPU fetches it by itself, from pinned memory, while the program goes on."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def wait(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
