"""Report failures: one sentence for what the user can correct, a traceback for everything else."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from wen.errors import Message, WenError

NO_MEMORY = r"out of memory|allocate.* memory|bad_alloc|alloc_failed|can't start new thread|failed to map segment"
MEMORY: Message = (
    "not enough memory. End other programs or train fewer models at once (wen run --jobs 1). Only if that is not "
    "enough, lower train.batch_size or images.size: this changes the study"
)
GPU_MEMORY: Message = (
    "not enough memory on the GPU. End other programs on it (see nvidia-smi), train one model per GPU "
    "(wen run --gpus-per-job 1), or set compute.precision: auto (half of float32's) or features.activations: true "
    "(the frozen part then runs once). Only if that is not enough, lower train.batch_size or images.size: this "
    "changes the study"
)


@contextmanager
def reported() -> Iterator[None]:
    """Convert errors that the user can correct into one message and exit code 1."""
    try:
        yield
    except WenError as error:
        _end(str(error))
    except OSError as error:
        _end(f"{error.filename or 'a file'}: {error.strerror or error}; no partial output was written")
    except (ImportError, MemoryError, RuntimeError) as error:  # which of them depends on who asks for memory
        if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, str(error), re.IGNORECASE):
            raise
        found = " ".join(str(error).split())[:200]
        _end(f"{GPU_MEMORY if re.search('CUDA|HIP|MPS', found) else MEMORY} ({found})")


def _end(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
