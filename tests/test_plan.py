import re
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PROJECT, study_values
from torch.distributed._tools.mem_tracker import MemTracker

from wen import plan
from wen.config.params import Params, Predict, Synthetic
from wen.config.paths import Paths
from wen.config.read import load
from wen.data import split, synthetic
from wen.data.prepare import survey
from wen.data.table import COPIES, DEVELOPMENT, TEST
from wen.errors import WenError
from wen.files import read_json, write_json
from wen.network import cost as costs
from wen.network.backbone import build
from wen.network.cost import Cost, count, memory_of_stage_2
from wen.network.cut import cut
from wen.plan import Images, count_images, fit, hours, work
from wen.systems.cost import count as count_system
from wen.systems.cost import describe, fit_seconds
from wen.systems.system import find, settings_of


def test_efficientnetv2_m_takes_23_billion_multiply_adds_at_450_px() -> None:
    """23.0 G multiply-adds at 450 px, two thirds of them before blocks.5, after 176 channels at stride 16."""
    cost = count(load(PROJECT / "profiles/thesis.yaml"))
    assert (cost.trunk + cost.tail) / 1e9 == pytest.approx(23.0, abs=0.05)
    assert cost.trunk / (cost.trunk + cost.tail) == pytest.approx(0.66, abs=0.005)
    assert cost.activations == 29 * 29 * 176
    assert cost.pooled == 1280


def test_a_linear_cost_model_is_right_for_a_study_counted_by_hand(tiny: Params) -> None:
    cost = Cost(
        trunk=100, tail=10, activations=1, pooled=1, parameters=1, trainable=1, saved_bytes=1, unfreeze_from="blocks.5"
    )
    images = Images(total=50, test=10, train=20, validation=20)
    params = tiny.model_copy(update={"lr_grid": [0.1, 0.2, 0.3], "lr": 0.1})  # 3 rates, 2 folds: 6 models
    shared = {name: kinds.sum() for name, kinds in work(params, images, cost).items()}
    assert shared == {
        "features": (50 + params.augment.views * 40) * 110,
        "train-fold, stage 1": 0,
        "train-fold, stage 2, frozen part": 0,
        "train-fold, stage 2, trained part": 6 * params.finetune.epochs * (3 * 20 + 20) * 10,
        "predict-fold": 6 * 30 * 10,
    }
    unshared = {name: kinds.sum() for name, kinds in work(params, images, cost, sharing=False).items()}
    assert unshared["features"] == 0
    assert unshared["train-fold, stage 1"] == 6 * params.head.epochs * 40 * 110
    assert unshared["train-fold, stage 2, frozen part"] == 6 * params.finetune.epochs * 40 * 100
    assert unshared["predict-fold"] == 6 * 30 * 110


def test_turned_images_are_passes_of_all_of_them_and_as_many_predictions_more(tiny: Params) -> None:
    cost = Cost(
        trunk=100, tail=10, activations=5, pooled=3, parameters=1, trainable=1, saved_bytes=1, unfreeze_from="blocks.5"
    )
    images = Images(total=50, test=10, train=20, validation=20)
    flips = tiny.model_copy(update={"predict": Predict(tta="flips")})
    plain, more = ({name: k.sum() for name, k in work(params, images, cost).items()} for params in (tiny, flips))
    assert more.pop("features") - plain.pop("features") == 3 * 50 * 110
    assert more.pop("predict-fold") == 4 * plain.pop("predict-fold")
    assert more == plain  # nothing of the training
    kept = [{what: size for what, size, _ in plan.disk_usage(params, images, cost)} for params in (tiny, flips)]
    grown = {what: kept[1][what] - size for what, size in kept[0].items() if kept[1][what] != size}
    assert grown == {"pooled features": 3 * 50 * 3 * 4, "activations at the cut": 3 * 50 * 5 * 4}


def test_the_memory_of_stage_2_is_the_peak_of_its_tensors(tiny: Params) -> None:
    """As PyTorch's own tracker counts two steps of training: weights, gradients, moments, and what is kept."""
    parts = cut(build(tiny.backbone, 64), tiny.finetune.unfreeze_from)
    tail, size, batch = parts.tail.train(), 64, tiny.train.batch_size
    with torch.no_grad():
        activations = parts.trunk(torch.rand(batch, 3, size, size))
    optimizer = torch.optim.Adam(tail.parameters(), fused=True)
    tracker = MemTracker()
    tracker.track_external(tail, optimizer, activations)
    with tracker:
        for _ in range(2):
            tracker.reset_mod_stats()
            loss = tail(activations).mean()
            optimizer.zero_grad()  # here, as in training, where the step before left its gradients
            loss.backward()
            optimizer.step()
    peak = sum(parts["Total"] for parts in tracker.get_tracker_snapshot("peak").values())
    params = tiny.model_copy(update={"images": tiny.images.model_copy(update={"size": size})})
    assert memory_of_stage_2(params, count(params)) == pytest.approx(peak, rel=0.03)


def test_hours_are_work_over_rate_kind_by_kind() -> None:
    assert hours(np.array([3600, 7200, 3600, 3600]), np.array([1, 2, 4, 8])) == 2.375


def test_the_plan_knows_the_images_of_complete_c_nmc_without_the_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = Paths(tmp_path_factory.mktemp("empty"))
    thesis = count_images(load(PROJECT / "profiles/thesis.yaml"), nowhere)
    honest = count_images(load(PROJECT / "profiles/honest.yaml"), nowhere)
    assert (thesis.total, thesis.test) == (12_528, 2_506)
    assert (honest.total, honest.test) == (12_528, 1_867)


def test_the_plan_of_a_part_of_c_nmc_needs_the_images(tmp_path: Path) -> None:
    laptop = load(PROJECT / "profiles/laptop.yaml").model_dump()
    laptop["dataset"]["complete"] = False
    params = Params.model_validate(laptop)
    with pytest.raises(WenError, match="contains no labelled image to count; add images with `wen study"):
        count_images(params, Paths(tmp_path))
    cells = Synthetic(
        subjects=4, cells=20, preliminary_subjects=2, preliminary_cells=5, duplicates=0, altered=0, separation=4.0
    )
    synthetic.write(Paths(tmp_path).raw, cells, side=16, seed=1)
    assert count_images(params, Paths(tmp_path)).total == 25


@pytest.mark.parametrize(("part", "images"), [("fold_0", 3527), ("fold_2", 3553), ("preliminary", 1867)])
def test_an_official_test_set_has_its_published_size(tmp_path: Path, part: str, images: int) -> None:
    values = load(PROJECT / "profiles/thesis.yaml").model_dump()
    values["split"]["test"] = part
    assert count_images(Params.model_validate(values), Paths(tmp_path)).test == images


def lab(subject_of: list[int], root: Path) -> None:
    """Cells of people of one class each, as a lab brings them."""
    for number, subject in enumerate(subject_of):
        cls, mark = ("hem", "H") if subject % 2 else ("all", "")
        path = root / f"cnmc/fold_0/{cls}/UID_{mark}{subject}_{number}_1_{cls}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def of_a_lab(**split: object) -> Params:
    values = load(PROJECT / "profiles/laptop.yaml").model_dump()
    values["dataset"]["complete"] = False
    values["split"] |= {"unit": "subject"} | split
    values["folds"] = [0, 1]
    return Params.model_validate(values)


def test_by_subject_the_plan_counts_images_of_complete_people_and_states_why(tmp_path: Path) -> None:
    paths, params = Paths(tmp_path), of_a_lab(test_fraction=0.2)
    lab([person for person in range(6) for _ in range(10)], paths.raw)  # three people of each class: a third can test
    images = count_images(params, paths)
    assert (images.total, images.test, images.train, images.validation) == (60, 20, 20, 20)
    assert "by subject" in images.estimated


@pytest.mark.parametrize("unit", ["image", "subject"])
@pytest.mark.parametrize("part", ["random", "preliminary", "fold_0", "fold_1"])
def test_the_plan_counts_the_split_of_the_images_that_are_there(tmp_path: Path, part: str, unit: str) -> None:
    """Synthetic cells, of which no fold has a third, and whose people have cells in several."""
    values = study_values()
    values["dataset"]["synthetic"] |= {"subjects": 24, "cells": 120, "duplicates": 0, "altered": 0}
    values["split"] |= {"unit": unit, "test": part}
    params, paths = Params.model_validate(values), Paths(tmp_path)
    before = count_images(params, paths)
    assert bool(before.estimated) == (part.startswith("fold") or (unit, part) == ("subject", "random"))
    assert params.dataset.synthetic
    assert params.dataset.side
    synthetic.write(paths.synthetic, params.dataset.synthetic, params.dataset.side, params.seed)
    index, _, _ = survey(paths.synthetic, paths.root, params)
    cells = split.assign(index, pd.DataFrame(columns=list(COPIES)), params.split, 2, params.seed)
    images = count_images(params, paths)
    assert images.test == (cells.part == TEST).sum()
    assert images.train + images.validation == (cells.part == DEVELOPMENT).sum()


def test_by_subject_the_plan_has_the_split_s_own_figure_once_there_is_one(tmp_path: Path) -> None:
    paths, params = Paths(tmp_path), of_a_lab(test_fraction=0.2)
    lab([person for person in range(6) for _ in range(10)], paths.raw)
    sizes = {part: {"images": n} for part, n in (("test", 12), ("development", 47), ("excluded", 1))}
    report = {
        "unit": "subject", "test_set": "random", "folds": 2, "seed": params.seed, **sizes,
        "test_fraction": {"asked": 0.2, "reached": 0.2},
    }  # fmt: skip
    write_json(paths.split_metrics, report)
    assert count_images(params, paths) == Images(60, 12, 23.5, 23.5)
    for other in (of_a_lab(test_fraction=0.25), of_a_lab(test_fraction=0.2).model_copy(update={"seed": 1})):
        assert count_images(other, paths).test == 20
    write_json(paths.split_metrics, report | {"test": {"images": 13}})  # of other data
    assert count_images(params, paths).test == 20


def test_by_subject_without_images_the_plan_says_that_it_takes_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = load(PROJECT / "profiles/thesis.yaml").model_dump()
    values["split"]["unit"] = "subject"
    params = Params.model_validate(values)
    images = count_images(params, Paths(tmp_path))
    assert (images.total, images.test) == (12_528, 2_506)
    plan.run(params, Paths(tmp_path), calibrate=False)
    assert "test: 2,506 (as requested; a split by subject may give another number)" in capsys.readouterr().out


def test_the_plan_tells_room_work_and_hours(
    tiny: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0.3)
    plan.run(tiny, Paths(), calibrate=True, device_name="cpu")
    text = capsys.readouterr().out
    assert "Images: 76; test: 16" in text
    assert re.search(r"activations at the cut .* 0\.\d\d", text)
    assert "hours" in text
    assert "without sharing" in text
    plan.run(tiny, Paths(), calibrate=False)
    assert "hours" not in capsys.readouterr().out


def test_of_a_study_without_stage_2_the_plan_says_nothing_of_it(
    tiny: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = tiny.model_copy(update={"finetune": tiny.finetune.model_copy(update={"epochs": 0})})
    plan.run(heads, Paths(), calibrate=False)
    text = capsys.readouterr().out
    assert "of which only the head is trained" in text
    assert "memory, stage 2" not in text
    assert "Stage 2 of one model needs" not in text


@pytest.mark.parametrize("needed", [10**9, 7 * 10**9, 9 * 10**9])
def test_the_plan_compares_stage_2_with_the_memory_that_is_free(tiny: Params, needed: int) -> None:
    text = fit(needed, 8 * 10**9, torch.device("cpu"), tiny)
    assert f"{needed / 1e9:.2f} GB on cpu; 8.00 GB are free" in text
    assert ("8 models fit at once" in text, "it fits" in text, "does not fit" in text) == (
        needed == 10**9, needed == 7 * 10**9, needed == 9 * 10**9,
    )  # fmt: skip


def test_the_advice_on_memory_begins_with_changes_that_keep_the_study(tiny: Params) -> None:
    text = fit(9 * 10**9, 8 * 10**9, torch.device("cpu"), tiny)
    assert text.index("Free memory") < text.index("Only if that is not possible") < text.index("train.batch_size")


def test_attention_is_counted(tiny: Params) -> None:
    """Of a ViT's block by hand: projections, the two products of attention, the MLP."""
    tokens, width = 1 + 4 * 4, 384
    block = tokens * width * (4 * width + 8 * width) + 2 * tokens * tokens * width
    values = tiny.model_dump()
    values["backbone"] = {"name": "vit_small_patch14_dinov2", "weights": "hub"}
    values["images"] = {"crop": 48, "size": 56}
    values["finetune"]["unfreeze_from"] = "blocks.11"
    assert count(Params.model_validate(values)).tail == pytest.approx(block + width, rel=0.01)


def test_the_plan_counts_published_systems_by_hand(tiny: Params) -> None:
    values = tiny.model_dump()
    values["pretrained"] = {"vgg16": "hub", "tf_efficientnet_lite0": "pip"}
    values["systems"] = {"ullah2021": {"networks": ["vgg16"]}, "wibowo2024": {"trials": 6}}
    values["images"] = {"crop": 48, "size": 32}
    text = describe(Params.model_validate(values), 1000, 500, 1e9)
    vgg, lite = (
        count_system(Params.model_validate(values), "vgg16"),
        count_system(Params.model_validate(values), "tf_efficientnet_lite0"),
    )
    assert vgg["macs"] == sum(
        9 * inside * outside * (32 // scale) ** 2
        for inside, outside, scale in [
            (3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2), (128, 256, 4), (256, 256, 4), (256, 256, 4),
            (256, 512, 8), (512, 512, 8), (512, 512, 8), (512, 512, 16), (512, 512, 16), (512, 512, 16),
        ]
    )  # fmt: skip
    assert (vgg["maps"], lite["pooled"]) == (512, 1280)
    assert f"networks, every image once: {1000 * (vgg['macs'] + lite['macs']) / 1e12:.2f} T" in text
    assert f"disk, outputs of the networks as float32: {4 * 1000 * (512 + 1280) / 1e9:.2f} GB" in text
    assert "depth finetune" not in text
    values["systems"] = {"ullah2021": {"networks": ["vgg16"], "depth": "finetune", "epochs": 4}}
    work = 2 * 2 * 4 * 3 * 500 * vgg["macs"]  # folds, variants, epochs, forward and backward, images
    assert f"depth finetune, at most: {work / 1e12:,.2f} T" in describe(Params.model_validate(values), 1000, 500, None)
    values["systems"] = {}
    assert describe(Params.model_validate(values), 1000, 500, None) == ""


def test_the_plan_counts_what_is_fitted_on_stored_outputs_and_no_more(tiny: Params) -> None:
    """Wibowo's search reads stored features at either depth; Ullah's network is trained on images at finetune."""
    systems = {"ullah2021": {"networks": ["vgg16"]}, "wibowo2024": {"trials": 6}}
    deep = {name: settings | {"depth": "finetune"} for name, settings in systems.items()}
    values = tiny.model_dump() | {"pretrained": {"vgg16": "hub", "tf_efficientnet_lite0": "pip"}}
    frozen, finetune = (Params.model_validate(values | {"systems": its}) for its in (systems, deep))
    for params in (frozen, finetune):
        assert fit_seconds(params, "wibowo2024", 500) == 2 * 0.5 * find("wibowo2024").seconds(
            settings_of(params, "wibowo2024")
        )
    assert fit_seconds(frozen, "ullah2021", 500) > 0
    assert fit_seconds(finetune, "ullah2021", 500) == 0
    assert "at depth frozen: 0.0 minutes" not in describe(finetune, 1000, 500, None)


def test_the_size_that_doctor_compares_with_the_disk_has_the_outputs_of_published_systems_networks(
    tiny: Params, tmp_path: Path
) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    values, paths, sizes = tiny.model_dump(), Paths(tmp_path), list[int]()
    values["pretrained"] = {"vgg16": "hub"}
    for systems in ({}, {"ullah2021": {"networks": ["vgg16"]}}):
        params = Params.model_validate(values | {"systems": systems})
        plan._save_size(params, Images(total=50, test=10, train=20, validation=20), count(params), paths)
        sizes.append(read_json(paths.planned)["bytes"])
    side = values["images"]["size"] // 32  # of the last map of VGG16, with 512 channels
    assert sizes[1] - sizes[0] == 50 * 512 * side**2 * 4


def test_a_study_in_a_folder_that_cannot_be_written_can_be_planned(
    tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    monkeypatch.setattr(plan, "write_json", Mock(side_effect=OSError(30, "Read-only file system")))
    plan._save_size(tiny, Images(total=50, test=10, train=20, validation=20), count(tiny), Paths(tmp_path))
