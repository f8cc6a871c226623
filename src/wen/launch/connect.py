"""Import Ray, and connect to a cluster or start Ray on this machine."""

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
"""Makes Ray listen on 127.0.0.1 only, which is its default on systems where it does not support clusters."""

TRIES = 4
"""Attempts to connect: a busy head node sometimes fails to start the server of a client."""

NOT_STARTED = ("Starting Ray client server failed", "in start_specific_server")
"""What Ray says then; the second is in the traceback that it sends if that server ends while Ray looks at it."""


def import_ray(address: str | None) -> ModuleType:
    """Set Ray's environment variables, which it reads when it is imported, and import it.

    Without an address, Ray listens on the loopback interface only and requires a token. The token is passed in the
    environment of the process, which other users cannot read.

    Raises
    ------
    WenError
        If Ray is not installed.
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
    """Connect to Ray for the duration of a block.

    Parameters
    ----------
    address : str, optional
        ``ray://HOST:PORT`` or ``auto``. By default, Ray is started on this machine.
    cores, memory : int, optional
        Number of cores, and size of the object store in bytes, if Ray is started on this machine.

    Yields
    ------
    module
        ``ray``.

    Raises
    ------
    WenError
        If Ray is not installed, or no cluster answers at the address.
    """
    ray = import_ray(address)
    if address:
        _warn_of_readable_token()
    with nullcontext() if address else _private_folder() as folder:
        local_options: dict[str, Any] = {
            "num_cpus": cores, "object_store_memory": memory, "include_dashboard": False, "_temp_dir": f"{folder}/ray"
        }  # fmt: skip
        connect = partial(
            ray.init, address or "local", log_to_driver=False, logging_level=logging.CRITICAL,
            **({} if address else local_options),
        )  # fmt: skip
        try:
            for tries_left in reversed(range(TRIES)):
                try:
                    connect()
                    break
                except ConnectionError as error:
                    if not tries_left or not any(sign in str(error) for sign in NOT_STARTED):
                        raise
        except (ConnectionError, RuntimeError, ValueError) as error:
            cause = " ".join(str(error).split())
            problem = "no Ray here"
            if address:
                problem = f"--address {address}: no Ray cluster answers there, or it requires a token"
            raise WenError(f"{problem} ({cause})") from None
        try:
            yield ray
        finally:
            ray.shutdown()


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """Create a private folder around Ray's session folders, which other users can read.

    Its path is short, because the paths of Ray's sockets must stay below 104 bytes.
    """
    parent = "/tmp" if os.access("/tmp", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="wen-ray-", dir=parent, ignore_cleanup_errors=True)


def _warn_of_readable_token() -> None:
    """Warn if other users can read the token file, as is the case when Ray has written ~/.ray/auth_token."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")
    if "RAY_AUTH_TOKEN" not in os.environ and token.exists() and token.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        print(f"warning: {token}: other users can read this token; run `chmod 600 {token}`", file=sys.stderr)
