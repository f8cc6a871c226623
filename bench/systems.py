"""Run published systems: all eight on a tiny made-up study by DVC, or those with weights on real images.

    python bench/systems.py --dvc
    python bench/systems.py --study FOLDER --weights FOLDER [--unit image] [--unit subject] [--seeds 3]
        [--test-fraction 0.2] [--systems NAME ...]

With --dvc all eight run at each depth they have, by `dvc repro`, on random weights that are saved to files: it prints
which stages ran the first time, the second time, and after one parameter of one system changed; no figure of theirs.

With --study the images of a finished study are read, resized from the central 300 px to 160 px, and split anew for each
unit and seed. It prints for each variant accuracy, kappa and AUC of the out-of-fold predictions of the development
images, and of the average of the fold models on the test images; the mean over seeds, and the CPU time of each system.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests/pipeline"), str(PROJECT / "tests/systems")]

from made_up import CASES, FEW, NETWORKS  # noqa: E402
from tiny_study import new_study, set_params, tiny_values  # noqa: E402

from wen.config.params import Backbone, Params  # noqa: E402
from wen.config.paths import Paths  # noqa: E402
from wen.data import split  # noqa: E402
from wen.evaluation.metrics import evaluate  # noqa: E402
from wen.files import read_json  # noqa: E402
from wen.members.predictions import load as read_predictions  # noqa: E402
from wen.network import features  # noqa: E402
from wen.network.backbone import build  # noqa: E402
from wen.systems import inputs, network, stage, wanted  # noqa: E402

MEASURES = ("accuracy", "kappa", "auc")
LITE0, MOBILENET, XCEPTION, VGG = "tf_efficientnet_lite0", "mobilenetv1_100", "legacy_xception", "vgg16"
HALF = [0.5, 0.5, 0.5]
OPTIONS: dict[str, dict[str, Any]] = {
    MOBILENET: {"kwargs": {"pad_type": "same", "bn_eps": 0.001}, "mean": HALF, "std": HALF},
    XCEPTION: {"kwargs": {"bn_eps": 0.001}, "mean": HALF, "std": HALF},
    VGG: {"channels": "bgr", "mean": [0.485, 0.458, 0.408], "std": [0.00392157] * 3},
}
"""How each file of --weights wants its network built and its images normalised."""
STUDIES: list[dict[str, dict[str, Any]]] = [
    {
        "baby2022": {"networks": [LITE0]},
        "ahmed2023": {"networks": [LITE0, MOBILENET]},
        "mondal2021": {"networks": [LITE0, MOBILENET]},
        "wibowo2024": {"networks": [LITE0]},
        "muntasa2024": {"networks": [LITE0]},
        "batool2023": {"networks": [LITE0]},
        "ullah2021": {"networks": [VGG]},
        "rodrigues2022": {"networks": [MOBILENET]},
    },
    {"mondal2021": {"networks": [XCEPTION, MOBILENET]}},
    {"mondal2021": {"networks": [XCEPTION, VGG, MOBILENET]}},
]
"""Which networks of those with weights each system gets; all but Ullah's and Mondal's are stand-ins."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvc", action="store_true", help="all eight at both depths by dvc repro")
    parser.add_argument("--study", type=Path, help="a finished study on real images")
    parser.add_argument("--weights", type=Path, help="a folder of NAME.safetensors")
    parser.add_argument("--unit", action="append", choices=["image", "subject"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-fraction", type=float, default=0.2)
    parser.add_argument("--systems", nargs="*", help="these alone")
    options = parser.parse_args()
    if options.dvc:
        by_dvc()
    elif options.study and options.weights:
        on_real_images(options)
    else:
        parser.error("say --dvc, or --study and --weights")


def by_dvc() -> None:
    """Two repros of each depth, and one after a parameter of one system changed."""
    table = Table(
        "depth", "systems that ran", "stages, first time", "second time", "after batch_size or trees changed", "s"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pretrained = {network: random_weights(network, folder) for network in NETWORKS}
        for depth in ("frozen", "finetune"):
            begin = time.perf_counter()
            names = [system for system, its in CASES if its == depth]
            settings = {system: {"networks": [NETWORKS[0]]} | FEW[system] | {"depth": depth} for system in names}
            values = tiny_values() | {"pretrained": pretrained, "systems": settings}
            study = new_study(folder, depth, values)
            first = study.stages_run(study.run("dvc", "repro"))
            second = study.stages_run(study.run("dvc", "repro"))
            changed = names[0]
            settings[changed] |= {"trees": 6} if changed == "ahmed2023" else {"batch_size": 8}
            set_params(study.root, values)
            third = study.stages_run(study.run("dvc", "repro"))
            states = [read_json(Paths(study.root).system(system))["state"] for system in names]
            row = [f"{states.count('run')} of {len(names)}", str(len(first)), ", ".join(second), ", ".join(third)]
            table.add_row(depth, *row, f"{time.perf_counter() - begin:.0f}")
            assert (second, third) == (["code"], ["code", f"system@{changed}", "report"]), (second, third)
    Console(width=120).print(table)


def random_weights(name: str, folder: Path) -> str:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    safetensors.torch.save_file(build(Backbone(name=name, weights="pip"), 32).state_dict(), path)
    return str(path)


def on_real_images(options: argparse.Namespace) -> None:
    """The table of the variants that have weights."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        paths = Paths(root)
        (root / "data").mkdir()
        for file in (paths.index, paths.copies):
            shutil.copy(options.study / file.relative_to(root), file)
        paths.raw.symlink_to((options.study / "data/raw").resolve())
        values = YAML(typ="safe").load(options.study / "params.yaml")
        for unit in options.unit or ["image", "subject"]:
            for seed in range(options.seeds):
                for which, systems in enumerate(STUDIES):
                    chosen = {key: its for key, its in systems.items() if key in (options.systems or systems)}
                    params = of(values, unit, 2019 + seed, chosen, options.weights)
                    part = params.split.model_copy(update={"test_fraction": options.test_fraction})
                    params = params.model_copy(update={"split": part})
                    rows += run(params, paths, f"{unit} {which}")
                    show(rows)


def of(first: dict[str, Any], unit: str, seed: int, systems: dict[str, dict[str, Any]], weights: Path) -> Params:
    """The study's parameters with another split, and the published systems."""
    used = sorted({network for settings in systems.values() for network in settings["networks"]})
    files = {name: {"weights": str((weights / f"{name}.safetensors").resolve())} | OPTIONS[name] for name in OPTIONS}
    values = first | {
        "seed": seed,
        "systems": systems,
        "pretrained": {name: files.get(name, {"weights": "pip"}) for name in used},
        "images": {"crop": 300, "size": 160},
    }
    values["split"] = {"unit": unit, "test": "random", "test_fraction": 0.2}
    values["features"] = first["features"] | {"pooled": False, "activations": False}
    return Params.model_validate(values)


def run(params: Params, paths: Paths, key: str) -> list[dict[str, Any]]:
    """Run each system on one split; a row for each variant."""
    split.run(params, paths)
    if not paths.features.exists():
        features.run(params, paths)
    wanted.run(params, paths, lambda options: ("", ""))
    for name in params.pretrained:
        kinds = read_json(paths.wanted / f"networks/{name}.json")["kinds"]
        if not paths.network(name).exists() or not set(kinds) <= read_json(paths.network_about(name)).keys():
            begin = time.process_time()
            network.run(params, paths, name)
            print(f"{name}: {time.process_time() - begin:.0f} s of CPU", file=sys.stderr)
    inputs.run(params, paths)
    rows = []
    for name in params.systems:
        begin = time.process_time()
        stage.run(params, paths, name)
        seconds = time.process_time() - begin
        for variant in read_json(paths.system(name))["variants"]:
            found = read_predictions(paths, params.members(f"system/{name}/{variant['name']}"))
            label, outside = (
                np.concatenate([getattr(one, f"validation_{what}") for one in found])
                for what in ("label", "probability")
            )
            average = np.mean([one.test_probability for one in found], axis=0)
            about = {"key": key, "system": name, "variant": variant["name"], "role": variant["role"], "s": seconds}
            inner, test = evaluate(label, outside), evaluate(found[0].test_label, average)
            rows.append(about | {f"oof {m}": inner[m] for m in MEASURES} | {f"test {m}": test[m] for m in MEASURES})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(rows).groupby(["key", "system", "variant", "role"], sort=False).mean().round(3)
    print(table.to_string(), flush=True)


if __name__ == "__main__":
    main()
