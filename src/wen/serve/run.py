"""``wen serve``: load a classifier, and serve its page on 127.0.0.1 until the user stops it."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from wen.errors import Message, WenError
from wen.members.apply import Applied

HOST = "127.0.0.1"
MISSING: Message = (
    "wen serve needs starlette and uvicorn, which are not installed here: "
    "pip install -c constraints.txt -e '.[serve]'"
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Options of the server."""

    port: int
    """0 for any free port."""
    threshold: float | None
    """Probability from which an image is called positive; None for that of the classifier."""
    language: str = "en"
    """Language of the page at first, ``en`` or ``id``."""
    open: bool = False
    """Whether to open the page in a browser."""


def of_bundle(folder: Path, classifier: str | None, device: str) -> Callable[[], Applied]:
    """Return a function that checks a bundle and loads its classifier."""
    from wen.bundle.read import opened

    if classifier:
        raise WenError("--classifier: applies to a study only; a bundle holds one classifier")
    return partial(opened, folder, device)


def run(load: Callable[[], Applied], options: Options) -> None:
    """Serve the page until SIGINT or SIGTERM, which end the program with 0.

    Parameters
    ----------
    load : callable
        Loads the classifier; called after the port is bound.
    options : Options

    Raises
    ------
    WenError
        If starlette or uvicorn is not installed, the port is in use or not allowed, or from ``load``.
    """
    check_installed()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with _listening(options.port) as listening:
        applied = load()
        if options.threshold is not None:
            applied = replace(applied, threshold=options.threshold)
        _serve(applied, listening, options)


def check_installed() -> None:
    """Raise a `WenError` with the command that installs starlette and uvicorn, if one is missing."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise WenError(MISSING) from None


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # on Windows, the option would allow two programs on one port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # from now on, a second `wen serve` cannot bind the port
    except OSError as error:
        listening.close()
        reason = "another program uses it" if not isinstance(error, PermissionError) else "needs an administrator"
        raise WenError(f"--port {port}: {reason}; choose another port, or 0 for a free one") from None
    return listening


def _serve(applied: Applied, listening: socket.socket, options: Options) -> None:
    import uvicorn

    from wen.serve.app import page

    port = listening.getsockname()[1]
    address = f"http://{HOST}:{port}"
    config = uvicorn.Config(
        page(applied, port, options.language),
        loop="asyncio", http="h11", ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False,
    )  # fmt: skip
    about = applied.about
    print(f"{address}  ({about['classifier']} of study {about['study']}); stop it with Ctrl-C", flush=True)
    if options.open:
        import webbrowser

        webbrowser.open(address)
    server = uvicorn.Server(config)
    server.handle_exit = _end  # type: ignore[assignment]
    server.run([listening])


def _end(*_: object) -> NoReturn:
    """Exit at once: nothing needs to be saved, and waiting for requests and shutting down torch would take seconds."""
    os._exit(0)
