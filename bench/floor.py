"""Time that DVC itself needs for `dvc repro` and `dvc exp run -S weighting=f1` on a study, and what the study adds.

    python bench/floor.py [STUDY]    # a finished study, by default this one; it is not changed

The study is compared with one stage of `true`; with as many stages of `true` as the study has, each with one
dependency; and with the study with `true` for every command, but all its dependencies, parameters and outputs. CPU
seconds include all processes that DVC starts; on a busy machine they are more meaningful than elapsed seconds.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import PROJECT, bare, idle, run
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

REPEATS = 3
REPRO = ("dvc", "repro")
REWEIGHTED = ("dvc", "exp", "run", "-S", "weighting=f1")
COPIED = ("data", "models", "metrics", "plots", "report", "logs")
"""Folders of outputs, which git does not bring."""


def main(study: Path) -> None:
    """Print a row for each of the four."""
    count = len(YAML(typ="safe").load(study / "dvc.lock")["stages"])
    cases: list[tuple[str, Callable[[Path], object]]] = [
        ("one stage of `true`", lambda folder: bare(folder, 1)),
        (f"{count} stages of `true`", lambda folder: bare(folder, count)),
        ("the study, each command `true`", lambda folder: (copy(study, folder), idle(folder))),
        ("the study", lambda folder: copy(study, folder)),
    ]
    table = Table(
        "", *(f"`{' '.join(command[:3])}`, {unit}" for command in (REPRO, REWEIGHTED) for unit in ("CPU s", "s"))
    )
    with tempfile.TemporaryDirectory() as name:
        for title, make in cases:
            folder = Path(name) / str(table.row_count)
            make(folder)
            run(list(REPRO), folder)
            seconds = [[spent(command, folder) for _ in range(REPEATS)] for command in (REPRO, REWEIGHTED)]
            table.add_row(
                title, *(f"{min(column):.2f}" for repeats in seconds for column in zip(*repeats, strict=True))
            )
    Console(width=120).print(table)


def copy(study: Path, folder: Path) -> None:
    """Clone a study with its outputs, its cache and its changes."""
    run(["git", "clone", "--quiet", str(study), str(folder)], study)
    for name in (*COPIED, "src", ".dvc/cache"):
        if (study / name).is_dir():
            shutil.copytree(study / name, folder / name, dirs_exist_ok=True)
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy(study / name, folder / name)
    for key, value in (("user.name", "bench"), ("user.email", "bench@localhost")):
        run(["git", "config", key, value], folder)
    run(["git", "commit", "--quiet", "--allow-empty", "--all", "--message", "what is measured"], folder)


def spent(command: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Return CPU and elapsed seconds of a command; restore the folder, and make DVC forget the run."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    passed, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    run(["git", "reset", "--quiet", "--hard"], folder)
    run(["dvc", "checkout", "--quiet"], folder)
    run(["dvc", "exp", "remove", "--all-commits", "--quiet"], folder)
    shutil.rmtree(folder / ".dvc/cache/runs", ignore_errors=True)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, passed


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT)
