"""The signals by which a person or a scheduler stops a program."""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux' prctl
STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU")
    if hasattr(signal, name)  # not every system has all
]


def end_with_parent() -> None:
    """Have Linux stop this process when only its parent, DVC, is killed; do nothing on other systems.

    Otherwise the process would continue unseen, and the next `dvc repro` would run beside it.
    """
    if sys.platform != "linux":
        return
    import ctypes  # here, so that signals are handled as early as possible

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # killed since the first call
        os.kill(os.getpid(), signal.SIGTERM)
