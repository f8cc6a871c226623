"""One model on one node: DVC runs its stages in a copy of the project, and its run-cache carries the result.

A node that shares the repository's folder works in it and on its cache. Any other keeps a cache of its own, which it
fills from the study's DVC remote and pushes back there.
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
"""Outputs that every network and system reads."""
NOT_PULLED = (
    "cannot read {root}, and no DVC remote holds the inputs of the models; add one with `dvc remote add -d NAME URL`"
)
POLL = 1.0
"""Seconds between two looks at how far a training is."""


@dataclass(frozen=True)
class Project:
    """What a node gets of the repository."""

    root: str
    """Where it is, on nodes that share it."""
    token: str
    """The name of a folder in ``root/.dvc/tmp`` that no other repository has, for this run."""
    cache: str
    """Where its DVC cache is, on nodes that share it."""
    archive: bytes
    """What `pack` made of it."""
    device: str
    """What WEN_DEVICE says there; empty for a GPU if the node has one."""

    @property
    def shared(self) -> bool:
        """Whether this node sees the repository and its cache; not where WEN_NODE_DIR names a folder of its own."""
        seen = (Path(self.root) / ".dvc/tmp" / self.token).exists() and Path(self.cache).exists()
        return "WEN_NODE_DIR" not in os.environ and seen


@dataclass
class Outcome:
    """What came of a model on a node."""

    where: str
    shared: bool
    cached: bool = False
    """The run-cache had it already."""
    error: str = ""
    times: list[str] = field(default_factory=list)
    """Its rows for logs/times.csv."""


def reproduce(project: Project, model: Job, device: str, tell: Callable[[str, str, str], object]) -> Outcome:
    """Run the stages of one network or published system and leave their outputs in the run-cache.

    Parameters
    ----------
    project : Project
    model : Member or System
    device : str
        What the model runs on, to be shown.
    tell : callable
        Is called with the model's name, this node and device, and the last finished epoch, as they change.

    Returns
    -------
    Outcome
        With an error, if a stage failed.

    Raises
    ------
    WenError
        If the node's own folder is not this user's.
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
        dvc = partial(_dvc, root, project.device, lambda: tell(model.name, outcome.where, _epoch(checkpoint)))
        with _locked(home / "lock"):
            code, output = dvc("checkout" if shared else "pull", *map(str, needed(model)))
        if code:
            outcome.error = output if shared else f"{output}\n{NOT_PULLED.format(root=project.root)}"
            return outcome
        code, output = dvc("repro", "--single-item", *([] if shared else ["--pull"]), *model.stages)
        outcome.cached = "Running stage" not in output
        outcome.error = output if code else ""
        # Outputs before the run-cache: a run that another node finds there has its outputs.
        for option in () if shared else ((), ("--run-cache",)):
            code, output = dvc("push", *option, *model.stages)
            outcome.error = outcome.error or (output if code else "")
        if Paths(root).times.exists():
            outcome.times = Paths(root).times.read_text().splitlines()
    return outcome


def needed(model: Job) -> list[Path]:
    """The outputs of earlier stages that a network or published system reads."""
    if isinstance(model, Member):
        return [*NEEDED]
    paths = Paths()
    networks = [
        folder for name in model.networks for folder in (paths.network(name), paths.network_weights(name).parent)
    ]
    return [*NEEDED, paths.copies, paths.systems_inputs, *networks]


def node_folder() -> Path:
    """Where a node that does not share the repository keeps its cache and its checkpoints."""
    return Path(os.environ.get("WEN_NODE_DIR") or Path(tempfile.gettempdir()) / f"wen-{os.getuid()}").resolve()


def pack(root: Path, stages: Iterable[str]) -> bytes:
    """Put what a node needs of a repository into a zip: no outputs, which DVC brings.

    Of dvc.lock, the ``stages`` that come before the models: DVC writes the whole file anew after every stage, which
    takes its time. In dvc.yaml all outputs are cached, also those that git keeps here: so `dvc push` takes them along.
    """
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"] = {name: lock["stages"][name] for name in stages}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = output_of(command, root).split("\0")[:-1]
    replaced = {
        "dvc.lock": json.dumps(lock),  # which is YAML, too
        "dvc.yaml": (root / "dvc.yaml").read_text(encoding="utf-8").replace("cache: false", "cache: true"),
    }
    with io.BytesIO() as content:
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name in [*names, ".dvc/config.local"]:
                if (root / name).exists() and name not in replaced:
                    archive.write(root / name, name)
            for name, text in replaced.items():
                archive.writestr(name, text)
        return content.getvalue()


def wen_device(device: str) -> dict[str, str]:
    """WEN_DEVICE on a node, from what it is here: Ray shows a model its own GPU alone, whose number is then 0."""
    return {"WEN_DEVICE": "cuda" if device.startswith("cuda") else device} if device else {}


def _unpack(project: Project, root: Path, cache: str) -> None:
    with zipfile.ZipFile(io.BytesIO(project.archive)) as archive:
        archive.extractall(root)
    configure_copy(root, cache)


def _dvc(root: Path, device: str, look: Callable[[], object], *command: str) -> tuple[int, str]:
    """Run DVC there, looking now and then; give its exit code and what it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            [*DVC, *command],
            cwd=root, env=environment() | {"PYTHONPATH": str(root / "src")} | wen_device(device),
            stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, start_new_session=True,
        )  # fmt: skip
        with _ends_with_this(process):
            while process.returncode is None:
                look()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
        printed.seek(0)
        return process.returncode, printed.read().strip()


WATCH = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGTERM)"
"""Waits for the end of whoever holds the other end of its input, then ends a process and its children."""


@contextlib.contextmanager
def _ends_with_this(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End a process and its children if this task is cancelled, or this worker killed, before the process has ended."""
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


def _epoch(checkpoint: Path | None) -> str:
    if checkpoint is None:
        return ""
    try:
        with safetensors.safe_open(checkpoint, "np") as file:
            progress = json.loads((file.metadata() or {})["wen"])
    except (KeyError, OSError, ValueError, safetensors.SafetensorError):  # not there yet, or no longer
        return ""
    return f"{progress['stage']} {progress['epoch']}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process of this node at a time: several would fetch the same features."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
