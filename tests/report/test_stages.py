"""The report gives the stage of training that each network's weights are from."""

import csv
import re

import numpy as np
import pandas as pd
import pytest
from report_study import MakeStudy, PageOf, section

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import read_json, read_npz, write_npz
from wen.report import page
from wen.report.language import Text
from wen.results import gather


def of_stage(paths: Paths, member: Member, stage: str, epoch: int) -> None:
    path = paths.predictions(member)
    write_npz(path, **read_npz(path) | {"stage": np.array(stage), "epoch": np.array(epoch)})


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_answer_says_how_many_models_are_linear_heads(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(report={"language": language})
    of_stage(paths, Member("0.0001", 1), "head", 7)
    text = section(params, paths, "answer")
    stages = read_json(paths.evidence)["stages"]
    assert stages == {"head": 4, "finetune": 2, "headline": {"head": 1, "finetune": 1}}  # Inter-LR 0.001
    about = {"focus": "Inter-LR 1e-3, kappa", "head": 4, "models": 6, "headline": 1, "members": 2}
    assert Text(language)("answer.stages", **about) in text


@pytest.mark.parametrize(("stage", "number"), [("head", 1), ("finetune", 2)])
def test_models_that_are_all_of_one_stage_are_counted(make_study: MakeStudy, stage: str, number: int) -> None:
    params, paths = make_study(ensemble="single")
    for member in params.networks:
        of_stage(paths, member, stage, 1)
    text = section(params, paths, "answer")
    other = {"head": "finetune", "finetune": "head"}[stage]
    assert read_json(paths.evidence)["stages"] == {stage: 6, other: 0, "headline": {stage: 1, other: 0}}
    counts = {"head": 6 if stage == "head" else 0, "models": 6, "stage": number}
    name = re.search("LR 1e-3, fold [01]", text)
    assert name
    assert Text("en")("answer.stages.single", focus=name[0], **counts) in text


def test_models_off_the_grid_count_as_well(make_study: MakeStudy) -> None:
    study = gather(*make_study(lr=3e-4))
    assert len(study.networks) == 4 * 2


@pytest.fixture
def written(page_of: PageOf) -> tuple[Params, Paths]:
    return page_of()


def expected(paths: Paths) -> dict[str, list[str]]:
    """Stage and epoch of each single model by its name on the page; empty for a baseline."""
    origin = {
        f"LR {lr}, fold {fold}": [["1", "3"], ["2", "2"]][fold] for lr in ("1e-3", "1e-4", "1e-5") for fold in (0, 1)
    }
    return origin | {f"Baseline {name}, fold {fold}": ["", ""] for name in ("colour", "features") for fold in (0, 1)}


def test_the_tables_of_single_models_have_stage_and_epoch(written: tuple[Params, Paths]) -> None:
    _, paths = written
    text = (paths.report / "index.html").read_text()
    cells = re.findall(
        r'<th scope="row">([^<]+)</th>\s*<td data-origin[^>]*>([^<]+)</td>\s*<td data-origin[^>]*>([^<]+)</td>', text
    )
    assert {name: [cell.strip("\N{EN DASH}") for cell in origin] for name, *origin in cells} == expected(paths)
    with (paths.report / "tables/single.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[row["stage"], row["epoch"]] for row in rows] == list(expected(paths).values())
    latex = (paths.report / "tables/single.tex").read_text().splitlines()
    found = [
        line.split(" & ")[1:3] for line in latex if line.startswith((r"\raggedright LR", r"\raggedright Baseline"))
    ]
    assert [[cell.strip("-") for cell in cells] for cells in found] == list(expected(paths).values())
    assert "stage" not in pd.read_csv(paths.report / "tables/ensemble.csv")


def test_the_model_card_gives_each_member_its_stage_and_epoch(written: tuple[Params, Paths]) -> None:
    card = (written[1].report / "model-card.md").read_text()
    assert "1e-3 fold 0 (stage 1, epoch 3), 1e-3 fold 1 (stage 2, epoch 2)" in card


def test_the_checklist_counts_the_models_of_each_stage(written: tuple[Params, Paths]) -> None:
    assert "Of 6 models, 3 are kept from stage 2 and 3 from stage 1" in (written[1].report / "index.html").read_text()


def test_metrics_of_a_network_hold_its_stage_and_those_over_folds_none(written: tuple[Params, Paths]) -> None:
    _, paths = written
    row = read_json(paths.single_metrics("0.001", 1))
    assert (row["stage"], row["epoch"]) == (2, 2)
    for recipe, fold in (("0.001", "mean"), ("0.001", "std"), ("baseline/colour", 0), ("baseline/colour", "mean")):
        assert not {"stage", "epoch"} & read_json(paths.single_metrics(recipe, fold)).keys()


def test_networks_of_different_devices_are_named_at_the_top_of_the_page(
    written: tuple[Params, Paths], make_study: MakeStudy
) -> None:
    assert "<dd>CPU, float32</dd>" in (written[1].report / "index.html").read_text()
    params, paths = make_study()
    for member in (Member("0.001", 0), Member("0.0001", 1)):
        path = paths.predictions(member)
        devices = np.array(["NVIDIA T4, float16", "CPU, float32"])
        write_npz(path, **read_npz(path) | {"computed": devices})
    page.run(params, paths)
    top = (paths.report / "index.html").read_text().split("<main>")[0]
    of_cpu = "4 trained on CPU, float32, predicted on CPU, float32"
    groups = f"{of_cpu}; 2 trained on NVIDIA T4, float16, predicted on CPU, float32"
    assert f"The networks were not all computed on the same device and in the same precision: {groups}." in top
    counts = {row["trained"]: row["models"] for row in read_json(paths.evidence)["computed"]}
    assert counts == {"CPU, float32": 4, "NVIDIA T4, float16": 2}
