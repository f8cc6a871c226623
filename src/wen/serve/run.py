"""``wen serve``: load a classifier, and answer on 127.0.0.1 until a person ends it."""

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
    """How the page is served."""

    port: int
    """0 takes a free one."""
    threshold: float | None
    """From which probability on an image is called positive; else the classifier's."""
    language: str = "en"
    """Of the page, until another is chosen on it: ``en`` or ``id``."""
    open: bool = False
    """Whether a browser is opened."""


def of_bundle(folder: Path, classifier: str | None, device: str) -> Callable[[], Applied]:
    """Check the request; what is given checks the bundle and loads its classifier."""
    from wen.bundle.read import opened

    if classifier:
        raise WenError("--classifier: applies to a study only; a bundle holds one classifier")
    return partial(opened, folder, device)


def run(load: Callable[[], Applied], options: Options) -> None:
    """Serve the page until SIGINT or SIGTERM, which end the program with 0.

    Parameters
    ----------
    load : callable
        Gives the classifier; called when the port is ours.
    options : Options

    Raises
    ------
    WenError
        If an extra is not installed, the port is taken or not allowed, or what ``load`` raises.
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
    """Raise a `WenError` that says how to install what serves the page."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise WenError(MISSING) from None


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would share the port with another program
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # so that a second `wen serve` is refused from now on
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
    """End at once: nothing is unfinished, and to wait for requests and take torch down would last seconds."""
    os._exit(0)
