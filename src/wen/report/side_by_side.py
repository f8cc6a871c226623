"""Work that is done in several processes, since Python's threads do not draw side by side."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from wen.signals import STOPPING, end_with_parent

MOST = 4
"""Processes, each of which takes up to 100 MB."""
Item = TypeVar("Item")


def each(work: Callable[[Item], None], items: Sequence[Item], processes: int | None = None) -> None:
    """Do some work on every item, in processes that take turns in the items.

    Parameters
    ----------
    work : callable
        Writes files: what else it changes is lost where another process did it.
    items : sequence
    processes : int or None
        None: as many as this process may use cores, at most `MOST`. Only Linux forks safely; elsewhere it is one.

    Raises
    ------
    Exception
        Whatever ``work`` raises. What another process could not do is done again in this one, which then raises it.
    """
    count = min(processes or _cores(), len(items)) if sys.platform == "linux" else 1
    if count < 2:
        _all(work, items)
        return
    shares = [items[k::count] for k in range(count)]
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_other, args=(work, share)) for share in shares[1:]]
    for process in others:
        process.start()
    try:
        _all(work, shares[0])
    finally:
        for process in others:
            process.join()
    for process, share in zip(others, shares[1:], strict=True):
        if process.exitcode:
            _all(work, share)


def _all(work: Callable[[Item], None], share: Sequence[Item]) -> None:
    for item in share:
        work(item)


def _other(work: Callable[[Item], None], share: Sequence[Item]) -> None:
    """Work as a process that is stopped without a word, by the same signals or with the one that started it."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    with suppress(Exception):
        _all(work, share)
        os._exit(0)
    os._exit(1)


def _cores() -> int:
    return min(MOST, len(os.sched_getaffinity(0)))
