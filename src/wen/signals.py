"""The signals by which a person or a scheduler stops a program."""

import signal

STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU")
    if hasattr(signal, name)  # not all are on every system
]
