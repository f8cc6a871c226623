from pathlib import Path

import layouts
import numpy as np
from conftest import PROJECT

from wen.config.params import DRAWN, Params
from wen.config.read import load
from wen.data import prepare, synthetic
from wen.data.readers import cnmc


def test_equal_seeds_give_equal_bytes_and_another_seed_others(tmp_path: Path, tiny: Params) -> None:
    assert tiny.dataset.synthetic
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthetic.write(tmp_path / name, tiny.dataset.synthetic, 48, seed)
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "abc")
    assert a == b
    assert a != c


def test_the_fewest_subjects_and_cells_can_be_drawn(tmp_path: Path, tiny: Params) -> None:
    fewest = {"subjects": 4, "cells": 20, "preliminary_subjects": 2, "preliminary_cells": 4}
    assert tiny.dataset.synthetic
    options = tiny.dataset.synthetic.model_copy(update=fewest)
    synthetic.write(tmp_path, options, DRAWN, seed=1)
    cells = cnmc.read(tmp_path).cells
    assert {cell.label for cell in cells} == {0, 1}
    assert len({cell.subject for cell in cells}) == 6
    assert len(cells) >= 20 + 4 + options.duplicates + options.altered


def test_the_embedded_data_are_read_as_the_real_ones(tmp_path: Path, tiny: Params) -> None:
    assert tiny.dataset.synthetic
    synthetic.write(tmp_path, tiny.dataset.synthetic, 48, seed=1)
    index, _, summary = prepare.survey(tmp_path, tmp_path, layouts.params(48))
    assert summary["images_by_source"].keys() == {"fold_0", "fold_1", "fold_2", "preliminary"}
    assert summary["duplicate_pairs"] == 2
    duplicates = index[index.pixels.duplicated(keep=False)]
    assert (duplicates.groupby("pixels").subject.nunique() == 2).all()
    preliminary = index.source == "preliminary"
    assert not set(index.subject[preliminary]) & set(index.subject[~preliminary])
    assert any(path.name.startswith("UID_h3_") for path in tmp_path.rglob("*.bmp"))


def test_the_demo_has_forty_subjects_and_the_real_class_balance(tmp_path: Path) -> None:
    params = load(PROJECT / "profiles/demo.yaml")
    assert params.dataset.synthetic
    synthetic.write(tmp_path, params.dataset.synthetic, 32, params.seed)
    cells = cnmc.read(tmp_path).cells
    training = [cell for cell in cells if cell.source != "preliminary"]
    assert len({cell.subject for cell in training}) >= 40
    assert np.isclose(np.mean([cell.label for cell in training]), 7272 / 10661, atol=0.03)
