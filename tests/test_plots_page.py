"""`dvc plots show` and `dvc plots diff`: a page that draws without internet, on axes that show differences."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from ruamel.yaml import YAML

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TABLES = {
    "roc": "false_positive_rate,true_positive_rate\n0,0\n0,0.9\n0.2,1\n1,1\n",
    "confusion": "actual,predicted\n" + "ALL,ALL\n" * 3 + "ALL,HEM\nHEM,HEM\n",
    "learning": "step,train_loss,validation_loss,train_accuracy,validation_accuracy\n0,.6,.7,.5,.6\n1,.5,.6,.6,.7\n",
    "rates": "model,accuracy\nmean single 0.001,0.88\nmean single 0.0001,0.87\n",
    "schemes": "model,accuracy\nInter-LR kappa,0.88\nInter-LR f1,0.89\n",
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a repository with the project's plots, its templates and its config, and data of a few lines."""
    root = tmp_path_factory.mktemp("plots")
    shutil.copytree(PROJECT / ".dvc/plots", root / ".dvc/plots")
    shutil.copy(PROJECT / ".dvc/config", root / ".dvc/config")
    (root / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    plots = YAML(typ="safe").load(PROJECT / "dvc.yaml")["plots"]
    (root / "dvc.yaml").write_text(json.dumps({"plots": plots}))
    (root / "plots/headline").mkdir(parents=True)
    for name, table in TABLES.items():
        (root / f"plots/headline/{name}.csv").write_text(table)
    subprocess.run([sys.executable, "-m", "dvc", "plots", "show", "--quiet"], cwd=root, check=True)
    return root / "dvc_plots/index.html"


@pytest.fixture
def specs(page: Path) -> dict[str, dict[str, Any]]:
    """What is drawn, by title."""
    text = page.read_text(encoding="utf-8").rsplit("<body>", 1)[1]
    drawn = [json.loads(spec) for spec in re.findall(r"var spec = (\{.*\});", text)]
    return {spec["title"]["text"]: spec for spec in drawn}


def test_a_clone_without_the_data_draws_all_since_every_plot_is_of_files_that_git_keeps(page: Path) -> None:
    """DVC draws nothing at all of a commit that lacks the file of one plot."""
    tracked = subprocess.run(["git", "ls-files", "plots"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not in a git repository")
    files = re.findall(r"plots/[\w./-]+", (page.parents[1] / "dvc.yaml").read_text())
    assert files
    assert set(files) <= set(tracked.stdout.split())


def test_the_page_loads_nothing_from_the_internet(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*""", text)
    assert text.count("<script>") == 3
    assert "BSD 3-Clause" in text


def test_accuracies_are_dots_on_an_axis_that_does_not_begin_at_zero_in_the_order_of_the_file(
    specs: dict[str, dict[str, Any]],
) -> None:
    for title in ("Learning rates", "Weighting schemes"):
        assert specs[title]["mark"]["type"] == "point"
        assert specs[title]["encoding"]["x"]["scale"]["zero"] is False
        assert specs[title]["encoding"]["y"]["sort"] is None


def test_loss_and_accuracy_begin_where_their_values_do(specs: dict[str, dict[str, Any]]) -> None:
    for title in ("Loss, mean over folds", "Accuracy, mean over folds"):
        scales = re.findall(r'"scale": (\{[^{}]*\})', json.dumps(specs[title]))
        assert '{"zero": false}' in scales


def test_the_confusion_matrix_shows_its_counts(specs: dict[str, dict[str, Any]]) -> None:
    layers = specs["Confusion matrix"]["spec"]["layer"]
    assert [layer["encoding"]["text"]["field"] for layer in layers if "text" in layer["encoding"]] == ["images"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_without_network_draws_every_plot(page: Path, tmp_path: Path) -> None:
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=5000",
    ]
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    drawn = subprocess.run(
        [str(CHROMIUM), *options, offline, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert len(re.findall(r"<canvas|<svg[^>]*class=\"marks\"", drawn)) == 6
