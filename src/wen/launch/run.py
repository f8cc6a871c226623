"""``wen run``: run the study with its models in parallel, on this machine or on a Ray cluster.

First, `dvc repro` runs the stages that all models need. Then Ray runs each model on a node. Finally, `dvc repro` takes
the models' outputs from DVC's run-cache and runs the remaining stages. The result equals that of `dvc repro` alone.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from joblib import cpu_count

from wen.config.jobs import Job, System, addresses, before
from wen.config.params import Params
from wen.config.paths import Paths
from wen.dvc import DVC, dvc, environment
from wen.errors import WenError
from wen.integrity.lock import set_aside_if_torn
from wen.launch.board import Board
from wen.launch.connect import connected, import_ray
from wen.launch.node import Outcome, Project, pack, reproduce
from wen.signals import STOPPING
from wen.systems.system import settings_of

MEMORY = 100 * 2**20
"""Size of Ray's object store on this machine, in bytes; it holds the project's archive."""
RETRIES = 5
"""How often a model is restarted because its node was lost."""


def run(params: Params, paths: Paths, jobs: int | None, address: str | None, gpus_per_job: float | None) -> None:
    """Run the study with its models in parallel.

    Parameters
    ----------
    params, paths
    jobs : int, optional
        Number of models to run in parallel on this machine; by default one per GPU, or as many as the cores allow.
    address : str, optional
        Address of a Ray cluster, which then decides the number: ``ray://HOST:PORT``, or ``auto`` on one of its nodes.
    gpus_per_job : float, optional
        GPUs per model; below 1, several models share a GPU. By default 1 if there are GPUs.

    Raises
    ------
    WenError
        If another `wen run` works in this folder, if Ray is not installed, or if models failed; the message says which,
        why, and how to resume.
    """
    root = paths.root.resolve()
    with _alone(root):
        _run(params, paths, jobs, address, gpus_per_job)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Refuse to work beside another `wen run` in the same folder. The system frees the lock when the process ends."""
    path = root / ".dvc/tmp/wen-run.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise WenError(
                f"{root}: another `wen run` works here ({file.read()}); wait until it ends, or stop it"
            ) from None
        except OSError:  # a file system without locks
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _run(params: Params, paths: Paths, jobs: int | None, address: str | None, gpus_per_job: float | None) -> None:
    import_ray(address)
    root = paths.root.resolve()
    models = jobs_of(params)
    first = before(params)
    names = [*first, *(model.name for model in models), *_stages_after(first, models, params)]
    epochs = {"head": params.head.epochs, "finetune": params.finetune.epochs}
    threads = params.compute.threads
    cores = jobs * threads if jobs else max(cpu_count(), threads)
    command = f"wen run --address {address}" if address else "wen run"
    begin = time.monotonic()
    with _interruptible(command), Board(names, epochs) as board:
        set_aside_if_torn(root / "dvc.lock")
        _repro(root, board, *first)
        changed = _changed(root, models)
        for model in models:
            if model not in changed:
                board.set(model.name, "done")
        outcomes: dict[Job, Outcome] = {}
        if changed:
            # Ray replaces the signal handlers when it starts, so they are set again.
            with (
                connected(address, cores, MEMORY) as ray,
                _interruptible(command),
                _project(root, first, push=bool(address)) as project,
            ):
                gpus = _gpus(ray, gpus_per_job, project.device, address)
                outcomes = _run_in_parallel(ray, project, changed, threads, gpus, board)
        paths.times.parent.mkdir(exist_ok=True)
        with paths.times.open("a", newline="") as file:
            file.writelines(f"{row}\r\n" for outcome in outcomes.values() for row in outcome.times)
        failed = {model: outcome for model, outcome in outcomes.items() if outcome.error}
        pull = [] if all(outcome.shared for outcome in outcomes.values()) else ["--pull"]
        succeeded = [stage for model in models if model not in failed for stage in model.stages]
        if not failed:
            _repro(root, board, *pull)
        elif succeeded:
            _repro(root, board, "--single-item", *pull, *succeeded)
    if failed:
        raise WenError(_summary(failed, len(models), command))
    print(f"{board.counts()}; {(time.monotonic() - begin) / 60:.1f} minutes. `wen results` prints the result table")


def jobs_of(params: Params) -> list[Job]:
    """Return the independent jobs, in the order in which they start: published systems, then networks on folds.

    Systems differ most in duration. A long one that started last would run alone, while networks, which are alike, fill
    the end of the run.
    """
    read = {name: settings_of(params, name).networks for name in params.systems}
    systems = [
        System(name, tuple(network for network in networks if network in params.pretrained))
        for name, networks in read.items()
    ]
    return [*systems, *params.networks]


def _stages_after(first: list[str], models: list[Job], params: Params) -> list[str]:
    """Return the stages that DVC runs after all models."""
    earlier = {*first, *(stage for model in models for stage in model.stages)}
    return [stage for stage in addresses(params) if stage not in earlier]


@contextmanager
def _interruptible(command: str) -> Iterator[None]:
    """Stop on the first signal of a user or scheduler, clean up, and print how to resume."""
    caught = signal.SIGINT

    def stop(number: int, _: object) -> NoReturn:
        nonlocal caught
        caught = signal.Signals(number)
        for further in STOPPING:
            signal.signal(further, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in STOPPING:
        signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"stopped by {caught.name}; `{command}` resumes each training from its last finished epoch", file=sys.stderr
        )
        sys.exit(128 + caught)


@contextmanager
def _project(root: Path, stages: list[str], push: bool) -> Iterator[Project]:
    """Prepare the project for the nodes, with the folder by which they recognise the repository."""
    token = f"wen-{uuid.uuid4().hex}"
    if push and dvc(root, "remote", "list").strip():
        try:
            dvc(root, "push", *stages)
        except WenError as error:
            print(
                f"warning: `dvc push` failed, so only nodes that see {root} can train models: {error}", file=sys.stderr
            )
    token_folder = root / ".dvc/tmp" / token
    token_folder.mkdir(parents=True)
    try:
        cache, device = dvc(root, "cache", "dir").strip(), os.environ.get("WEN_DEVICE", "").replace("auto", "")
        yield Project(str(root), token, cache, pack(root, stages), device)
    finally:
        shutil.rmtree(token_folder, ignore_errors=True)


def _run_in_parallel(
    ray: ModuleType, project: Project, models: list[Job], threads: int, gpus: float, board: Board
) -> dict[Job, Outcome]:
    """Run every model on a node; a model whose node is lost restarts on another."""
    progress = ray.remote(_Progress).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    task = ray.remote(_on_node).options(
        num_cpus=threads, num_gpus=gpus, max_retries=RETRIES, scheduling_strategy="SPREAD"
    )
    project_reference = ray.put(project)
    waiting = {task.remote(project_reference, model, progress): model for model in models}
    outcomes: dict[Job, Outcome] = {}
    try:
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=1.0)
            for name, (where, epoch) in ray.get(progress.all.remote()).items():
                if any(model.name == name for model in waiting.values()):
                    board.set(name, "running", where, epoch)
            for reference in ready:
                model = waiting.pop(reference)
                outcome = outcomes[model] = _outcome(ray, reference)
                state = "failed" if outcome.error else "cached" if outcome.cached else "done"
                board.set(model.name, state, outcome.where)
    finally:
        for reference in waiting:  # models are left only if the run was interrupted
            ray.cancel(reference)
        if waiting:
            ray.wait(list(waiting), num_returns=len(waiting), timeout=10)
    return outcomes


def _gpus(ray: ModuleType, requested: float | None, device: str, address: str | None) -> float:
    """Return the GPUs per model: as requested, else 1 if any node has a GPU and the device allows it."""
    most = max(node["Resources"].get("GPU", 0) for node in ray.nodes())
    if requested is None:
        return 1 if most and (not device or device.startswith("cuda")) else 0
    if requested > most and not address:
        raise WenError(f"--gpus-per-job {requested:g}: this machine has only {most:g} GPU(s); ask for fewer")
    if requested > most:  # an autoscaling cluster may still start such a node
        print(f"no node has {requested:g} GPU(s) yet; the models wait until one joins the cluster", file=sys.stderr)
    return requested


class _Progress:
    """Ray actor that collects the progress of the models: the nodes report it, and the board reads it."""

    def __init__(self) -> None:
        self.models: dict[str, tuple[str, str]] = {}

    def report(self, name: str, where: str, epoch: str) -> None:
        self.models[name] = (where, epoch)

    def all(self) -> dict[str, tuple[str, str]]:
        return self.models


def _on_node(project: Project, model: Job, progress: Any) -> Outcome:
    import ray

    gpus = ray.get_gpu_ids()
    device = f"GPU {', '.join(map(str, gpus))}" if gpus else "CPU"
    return reproduce(project, model, device, progress.report.remote)


def _outcome(ray: ModuleType, reference: Any) -> Outcome:
    try:
        outcome: Outcome = ray.get(reference)
        return outcome
    except ray.exceptions.RayTaskError as error:
        return Outcome("a node", shared=True, error=str(error.cause))
    except ray.exceptions.RayError as error:
        return Outcome("a lost node", shared=True, error=f"Ray gave up after {RETRIES} retries: {error}")


def _changed(root: Path, models: list[Job]) -> list[Job]:
    """Return the models that `dvc repro` would run or take from the run-cache."""
    stages = json.loads(dvc(root, "status", "--json", *(stage for model in models for stage in model.stages)))
    return [model for model in models if not stages.keys().isdisjoint(model.stages)]


_LINES = (
    (re.compile(r"Running stage '(.+)':"), "running"),
    (re.compile(r"Stage '(.+)' is cached - skipping run"), "cached"),
    (re.compile(r"Stage '(.+)' didn't change, skipping"), "done"),
)


def _repro(root: Path, board: Board, *arguments: str) -> None:
    """Run `dvc repro` on this machine, show its stages on the board, and print the stages' warnings."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as warned:
        process = subprocess.Popen(
            [*DVC, "repro", *arguments],
            cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=warned, text=True, start_new_session=True,
        )  # fmt: skip
        running, lines = "", []
        assert process.stdout
        try:
            for line in process.stdout:
                lines.append(line)
                for pattern, state in _LINES:
                    if found := pattern.match(line):
                        if running:
                            board.set(running, "done", "here")
                        running = found[1] if state == "running" else ""
                        board.set(found[1], state, "here")
        finally:
            if process.poll() is None and sys.exc_info()[0]:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        warned.seek(0)
        warnings = warned.read().strip()
    if running:
        board.set(running, "failed" if process.returncode else "done", "here")
    if process.returncode:
        raise WenError(f"dvc repro {' '.join(arguments)} failed:\n{warnings or ''.join(lines[-20:]).strip()}")
    if warnings:
        print(warnings, file=sys.stderr)


def _summary(failed: dict[Job, Outcome], number: int, command: str) -> str:
    lines = [f"{len(failed)} of {number} models failed; the others are finished and will not be trained again"]
    for model, outcome in failed.items():
        error = "\n    ".join(outcome.error.splitlines()[-8:])
        lines.append(
            f"  {model.name} on {outcome.where}:\n    {error}\n  to run it alone: dvc repro {model.stages[-1]}"
        )
    return "\n".join([*lines, f"when fixed, run: {command}"])
