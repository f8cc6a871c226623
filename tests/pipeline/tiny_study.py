"""A tiny study in a repository of its own, run by the real DVC."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import warm
from conftest import PROJECT
from dvc.repo import Repo
from filelock import FileLock
from ruamel.yaml import YAML

OUTPUTS = ("data/code", "data/features", "data/turned", "data/predictions", "models", "metrics", "plots")
"""What is compared; not report/: its page says how long the stages took."""


class Study:
    """A clone of the project in a folder of its own, with nothing of the user's around it."""

    installed = True
    """Whether `run` starts the `wen` and `dvc` that a user starts, and not those of `warm`, as in most tests."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        others = ("GIT_", "DVC_", "WEN_", "PYTHON")
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(others)},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root / "src"),
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def variables(self) -> dict[str, str]:
        """Those that `run` gives to commands."""
        return self.env if self.installed else warm.variables(self.env)

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def restore(self) -> None:
        """Go back to the last commit and its results.

        What git tracks of them is removed first: git keeps a file that was rewritten with the same size within the
        second in which DVC saved git's index, although its content differs.
        """
        for folder in ("metrics", "plots/headline"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
        for file in ("dvc.lock", "params.yaml"):
            (self.root / file).unlink(missing_ok=True)
        self.run("git", "checkout", "--quiet", "--", ".")
        with Repo(str(self.root)) as repo:
            repo.checkout(force=True)

    def stages_run(self, output: str) -> list[str]:
        return re.findall(r"Running stage '([^']+)'", output)

    def row(self, path: str) -> dict[str, float]:
        row: dict[str, float] = json.loads((self.root / "metrics" / path).read_text())
        return row


def new_study(folder: Path, name: str, values: dict[str, Any] | None = None, drawn: bool = False) -> Study:
    """Copy what git tracks, and what it would, into a repository of its own, set to a tiny study.

    No study reads tests or documents, and DVC goes through all that git tracks whenever it runs a stage.
    """
    root, home = folder / name, folder / "home"
    home.mkdir(exist_ok=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    others = ("metrics/", "plots/", "dvc.lock", "docs/", "tests/")
    for line in listed.stdout.splitlines():
        if (PROJECT / line).is_file() and not line.startswith(others):
            (root / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / line, root / line)
    made = Study(root, home)
    made.run("git", "init", "--quiet")
    made.run("git", "config", "user.name", "tester")  # DVC sets a changed workspace aside as a commit
    made.run("git", "config", "user.email", "tester@example.org")
    set_params(root, values or tiny_values())
    save_time(root, drawn)
    made.commit("Tiny study")
    return made


def save_time(root: Path, drawn: bool) -> None:
    """Leave figures empty, or as SVG alone, half of a report's time, and leave out `wen plan`'s long trial.

    test_drawing looks at every format, and the test of commands one by one draws all figures in all of them.
    """
    edits = [
        ("report/drawing.py", 'FORMATS = ("svg", "pdf", "png")\n', 'FORMATS = ("svg",)\n'),
        ("report/word.py", 'figures/{name}.png"', 'figures/{name}.svg"'),
        ("network/cost.py", "SECONDS = 10.0", "SECONDS = 0.3"),
    ]
    if not drawn:
        edits.append(("report/drawing.py", "render(figure, kind)", 'b"<svg></svg>"'))
    for name, line, instead in edits:
        file = root / "src/wen" / name
        text = file.read_text()
        assert text.count(line) == 1
        file.write_text(text.replace(line, instead))


def finished_study(factory: pytest.TempPathFactory, name: str) -> Study:
    """Copy a tiny study that `dvc repro` ran and that was committed.

    It is made once for all tests, by whichever worker is first. What DVC printed is in ``home/repro.txt``.
    """

    def finish(folder: Path) -> None:
        study = prepared_study(factory, folder)
        with (folder / "home/repro.txt").open("a") as file:
            file.write(study.run("dvc", "repro"))
        study.commit("Result")

    return _copied(factory, "finished", finish, factory.mktemp(name))


def prepared_study(factory: pytest.TempPathFactory, folder: Path) -> Study:
    """Copy a tiny study in which `dvc repro` ran all that needs no model: made once for all tests, too."""

    def prepare(folder: Path) -> None:
        printed = new_study(folder, "study").run("dvc", "repro", "features", "baselines", "repeats", "systems")
        (folder / "home/repro.txt").write_text(printed)

    return _copied(factory, "prepared", prepare, folder)


def _copied(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object], folder: Path) -> Study:
    """Copy a folder's study and home into another one; make it, if no worker has."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            make(shared)
            (shared / "done").touch()
    subprocess.run(["cp", "-a", shared / "study", shared / "home", folder], check=True)  # links stay links
    return Study(folder / "study", folder / "home")


def tiny_values(rates: Sequence[float] = (0.001, 0.0001), cpu_engine: str = "openvino") -> dict[str, Any]:
    """The demo's params.yaml, cut down; OpenVINO, by which `wen classify` answers, translates networks for a second."""
    values: dict[str, Any] = YAML(typ="safe").load((PROJECT / "profiles/demo.yaml").read_text())
    values["dataset"]["side"] = 48
    values["dataset"]["synthetic"] |= {
        "subjects": 14, "cells": 90, "preliminary_subjects": 4, "preliminary_cells": 20, "duplicates": 2,
        "altered": 2,
    }  # fmt: skip
    values["images"] = {"crop": 48, "size": 32}
    values["lr_grid"] = list(rates)
    values["folds"] = [0, 1]
    values["schemes"] = ["accuracy", "f1", "kappa"]
    values["systems"] = values["pretrained"] = {}  # four more stages, each of which starts a process
    values["augment"]["views"] = 1
    values["head"]["epochs"] = 2
    values["finetune"]["epochs"] = 1
    values["repeats"] = {"image": 2, "subject": 2}
    values["compute"] |= {"threads": 1, "cpu_engine": cpu_engine}  # test workers share the cores
    values["report"]["bootstrap"] = 200
    return values


def set_params(root: Path, values: dict[str, Any]) -> None:
    with io.StringIO() as text:
        YAML().dump(values, text)
        (root / "params.yaml").write_text(text.getvalue())


def private_mounts() -> tuple[str, ...]:
    """The beginning of a command that runs a shell script whose mounts no other process sees."""
    around = ("unshare", "--map-root-user", "--mount", "sh", "-c")
    if subprocess.run([*around, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let a test mount a folder of its own")
    return around


def same(study: Study, serial: Study) -> None:
    """Both have the same files with the same bytes, and in dvc.lock the same of each stage but the page's."""
    for folder in OUTPUTS:
        files = {path.relative_to(serial.root) for path in (serial.root / folder).rglob("*") if path.is_file()}
        assert files == {path.relative_to(study.root) for path in (study.root / folder).rglob("*") if path.is_file()}
        for path in files:
            assert (study.root / path).read_bytes() == (serial.root / path).read_bytes(), path
    locks = [YAML(typ="safe").load((project.root / "dvc.lock").read_text())["stages"] for project in (study, serial)]
    assert [lock.pop("report")["cmd"] for lock in locks] == ["wen report"] * 2
    assert locks[0] == locks[1]
    assert study.stages_run(study.run("dvc", "repro")) == ["code"]


def started(study: Study, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["wen", "run", *arguments], cwd=study.root, env=study.variables(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
