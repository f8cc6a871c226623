"""How often a program waits for its device: a GPU runs on by itself as long as no step asks for a number back."""

import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ASKS_BACK = "aten._local_scalar_dense.default"
"""What .item(), float() and if do with a tensor."""


class Waits(TorchDispatchMode):
    """Counts how often the program waits for the device, the backward pass included.

    That is each number that is asked for; on CUDA also each synchronisation that PyTorch knows of.
    """

    def __init__(self, where: torch.device) -> None:
        super().__init__()
        self.where, self.total = where, 0
        self.caught = warnings.catch_warnings(record=True)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.total += str(function) == ASKS_BACK
        return function(*args, **(kwargs or {}))

    def __enter__(self) -> "Waits":
        self.log = self.caught.__enter__()
        warnings.simplefilter("always")
        if self.where.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self.where.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
        self.caught.__exit__(*error)
        self.total += sum("called a synchronizing" in str(warning.message) for warning in self.log or ())
