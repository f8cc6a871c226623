"""The device a network runs on, and its arithmetic."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from wen.config.params import Compute
from wen.errors import WenError


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
        raise WenError(f"--device {name}: not available here; choose {available} or auto")
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
    """The type that convolutions compute in: ``auto`` is bfloat16 on a GPU, or float16 where it has no bfloat16.

    float16 needs a `torch.amp.GradScaler` in training. Where it overflows, the stage stops and names
    ``compute.precision: float32``: were one model to change to it by itself, the models would differ by more than
    rate and fold.
    """
    if options.precision != "auto":
        dtype: torch.dtype = getattr(torch, options.precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def for_storage(options: Compute) -> Compute:
    """What data/features is computed with: float32, unless ``precision`` names a half type.

    The frozen network runs there once for all models, so full precision costs little, and what is stored as float32
    or float16 has the digits that these hold.
    """
    return options.model_copy(update={"precision": "float32"}) if options.precision == "auto" else options


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Mixed precision if ``dtype`` is a half type, plain arithmetic otherwise."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Send a tensor to the device; a GPU fetches it by itself, from pinned memory, while the program goes on."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def wait(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
