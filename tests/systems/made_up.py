"""A made-up study for published systems: tiny networks with random weights, whose figures mean nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
from conftest import study_values, untrained

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import COPIES
from wen.network.arrays import array_path
from wen.systems import inputs, network, stage, wanted
from wen.systems.system import names

SIZE, IMAGES = 32, 72
NETWORKS = ("test_efficientnet", "test_resnet")
FEW: dict[str, dict[str, Any]] = {
    "mondal2021": {"epochs": 2, "networks": list(NETWORKS)},
    "baby2022": {"trees": 5},
    "wibowo2024": {"epochs": 2, "trials": 7},
    "muntasa2024": {"epochs": 2, "width": 8},
    "batool2023": {"epochs": 2, "width": 8},
    "ahmed2023": {"trees": 5, "networks": list(NETWORKS)},
    "ullah2021": {"epochs": 2, "hidden": 8},
    "rodrigues2022": {"epochs": 1, "trials": 12},
}
"""Settings by which each system takes seconds."""
CLASSICAL = ("ahmed2023", "baby2022")
"""Those that train no network."""
CASES = [
    (name, depth) for name in names() for depth in ("frozen", "finetune") if depth == "frozen" or name not in CLASSICAL
]


def made_up(root: Path, **systems: dict[str, Any]) -> tuple[Params, Paths]:
    """Write all that the stage ``system`` reads, of images and networks that mean nothing.

    Half of the people have ALL, each person has four images, and images of ALL are a little brighter.
    """
    values = study_values() | {
        "systems": {
            name: {"networks": NETWORKS[:1]} | FEW.get(name, {}) | settings for name, settings in systems.items()
        },
        "pretrained": {name: str(root / f"{name}.safetensors") for name in NETWORKS},
        "folds": [0, 1],
    }
    for settings in values["systems"].values():
        settings["networks"] = list(settings["networks"])
    params, paths = Params.model_validate(values), Paths(root)
    for name in NETWORKS:
        weights = dict(untrained(name, SIZE).state_dict())
        safetensors.torch.save_file(weights, root / f"{name}.safetensors")
    number = np.arange(IMAGES)
    person = number // 4
    label = person % 2
    part = np.where(person % 6 < 4, "development", "test")
    cells = pd.DataFrame({
        "id": [f"cell-{k:02}" for k in number], "path": "", "label": label, "subject": person, "source": "fold_0",
        "width": SIZE, "height": SIZE, "sha256": "", "pixels": number,
    })  # fmt: skip
    fold = np.where(part == "test", -1, person // 9)
    paths.features.mkdir(parents=True)
    cells.to_csv(paths.index, index=False)
    pd.DataFrame({"id": cells.id, "part": part, "fold": fold}).to_csv(paths.split, index=False)
    pd.DataFrame(columns=list(COPIES)).to_csv(paths.copies, index=False)
    pixels = np.random.default_rng(0).integers(0, 200, (IMAGES, SIZE, SIZE, 3)) + 40 * label[:, None, None, None]
    np.save(array_path(paths.features, "images"), pixels.astype(np.uint8))
    computed(params, paths)
    return params, paths


def computed(params: Params, paths: Paths) -> None:
    """Run the stages before the stage ``system``."""
    wanted.run(params, paths, lambda options: ("", ""))
    for name in params.pretrained:
        network.run(params, paths, name)
    inputs.run(params, paths)


def run(params: Params, paths: Paths) -> None:
    """Run every system."""
    for name in params.systems:
        stage.run(params, paths, name)
