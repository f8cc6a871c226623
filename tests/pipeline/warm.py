"""`wen` and `dvc` without their start-up, for tests: each is a fork of a process that has imported the libraries.

It runs `main()` of the command, as its console script does, in a session of its own, with the caller's arguments,
folder, variables, standard streams and exit code. The project's own modules are imported in the fork, from where
PYTHONPATH says. `python -m dvc`, by the Python of the same folder, is such a fork, too; any other use of that Python
starts the environment's. Nothing waits for a disk. Tests of how commands start or are signalled run the installed ones.
"""

import atexit
import contextlib
import gc
import importlib
import marshal
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from filelock import FileLock

LIBRARIES = (
    "PIL.BmpImagePlugin", "PIL.PngImagePlugin", "configobj", "dulwich.porcelain", "dulwich.stash", "dvc.cachemgr",
    "dvc.cli", "dvc.cli.parser", "dvc.data_cloud", "dvc.repo.experiments.queue.celery", "dvc.repo.experiments.run",
    "dvc.repo.graph", "dvc.repo.index", "dvc.repo.metrics.show", "dvc.repo.open_repo", "dvc.repo.reproduce",
    "dvc.stage.loader", "dvc.ui.table", "dvc.utils.hydra", "dvc.utils.strictyaml", "dvc_data.index.checkout",
    "dvc_s3", "dvclive", "fsspec.implementations.memory", "jinja2", "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg", "matplotlib.pyplot", "networkx", "openvino", "platformdirs",
    "pyarrow.pandas_compat", "pydantic.type_adapter", "pydantic.types", "pygit2", "rich.console", "rich.progress",
    "s3fs", "safetensors.torch", "scipy.ndimage", "scipy.optimize", "scipy.stats", "sklearn.ensemble",
    "sklearn.linear_model", "sklearn.metrics", "skops.io", "statsmodels.stats.multitest",
    "statsmodels.stats.proportion", "timm", "torch", "typer",
)  # fmt: skip
"""What the commands spend most of their start on; another one is imported in each fork, which takes its time."""

HARMLESS = ("PYTHONPATH", "PYTHONBREAKPOINT", "PYTHONUNBUFFERED")
"""Variables that a fork obeys or has no use for; Ray sets the last two."""

CLIENT = """#!{python} -IS
import _socket, array, marshal, os, sys  # socket takes as long as all the rest
if {name!r} == "python":
    if sys.argv[1:3] != ["-m", "dvc"]:
        os.execv({real!r}, sys.argv)  # which takes the name by which it was called as its own
    del sys.argv[1:3]
elif any(name.startswith("PYTHON") and name not in {harmless} for name in os.environ):
    os.execv({real!r}, sys.argv)  # these set up an interpreter
link = _socket.socket(_socket.AF_UNIX)
link.connect({address!r})
request = marshal.dumps(({name!r}, sys.argv, os.getcwd(), dict(os.environ)))
streams = array.array("i", [0, 1, 2])
link.sendmsg([len(request).to_bytes(4)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
link.sendall(request)
code = link.recv(4)
os._exit(int.from_bytes(code) if code else 70)
"""


def variables(env: dict[str, str]) -> dict[str, str]:
    """Variables with which `wen` and `dvc` are these."""
    if sys.platform != "linux":
        return env
    return env | {"PATH": f"{python().parent}{os.pathsep}{env['PATH']}"}


def python() -> Path:
    """The Python of which `-m dvc` is such a fork, and beside which `wen` and `dvc` are."""
    return _started()[0] / "bin/python"


def dvc() -> list[str]:
    """How DVC's commands begin, for `wen.dvc.DVC` in a test's own process."""
    return [str(python()) if sys.platform == "linux" else sys.executable, "-m", "dvc"]


@cache
def _started() -> tuple[Path, socket.socket, "subprocess.Popen[bytes] | None"]:
    """Start the process, if no worker of this run of pytest has; give its virtual environment, and what it lives by.

    It ends when the workers that use it have.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir(), f"warm-{run}")
    with FileLock(f"{folder}.lock"):
        server = None if (folder / "socket").exists() else _start(folder)
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(folder / "socket"))
        link.sendall(bytes(4))
    return folder, link, server


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    for name in ("wen", "dvc", "python"):
        real = str(Path(sys.executable).parent / name)
        text = CLIENT.format(
            python=sys.executable, real=real, address=str(folder / "socket"), name=name, harmless=HARMLESS
        )
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}  # libgit2 looks there when it is imported
    server = subprocess.Popen(
        [sys.executable, "-P", __file__, folder], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"
    return server


def _serve(folder: str) -> tuple[str, list[str]]:
    """Answer requests; returns in the fork that is to run the command, and nowhere else."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as in wen.network: it starts processes
    for name in LIBRARIES:
        importlib.import_module(name)
    _leave_the_disk_behind()
    gc.collect()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen(64)
    print("ready", flush=True)
    workers: list[int | socket.socket] = [0]
    running: dict[int, Running] = {}
    while workers:
        links = [job.link for job in running.values() if job.link]
        ready, _, _ = select.select([listener, *workers, *running, *links], [], [])
        workers = [worker for worker in workers if worker not in ready]  # which say nothing until they end
        for ended, job in list(running.items()):
            if ended in ready:
                job.answer()
                os.close(ended)
                del running[ended]
            elif job.link in ready:
                job.stop()
        if listener in ready:
            link, _ = listener.accept()
            streams, request = _request(link)
            if not request:
                workers.append(link)
            elif command := os.fork():
                for stream in streams:
                    os.close(stream)
                running[os.pidfd_open(command)] = Running(command, link)
            else:
                for other in (listener, link, *workers[1:], *links):
                    other.close()
                return _begun(streams, *request)
    shutil.rmtree(folder)
    os.unlink(f"{folder}.lock")
    os._exit(0)


@dataclass
class Running:
    """A command, and the connection of whoever asked for it, while that is there."""

    command: int
    link: socket.socket | None

    def answer(self) -> None:
        """Send the exit code of the command, which has ended."""
        _, status = os.waitpid(self.command, 0)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(BrokenPipeError):
            if self.link:
                self.link.sendall((code if code >= 0 else 128 - code).to_bytes(4))
        self.close()

    def stop(self) -> None:
        """End the command, as whoever asked is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.command, signal.SIGTERM)
        self.close()

    def close(self) -> None:
        if self.link:
            self.link.close()
        self.link = None


def _leave_the_disk_behind() -> None:
    """Wait for no file to be on the disk: no test cuts the power, and to delete what is there takes long."""
    mock.patch.object(os, "fsync", _flushed).start()
    mock.patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=_Unsynced)).start()


def _flushed(_: int) -> None:
    """In place of `os.fsync`."""


class _Unsynced(sqlite3.Connection):
    """A data base of DVC's, which for one of them sets the pragma itself each time that it connects."""

    def __init__(self, *options: Any, **named: Any) -> None:
        super().__init__(*options, **named)
        super().execute("PRAGMA synchronous = OFF")

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous = 1", "synchronous = 0"), *parameters)


def _request(link: socket.socket) -> tuple[list[int], tuple[str, list[str], str, dict[str, str]] | None]:
    """The standard streams of whoever asks for a command; its name, arguments, folder and variables.

    A worker, which is to be waited for, asks for none.
    """
    size, streams, _, _ = socket.recv_fds(link, 4, 3)
    with link.makefile("rb") as file:
        content = file.read(int.from_bytes(size))
    return streams, marshal.loads(content) if content else None


def _begun(
    streams: list[int], name: str, arguments: list[str], folder: str, variables: dict[str, str]
) -> tuple[str, list[str]]:
    """In the fork that is to run the command: take up what it was asked for with."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:0] = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path]
    return name, arguments


def _code(name: str) -> int:
    """Run the command as its console script does; give its exit code."""
    try:
        main = importlib.import_module("wen.__main__" if name == "wen" else "dvc.cli").main
        sys.exit(main())
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1


if __name__ == "__main__":
    folder = sys.argv[1]
    name, sys.argv[:] = _serve(folder)
    sys.executable = f"{folder}/bin/python"  # what the command starts by it is a fork, too
    code = _code(name)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # not by sys.exit, which takes all that is imported apart
