"""A grid of two to eight learning rates: dvc.yaml has a place for each, and for nothing else."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from dvc.repo import Repo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wen.config import grid
from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import WenError

RATES = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.00001]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    root = tmp_path_factory.mktemp("study")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, root)
    Repo.init(str(root), no_scm=True)
    return Paths(root)


def set_grid(paths: Paths, rates: list[float], lr: float) -> None:
    """Change params.yaml alone, as `dvc exp run --set-param` does."""
    text = grid.LIST.sub(f"lr_grid: {rates}", paths.params.read_text())
    lines = [f"lr: {lr}" if line.startswith("lr:") else line for line in text.splitlines()]
    paths.params.write_text("\n".join(lines) + "\n")


def trained(paths: Paths) -> set[str]:
    with Repo(str(paths.root)) as repo:
        names = {stage.name for stage in repo.index.stages}
    return {name.removeprefix("train-fold@").rsplit("-", 1)[0] for name in names if name.startswith("train-fold@")}


def read_by(stage: str, folder: str, paths: Paths) -> set[str]:
    with Repo(str(paths.root)) as repo:
        (found,) = (found for found in repo.index.stages if found.name == stage)
        read = [Path(dep.def_path) for dep in found.deps]
    return {path.name.removesuffix(".npz") for path in read if str(path.parent) == folder}


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(RATES), min_size=2, max_size=8, unique=True), st.sampled_from([*RATES, 0.5]))
def test_every_rate_of_the_grid_is_trained_and_read_and_so_is_a_focus_off_the_grid(
    study: Paths, rates: list[float], lr: float
) -> None:
    grid.write(rates, study)
    set_grid(study, rates, lr)
    params = load(study.params)
    grid.check(params, study)
    assert params.grid == [str(rate) for rate in rates]
    assert trained(study) == set(params.rates)
    assert read_by("ensemble-intra", "data/predictions", study) == set(params.grid)
    for folder in ("data/predictions", "data/predictions/inter", "plots/training"):
        assert read_by("report", folder, study) >= set(params.rates), folder


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_grid_of_up_to_four_rates_needs_no_command(number: int, study: Paths) -> None:
    grid.write(RATES[:3], study)
    set_grid(study, RATES[:number], RATES[0])
    grid.check(load(study.params), study)
    assert trained(study) == {str(rate) for rate in RATES[:number]}


def test_a_grid_with_too_many_rates_is_refused_with_the_command_to_run(study: Paths) -> None:
    grid.write(RATES[:3], study)
    set_grid(study, RATES[:5], RATES[0])
    with pytest.raises(
        WenError,
        match=r"lr_grid has 5 rates, and dvc.yaml .*; run `wen grid 0\.3 0\.1 0\.03 0\.01 0\.003`",
    ):
        grid.check(load(study.params), study)


def test_a_grid_with_too_few_rates_is_refused_with_the_command_to_run(study: Paths) -> None:
    grid.write(RATES, study)
    set_grid(study, RATES[:2], RATES[0])
    with pytest.raises(
        WenError, match=r"lr_grid has 2 rates, and dvc.yaml is written for another number; run `wen grid 0\.3 0\.1`"
    ):
        grid.check(load(study.params), study)


@pytest.mark.parametrize("missing", ["params.yaml", "dvc.yaml"])
def test_outside_a_study_nothing_is_written(study: Paths, tmp_path: Path, missing: str) -> None:
    for name in {"params.yaml", "dvc.yaml"} - {missing}:
        shutil.copy(study.root / name, tmp_path)
    with pytest.raises(WenError, match=f"{missing}: no such file; run this in the project's folder"):
        grid.write(RATES, Paths(tmp_path))
    assert not (tmp_path / missing).exists()


@pytest.mark.parametrize(
    "listed",
    [
        "lr_grid: [0.001, # not [0.1]\n  0.0001]",
        "lr_grid:  # rates\n  - 0.001\n\n  # the lower\n  - 0.0001",
        "lr_grid:\n- 0.001\n- 0.0001",
    ],
)
def test_a_list_in_lines_or_with_comments_is_replaced_completely(tmp_path: Path, listed: str) -> None:
    paths = Paths(tmp_path)
    shutil.copy(PROJECT / "dvc.yaml", tmp_path)
    text = re.sub("(?m)^lr_grid: .*", listed, (PROJECT / "params.yaml").read_text())
    paths.params.write_text(text)
    assert load(paths.params).lr_grid == [0.001, 0.0001]
    grid.write([0.3, 0.1, 0.03], paths)
    assert paths.params.read_text() == text.replace(listed, "lr_grid: [0.3, 0.1, 0.03]")


def test_writing_the_present_grid_changes_neither_file(study: Paths) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, study.root)
    before = study.params.read_bytes(), study.dvc.read_bytes()
    grid.write(load(study.params).lr_grid, study)
    assert (study.params.read_bytes(), study.dvc.read_bytes()) == before


@pytest.mark.parametrize("rates", [[0.1], [*RATES, 0.2], [0.1, 0.1], [0.1, float("nan")]])
def test_an_invalid_grid_is_refused_and_changes_nothing(rates: list[float], study: Paths) -> None:
    before: Any = study.params.read_bytes(), study.dvc.read_bytes()
    with pytest.raises(WenError, match="lr_grid"):
        grid.write(rates, study)
    assert (study.params.read_bytes(), study.dvc.read_bytes()) == before
