"""The shell blocks of README and docs/ run as typed on a tiny study.

What a test does not have has a stand-in: a folder in place of a path, made-up cells in C-NMC's layout and a small
network in place of C-NMC and the thesis' network, moto's server in place of S3. Every block is listed in
tests/test_doc_blocks.py; those that start Ray run in test_run.py.
"""

import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import block
from PIL import Image
from ruamel.yaml import YAML
from tiny_study import Study, finished_study, new_study, prepared_study, set_params, tiny_values

from wen.bundle import manifest
from wen.config.params import Params
from wen.data import synthetic

OFFLINE = {"PIP_DRY_RUN": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}
"""pip checks what it would install, and against which constraints, and installs nothing."""


def typed(study: Study, script: str, **variables: str) -> str:
    """Run a block in the study's folder; a command that fails ends it."""
    study.env |= variables
    return study.run("bash", "-e", "-o", "pipefail", "-c", script)


def with_environment(study: Study) -> Study:
    """Give a study the `.venv` that `make` makes; its commands are those of the tests."""
    (study.root / ".venv/bin").mkdir(parents=True)
    (study.root / ".venv/bin/activate").touch()
    (study.root / ".venv/bin/installed").touch()
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return with_environment(finished_study(tmp_path_factory, "pages"))


def shrink(profile: dict[str, Any], tiny: dict[str, Any]) -> None:
    """Give a profile the values of a tiny study, and leave its comments."""
    for key, value in tiny.items():
        if isinstance(value, dict) and value:
            shrink(profile[key], value)
        elif isinstance(value, list):
            del profile[key][len(value) :]
        else:
            profile[key] = value


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A clone whose profile `thesis` is a tiny study, of a small network."""
    made = with_environment(new_study(tmp_path_factory.mktemp("new"), "study"))
    values = tiny_values(cpu_engine="torch")
    del values["backbone"]["weights"]
    values["dataset"] = {"side": 48}
    profile, yaml = made.root / "profiles/thesis.yaml", YAML()
    study = yaml.load(profile)
    shrink(study, values)
    yaml.dump(study, profile)
    made.commit("Tiny profile")
    return made


@pytest.fixture(scope="module")
def cnmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells in the layout of C-NMC as Kaggle has it."""
    dataset = Params.model_validate(tiny_values()).dataset
    assert dataset.synthetic
    folder = tmp_path_factory.mktemp("images") / "C-NMC"
    synthetic.write(folder, dataset.synthetic, dataset.side or 48, seed=1)
    return folder


@pytest.mark.parametrize(
    ("page", "phrase"),
    [("README.md", "make demo"), ("docs/TUTORIAL.md", "make demo"), ("docs/TUTORIAL.id.md", "make demo")],
)
def test_the_demo_and_its_table(study: Study, page: str, phrase: str) -> None:
    script = block(page, phrase, {"make test": "make --dry-run test"} if page == "README.md" else None)
    assert "Headline, Inter-LR 1e-3, kappa" in typed(study, script)


@pytest.mark.parametrize("page", ["docs/CHAPTER4.md", "docs/CHAPTER4.id.md"])
def test_the_report_in_indonesian(study: Study, page: str) -> None:
    (wanted,) = YAML(typ="safe").load(block(page, "language", language="yaml")).items()
    file = study.root / "params.yaml"
    values = YAML(typ="safe").load(file.read_text())
    values[wanted[0]] |= wanted[1]
    set_params(study.root, values)
    assert study.stages_run(typed(study, block(page, "dvc repro"))) == ["code", "report"]
    assert "Hasil" in (study.root / "report/chapter4.tex").read_text()
    study.restore()


def start_again(new: Study) -> None:
    """Leave the clone as it was before `make study`."""
    new.run("git", "checkout", "--quiet", "--", ".")
    for folder in (*new.root.glob("data/raw/c*"), new.root / "lab"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("page", "typed_path"), [("README.md", "DATA=/path/to/C-NMC"), ("docs/STUDY.md", "DATA=/path/to/C-NMC")]
)
def test_a_study_of_c_nmc(new: Study, cnmc: Path, page: str, typed_path: str) -> None:
    script = block(page, typed_path, {"/path/to/C-NMC": str(cnmc), "dvc repro": "dvc repro split"})
    typed(new, script, COMPLETE="false")
    assert (new.root / "data/split.csv").is_file()
    assert len(list((new.root / "data/raw/cnmc").rglob("*.bmp"))) > 100
    start_again(new)


def test_a_study_of_a_laboratory(new: Study, cnmc: Path) -> None:
    rows = []
    for kind, cells in (("blast", "*_all.bmp"), ("normal", "*_hem.bmp")):
        (new.root / "lab" / kind).mkdir(parents=True)
        for path in sorted(cnmc.rglob(cells))[:24]:
            _, patient, image, cell, _ = path.stem.split("_")
            name = f"{patient}-{image}-{cell}.png"
            Image.open(path).save(new.root / f"lab/{kind}/{name}")
            rows.append({"file": name, "label": kind, "patient": patient})
    pd.DataFrame(rows).to_csv(new.root / "lab/cells.csv", index=False)
    script = block("docs/STUDY.md", "DATA=lab", {"dvc repro": "dvc repro split"})
    assert "48 images" in (output := typed(new, script))
    assert "split" in new.stages_run(output)
    start_again(new)


def commands(text: str) -> list[str]:
    return [line.strip() for line in re.sub(r"(?m)\s#.*$", "", text).splitlines() if line.strip()]


@pytest.mark.slow
def test_reports_on_other_rates_and_other_grids(study: Study) -> None:
    """Each command from the commit, as a person tries one of them."""
    cells_and_subjects(study)
    for command in commands(block("README.md", "dvc exp run")):
        typed(study, command)
        study.restore()


def cells_and_subjects(study: Study) -> None:
    """Write what the pages call cells/, subjects.csv and C-NMC's final test images."""
    (study.root / "cells").mkdir(exist_ok=True)
    final = study.root / "C-NMC_test_final_phase_data"
    final.mkdir(exist_ok=True)
    images = sorted(study.root.glob("data/synthetic/**/*.bmp"))[:3]
    for number, image in enumerate(images, start=1):
        shutil.copy(image, study.root / "cells")
        shutil.copy(image, final / f"{number}.bmp")
    table = pd.DataFrame({"file": [image.name for image in images], "subject": ["P1", "P1", "P2"]})
    table.to_csv(study.root / "subjects.csv", index=False)


def test_other_cells_are_classified_by_the_study_and_by_a_bundle(study: Study) -> None:
    cells_and_subjects(study)
    typed(study, block("docs/CLASSIFY.md", "--bundle bundle cells/ --output"))
    lines = block("docs/CLASSIFY.md", "--submission", {"single 0.001-3": "single 0.001-1"}).splitlines()
    typed(study, "\n".join(line for line in lines if "--address auto" not in line))  # test_cluster.py classifies so
    assert len((study.root / "cells.csv").read_text().splitlines()) == 1 + 3
    assert len((study.root / "isbi_valid.predict").read_text().split()) == 3


@pytest.mark.slow
def test_a_bundle_in_dvc_s_model_registry(study: Study, tmp_path: Path) -> None:
    studies = tmp_path / "studies.git"
    study.run("git", "init", "--quiet", "--bare", str(studies))
    study.run("git", "remote", "add", "origin", str(studies))
    study.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    study.commit("Store")
    study.run("git", "push", "--quiet", "origin", "HEAD")
    shutil.rmtree(study.root / "bundle", ignore_errors=True)
    elsewhere = f"cd {tmp_path} && dvc artifacts get {studies}"
    typed(study, block("docs/CLASSIFY.md", "git tag", {"dvc artifacts get REPOSITORY": elsewhere}))
    assert manifest.read(tmp_path / "bundle") == manifest.read(study.root / "bundle")
    assert study.stages_run(study.run("dvc", "repro")) == ["code"]


def test_the_web_page_of_a_bundle_and_of_a_study(study: Study) -> None:
    typed(study, "test -d bundle || wen export bundle")
    install, *serve = commands(block("docs/SERVE.md", "wen serve bundle"))
    typed(study, install, **OFFLINE)
    assert serve == ["wen serve bundle", "wen serve"]
    for command in serve:
        process = subprocess.Popen(
            [*command.split(), "--port", "0"], cwd=study.root, env=study.env, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as page:
            assert b"<main" in page.read()
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.mark.slow
def test_one_machine_trains_models_side_by_side(study: Study) -> None:
    """All are trained already, so that no command has anything to ask a cluster for."""
    script = block("docs/CLUSTER.md", "wen run --jobs 2", {"HOST": "127.0.0.1"})
    assert typed(study, script, **OFFLINE).count("done; ") == script.count("wen run")


@pytest.mark.slow
def test_an_array_job_trains_one_model_in_a_clone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    study = with_environment(prepared_study(tmp_path_factory, tmp_path))
    study.commit("Features")
    script = block("docs/CLUSTER.md", "SLURM_ARRAY_TASK_ID")
    typed(study, script, SLURM_ARRAY_TASK_ID="1", SLURM_SUBMIT_DIR=str(study.root))
    assert not list((study.root / ".dvc/tmp").glob("clone-*"))
    del study.env["SLURM_SUBMIT_DIR"]
    output = study.run("dvc", "repro", "predict-fold@0.001-1")
    assert study.stages_run(output) == ["code"]
    assert "Stage 'train-fold@0.001-1' is cached" in output


@pytest.mark.slow
def test_a_kaggle_session_without_internet(new: Study, cnmc: Path, tmp_path: Path) -> None:
    """It is stopped after the first model; `dvc push` and the copy of dvc.lock keep that."""
    kaggle, work = tmp_path / "kaggle", tmp_path / "wen"
    attached = kaggle / "input/wen"
    attached.mkdir(parents=True)
    network = {"tf_efficientnetv2_m.in1k": "tf_efficientnet_lite0", "pretrained=True": "pretrained=False"}
    made = block("docs/CLUSTER.md", "git bundle create", {"pip wheel": "true pip wheel", **network})
    typed(new, made)
    for name in ("wen.bundle", "efficientnetv2_m.safetensors"):
        (new.root / name).rename(attached / name)
    session = block(
        "docs/CLUSTER.md",
        "/kaggle/input/wen/wen.bundle",
        {
            "/tmp/wen": str(work), "/kaggle/": f"{kaggle}/", "\n!": "\n", "%cd": "cd",
            "--profile thesis": "--profile thesis --incomplete", "dvc repro": "dvc repro predict-fold@0.001-0",
        },
    )  # fmt: skip
    shutil.copytree(cnmc, kaggle / "input/leukemia-classification")
    typed(new, session.removeprefix("!"), **OFFLINE, PYTHONPATH=str(work / "src"))
    assert "weights: " + str(attached) in (work / "params.yaml").read_text()
    assert (kaggle / "working/dvc.lock").read_bytes() == (work / "dvc.lock").read_bytes()
    assert (work / "models/0.001/0.safetensors").is_file()
    assert len([path for path in (kaggle / "working/store").rglob("*") if path.is_file()]) >= 2
