"""Run one model on one node: DVC runs its stages in a copy of the project and saves the outputs in its run-cache.

A node that sees the repository's folder works inside it and uses its DVC cache. Any other node has a separate cache;
it pulls the inputs from the study's DVC remote and pushes the outputs back.
"""

import contextlib
import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import safetensors
from ruamel.yaml import YAML

from wen.config.jobs import Job
from wen.config.member import Member
from wen.config.paths import Paths
from wen.dvc import DVC, configure_copy, environment, output_of
from wen.errors import WenError

NEEDED = (Paths().code, Paths().index, Paths().split, Paths().features, Paths().turned, Paths().backbone)
"""Outputs of earlier stages that every network and system reads."""
NOT_PULLED = (
    "cannot read {root}, and no DVC remote holds the inputs of the models; add one with `dvc remote add -d NAME URL`"
)
PACKED = ("src", "dvc.yaml", "params.yaml", ".dvc", ".dvcignore")
"""What a node needs of the files that DVC does not hold; other files, such as images beside the study, stay here."""
POLL = 1.0
"""Interval at which the progress of a training is read from its checkpoint, in s."""


@dataclass(frozen=True)
class Project:
    """The repository, as it is sent to a node."""

    root: str
    """Path of the repository, on nodes that see it."""
    token: str
    """Unique name of a folder in ``root/.dvc/tmp``, by which a node recognises the repository."""
    cache: str
    """Path of the DVC cache, on nodes that see the repository."""
    archive: bytes
    """Zip archive of the project, made by `pack`."""
    device: str
    """Value of WEN_DEVICE on the node; empty for a GPU if the node has one."""

    @property
    def shared(self) -> bool:
        """Whether this node uses the repository and its cache: it sees them, and WEN_NODE_DIR is not set."""
        is_visible = (Path(self.root) / ".dvc/tmp" / self.token).exists() and Path(self.cache).exists()
        return "WEN_NODE_DIR" not in os.environ and is_visible


@dataclass
class Outcome:
    """Result of running a model on a node."""

    where: str
    """Node and device."""
    shared: bool
    """Whether the node used the repository and its cache."""
    cached: bool = False
    """Whether the outputs came from the run-cache."""
    error: str = ""
    """Error message; empty if the model succeeded."""
    times: list[str] = field(default_factory=list)
    """Rows to append to logs/times.csv."""


def reproduce(project: Project, model: Job, device: str, report: Callable[[str, str, str], object]) -> Outcome:
    """Run the stages of one network or published system, and save their outputs in the run-cache.

    Parameters
    ----------
    project : Project
    model : Member or System
    device : str
        Name of the device, for display.
    report : callable
        Called about every second with the model's name, the node and device, and the last completed epoch.

    Returns
    -------
    Outcome
        Its ``error`` is set if a stage failed.

    Raises
    ------
    WenError
        If the node's folder belongs to another user.
    """
    shared = project.shared
    home = Path(project.root) / ".dvc/tmp" / project.token if shared else node_folder()
    checkpoints = (Path(project.root) if shared else home).resolve() / ".checkpoints"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise WenError(f"{home}: belongs to another user; set WEN_NODE_DIR to a folder of your own")
    checkpoints.mkdir(exist_ok=True)
    outcome = Outcome(f"{socket.gethostname()} {device}", shared)
    with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as name:
        root = Path(name)
        _unpack(project, root, project.cache if shared else str(home / "cache"))
        (root / ".checkpoints").symlink_to(checkpoints)
        checkpoint = Paths(root).checkpoint(model) if isinstance(model, Member) else None
        dvc = partial(_dvc, root, project.device, lambda: report(model.name, outcome.where, _last_epoch(checkpoint)))
        with _locked(home / "lock"):
            code, output = dvc("checkout" if shared else "pull", *map(str, inputs_of(model)))
        if code:
            outcome.error = output if shared else f"{output}\n{NOT_PULLED.format(root=project.root)}"
            return outcome
        code, output = dvc("repro", "--single-item", *([] if shared else ["--pull"]), *model.stages)
        outcome.cached = "Running stage" not in output
        outcome.error = output if code else ""
        # Push the outputs first, so that the run-cache on the remote never lists a run without its outputs.
        for option in () if shared else ((), ("--run-cache",)):
            code, output = dvc("push", *option, *model.stages)
            outcome.error = outcome.error or (output if code else "")
        if Paths(root).times.exists():
            outcome.times = Paths(root).times.read_text().splitlines()
    return outcome


def inputs_of(model: Job) -> list[Path]:
    """Return the outputs of earlier stages that a network or published system reads."""
    if isinstance(model, Member):
        return [*NEEDED]
    paths = Paths()
    networks = [
        folder for name in model.networks for folder in (paths.network(name), paths.network_weights(name).parent)
    ]
    return [*NEEDED, paths.copies, paths.systems_inputs, *networks]


def node_folder() -> Path:
    """Return the folder for cache and checkpoints of a node that does not see the repository."""
    return Path(os.environ.get("WEN_NODE_DIR") or Path(tempfile.gettempdir()) / f"wen-{os.getuid()}").resolve()


def pack(root: Path, stages: Iterable[str]) -> bytes:
    """Pack the files of a repository that a node needs into a zip archive, without DVC outputs.

    dvc.lock is reduced to ``stages``, those before the models, because DVC rewrites the file after every stage. In
    dvc.yaml all outputs become cached, also those tracked by git, so that `dvc push` includes them.
    """
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"] = {name: lock["stages"][name] for name in stages}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PACKED]
    names = output_of(command, root).split("\0")[:-1]
    replaced = {
        "dvc.lock": json.dumps(lock),  # JSON is valid YAML
        "dvc.yaml": (root / "dvc.yaml").read_text(encoding="utf-8").replace("cache: false", "cache: true"),
    }
    with io.BytesIO() as content:
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name in dict.fromkeys([*names, ".dvc/config.local"]):
                if (root / name).exists() and name not in replaced:
                    archive.write(root / name, name)
            for name, text in replaced.items():
                archive.writestr(name, text)
        return content.getvalue()


def wen_device(device: str) -> dict[str, str]:
    """Return WEN_DEVICE for a node, without a GPU number: Ray makes only the assigned GPU visible, as number 0."""
    return {"WEN_DEVICE": "cuda" if device.startswith("cuda") else device} if device else {}


def _unpack(project: Project, root: Path, cache: str) -> None:
    with zipfile.ZipFile(io.BytesIO(project.archive)) as archive:
        archive.extractall(root)
    configure_copy(root, cache)


def _dvc(root: Path, device: str, poll: Callable[[], object], *command: str) -> tuple[int, str]:
    """Run DVC in a folder, calling ``poll`` every `POLL` seconds; return its exit code and its output."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [*DVC, *command],
            cwd=root, env=environment() | {"PYTHONPATH": str(root / "src")} | wen_device(device),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        with _terminated_with_parent(process):
            while process.returncode is None:
                poll()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
        output.seek(0)
        return process.returncode, output.read().strip()


WATCH = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGTERM)"
"""Watcher process: when its standard input closes because its parent died, it terminates a process group."""


@contextlib.contextmanager
def _terminated_with_parent(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Terminate a process and its children if this task is cancelled or this worker is killed during the block."""
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
    )  # fmt: skip
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _last_epoch(checkpoint: Path | None) -> str:
    """Return the training stage and the number of the last completed epoch; empty if there is no checkpoint."""
    if checkpoint is None:
        return ""
    try:
        with safetensors.safe_open(checkpoint, "np") as file:
            progress = json.loads((file.metadata() or {})["wen"])
    except (KeyError, OSError, ValueError, safetensors.SafetensorError):  # not written yet, or already deleted
        return ""
    return f"{progress['stage']} {progress['epoch']}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock for the duration of a block, so that only one process per node fetches the inputs."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
