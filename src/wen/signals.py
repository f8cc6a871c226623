"""The signals by which a person or a scheduler stops a program."""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux' prctl
STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU")
    if hasattr(signal, name)  # not all are on every system
]


def end_with_parent() -> None:
    """Have the system stop this process when its parent, DVC, is killed alone; else it would go on unseen.

    Then the next `dvc repro` would begin beside it. Only Linux can; elsewhere nothing is done.
    """
    if sys.platform != "linux":
        return
    import ctypes  # here, so that signals are handled as early as can be

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed just now
        os.kill(os.getpid(), signal.SIGTERM)
