"""The thesis profile's own network and size, through the study's own code, on the CPU."""

import math
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
from conftest import PROJECT, untrained

from wen.config.member import Member
from wen.config.params import Params, Synthetic
from wen.config.paths import Paths
from wen.config.read import load
from wen.data import prepare, synthetic
from wen.files import read_json
from wen.members import finetune
from wen.network import features, pretrained

pytestmark = pytest.mark.slow


def test_efficientnetv2_m_takes_a_training_step_of_both_stages_at_450_px(tmp_path: Path) -> None:
    thesis = load(PROJECT / "profiles/thesis.yaml").model_dump()
    network = untrained(thesis["backbone"]["name"])
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    thesis["backbone"]["weights"] = str(tmp_path / "weights.safetensors")
    thesis["dataset"]["complete"] = thesis["features"]["pooled"] = False
    thesis["augment"]["views"] = thesis["head"]["epochs"] = thesis["finetune"]["epochs"] = 1
    thesis["train"]["batch_size"] = 2
    thesis["compute"]["cpu_engine"] = "torch"  # OpenVINO would translate the network for the longer half of the test
    params, paths = Params.model_validate(thesis), Paths(tmp_path)

    cells = Synthetic(
        subjects=4, cells=20, preliminary_subjects=2, preliminary_cells=4, duplicates=0, altered=0, separation=4.0
    )  # fmt: skip
    synthetic.write(paths.synthetic, cells, side=450, seed=1)
    index, _, _ = prepare.survey(paths.synthetic, tmp_path, params)
    chosen = pd.concat([rows.head(2) for _, rows in index.groupby("label")]).sort_values("id")
    chosen.to_csv(paths.index, index=False)
    folds = chosen.groupby("label").cumcount()  # of each class one trains and one validates
    chosen[["id"]].assign(part="development", fold=folds).to_csv(paths.split, index=False)

    pretrained.run(params, paths)
    features.run(params, paths, "cpu")
    finetune.run(params, paths, Member("0.001", 0), device_name="cpu")
    steps = read_json(paths.training(Member("0.001", 0)) / "metrics.json")
    assert steps["step"] == 1
    assert math.isfinite(steps["loss"]["train"])
    before = safetensors.torch.load_file(paths.backbone)
    after = safetensors.torch.load_file(paths.model(Member("0.001", 0)))
    assert torch.equal(before["blocks.4.0.conv_pw.weight"], after["blocks.4.0.conv_pw.weight"])
    assert after["classifier.weight"].shape == (1, 1280)
