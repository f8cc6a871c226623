"""One model on one node: DVC runs its stages in a copy of the project, and its run-cache carries the result.

A node that shares the repository's folder works in it and on its cache. Any other keeps a cache of its own, which it
fills from the study's DVC remote and pushes back there.
"""

import configparser
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
from dvc.exceptions import DvcException
from dvc.fs import generic
from dvc.repo import Repo
from dvc.stage.cache import _get_cache_hash
from dvc.stage.serialize import to_single_stage_lockfile
from ruamel.yaml import YAML

from wen.config.member import Member
from wen.config.paths import Paths
from wen.config.stages import BEFORE
from wen.errors import WenError

NEEDED = (Paths().code, Paths().index, Paths().split, Paths().features, Paths().backbone)
"""Outputs that every model reads."""
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


def reproduce(project: Project, model: Member, device: str, tell: Callable[[str, str, str], object]) -> Outcome:
    """Run the stages of one model and leave their outputs in the run-cache.

    Parameters
    ----------
    project : Project
    model : Member
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
    home = Path(project.root) / ".dvc/tmp" / project.token if shared else own_folder()
    checkpoints = (Path(project.root) if shared else home).resolve() / ".checkpoints"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise WenError(f"{home}: belongs to another user; name a folder of your own by WEN_NODE_DIR")
    checkpoints.mkdir(exist_ok=True)
    outcome = Outcome(f"{socket.gethostname()} {device}", shared)
    with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as name:
        root = Path(name)
        _unpack(project, root, project.cache if shared else str(home / "cache"))
        (root / ".checkpoints").symlink_to(checkpoints)
        checkpoint = Paths(root).checkpoint(model)
        try:
            with _locked(home / "lock"), contextlib.chdir(name), Repo() as repo:
                if not shared and not repo.config["core"].get("remote"):
                    raise WenError(
                        f"it does not see {project.root}, and there is no DVC remote: dvc remote add -d NAME URL"
                    )
                (repo.checkout if shared else repo.pull)([str(own) for own in NEEDED])
            command = ["repro", "--single-item", *([] if shared else ["--pull"]), *model.stages]
            code, output = _dvc(
                root, command, project.device, lambda: tell(model.name, outcome.where, _epoch(checkpoint))
            )
            outcome.error = output.strip() if code else ""
            outcome.cached = "Running stage" not in output
            if not shared:
                _push(root, model)
        except (DvcException, WenError) as error:
            outcome.error = str(error)
        if Paths(root).times.exists():
            outcome.times = Paths(root).times.read_text().splitlines()
    return outcome


def own_folder() -> Path:
    """Where a node that does not share the repository keeps its cache and its checkpoints."""
    return Path(os.environ.get("WEN_NODE_DIR") or Path(tempfile.gettempdir()) / f"wen-{os.getuid()}").resolve()


def pack(root: Path) -> bytes:
    """Put what a node needs of a repository into a zip: no outputs, which DVC brings.

    Of dvc.lock, what comes before the models: DVC writes the whole file anew after every stage, which takes its time.
    """
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"] = {name: lock["stages"][name] for name in BEFORE}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    with io.BytesIO() as content:
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name in [*listed.split("\0")[:-1], ".dvc/config.local"]:
                if (root / name).exists() and name != "dvc.lock":
                    archive.write(root / name, name)
            archive.writestr("dvc.lock", json.dumps(lock))  # which is YAML, too
        return content.getvalue()


def environment() -> dict[str, str]:
    """The variables for DVC: `wen` is this environment's, and its number of threads is params.yaml's, not Ray's."""
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "DVC_ROOT", "DVC_STAGE")}
    return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}


def wen_device(device: str) -> dict[str, str]:
    """WEN_DEVICE on a node, from what it is here: Ray shows a model its own GPU alone, whose number is then 0."""
    return {"WEN_DEVICE": "cuda" if device.startswith("cuda") else device} if device else {}


def _unpack(project: Project, root: Path, cache: str) -> None:
    with zipfile.ZipFile(io.BytesIO(project.archive)) as archive:
        archive.extractall(root)
    config = configparser.ConfigParser(interpolation=None)
    local = root / ".dvc/config.local"
    config.read(local, encoding="utf-8")
    settings = {
        "core": {"no_scm": "true", "analytics": "false", "site_cache_dir": str(root / ".dvc/site")},
        "cache": {"dir": cache, "type": "reflink,hardlink,symlink,copy"},
    }
    for section, values in settings.items():
        config[section] = {**config.setdefault(section, {}), **values}
    with local.open("w", encoding="utf-8") as file:
        config.write(file)


def _dvc(root: Path, command: list[str], device: str, look: Callable[[], object]) -> tuple[int, str]:
    """Run DVC there, looking now and then; give its exit code and what it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *command],
            cwd=root, env=environment() | {"PYTHONPATH": str(root / "src")} | wen_device(device),
            stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, start_new_session=True,
        )  # fmt: skip
        with _ends_with_this(process):
            while process.returncode is None:
                look()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
        printed.seek(0)
        return process.returncode, printed.read()


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


def _push(root: Path, model: Member) -> None:
    """Push what the run-cache knows of the model's stages: first the outputs, also those that git keeps, then the runs.

    Not `dvc push --run-cache`: it pushes the runs first and of all stages, and fails if one is not whole.
    """
    with contextlib.chdir(root), Repo() as repo:
        runs, remote = repo.stage_cache, repo.cloud.get_remote_odb(None, hash_name="md5-dos2unix")
        for stage in (own for name in model.stages for own in repo.stage.collect(name)):
            key, value = (_get_cache_hash(to_single_stage_lockfile(stage), key=key) for key in (True, False))
            run = Path(runs.cache_dir) / key[:2] / key / value
            if not run.exists():  # it failed
                continue
            for objects in runs.get_used_objs([(key, value)]).values():
                if failed := repo.cloud.push(objects).failed:
                    raise WenError(f"{len(failed)} outputs of {stage.addressing} did not arrive at the DVC remote")
            place = remote.fs.join(remote.path, "runs", key[:2], key, value)
            generic.copy(repo.cache.legacy.fs, str(run), remote.fs, place)


def _epoch(checkpoint: Path) -> str:
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
