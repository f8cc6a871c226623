"""The device a network runs on, and its arithmetic."""

import os
import sys
from contextlib import AbstractContextManager

import torch

from wen.errors import WenError
from wen.params import Compute


def choose(name: str, options: Compute) -> torch.device:
    """Take a device by name, or with ``auto`` CUDA where it is, else the CPU; say which on standard error.

    Raises
    ------
    WenError
        If the named device is not here, or does not work with this PyTorch.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = "cuda" if here["cuda"] else "cpu"
    if not here.get(name.split(":")[0], False):
        available = ", ".join(kind for kind, there in here.items() if there)
        raise WenError(f"--device {name}: not available here; there is {available} (or auto)")
    try:
        device = torch.device(name)
        if device.type == "cuda":
            torch.cuda.set_device(device.index or 0)
        torch.zeros(1, device=device).add_(1)
    except RuntimeError as error:  # no such number, or a GPU that this PyTorch has no code for
        raise WenError(f"--device {name}: {str(error).splitlines()[0]}") from None
    about = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} thread(s)"
    print(f"on {device}: {about}, {str(precision(device, options)).removeprefix('torch.')}", file=sys.stderr)
    return device


def settle(options: Compute) -> None:
    """Make torch repeatable: a fixed number of threads, deterministic kernels where there are any."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not repeatable without
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling new memory helps to find mistakes, and takes 3% of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 is to mean it


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
