"""Parameters that are edited while a stage runs."""

import shutil
from pathlib import Path

import pytest
from conftest import PROJECT

from wen.config import edited
from wen.config.paths import Paths
from wen.errors import WenError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    return Paths(tmp_path)


def replace(paths: Paths, old: str, new: str) -> None:
    text = paths.params.read_text()
    assert text.count(old) == 1
    paths.params.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("stage", "old", "new", "named"),
    [
        ("train-fold@0.001-0", "  epochs: 90", "  epochs: 91", "head"),
        ("prepare", "  crop: 120", "  crop: 110", "images.crop"),
        ("system@wibowo2024", "trials: 6", "trials: 7", "systems.wibowo2024"),
        ("report", "# demo:", "# our demo:", "its content"),
    ],
)
def test_a_parameter_of_a_stage_that_changes_while_it_runs_is_refused(
    paths: Paths, stage: str, old: str, new: str, named: str
) -> None:
    check = edited.watch(stage, paths)
    check()
    replace(paths, old, new)
    with pytest.raises(WenError, match=rf"params.yaml: {named} changed while {stage} ran, .*; run `dvc repro` again"):
        check()
    replace(paths, new, old)
    check()


@pytest.mark.parametrize("stage", ["train-fold@0.001-0", "prepare", "system@baby2022", "ensemble-intra"])
def test_a_parameter_of_other_stages_may_change_while_a_stage_runs(paths: Paths, stage: str) -> None:
    check = edited.watch(stage, paths)
    replace(paths, "  margin: 0.01", "  margin: 0.02")
    replace(paths, "trials: 6", "trials: 7")
    replace(paths, "# demo:", "# our demo:")
    check()


def test_the_error_of_a_stage_that_failed_is_not_replaced(paths: Paths) -> None:
    check = edited.watch("prepare", paths)
    replace(paths, "  crop: 120", "  crop: 110")
    try:
        raise ValueError
    except ValueError:
        check()
