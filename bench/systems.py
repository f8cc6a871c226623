"""Run published systems: all eight on a tiny synthetic study by DVC, or those with weights on real images.

    python bench/systems.py --dvc
    python bench/systems.py --study FOLDER --weights FOLDER [--depth finetune] [--unit image] [--unit subject]
        [--seeds 3] [--test-fraction 0.2] [--size 160] [--systems NAME ...] [--keep FOLDER] [--jobs N]

With --dvc, `dvc repro` runs all eight at each depth that they support, on random weights that are saved to files. It
prints which stages ran the first time, the second time, and after one parameter of one system changed, but no results.

With --study, the images of a finished study are read, the central 300 px are resized, and the images are split
again for each unit and seed. Each network runs over them once; its outputs and every finished system stay in --keep,
from which a second run continues. For each variant it prints accuracy, kappa and AUC of the out-of-fold
predictions of the development images, and of the average of the fold models on the test images, as means over seeds;
the difference in out-of-fold accuracy between the paper's proposal (of several, the most accurate on validation data)
and each control, with its 95% interval over people; the share of images predicted as ALL, and the out-of-fold accuracy
at a threshold that predicts as many images as ALL as there are ("accuracy if fair"); and the CPU time of each network
and each system, with the estimate of `wen plan`. --depth finetune trains the networks, too, on a GPU if there is one.
--jobs N fits N fold models side by side, in separate processes, whose CPU time is not measured.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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

from wen.config.member import Member  # noqa: E402
from wen.config.params import Backbone, Params  # noqa: E402
from wen.config.paths import Paths  # noqa: E402
from wen.data import split  # noqa: E402
from wen.data.components import components  # noqa: E402
from wen.data.table import DEVELOPMENT, read_cells, read_copies, read_index  # noqa: E402
from wen.evaluation.metrics import decide, evaluate  # noqa: E402
from wen.evaluation.statistics import accuracy_difference  # noqa: E402
from wen.files import read_json, write_json  # noqa: E402
from wen.members.predictions import load as read_predictions  # noqa: E402
from wen.network import features  # noqa: E402
from wen.network.backbone import build  # noqa: E402
from wen.systems import cost, inputs, network, stage, system, wanted  # noqa: E402

MEASURES = ("accuracy", "kappa", "auc")
LITE = [f"tf_efficientnet_lite{size}" for size in range(3)]
MOBILENET, XCEPTION, VGG = "mobilenetv1_100", "legacy_xception", "vgg16"
HALF = [0.5, 0.5, 0.5]
OPTIONS: dict[str, dict[str, Any]] = {
    MOBILENET: {"kwargs": {"pad_type": "same", "bn_eps": 0.001}, "mean": HALF, "std": HALF},
    XCEPTION: {"kwargs": {"bn_eps": 0.001}, "mean": HALF, "std": HALF},
    VGG: {"channels": "bgr", "mean": [0.485, 0.458, 0.408], "std": [0.00392157] * 3},
}
"""How each file of --weights wants its network built and its images normalised."""
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "two of its own": {"mondal2021": {"networks": [XCEPTION, MOBILENET]}},
    "three of its own": {"mondal2021": {"networks": [XCEPTION, VGG, MOBILENET]}},
    "and Lite0": {"mondal2021": {"networks": [XCEPTION, VGG, MOBILENET, LITE[0]]}},
    "eight": {
        "baby2022": {"networks": list(LITE)},
        "ahmed2023": {"networks": [LITE[0], MOBILENET]},
        "mondal2021": {"networks": [LITE[0], MOBILENET]},
        "wibowo2024": {"networks": [LITE[0]]},
        "ullah2021": {"networks": [VGG]},
        "batool2023": {"networks": [LITE[0]]},
        "muntasa2024": {"networks": [LITE[0]]},
        "rodrigues2022": {"networks": [MOBILENET]},
    },
}
"""Which networks of those with weights each system gets; all but Ullah's, Ahmed's MobileNet and Mondal's own three are
stand-ins."""
FINETUNED: dict[str, dict[str, dict[str, Any]]] = {
    "finetuned": {
        "ullah2021": {"networks": [VGG]},
        "mondal2021": {"networks": [VGG, XCEPTION, MOBILENET]},
        "batool2023": {"networks": [LITE[0]]},
        "muntasa2024": {"networks": [LITE[0]]},
        "wibowo2024": {"networks": [LITE[0]]},
        "rodrigues2022": {"networks": [MOBILENET]},
    }
}
"""The same for the systems that train a network, those that take longest first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvc", action="store_true", help="all eight at both depths by dvc repro")
    parser.add_argument("--study", type=Path, help="a finished study on real images")
    parser.add_argument("--weights", type=Path, help="a folder of NAME.safetensors")
    parser.add_argument("--depth", choices=["frozen", "finetune"], default="frozen")
    parser.add_argument("--unit", action="append", choices=["image", "subject"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-fraction", type=float, default=0.2)
    parser.add_argument("--size", type=int, default=160, help="side of the resized images, px")
    parser.add_argument("--systems", nargs="*", help="only these")
    parser.add_argument("--keep", type=Path, help="folder of one depth's outputs (default: nothing is kept)")
    parser.add_argument("--jobs", type=int, default=1, help="fold models to fit side by side")
    options = parser.parse_args()
    if options.dvc:
        by_dvc()
    elif options.study and options.weights:
        on_real_images(options)
    else:
        parser.error("give --dvc, or --study and --weights")


def by_dvc() -> None:
    """Run two repros of each depth, and one after a parameter of one system changed."""
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
    """Print the table of the variants that have weights."""
    values = YAML(typ="safe").load(options.study / "params.yaml")
    with tempfile.TemporaryDirectory() as name:
        root = (options.keep or Path(name)).resolve()
        shared = Paths(root / "images")
        costs = [networks(of(values, options, "subject", 2019, all_networks(options)), shared, options.study)]
        splits = list(splits_of(values, options, root))
        for _, params, paths in splits:
            prepare(params, paths, shared)
        if options.jobs > 1:
            fit_side_by_side(splits, options.jobs)
        rows: list[dict[str, Any]] = []
        for key, params, paths in splits:
            rows += on_one_split(params, paths, key)
            show(rows, costs)


def studies_of(options: argparse.Namespace) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the systems to run, with their networks, by study."""
    depth: dict[str, Any] = {"depth": options.depth}
    studies = STUDIES if options.depth == "frozen" else FINETUNED
    return {
        which: {name: systems[name] | depth for name in systems if name in (options.systems or systems)}
        for which, systems in studies.items()
    }


def all_networks(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the systems, each with all networks that it has in any of the studies."""
    every: dict[str, dict[str, Any]] = {}
    for systems in studies_of(options).values():
        for name, settings in systems.items():
            networks = [*every.get(name, settings)["networks"], *settings["networks"]]
            every[name] = settings | {"networks": list(dict.fromkeys(networks))}
    return every


def splits_of(values: dict[str, Any], options: argparse.Namespace, root: Path) -> Iterator[tuple[str, Params, Paths]]:
    """Return title, parameters and paths of each study on each split."""
    for unit in options.unit or ["image", "subject"]:
        for seed in range(2019, 2019 + options.seeds):
            for which, systems in studies_of(options).items():
                if systems:
                    paths = Paths(root / f"{unit}-{seed}-{options.test_fraction}-{which.replace(' ', '-')}")
                    yield f"by {unit}, {which}", of(values, options, unit, seed, systems), paths


def of(first: dict[str, Any], options: argparse.Namespace, unit: str, seed: int, systems: dict[str, Any]) -> Params:
    """Return the study's parameters with another split, and the published systems."""
    used = sorted({network for settings in systems.values() for network in settings["networks"]})
    weights = {name: str((options.weights / f"{name}.safetensors").resolve()) for name in OPTIONS}
    values = first | {
        "seed": seed,
        "systems": systems,
        "pretrained": {
            name: {"weights": weights[name]} | OPTIONS[name] if name in OPTIONS else {"weights": "pip"} for name in used
        },
        "images": {"crop": 300, "size": options.size},
        "split": {"unit": unit, "test": "random", "test_fraction": options.test_fraction},
        "features": first["features"] | {"pooled": False, "activations": False},
        "compute": first["compute"] | {"threads": 1},
    }
    return Params.model_validate(values)


def networks(params: Params, paths: Paths, study: Path) -> dict[str, dict[str, float]]:
    """Run every network over the images, unless its outputs exist; return CPU seconds and counted multiply-adds."""
    (paths.root / "data").mkdir(parents=True, exist_ok=True)
    if not paths.features.exists():
        for file in (paths.index, paths.copies):
            shutil.copy(study / file.relative_to(paths.root), file)
        if not paths.raw.exists():
            paths.raw.symlink_to((study / "data/raw").resolve())
        split.run(params, paths)
        features.run(params, paths)
    wanted.run(params, paths, lambda options: ("", ""))
    images = len(read_index(paths))
    costs = {}
    for name in params.pretrained:
        seconds = paths.root / f"{name}.json"
        if not (seconds.exists() and paths.network(name).exists()):
            begin = time.process_time()
            network.run(params, paths, name)
            if missing := read_json(paths.network_about(name))["missing"]:
                sys.exit(f"{name}: {missing}")
            work = images * cost.count(params, name)["macs"] / 1e9
            write_json(seconds, {"s": time.process_time() - begin, "G multiply-adds": work})
        costs[name] = read_json(seconds)
    return costs


def prepare(params: Params, paths: Paths, shared: Paths) -> None:
    """Split the images, and write what each system reads."""
    for folder in (paths.root / "data/networks", paths.root / "models/networks", paths.root / "rows"):
        folder.mkdir(parents=True, exist_ok=True)
    links = [(paths.index, shared.index), (paths.copies, shared.copies), (paths.features, shared.features)]
    links += [(paths.network(name), shared.network(name)) for name in params.pretrained]
    links += [(paths.network_weights(name).parent, shared.network_weights(name).parent) for name in params.pretrained]
    for link, target in links:
        if not link.exists():
            link.symlink_to(target)
    if not paths.split.exists():
        split.run(params, paths)
    wanted.run(params, paths, lambda options: ("", ""))
    inputs.run(params, paths)


def fit_side_by_side(splits: list[tuple[str, Params, Paths]], jobs: int) -> None:
    """Fit all fold models in parallel; the stage finds each where it would have saved it."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        models = [
            pool.submit(fit_one, params, paths, name, variant.name, member)
            for _, params, paths in splits
            for name in params.systems
            if not finished(paths, name).exists()
            for variant in system.find(name).variants(system.settings_of(params, name))
            if variant.fit
            for member in params.members(f"system/{name}/{variant.name}")
        ]
        for model in models:
            model.result()


def fit_one(params: Params, paths: Paths, name: str, variant: str, member: Member) -> None:
    """Fit a variant of a system to one fold, and save it as an interrupted stage would have saved it."""
    fits = {one.name: one.fit for one in system.find(name).variants(system.settings_of(params, name))}
    fit = fits[variant]
    assert fit, f"{variant} is an ensemble"
    source, _ = stage.source_of(params, paths, name)
    stage.fit_fold(fit, member, source, stage.cells_of(paths))


def finished(paths: Paths, name: str) -> Path:
    """Return the path of a system's CPU time, which exists once the system has finished."""
    return paths.root / f"rows/{name}.json"


def on_one_split(params: Params, paths: Paths, key: str) -> list[dict[str, Any]]:
    """Run each system on one split, unless it has finished; return a row for each variant."""
    rows: list[dict[str, Any]] = []
    for name in params.systems:
        if not finished(paths, name).exists():
            goes_on, begin = paths.searches(name).exists(), time.process_time()
            stage.run(params, paths, name)
            write_json(finished(paths, name), {"s": None if goes_on else time.process_time() - begin})
        rows += measured(params, paths, name, {"key": key, "system": name} | read_json(finished(paths, name)))
    return rows


def measured(params: Params, paths: Paths, name: str, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure every variant of a system that has run; the gain is that of the variant that is shown."""
    cells = read_cells(paths)
    component = components(cells, read_copies(paths))
    unit = pd.factorize(np.concatenate([component[fold(cells, k)] for k in params.folds]))[0]
    train = (cells.part == DEVELOPMENT).sum() * (1 - 1 / len(params.folds))
    run = read_json(paths.system(name))
    found = {
        variant["name"]: read_predictions(paths, params.members(f"system/{name}/{variant['name']}"))
        for variant in run["variants"]
    }
    outside = {key: np.concatenate([one.validation_probability for one in its]) for key, its in found.items()}
    label = np.concatenate([one.validation_label for one in found[run["shown"]]])
    rows = []
    for variant in run["variants"]:
        key = variant["name"]
        average = np.mean([one.test_probability for one in found[key]], axis=0)
        inner, test = evaluate(label, outside[key]), evaluate(found[key][0].test_label, average)
        row = about | {"plan": cost.fit_seconds(params, name, train), "variant": key, "role": variant["role"]}
        row |= {f"oof {m}": inner[m] for m in MEASURES} | {f"test {m}": test[m] for m in MEASURES}
        cut = np.quantile(outside[key], 1 - label.mean())
        row |= {"calls ALL": decide(outside[key]).mean(), "accuracy if fair": ((outside[key] > cut) == label).mean()}
        if variant["role"] == "control":
            shown, other = (decide(outside[one]) == label for one in (run["shown"], key))
            gain = accuracy_difference(shown, other, unit)
            row |= {"gain": gain.value, "low": gain.low, "high": gain.high}
        rows.append(row)
    return rows


def fold(cells: pd.DataFrame, number: int) -> np.ndarray:
    return ((cells.part == DEVELOPMENT) & (cells.fold == number)).to_numpy()


def show(rows: list[dict[str, Any]], costs: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(rows)
    keys = ["key", "system", "variant", "role"]
    print(table.drop(columns=["s", "plan"]).groupby(keys, sort=False).mean().round(3).to_string())
    of_systems = table.drop_duplicates(["key", "system", "s"]).groupby(keys[:2], sort=False)[["s", "plan"]].mean()
    print("\nCPU seconds of a split\n" + of_systems.round(0).to_string())
    print("\nCPU seconds of a network\n" + pd.DataFrame(costs[0]).T.round(0).to_string(), flush=True)


if __name__ == "__main__":
    main()
