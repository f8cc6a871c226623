"""The record on real cells: each configuration of bench/record.yaml is a study; docs/results/ compares them.

    make record DATA=FOLDER|ZIP        # C-NMC 2019, complete or a part

The folder of a study is build/record/NAME: a clone of this commit, in which `wen study` and `dvc repro` run. If it is
stopped, the same command continues: DVC repeats no finished stage, and models resume from their last epoch.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from record_page import write
from ruamel.yaml import YAML

from wen.config.paths import Paths
from wen.config.read import load
from wen.data import readers
from wen.errors import WenError
from wen.files import atomic

PROJECT = Path(__file__).resolve().parents[1]
NAMED = ("systems", "pretrained")
"""Sections whose keys are names: another mapping takes the place of all of them."""
MISSING = """make record needs images of C-NMC 2019, and {where}.
Get them from https://www.cancerimagingarchive.net/collection/c-nmc-2019/ (CC BY 3.0) or from Kaggle, where they are
andrewmvd/leukemia-classification: about 11 GB unpacked; a part of the training folds will do. Leave the download as it
is, a folder or a zip, and name it: make record DATA=FOLDER|ZIP"""


def main() -> None:
    """Run what is not finished, and write the page after each study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder or zip of C-NMC 2019, complete or a part")
    parser.add_argument("--configurations", type=Path, default=PROJECT / "bench/record.yaml")
    parser.add_argument("--studies", type=Path, default=PROJECT / "build/record", help="where the studies lie")
    parser.add_argument("--target", type=Path, default=PROJECT / "docs/results")
    parser.add_argument("--only", nargs="+", help="names of configurations")
    parser.add_argument("--page", metavar="HOW", help="write only the page; HOW states how the studies were run")
    options = parser.parse_args()
    chosen = YAML(typ="safe").load(options.configurations)
    studies = {name: options.studies / name for name in chosen}
    if options.page:
        write(studies, options.target, options.page)
        return
    names = options.only or list(chosen)
    if unknown := [name for name in names if name not in chosen]:
        raise WenError(f"--only {' '.join(unknown)}: not in {options.configurations}, which has {', '.join(chosen)}")
    if options.data is None or not options.data.exists():
        where = "none are given" if options.data is None else f"there is no {options.data}"
        raise WenError(MISSING.format(where=where))
    commit = committed()
    for name in names:
        root = prepared(studies[name], commit, options.data.resolve(), chosen[name])
        if reason := lacking(root):
            print(f"{name}: left out: {reason}", flush=True)
            continue
        print(f"{name}: dvc repro in {root}", flush=True)
        run(["dvc", "repro"], root)
        write(studies, options.target, f"Made by `make record DATA=...` at {commit[:10]}")
    print(options.target / "README.md")


def committed() -> str:
    """Return the current commit; raise `WenError` if the code to run differs from it."""
    changed = output(["git", "status", "--porcelain", "--", "src", "dvc.yaml", "profiles", "bench"], PROJECT)
    if changed:
        raise WenError(f"make record is of a commit, and these differ from it:\n{changed}commit them first")
    return output(["git", "rev-parse", "HEAD"], PROJECT).strip()


def prepared(root: Path, commit: str, data: Path, values: Mapping[str, Any]) -> Path:
    """Return the study of one configuration, or clone a new one with the images and its params.yaml.

    Raises
    ------
    WenError
        If the started study has another commit, other images or another configuration.
    """
    of = json.dumps({"images": str(data), "configuration": values}, sort_keys=True)
    if root.is_dir():
        start = output(["git", "rev-parse", "begun^"], root).strip()
        if start != commit:
            raise WenError(
                f"{root}: started at commit {start[:10]}, but this is {commit[:10]}; remove it to start again"
            )
        before = output(["git", "config", "--default", "{}", "--get", "record.of"], root)
        if before.strip() != of:
            raise WenError(f"{root}: started with {before.strip()}, but this is {of}; remove it to start again")
        return root
    with atomic(root) as partial:
        # Maintenance after a commit would change files while they are flushed.
        run(["git", "clone", "--quiet", "--config", "maintenance.auto=false", str(PROJECT), str(partial)], PROJECT)
        run(["git", "checkout", "--quiet", commit], partial)
        run(["dvc", "cache", "dir", "--local", str(root.parent.resolve() / "cache")], partial)
        run(["wen", "study", str(data), "--profile", "laptop", "--incomplete"], partial)
        set_values(partial / "params.yaml", values)
        for key, value in (("user.name", "record"), ("user.email", "record@localhost"), ("record.of", of)):
            run(["git", "config", key, value], partial)
        run(["git", "commit", "--quiet", "--all", "--message", f"The record: {root.name}"], partial)
        run(["git", "tag", "begun"], partial)
    return root


def set_values(path: Path, values: Mapping[str, Any]) -> None:
    """Set values in a params.yaml; in a section, only the given keys, but all keys of the sections in `NAMED`."""
    yaml = YAML()
    params = yaml.load(path)
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in NAMED:
            params[key] |= value
        else:
            params[key] = value
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yaml.dump(params, file)


def lacking(root: Path) -> str:
    """Return why the available images do not suffice for this study; empty if they do."""
    params = load(root / "params.yaml")
    part, cells = params.split.test, readers.read(params.dataset, readers.place(params.dataset, Paths(root))).cells
    inside = sum(cell.source == part for cell in cells)
    if part != "random" and inside in (0, len(cells)):
        return f"it tests on {part}, of which {inside:,} of the {len(cells):,} labelled images are"
    return ""


def run(command: list[str], folder: Path) -> None:
    """Run a command of the code in a folder, with its output in the terminal."""
    if subprocess.run(command, cwd=folder, env=environment(folder), check=False).returncode:
        raise WenError(f"{' '.join(command)}: failed in {folder}; when this is corrected, the same command continues")


def output(command: list[str], folder: Path) -> str:
    """Return the output of a command."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which the study's code comes first on the path, whatever is installed."""
    return os.environ | {"PYTHONPATH": str(folder.resolve() / "src")}


if __name__ == "__main__":
    try:
        main()
    except WenError as error:
        sys.exit(f"error: {error}")
