"""Small data sets in C-NMC's layouts, for the tests."""

from pathlib import Path

import numpy as np
from conftest import PROJECT
from PIL import Image
from ruamel.yaml import YAML

from wen.config.params import Params

SIDE = 8


def params(side: int = SIDE, complete: bool = False) -> Params:
    """The laptop profile for tiny images."""
    values = YAML(typ="safe").load((PROJECT / "profiles/laptop.yaml").read_text())
    values["dataset"] |= {"side": side, "complete": complete}
    values["images"]["crop"] = side
    return Params.model_validate(values)


TRAINING = [
    ("fold_0", "UID_1_1_1_all"),
    ("fold_0", "UID_1_2_1_all"),
    ("fold_1", "UID_2_1_1_all"),
    ("fold_1", "UID_H10_1_1_hem"),
    ("fold_2", "UID_H3_1_1_hem"),
    ("fold_2", "UID_h3_2_1_hem"),
]
PRELIMINARY = [("UID_57_1_1_all.bmp", "1.bmp", 1), ("UID_H49_1_1_hem.bmp", "2.bmp", 0)]
LABELS = "C-NMC_test_prelim_phase_data_labels.csv"


def write_image(path: Path, look: int, side: int = SIDE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(look).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="BMP")


def kaggle(root: Path, nested: bool = False) -> Path:
    """Write Kaggle's layout, optionally with each folder nested once more."""
    for look, (fold, name) in enumerate(TRAINING):
        folder = root / "training_data" / fold / (fold if nested else "") / name[-3:]
        write_image(folder / f"{name}.bmp", look)
    prelim = root / "validation_data/C-NMC_test_prelim_phase_data"
    write_preliminary(prelim / (prelim.name if nested else ""), root / "validation_data" / LABELS)
    write_image(root / "testing_data/C-NMC_test_final_phase_data/1.bmp", 99, side=12)
    return root


def tcia(root: Path) -> Path:
    """Write TCIA's layout."""
    for look, (fold, name) in enumerate(TRAINING):
        write_image(root / "C-NMC_training_data" / fold / name[-3:] / f"{name}.bmp", look)
    write_preliminary(root / "C-NMC_test_prelim_phase_data", root / LABELS)
    write_image(root / "C-NMC_test_final_phase_data/1.bmp", 99, side=12)
    return root


def write_preliminary(folder: Path, labels: Path) -> None:
    for look, (_, number, _) in enumerate(PRELIMINARY):
        write_image(folder / number, 50 + look)
    rows = ["Patient_ID,new_names,labels", *(",".join(map(str, row)) for row in PRELIMINARY)]
    labels.write_text("\n".join(rows) + "\n")
