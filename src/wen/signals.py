"""Signals by which users and schedulers stop a program."""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux' prctl
STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU")
    if hasattr(signal, name)  # not all systems have all of them
]


def end_with_parent() -> None:
    """On Linux, stop this process if only its parent, DVC, is killed; on other systems, do nothing.

    Otherwise the process would continue unnoticed, in parallel with the next `dvc repro`.
    """
    if sys.platform != "linux":
        return
    import ctypes  # here, so that signals are handled as early as possible

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # killed since the first call
        os.kill(os.getpid(), signal.SIGTERM)
