"""Choose the device a network runs on, its precision and its determinism."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from wen.config.params import Compute
from wen.errors import WenError


def choose(name: str, options: Compute) -> torch.device:
    """Return the device of a name, and print it to standard error; ``auto`` is CUDA if available, else the CPU.

    Raises
    ------
    WenError
        If the named device is not available, or does not work with the installed PyTorch.
    """
    is_available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = "cuda" if is_available["cuda"] else "cpu"
    if not is_available.get(name.split(":")[0], False):
        available = ", ".join(kind for kind, present in is_available.items() if present)
        raise WenError(f"--device {name}: not available here; choose {available} or auto")
    try:
        device = torch.device(name)
        if device.type == "cuda":
            torch.cuda.set_device(device.index or 0)
        torch.zeros(1, device=device).add_(1)
    except RuntimeError as error:  # no device of this number, or a GPU that this PyTorch does not support
        raise WenError(f"--device {name}: {str(error).splitlines()[0]}") from None
    about = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} thread(s)"
    print(f"on {device}: {about}, {name_of(precision(device, options))}", file=sys.stderr)
    return device


def described(device: torch.device, options: Compute) -> str:
    """Name a device and the precision of convolutions on it, as in ``CPU, float32``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    return f"{name}, {name_of(precision(device, options))}"


def settle(options: Compute) -> None:
    """Make torch deterministic: a fixed number of threads, and deterministic kernels where they exist."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling uninitialised memory is a debugging aid that takes 3% of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # TF32 has a 10-bit mantissa. NVIDIA's containers switch it on for matrix products, by an environment variable.
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def precision(device: torch.device, options: Compute) -> torch.dtype:
    """Return the precision of convolutions: ``auto`` is bfloat16 on a GPU that has it, else float16; float32 on a CPU.

    Training in float16 needs a `torch.amp.GradScaler`. If it overflows, the stage stops and suggests
    ``compute.precision: float32``. A silent switch of one model to float32 would make the models differ in more than
    learning rate and fold.
    """
    if options.precision != "auto":
        dtype: torch.dtype = getattr(torch, options.precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a type in params.yaml."""
    return str(dtype).removeprefix("torch.")


def for_storage(options: Compute) -> Compute:
    """Return the options for computing data/features: float32 in place of ``auto``.

    The frozen network runs once for all models, so full precision costs little, and the stored arrays are accurate to
    the precision of their type.
    """
    return options.model_copy(update={"precision": "float32"}) if options.precision == "auto" else options


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Return an autocast context if ``dtype`` is a half type, else a null context."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor to the device; to a GPU asynchronously, from pinned memory."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def synchronize(device: torch.device) -> None:
    """Wait until the device has completed all submitted work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
