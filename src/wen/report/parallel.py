"""Call a function on many items in forked processes. Threads would not help: drawing holds Python's global lock."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from joblib import cpu_count

from wen.signals import STOPPING, end_with_parent

MOST = 4
"""Maximum number of processes; each takes up to 100 MB."""
Item = TypeVar("Item")


def for_each(work: Callable[[Item], None], items: Sequence[Item], processes: int | None = None) -> None:
    """Call a function on every item, in this process and forked ones.

    Parameters
    ----------
    work : callable
        Its results must be files: changes in the memory of a forked process are lost.
    items : sequence
    processes : int or None
        None: one per core that this process may use, at most `MOST`. Only Linux forks safely; elsewhere it is one.

    Raises
    ------
    Exception
        Whatever ``work`` raises. If a forked process fails, this one repeats its items and so raises the error.
    """
    count = min(processes or min(MOST, cpu_count()), len(items)) if sys.platform == "linux" else 1
    if count < 2:
        _call(work, items)
        return
    shares = [items[k::count] for k in range(count)]
    workers = [_fork(work, share) for share in shares[1:]]
    try:
        _call(work, shares[0])
    finally:
        statuses = [os.waitpid(worker, 0)[1] for worker in workers]
    for status, share in zip(statuses, shares[1:], strict=True):
        if status:
            _call(work, share)


def _call(work: Callable[[Item], None], share: Sequence[Item]) -> None:
    for item in share:
        work(item)


def _fork(work: Callable[[Item], None], share: Sequence[Item]) -> int:
    """Start a process and return its number. It ends silently on a stop signal, on an error, and with its parent.

    Not with multiprocessing: in Python 3.14 it discards in the new process what the parent registered with atexit, and
    a destructor may then wait forever for a thread, since a fork copies no threads.
    """
    if number := os.fork():
        return number
    try:
        gc.freeze()  # so that no garbage of the parent is destroyed here, either
        for stop in STOPPING:
            signal.signal(stop, signal.SIG_DFL)
        end_with_parent()
        _call(work, share)
        os._exit(0)
    finally:
        os._exit(1)
