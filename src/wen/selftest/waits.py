"""Count how often a program waits for its device, which happens whenever it reads a value back from a GPU."""

import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READ_BACK = "aten._local_scalar_dense.default"
"""The operator behind ``.item()``, ``float()`` and ``if`` on a tensor."""


class CountWaits(TorchDispatchMode):
    """Count how often the program waits for the device, including the backward pass.

    Counted are values that are read back and, on CUDA, all synchronisations that PyTorch reports.
    """

    def __init__(self, where: torch.device) -> None:
        super().__init__()
        self.where, self.total = where, 0
        self.caught = warnings.catch_warnings(record=True)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.total += str(function) == READ_BACK
        return function(*args, **(kwargs or {}))

    def __enter__(self) -> "CountWaits":
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
