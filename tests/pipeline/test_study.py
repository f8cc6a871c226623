"""The real DVC pipeline, end to end, on a tiny study in a clone of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from ruamel.yaml import YAML
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn import metrics as sk
from tiny_study import Study, finished_study, private_mounts, set_params, tiny_values

from wen.cli import app

LRS = ("0.001", "0.0001")
MODELS = [(lr, fold) for lr in LRS for fold in (0, 1)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return finished_study(tmp_path_factory, "pipeline")


def test_the_study_runs_once_and_then_has_nothing_to_do(study: Study) -> None:
    """It was run in two parts, of which each begins with the stage ``code``."""
    first, *ran = study.stages_run(Path(study.env["HOME"], "repro.txt").read_text())
    assert first == "code"
    assert sorted(ran) == sorted({
        "code", "prepare", "split", "backbone", "features", "baselines", "repeats", "systems", "ensemble-intra",
        "report",
        *(f"{stage}@{lr}-{fold}" for stage in ("train-fold", "predict-fold") for lr, fold in MODELS),
        *(f"ensemble-inter@{lr}" for lr in LRS),
    })  # fmt: skip
    lock = (study.root / "dvc.lock").read_bytes()
    again = study.run("dvc", "repro")
    assert study.stages_run(again) == ["code"]  # which looks whether anything has
    assert "code and libraries: up to date" in again
    assert (study.root / "dvc.lock").read_bytes() == lock


def test_metrics_show_prints_the_result_table_and_a_short_one_of_the_main_rows(study: Study) -> None:
    header, *rows = (line.split() for line in study.run("dvc", "metrics", "show").splitlines())
    assert {"accuracy", "kappa", "auc"} <= set(header)
    paths = [row[0].removeprefix("metrics/") for row in rows]
    assert len(paths) == 4 + 4 + 6 + 6 + 2 * (2 + 2) + 1 + 7
    assert paths[8:10] == ["single/0.001/0.json", "single/0.001/1.json"]
    assert all(len(row) == len(header) for row in rows)
    header, *rows = (line.split() for line in study.run("dvc", "metrics", "show", "metrics/summary").splitlines())
    assert header == ["Path", "accuracy", "auc", "kappa"]
    assert sorted(row[0].removeprefix("metrics/summary/") for row in rows) == [
        "baseline-colour.json", "baseline-features.json", "inter.json", "intra.json", "rate-0.0001.json",
        "rate-0.001.json", "single.json",
    ]  # fmt: skip
    mean = study.row("single/0.001/mean.json")
    assert study.row("summary/rate-0.001.json") == {measure: mean[measure] for measure in ("accuracy", "kappa", "auc")}


def predictions(study: Study, name: str) -> dict[str, np.ndarray]:
    with np.load(study.root / f"data/predictions/{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def measured(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Every measure, by scikit-learn alone."""
    called = (probability >= 0.5).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(label, called, labels=[0, 1]).ravel()
    return {
        "accuracy": sk.accuracy_score(label, called),
        "precision": sk.precision_score(label, called, zero_division=0),
        "recall": sk.recall_score(label, called),
        "f1": sk.f1_score(label, called),
        "kappa": sk.cohen_kappa_score(label, called),
        "auc": sk.roc_auc_score(label, probability),
        "specificity": sk.recall_score(label, called, pos_label=0),
        "balanced_accuracy": sk.balanced_accuracy_score(label, called),
        "weighted_f1": sk.f1_score(label, called, average="weighted"),
        "tn": tn, "fp": fp, "fn": fn, "tp": tp,
    }  # fmt: skip


def origin(study: Study, lr: str, fold: int) -> dict[str, int]:
    """Stage and epoch of a model, by its own file."""
    with safe_open(study.root / f"models/{lr}/{fold}.safetensors", "pt") as file:
        about = json.loads(file.metadata()["wen"])
    return {"stage": {"head": 1, "finetune": 2}[about["stage"]], "epoch": about["epoch"]}


def test_every_number_is_recomputed_from_the_predictions_by_independent_code(study: Study) -> None:
    singles = {(lr, fold): predictions(study, f"{lr}/{fold}") for lr, fold in MODELS}
    on_test = {key: measured(p["test_label"], p["test_probability"]) for key, p in singles.items()}
    on_validation = {key: measured(p["validation_label"], p["validation_probability"]) for key, p in singles.items()}
    for name in ("colour", "features"):
        for fold in (0, 1):
            found = predictions(study, f"baseline/{name}/{fold}")
            row = measured(found["test_label"], found["test_probability"])
            assert study.row(f"single/baseline/{name}/{fold}.json") == pytest.approx(row, abs=1e-9)
    for (lr, fold), row in on_test.items():
        assert study.row(f"single/{lr}/{fold}.json") == pytest.approx(row | origin(study, lr, fold), abs=1e-9)
    label = singles["0.001", 0]["test_label"]

    def wen(members: list[tuple[str, int]], scheme: str) -> np.ndarray:
        score = np.clip([on_validation[member][scheme] for member in members], 0, None)
        weight = score / score.sum() if score.sum() > 0 else np.full(len(members), 1 / len(members))
        return sum(w * singles[member]["test_probability"] for w, member in zip(weight, members, strict=True))

    def champion(lr: str, rows: dict[tuple[str, int], dict[str, float]]) -> tuple[str, int]:
        folds = (0, 1)
        ranks = [
            sum(1 + sum(rows[lr, j][m] > rows[lr, i][m] for j in folds)
                + (sum(rows[lr, j][m] == rows[lr, i][m] for j in folds) - 1) / 2
                for m in ("accuracy", "precision", "recall", "f1", "kappa"))
            for i in folds
        ]  # fmt: skip
        return lr, min(folds, key=lambda i: (ranks[i], -rows[lr, i]["kappa"], i))

    for scheme in ("accuracy", "f1", "kappa"):
        for lr in LRS:
            probability = wen([(lr, 0), (lr, 1)], scheme)
            np.testing.assert_allclose(
                predictions(study, f"inter/{lr}")[f"{scheme}_probability"], probability, atol=1e-9
            )
            expected = measured(label, probability)
            assert study.row(f"inter/{lr}/{scheme}.json") == pytest.approx(expected, abs=1e-9)
        for reading, rows in (("as_written", on_test), ("leak_free", on_validation)):
            probability = wen([champion(lr, rows) for lr in LRS], scheme)
            stored = predictions(study, "intra")[f"{reading}_{scheme}_probability"]
            np.testing.assert_allclose(stored, probability, atol=1e-9)
            expected = measured(label, probability)
            assert study.row(f"intra/{reading}-{scheme}.json") == pytest.approx(expected, abs=1e-9)
    for lr in LRS:
        accuracies = [on_test[lr, fold]["accuracy"] for fold in (0, 1)]
        assert study.row(f"single/{lr}/mean.json")["accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-9)
        assert study.row(f"single/{lr}/std.json")["accuracy"] == pytest.approx(np.std(accuracies, ddof=1), abs=1e-9)
    assert study.row("headline.json") == study.row("inter/0.001/kappa.json")


class Cells(HTMLParser):
    """The text of each table row of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside and self.rows:
            self.rows[-1][-1] += data.strip()


NEEDED = r'(?:src|href)="(?!data:|#|https://doi\.org/)'
"""Where a page needs another file."""


def test_the_page_shows_the_numbers_of_the_metrics_files_and_needs_no_other_file(study: Study) -> None:
    page = (study.root / "report/index.html").read_text().replace("\N{MINUS SIGN}", "-")
    parser = Cells()
    parser.feed(page)
    rows = {row[0]: row[1:] for row in parser.rows if len(row) in (10, 12)}  # single models: stage and epoch, too
    expected = study.row("intra/leak_free-f1.json")
    shown = [re.match(r"-?\d\.\d{3}", text)[0] for text in rows["Intra-LR, F1 (leak_free)"]]  # type: ignore[index]  # before the interval
    assert shown == [f"{expected[m]:.3f}" for m in list(expected)[:9]]
    expected = study.row("single/0.0001/1.json")
    stage, epoch, *measures = rows["LR 10⁻⁴, fold 1"]
    shown = [re.match(r"-?\d\.\d{3}", text)[0] for text in measures]  # type: ignore[index]
    assert shown == [f"{expected[m]:.3f}" for m in list(expected)[:9]]
    assert (stage, epoch) == (str(expected["stage"]), str(expected["epoch"]))
    assert not re.findall(NEEDED, page)
    assert "Synthetic cells" in page
    assert "Split at random by image" in page


def test_the_terminal_shows_the_table_and_where_the_report_is(study: Study) -> None:
    output = study.run("wen", "results")
    assert "Headline, Inter-LR 1e-3, kappa" in output
    assert "report: report/index.html" in output
    assert re.search(r"time of stage train-fold: \d+\.\d min \(runs: 4\)", output)


def test_another_focus_reruns_only_the_report(study: Study) -> None:
    output = study.run("dvc", "exp", "run", "--set-param", "lr=1e-4", "--set-param", "weighting=f1")
    assert study.stages_run(output) == ["code", "report"]
    assert study.row("headline.json") == study.row("inter/0.0001/f1.json")
    assert "metrics/headline.json" in study.run("dvc", "metrics", "diff")


def test_a_report_alone_is_refused_for_parameters_that_its_models_were_not_trained_with(study: Study) -> None:
    values = tiny_values()
    values["train"]["batch_size"] = 8
    set_params(study.root, values)
    output = study.run("dvc", "repro", "--single-item", "report", fails=True)
    study.restore()
    assert "params.yaml: train.batch_size is 8, but train-fold@0.001-0 ran with 16" in output


def test_a_report_alone_is_refused_for_code_that_its_models_were_not_trained_with(study: Study) -> None:
    """The page would name a commit with the new code."""
    code = study.root / "src/wen/network/fit.py"
    code.write_text(f"{code.read_text()}\nNEW = 1\n")
    output = study.run("dvc", "repro", "--force", "--single-item", "report", fails=True)
    study.restore()
    assert "  train-fold: its code or libraries changed since it ran\n" in output


def test_ensemble_parameters_retrain_nothing(study: Study) -> None:
    changes = ("schemes=[kappa,auc,uniform]", "weighting=auc", "reading=as_written", "ensemble=intra")
    output = study.run("dvc", "exp", "run", *(word for change in changes for word in ("--set-param", change)))
    assert {stage.split("@")[0] for stage in study.stages_run(output)} == {
        "code", "ensemble-inter", "ensemble-intra", "report",
    }  # fmt: skip
    assert study.row("headline.json") == study.row("intra/as_written-auc.json")
    assert not (study.root / "metrics/intra/leak_free-f1.json").exists()


@pytest.mark.slow
def test_a_longer_grid_trains_only_its_new_rates_and_a_shorter_one_none(study: Study) -> None:
    study.restore()
    before = intra_metrics(study)
    ran = study.stages_run(study.run("dvc", "exp", "run", "--set-param", "lr_grid=[0.001, 0.0001, 0.00001]"))
    new = [f"{stage}@1e-05-{fold}" for stage in ("train-fold", "predict-fold") for fold in (0, 1)]
    assert set(ran) == {"code", *new, "ensemble-inter@1e-05", "ensemble-intra", "repeats", "report"}
    with np.load(study.root / "data/predictions/intra.npz") as arrays:
        assert len(arrays["leak_free_members"]) == 3
    assert before != intra_metrics(study)
    assert "LR 10⁻⁵, fold 1" in (study.root / "report/index.html").read_text()
    output = study.run("dvc", "exp", "run", "--set-param", "lr_grid=[0.001, 0.00001]")
    assert set(study.stages_run(output)) == {"code", "ensemble-intra", "repeats", "report"}
    assert "removed, because params.yaml no longer has their stages: " in output
    assert not list(study.root.glob("*/**/0.0001/*.npz"))
    study.run("git", "checkout", "--quiet", "params.yaml")
    assert study.stages_run(study.run("dvc", "repro", "ensemble-inter")) == ["code"]  # from the cache
    assert (study.root / "data/predictions/0.0001/1.npz").exists()
    study.restore()


def intra_metrics(study: Study) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (study.root / "metrics/intra").iterdir()}


def test_a_grid_too_long_for_dvc_yaml_is_refused_with_the_command_that_extends_it(study: Study) -> None:
    rates = ["0.001", "0.0001", "1e-05", "0.01", "0.003"]
    refused = study.run("dvc", "exp", "run", "--set-param", f"lr_grid=[{', '.join(rates)}]", fails=True)
    assert f"run `wen grid {' '.join(rates)}`" in refused
    study.restore()
    study.run("wen", "grid", *rates)
    study.run("wen", "check")
    planned = study.stages_run(study.run("dvc", "repro", "--dry", "--force"))
    study.restore()
    assert {stage for stage in planned if stage.startswith("train-fold@")} == {
        f"train-fold@{lr}-{fold}" for lr in rates for fold in (0, 1)
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("names", ["[colour]", "[]"])
def test_other_baselines_retrain_nothing_and_replace_the_outputs_of_the_former_ones(study: Study, names: str) -> None:
    study.restore()
    output = study.run("dvc", "exp", "run", "--set-param", f"baselines={names}")
    assert set(study.stages_run(output)) == {"code", "baselines", "repeats", "report"}
    for folder in ("metrics/single/baseline", "data/predictions/baseline", "models/baseline"):
        assert [path.name for path in (study.root / folder).iterdir()] == ["colour"] * (names == "[colour]")
    study.restore()


@pytest.mark.slow
def test_a_learning_rate_off_the_grid_trains_its_folds_and_nothing_else(study: Study) -> None:
    study.run("git", "checkout", "--quiet", "--", ".")
    output = study.run("dvc", "exp", "run", "--set-param", "lr=3e-4")
    assert study.stages_run(output) == [
        "code", "train-fold@0.0003-0", "train-fold@0.0003-1", "predict-fold@0.0003-0", "predict-fold@0.0003-1",
        "ensemble-inter@0.0003", "report",
    ]  # fmt: skip
    assert "summary/rate-0.0003.json" in study.run("dvc", "metrics", "show")
    assert study.run("dvc", "exp", "show", "--csv").count("workspace") == 1


def test_plots_are_drawn_and_two_experiments_are_overlaid(study: Study) -> None:
    study.run("dvc", "plots", "show", "--out", "shown")
    study.run("dvc", "plots", "diff", "--out", "compared", "HEAD")
    for page in ("shown/index.html", "compared/index.html"):
        text = (study.root / page).read_text()
        for title in ("ROC", "Confusion matrix", "Accuracy, mean over folds", "Learning rates", "Weighting schemes"):
            assert title in text, (page, title)
    shutil.rmtree(study.root / "shown")
    shutil.rmtree(study.root / "compared")


def test_after_a_return_to_the_commit_nothing_reruns(study: Study) -> None:
    study.restore()
    assert study.stages_run(study.run("dvc", "repro")) == ["code"]


def weigh(root: Path, power: int) -> None:
    """Change the code: weights by a power of accuracy."""
    file = root / "src/wen/ensemble/weights.py"
    text = file.read_text()
    line = "    return metrics.accuracy(metrics.confusion(label, probability))\n"
    assert text.count(line) == 1
    file.write_text(text.replace(line, line.replace("\n", f" ** {power}\n")))


@pytest.mark.slow
def test_a_second_clone_and_a_queued_experiment_run_their_own_code(study: Study, tmp_path: Path) -> None:
    """All by the `wen` of one environment, which is that of the study."""
    target = "ensemble-inter@0.001"
    study.run("git", "clone", "--quiet", str(study.root), str(tmp_path / "clone"))
    beside = Study(tmp_path / "clone", tmp_path)
    beside.env["PYTHONPATH"] = study.env["PYTHONPATH"]
    beside.run("dvc", "cache", "dir", "--local", str(study.root / ".dvc/cache"))
    beside.run("dvc", "checkout")
    weigh(beside.root, 20)
    weigh(study.root, 40)
    study.run("dvc", "exp", "run", "--queue", "--name", "newcode", target)
    study.restore()
    before = predictions(study, "inter/0.001")["accuracy_weight"]
    assert beside.stages_run(beside.run("dvc", "repro", target)) == ["code", target]
    assert target in study.stages_run(study.run("dvc", "exp", "run", "--run-all"))
    np.testing.assert_array_equal(predictions(study, "inter/0.001")["accuracy_weight"], before)
    study.run("dvc", "exp", "apply", "newcode")
    queued = predictions(study, "inter/0.001")["accuracy_weight"]
    study.restore()
    expected = [before**power / (before**power).sum() for power in (20, 40)]
    np.testing.assert_allclose(predictions(beside, "inter/0.001")["accuracy_weight"], expected[0], rtol=1e-6)
    np.testing.assert_allclose(queued, expected[1], rtol=1e-6)
    assert not np.allclose(expected[0], expected[1])
    weigh(study.root, 40)  # what the experiment computed is of this code, and may be taken
    assert study.stages_run(study.run("dvc", "repro", target)) == ["code"]
    np.testing.assert_array_equal(predictions(study, "inter/0.001")["accuracy_weight"], queued)
    study.restore()


def test_a_comment_in_the_training_code_retrains_nothing(study: Study) -> None:
    code = study.root / "src/wen/network/steps.py"
    code.write_text(code.read_text().replace("module.train()", "module.train()  # dropout and batch norm learn"))
    ran = study.stages_run(study.run("dvc", "repro"))
    study.restore()
    assert ran == ["code"]


def test_a_change_of_the_page_reruns_the_report_alone(study: Study) -> None:
    template = study.root / "src/wen/report/templates/report.html"
    template.write_text(template.read_text().replace("<main>", "<main><p>Of our laboratory.</p>"))
    ran = study.stages_run(study.run("dvc", "repro"))
    page = (study.root / "report/index.html").read_text()
    study.restore()
    assert ran == ["code", "report"]
    assert "<main><p>Of our laboratory.</p>" in page


@pytest.mark.slow
def test_earlier_outputs_of_a_stage_that_failed_come_back_from_the_cache(study: Study) -> None:
    model = study.root / "models/0.001/0.safetensors"
    before = model.read_bytes()
    values = tiny_values()
    values["finetune"]["unfreeze_from"] = "blocks.99"
    set_params(study.root, values)
    output = study.run("dvc", "repro", "--single-item", "train-fold@0.001-0", fails=True)
    study.run("dvc", "checkout")
    after = model.read_bytes()
    study.restore()
    assert "finetune.unfreeze_from" in output
    assert after == before


def test_results_of_a_stage_whose_dependency_changed_while_it_ran_are_not_recorded(study: Study) -> None:
    """The stage itself changes it, as another program would."""
    before = (study.root / "dvc.lock").read_text()
    weigh(study.root, 3)
    code = study.root / "src/wen/ensemble/inter.py"
    code.write_text(f"{code.read_text()}\nopen('data/code/ensemble-inter.txt', 'a').write('more')\n")
    output = study.run("dvc", "repro", "ensemble-inter@0.001", fails=True)
    after = (study.root / "dvc.lock").read_text()
    study.restore()
    assert "data/code/ensemble-inter.txt changed while ensemble-inter@0.001 ran" in output
    assert "Traceback" not in output
    old, new = (YAML(typ="safe").load(text)["stages"]["ensemble-inter@0.001"] for text in (before, after))
    assert new == old


@pytest.mark.slow
def test_another_split_reruns_every_stage_that_reads_training_images(study: Study) -> None:
    values = tiny_values()
    values["split"]["unit"] = "subject"
    set_params(study.root, values)
    study.run("dvc", "repro", "split")
    stages = study.stages_run(study.run("dvc", "repro", "--dry"))
    study.restore()
    assert {"features", "train-fold@0.001-0"} <= set(stages)
    assert not {"prepare", "backbone"} & set(stages)


@pytest.mark.slow
def test_images_of_another_size_are_computed_and_not_those_of_the_last_size_taken_from_the_run_cache(
    study: Study,
) -> None:
    values = tiny_values()
    values["images"]["size"] = 33
    set_params(study.root, values)
    study.run("dvc", "repro", "features")
    images = np.load(study.root / "data/features/images-clean.npy")
    study.restore()
    assert images.shape[1:] == (33, 33, 3)


@pytest.mark.parametrize("profile", ["thesis", "honest"])
def test_the_real_profiles_list_the_complete_study(study: Study, profile: str) -> None:
    shutil.copy(PROJECT / f"profiles/{profile}.yaml", study.root / "params.yaml")
    stages = study.stages_run(study.run("dvc", "repro", "--dry", "--force"))
    study.run("git", "checkout", "--quiet", "--", "params.yaml")
    assert len([stage for stage in stages if stage.startswith("train-fold@")]) == 15
    assert len([stage for stage in stages if stage.startswith("predict-fold@")]) == 15
    assert len([stage for stage in stages if stage.startswith("system@")]) == 8
    assert len([stage for stage in stages if stage.startswith("network@")]) == 11
    assert len(stages) == 8 + 15 + 15 + 3 + 1 + 1 + 8 + 11


def test_bad_parameters_end_in_one_line_without_a_traceback(study: Study) -> None:
    values = tiny_values()
    values["split"]["unit"] = "patient"
    set_params(study.root, values)
    direct = study.run("wen", "split", fails=True)
    in_dvc = study.run("dvc", "repro", fails=True)
    study.restore()
    assert direct.splitlines() == ["error: params.yaml: split.unit: should be 'image' or 'subject', found 'patient'"]
    assert "split.unit" in in_dvc
    assert "Traceback" not in in_dvc


@pytest.mark.parametrize("lr", ["0.001; touch spoiled", "0.001' $(touch spoiled) '", "`touch spoiled`"])
def test_a_command_in_params_yaml_never_reaches_a_shell(study: Study, lr: str) -> None:
    set_params(study.root, tiny_values() | {"lr": lr})
    output = study.run("dvc", "repro", "--single-item", f"train-fold@{lr}-0", fails=True)
    study.restore()
    assert not list(study.root.rglob("spoiled*"))
    assert "failed to run: wen train-fold --lr" in output
    assert "error: params.yaml: lr" in output
    assert "Traceback" not in output


def test_bad_parameters_of_an_experiment_end_without_a_traceback(study: Study) -> None:
    for change in ("head.epochs=many", "train.batchsize=8", "lr=.nan"):
        output = study.run("dvc", "exp", "run", "--set-param", change, fails=True)
        study.restore()
        assert change.split("=")[0] in output
        assert "Traceback" not in output


STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "repeats", "train-fold --lr 0.001 --fold 0",
    "predict-fold --lr 0.001 --fold 0", "ensemble-inter --lr 0.001", "ensemble-intra", "report",
)  # fmt: skip
ONE_BY_ONE = """
import sys
from wen import cli
for stage in sys.argv[1:]:
    sys.argv = ["wen", *stage.split()]
    try:
        cli.main()
    except SystemExit as end:
        print("ended with", end.code, file=sys.stderr)
"""


@pytest.mark.slow
def test_on_a_full_disk_every_stage_ends_with_a_sentence_and_leaves_all_as_it_was(study: Study) -> None:
    script = """
        set -e
        mount -t tmpfs -o size=$(( $(du -sm . | cut -f1) + 20 ))m none /mnt
        cp -a . /mnt/study
        cd /mnt/study
        cat /dev/zero > /mnt/filling 2> /dev/null || true
        files() { find . -type f -exec md5sum {} + | sort; }
        before=$(files)
        python -P -c "$@" > /dev/null
        test "$(files)" = "$before"
    """
    output = study.run(*private_mounts(), script, "sh", ONE_BY_ONE, *STAGES)
    ends = [line for line in output.splitlines() if not line.startswith("on cpu: ")]
    assert ends == ["error: a file: No space left on device; no partial output was written", "ended with 1"] * len(
        STAGES
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_training_ends_dvc_within_seconds_and_says_how_to_go_on(
    study: Study, number: signal.Signals
) -> None:
    values = tiny_values()
    values["head"] |= {"epochs": 100_000, "patience": 100_000}
    set_params(study.root, values)
    checkpoint = study.root / ".checkpoints/0.001/0.safetensors"
    process = subprocess.Popen(
        ["dvc", "repro", "--single-item", "train-fold@0.001-0"], cwd=study.root, env=study.env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, number)  # as a terminal and a scheduler do
    output, _ = process.communicate(timeout=15)
    checkpoint.unlink()
    study.restore()
    assert process.returncode
    assert f"stopped by {number.name}; `dvc repro` resumes each training from its last finished epoch" in output
    assert "Traceback" not in output


def test_nonfinite_weights_end_the_study_before_anything_is_trained(study: Study, tmp_path: Path) -> None:
    weights = load_file(study.root / "models/backbone.safetensors")
    weights["bn2.weight"][3] = float("nan")
    save_file(weights, tmp_path / "spoiled.safetensors")
    values = tiny_values()
    values["backbone"]["weights"] = str(tmp_path / "spoiled.safetensors")
    set_params(study.root, values)
    output = study.run("dvc", "repro", "predict-fold@0.001-0", fails=True)
    study.restore()
    assert study.stages_run(output) == ["code", "backbone"]
    assert "bn2.weight" in output
    assert "Traceback" not in output


def test_a_second_clone_pulls_the_results_and_retrains_nothing(study: Study, tmp_path: Path) -> None:
    study.run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    study.run("dvc", "push")
    study.run("git", "clone", "--quiet", str(study.root), str(tmp_path / "second"))
    second = Study(tmp_path / "second", tmp_path)
    second.run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    second.run("dvc", "pull")
    assert second.stages_run(second.run("dvc", "repro")) == ["code"]


@pytest.mark.slow
def test_wen_commands_one_by_one_in_another_folder_give_the_same_bytes_as_dvc(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "a folder of another name"
    again.mkdir()
    set_params(again, tiny_values())
    monkeypatch.chdir(again)
    of_models = [f"{stage} --lr {lr} --fold {fold}" for stage in ("train-fold", "predict-fold") for lr, fold in MODELS]
    of_rates = [f"ensemble-inter --lr {lr}" for lr in LRS]
    before = ("code", "prepare", "split", "backbone", "features", "baselines", "repeats")
    for command in (*before, *of_models, *of_rates, "ensemble-intra", "report"):
        app(command.split(), standalone_mode=False)
    page = (again / "report/index.html").read_text()
    assert "<path" in page  # of figures, which the study's own page leaves empty
    assert not re.findall(NEEDED, page)
    assert (study.root / "data/repeats.csv").read_bytes() == (again / "data/repeats.csv").read_bytes()
    for folder in ("data/predictions", "models", "metrics", "plots/headline", "plots/training", "data/features"):
        files = {path.relative_to(again) for path in (again / folder).rglob("*") if path.is_file()}
        assert files
        for path in files:
            assert (study.root / path).read_bytes() == (again / path).read_bytes(), path
