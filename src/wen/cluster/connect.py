"""Ray, if it is installed, and a connection to a cluster or to one of this machine alone."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from wen.errors import WenError


def installed() -> ModuleType:
    """Give ``ray``; a `WenError` says how to install it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise WenError(
            "this needs Ray, which is not installed here: pip install -c constraints.txt -e '.[cluster]'. "
            "`dvc repro` runs the study without it, one model after another"
        ) from None
    return ray


@contextmanager
def connected(address: str | None, cores: int | None = None, memory: int | None = None) -> Iterator[ModuleType]:
    """Connect to Ray, and leave it in the end.

    Parameters
    ----------
    address : str, optional
        ``ray://HOST:PORT`` or ``auto``; without one, Ray is started here.
    cores, memory : int, optional
        What Ray started here hands out, and how many bytes of memory it keeps for what it passes on.

    Yields
    ------
    module
        ``ray``.

    Raises
    ------
    WenError
        If Ray is not installed or there is no such cluster.
    """
    ray = installed()
    here: dict[str, Any] = {"num_cpus": cores, "object_store_memory": memory, "include_dashboard": False}
    begin = partial(
        ray.init, address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **({} if address else here)
    )  # fmt: skip
    try:
        try:
            begin()
        except ConnectionError as error:
            if "Starting Ray client server failed" not in str(error):
                raise
            begin()  # a busy head node now and then fails to start one
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise WenError(f"--address {address}: no Ray cluster there, or it asks for a token ({said})") from None
    try:
        yield ray
    finally:
        ray.shutdown()
