"""Call a function on many items in forked processes. Threads would not help: drawing holds Python's global lock."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

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
    count = min(processes or _cores(), len(items)) if sys.platform == "linux" else 1
    if count < 2:
        _call(work, items)
        return
    shares = [items[k::count] for k in range(count)]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_worker, args=(work, share)) for share in shares[1:]]
    for worker in workers:
        worker.start()
    try:
        _call(work, shares[0])
    finally:
        for worker in workers:
            worker.join()
    for worker, share in zip(workers, shares[1:], strict=True):
        if worker.exitcode:
            _call(work, share)


def _call(work: Callable[[Item], None], share: Sequence[Item]) -> None:
    for item in share:
        work(item)


def _worker(work: Callable[[Item], None], share: Sequence[Item]) -> None:
    """Body of a forked process. It ends without a message on a stop signal, on an error, and with its parent."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    with suppress(Exception):
        _call(work, share)
        os._exit(0)
    os._exit(1)


def _cores() -> int:
    return min(MOST, len(os.sched_getaffinity(0)))
