"""`wen classify` on a tiny study: its output, the choice of the classifier, and refusals."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML
from tiny_study import Study, finished_study, set_params, tiny_values

from wen import classify
from wen.cli import app
from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import WenError
from wen.integrity import one_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return finished_study(tmp_path_factory, "classify")


def predictions(study: Study, name: str) -> dict[str, np.ndarray]:
    with np.load(study.root / f"data/predictions/{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def wen(*command: str) -> None:
    app(command, standalone_mode=False)


def evidence(study: Study) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((study.root / "metrics/evidence.json").read_text())
    return found


@pytest.mark.parametrize(
    "name", [None, "intra leak_free f1", "single 0.0001-1", "single baseline/colour-0", "single baseline/features-1"]
)
def test_images_are_classified_as_the_study_classified_them(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.chdir(study.root)
    index = pd.read_csv(study.root / "data/index.csv", dtype=str).set_index("id")
    if name and name.startswith("single"):
        stored = predictions(study, "/".join(name.removeprefix("single ").rsplit("-", 1)))
        expected = stored["test_probability"]
    else:
        stored = predictions(study, "intra" if name else "inter/0.001")
        expected = stored["leak_free_f1_probability" if name else "kappa_probability"]
    files = index.path[stored["test_id"]].tolist()
    options = ["--classifier", name] if name else []
    wen("classify", *files, "--output", str(tmp_path / "cells.csv"), *options)
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == files
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected, atol=1e-5)
    assert [row["called"] for row in rows] == ["ALL" if probability >= 0.5 else "HEM" for probability in expected]
    assert {(row["classifier"], row["study"]) for row in rows} == {
        (name or "inter 0.001 kappa", evidence(study)["study"])
    }  # fmt: skip
    assert evidence(study)["study"] in (study.root / "report/index.html").read_text()


def test_images_that_the_study_trained_with_are_counted_in_a_warning(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.root)
    cells = pd.read_csv("data/index.csv", dtype=str).merge(pd.read_csv("data/split.csv", dtype=str), on="id")
    test, trained = (cells.path[cells.part == part].tolist()[:2] for part in ("test", "development"))
    shutil.copy(trained[0], tmp_path / "renamed.bmp")
    wen("classify", *test, "--output", str(tmp_path / "cells.csv"))
    assert "trained with" not in capfd.readouterr().err
    wen("classify", *test, trained[1], str(tmp_path / "renamed.bmp"), "--output", str(tmp_path / "cells.csv"))
    assert (
        f"warning: the study trained with 2 of these 4 images, so their probabilities are optimistic: {trained[1]}, "
        f"{tmp_path}/renamed.bmp\n"
    ) in capfd.readouterr().err


@pytest.mark.parametrize("name", ["inter 0.001 kappa", "intra leak_free f1"])
def test_with_temperatures_images_are_classified_as_the_study_classified_them(
    scaled: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(scaled.root)
    kind, what, scheme = name.split()
    arrays = predictions(scaled, f"inter/{what}" if kind == "inter" else "intra")
    key = scheme if kind == "inter" else f"{what}_{scheme}"
    files = pd.read_csv("data/index.csv", dtype=str).set_index("id").path[arrays["test_id"]].tolist()
    wen("classify", *files, "--output", str(tmp_path / "cells.jsonl"), "--members", "--classifier", name)
    rows = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    probability = np.array([row["probability"] for row in rows])
    np.testing.assert_allclose(probability, arrays[f"{key}_probability"], atol=1e-5)
    unscaled = sum(w * np.array([row[member] for row in rows]) for member, w in weights_of(arrays, kind, what, key))
    assert np.abs(probability - unscaled).max() > 0.01


def weights_of(arrays: dict[str, np.ndarray], kind: str, what: str, key: str) -> list[tuple[str, float]]:
    members = arrays["members" if kind == "inter" else f"{what}_members"]
    return list(zip(members.tolist(), arrays[f"{key}_weight"].tolist(), strict=True))


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study with ``calibration: temperature``."""
    study = finished_study(tmp_path_factory, "scaled")
    output = study.run("dvc", "exp", "run", "--set-param", "calibration=temperature")
    assert {stage.split("@")[0] for stage in study.stages_run(output)} == {
        "code", "repeats", "ensemble-inter", "ensemble-intra", "report",
    }  # fmt: skip
    return study


def test_final_images_of_another_size_are_classified_and_submitted_by_number(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.root)
    for number in range(1, 11):
        shade = 25 * number
        Image.new("RGB", (64 if number < 10 else 30,) * 2, (shade, shade // 2, shade)).save(tmp_path / f"{number}.bmp")
    (tmp_path / "._1.bmp").touch()  # what macOS leaves
    wen(
        "classify", str(tmp_path), "--members", "--output", str(tmp_path / "rows.jsonl"),
        "--submission", str(tmp_path / "isbi_valid.predict"),
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [Path(row["file"]).name for row in rows] == [f"{number}.bmp" for number in range(1, 11)]
    weights = predictions(study, "inter/0.001")["kappa_weight"]
    for row in rows:
        assert row["probability"] == pytest.approx(weights @ [row["0.001-0"], row["0.001-1"]])
    called = "".join(f"{int(row['called'] == 'ALL')}\n" for row in rows)
    assert (tmp_path / "isbi_valid.predict").read_text() == called
    errors = capfd.readouterr().err
    assert f"isbi_valid.predict: written by inter 0.001 kappa of study {evidence(study)['study']}\n" in errors
    (tmp_path / "7.bmp").unlink()
    with pytest.raises(WenError, match=f"instead of 7, found {tmp_path}/8.bmp"):
        wen("classify", str(tmp_path), "--submission", str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def run(study: Study, *sources: str, **options: Any) -> None:
    paths = Paths(study.root)
    classify.run(load(paths.params), paths, classify.Request(list(sources), **options))


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        ("nowhere.bmp", {}, "no such file, folder or pattern"),
        ("src", {}, r"no image in this folder \(.*\), but "),
        ("good.bmp", {"classifier": "inter 0.01 kapa"}, "did you mean 'inter 0.001 kappa'"),
        ("good.bmp", {"classifier": "best"}, "LR: 0.001, 0.0001; FOLD: 0, 1;"),
        (
            "good.bmp",
            {"output": Path("r.xlsx")},
            r"unknown ending; use \.csv, \.jsonl, \.parquet, \.txt, or give --format",
        ),
        ("good.bmp", {"output": Path("folder")}, "exists and is not a regular file"),
        ("good.bmp", {"submission": Path("folder")}, "exists and is not a regular file"),
        ("good.bmp", {"output": Path("link.csv")}, "exists and is not a regular file"),
        ("good.bmp", {"submission": Path("x")}, "named by their number"),
        ("good.bmp", {"output": Path("x.csv"), "submission": Path("x.csv")}, "name the same file"),
        ("-", {}, "-: no image found"),
    ],
)
def test_an_impossible_request_is_refused_and_nothing_is_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, options: dict[str, Any], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"\r\n")))
    Image.new("RGB", (48, 48)).save("good.bmp")
    for folder in ("folder", "src"):
        Path(folder).mkdir()
    Path("src/1.txt").touch()
    Path("link.csv").symlink_to("elsewhere.csv")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WenError, match=problem):
        run(study, source, **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_in_any_folder_every_image_is_classified_under_its_name(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [b"a.bmp", b"\x1b[31mred\x1b]0;x\x07.bmp", b"one\ntwo.bmp", b"=1+1.bmp", b"caf\xe9.bmp", b"a,b;c.bmp"]
    for name in names:
        Image.new("RGB", (48, 48)).save(tmp_path / os.fsdecode(name))
    os.mkfifo(tmp_path / "pipe.bmp")
    (tmp_path / "zero.bmp").symlink_to("/dev/zero")
    bomb = bytearray((tmp_path / "a.bmp").read_bytes())
    bomb[18:26] = (60000).to_bytes(4, "little") * 2  # its width and height
    (tmp_path / "bomb.bmp").write_bytes(bomb)
    done = subprocess.run(
        ["wen", "classify", str(tmp_path), "--format", "csv"],
        cwd=study.root, env=study.env | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    errors = done.stderr.decode()
    assert done.returncode == 1
    assert "Traceback" not in errors
    assert "\x1b" not in errors
    for name in ("pipe.bmp: a pipe (FIFO), not a file", "zero.bmp: a device, not a file", "bomb.bmp: more pixels than"):
        assert f"error: {tmp_path}/{name}" in errors
    assert "3 of 9 images could not be classified" in errors
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8", "surrogateescape"), newline="")))
    assert sorted(os.path.basename(os.fsencode(row["file"])) for row in rows) == sorted(names)
    with pytest.raises(WenError, match="3 of 9 images could not be classified"):
        run(study, str(tmp_path), form="table")
    table = capfd.readouterr().out
    assert "\x1b" not in table
    assert len(table.splitlines()) == len(names) + 2


def edited(**changes: Any) -> Callable[[Study], None]:
    """What sets values of params.yaml; of a section, those that are given."""

    def edit(study: Study) -> None:
        values = tiny_values()
        for key, value in changes.items():
            values[key] = values[key] | value if isinstance(value, dict) else value
        set_params(study.root, values)

    return edit


def overwritten(path: str, by: str) -> Callable[[Study], None]:
    """What puts another file in the place of one, and not through the link to DVC's cache."""

    def write(study: Study) -> None:
        (study.root / path).unlink()
        shutil.copy(study.root / by, study.root / path)

    return write


def trained_again(study: Study) -> None:
    """What leaves dvc.lock as it is after a `dvc repro` that was stopped behind a training."""
    lock = YAML().load(study.root / "dvc.lock")
    lock["stages"]["train-fold@0.001-0"]["outs"][0]["md5"] = "a" * 32
    YAML().dump(lock, study.root / "dvc.lock")


EDITS = {
    "lr": (edited(lr=1e-4), "params.yaml: lr is 0.0001, but the report is about 0.001"),
    "weighting": (edited(weighting="f1"), 'weighting is "f1", but the report is about "kappa"'),
    "ensemble": (edited(ensemble="single"), 'ensemble is "single", but the report is about "inter"'),
    "reading": (edited(reading="as_written"), 'reading is "as_written", but the report is about "leak_free"'),
    "an LR off the grid": (edited(lr=3e-4), "dvc.lock: stage train-fold@0.0003-0 has not run"),
    "another grid": (edited(lr_grid=[0.001, 0.0001, 0.01]), "dvc.lock: stage train-fold@0.01-0 has not run"),
    "calibration": (edited(calibration="temperature"), 'calibration is "temperature", but ensemble-inter@0.001 ran'),
    "schemes": (edited(schemes=["kappa", "auc"]), 'schemes is ["kappa", "auc"], but ensemble-inter@0.001 ran with'),
    "more folds": (edited(folds=[0, 1, 2]), "dvc.lock: stage train-fold@0.001-2 has not run"),
    "images": (edited(images={"crop": 40}), "params.yaml: images.crop is 40, but prepare ran with 48"),
    "unit": (edited(split={"unit": "subject"}), 'split.unit is "subject", but split ran with "image"'),
    "epochs": (edited(head={"epochs": 3}), "head.epochs is 3, but train-fold@0.001-0 ran with 2"),
    "batch": (edited(train={"batch_size": 8}), "train.batch_size is 8, but train-fold@0.001-0 ran with 16"),
    "metrics": (overwritten("metrics/headline.json", "metrics/split.json"), "headline.json: changed since"),
    "weights": (overwritten("data/predictions/inter/0.001.npz", "data/predictions/intra.npz"), "npz: changed since"),
    "a model alone": (trained_again, "train-fold@0.001-0 rewrote it after predict-fold@0.001-0 had read it"),
    "no lock": (lambda study: (study.root / "dvc.lock").unlink(), "dvc.lock: not found"),
    "conflict": (
        lambda study: (study.root / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n"),
        "dvc.lock:1: merge-conflict markers",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "problem"), EDITS.values(), ids=EDITS)
def test_params_models_and_metrics_from_different_runs_are_refused(
    study: Study, edit: Callable[[Study], None], problem: str
) -> None:
    paths = Paths(study.root)
    one_run.check(load(paths.params), paths, focus=True)
    edit(study)
    try:
        with pytest.raises(WenError) as caught:
            one_run.check(load(paths.params), paths, focus=True)
    finally:
        study.restore()
    assert problem in str(caught.value)
    one_run.check(load(paths.params), paths, focus=True)


def test_a_result_table_from_different_runs_has_a_warning(study: Study) -> None:
    assert "warning" not in study.run("wen", "results")
    overwritten("data/predictions/0.001/1.npz", "data/predictions/0.001/0.npz")(study)
    output = study.run("wen", "results")
    study.restore()
    assert (
        "warning: the numbers below may be wrong: params.yaml, models and metrics come from different runs:\n" in output
    )
    assert "data/predictions/0.001: changed since " in output


@pytest.mark.parametrize("change", [{"report": {"language": "id"}}, {"report": {"margin": 0.02}}, {"lr": 0.001}])
def test_a_change_that_affects_no_classifier_refuses_none(study: Study, change: dict[str, Any]) -> None:
    paths = Paths(study.root)
    edited(**change)(study)
    paths.params.write_text("# a comment\n" + paths.params.read_text())
    one_run.check(load(paths.params), paths, focus=True)
    study.restore()


def test_a_named_classifier_needs_no_report_about_it(study: Study) -> None:
    paths = Paths(study.root)
    edited(lr=1e-4, weighting="f1", ensemble="single")(study)
    one_run.check(load(paths.params), paths, focus=False)
    study.restore()


def test_classify_refuses_edited_params_and_a_replaced_model(study: Study, tmp_path: Path) -> None:
    Image.new("RGB", (48, 48)).save(tmp_path / "1.bmp")
    edited(lr=1e-4)(study)
    text = study.run("wen", "classify", str(tmp_path / "1.bmp"), fails=True)
    study.restore()
    assert (
        "from different runs:\n  params.yaml: lr is 0.0001, but the report is about 0.001\n`dvc repro` updates" in text
    )
    assert "1.bmp" not in text
    overwritten("models/0.001/1.safetensors", "models/0.001/0.safetensors")(study)
    with pytest.raises(WenError, match=r"models/0.001/1.safetensors: not the model recorded by DVC"):
        run(study, str(tmp_path / "1.bmp"))
    study.restore()


def test_after_an_experiment_the_output_names_the_other_classifier(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (48, 48)).save(tmp_path / "1.bmp")
    run(study, str(tmp_path / "1.bmp"))
    identity = evidence(study)["study"]
    assert f"# classifier inter 0.001 kappa, study {identity}, threshold 0.5\n" in capfd.readouterr().out
    study.run("dvc", "exp", "run", "--set-param", "lr=1e-4")
    run(study, str(tmp_path / "1.bmp"))
    study.restore()
    assert f"# classifier inter 0.0001 kappa, study {identity}, threshold 0.5\n" in capfd.readouterr().out


LOADED = "import runpy, sys\ntry:\n    runpy.run_module('wen', run_name='__main__')\nfinally:\n    {end}"
HEAVY = ("torch", "timm", "sklearn", "pandas", "statsmodels", "matplotlib")


def cells(study: Study) -> list[str]:
    """A few images of the study."""
    return [str(study.root / path) for path in pd.read_csv(study.root / "data/index.csv", dtype=str).path[:5]]


def classified(study: Study, *options: str) -> tuple[str, set[str]]:
    """What `wen classify` writes of a few cells, and which heavy libraries it imported."""
    end = f"print('imported', *{set(HEAVY)} & set(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", LOADED.format(end=end), "classify", *cells(study), "--format", "csv", *options]
    done = subprocess.run(command, cwd=study.root, env=study.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.split("imported")[-1].split())


@pytest.fixture
def kept(study: Study) -> Path:
    folder = study.root / ".dvc/tmp/classifiers"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@pytest.mark.parametrize("name", [(), ("--classifier", "intra leak_free f1")])
def test_a_classifier_answers_without_torch_and_the_second_time_with_equal_bytes_and_without_pandas(
    study: Study, kept: Path, name: tuple[str, ...]
) -> None:
    first, imported = classified(study, "--members", *name)
    assert imported == {"pandas"}
    assert classified(study, "--members", *name) == (first, set())
    weights = next(kept.glob("*/weights.safetensors"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    again, imported = classified(study, "--members", *name)  # what is damaged is made again
    assert (again, imported) == (first, {"pandas"})
    assert classified(study, "--members", *name) == (first, set())


def test_the_cache_keeps_only_the_last_two_classifiers(
    study: Study, kept: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = {}
    for name in ("single 0.001-0", "single 0.001-1", "inter 0.0001 f1"):
        run(study, *cells(study), classifier=name, form="csv")
        rows[name] = capfd.readouterr().out
    assert len(set(rows.values())) == 3
    assert len(list(kept.iterdir())) == 2
    monkeypatch.setattr("wen.bundle.kept.keep", None)
    run(study, *cells(study), classifier="single 0.001-1", form="csv")
    assert capfd.readouterr().out == rows["single 0.001-1"]


def test_a_cached_classifier_is_refused_if_its_model_is_not_the_study_s(study: Study, kept: Path) -> None:
    run(study, *cells(study))
    assert list(kept.iterdir())
    model = study.root / "models/0.001/0.safetensors"
    content = model.read_bytes()
    model.unlink()  # a link into DVC's cache, maybe
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(WenError, match="not the model recorded by DVC"):
            run(study, *cells(study))
    finally:
        model.write_bytes(content)


def test_a_published_system_is_refused_with_the_classifiers_to_use(study: Study) -> None:
    cell = pd.read_csv(study.root / "data/index.csv", dtype=str).path[0]
    found = study.run("wen", "classify", cell, "--classifier", "system baby2022/vote-x", fails=True)
    assert "a published system, of which a study keeps predictions and no model" in found
