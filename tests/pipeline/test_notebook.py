"""notebooks/study.ipynb, its cells run one after another: a session, a second one that goes on, and results pushed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import warm
from conftest import PROJECT
from tiny_study import Study, new_study, tiny_values

pytestmark = pytest.mark.slow

NOTEBOOK = json.loads((PROJECT / "notebooks/study.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
MODEL = "models/0.001/0.safetensors"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return new_study(tmp_path_factory.mktemp("notebook"), "study", tiny_values(cpu_engine="torch"))


def session(study: Study, monkeypatch: pytest.MonkeyPatch, folder: Path, **parameters: Any) -> None:
    """Run every cell with these parameters in place of the first cell's."""
    work = folder / "work"
    env = warm.variables(study.env) | {"PYTHONPATH": str(work / "src")}
    for name in os.environ.keys() - env.keys():
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    exec(CELLS[0], names)
    known = {"REPOSITORY": str(study.root), "PROFILE": "demo", "INSTALL": False, "HOURS": 1, "WORK": str(work)}
    assert (known | parameters).keys() <= names.keys()
    names |= known | parameters
    for cell in CELLS[1:]:
        exec(cell, names)


def test_a_second_session_continues_the_first_and_pushes_the_results(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    session(study, monkeypatch, tmp_path / "first", STORE=str(store), STAGES=["predict-fold@0.001-0"])
    first = capfd.readouterr().out
    assert study.stages_run(first)[-2:] == ["train-fold@0.001-0", "predict-fold@0.001-0"]
    assert "1 models are finished: 0.001/0.safetensors" in first
    assert not (store / "report").exists()

    study.run("git", "init", "--quiet", "--bare", str(tmp_path / "results"))
    session(study, monkeypatch, tmp_path / "second", STORE=str(store), PUSH_TO=str(tmp_path / "results"))
    second = capfd.readouterr().out
    ran = study.stages_run(second)
    assert "train-fold@0.001-0" not in ran
    assert {"train-fold@0.001-1", "train-fold@0.0001-0", "report"} <= set(ran)
    work = tmp_path / "second/work"
    assert (work / MODEL).read_bytes() == (tmp_path / "first/work" / MODEL).read_bytes()
    assert (store / "report/index.html").read_bytes() == (work / "report/index.html").read_bytes()
    pushed = study.run("git", "--git-dir", str(tmp_path / "results"), "show", "results:metrics/headline.json")
    assert pushed == (work / "metrics/headline.json").read_text()


def test_without_a_repository_the_notebook_says_what_to_fill_in() -> None:
    names: dict[str, Any] = {}
    exec(CELLS[0], names)
    with pytest.raises(ValueError, match="REPOSITORY is empty: fill in the first cell"):
        exec(CELLS[1], names)


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
