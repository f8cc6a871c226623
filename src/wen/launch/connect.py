"""Ray, if it is installed, and a connection to a cluster or to one of this machine alone."""

import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from wen.errors import WenError

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Has Ray listen on 127.0.0.1 alone, as it does by itself where it knows no clusters."""

TRIES = 4
"""A busy head node now and then fails to start a client's server."""


def installed(address: str | None) -> ModuleType:
    """Give ``ray``; a `WenError` says how to install it.

    Ray reads its environment when it is imported. Without an address it is to run on this machine alone: it listens on
    loopback, and asks for a token that no file holds, as only this user can read the environment of a process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
        os.environ.update(LOOPBACK, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    try:
        import ray
    except ImportError:
        raise WenError(
            "Ray is not installed here: pip install -c constraints.txt -e '.[cluster]'. Without it, `dvc repro` "
            "trains the models one after another"
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
    ray = installed(address)
    if address:
        _warn_of_an_open_token()
    with nullcontext() if address else _private_folder() as folder:
        here: dict[str, Any] = {
            "num_cpus": cores, "object_store_memory": memory, "include_dashboard": False, "_temp_dir": f"{folder}/ray"
        }  # fmt: skip
        begin = partial(
            ray.init, address or "local", log_to_driver=False, logging_level=logging.CRITICAL,
            **({} if address else here),
        )  # fmt: skip
        try:
            for left in reversed(range(TRIES)):
                try:
                    begin()
                    break
                except ConnectionError as error:
                    if not left or "Starting Ray client server failed" not in str(error):
                        raise
        except (ConnectionError, RuntimeError, ValueError) as error:
            cause = " ".join(str(error).split())
            problem = (
                (f"--address {address}: no Ray cluster answers there, or it requires a token")
                if address
                else "no Ray here"
            )
            raise WenError(f"{problem} ({cause})") from None
        try:
            yield ray
        finally:
            ray.shutdown()


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for Ray's, which are open to all; of a path so short that its sockets' stay below 104 bytes."""
    place = "/tmp" if os.access("/tmp", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="wen-ray-", dir=place, ignore_cleanup_errors=True)


def _warn_of_an_open_token() -> None:
    """Ray writes ~/.ray/auth_token so that other users of the machine can read it."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")
    if "RAY_AUTH_TOKEN" not in os.environ and token.exists() and token.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        print(f"warning: {token}: other users can read this token; run `chmod 600 {token}`", file=sys.stderr)
