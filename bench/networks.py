"""Compare networks with and without stored features: python bench/networks.py [NAME ...] [--dvc] [--paths]

Each network gets random weights, saved to a file, and a tiny study of synthetic cells, once with stored pooled
features and activations and once with none. The table states where the network is cut, and the largest differences of
probabilities. With --dvc, `dvc repro` runs all stages of the studies; otherwise the functions of the stages run fold 0
at one learning rate. With --paths nothing is trained; one network of each timm family is listed with the path that it
takes.
"""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests/pipeline")]

from tiny_study import new_study, tiny_values  # noqa: E402

from wen.config.member import Member  # noqa: E402
from wen.config.params import Backbone, Params  # noqa: E402
from wen.config.paths import Paths  # noqa: E402
from wen.data import prepare, split  # noqa: E402
from wen.errors import WenError  # noqa: E402
from wen.files import read_npz  # noqa: E402
from wen.members import finetune, predict  # noqa: E402
from wen.network import features, pretrained  # noqa: E402
from wen.network.backbone import build  # noqa: E402
from wen.network.cut import cut, is_traceable  # noqa: E402

SIZES = {
    "vgg16": 32, "densenet121": 64, "resnet50": 64, "resnetv2_50": 64, "mobilenetv1_100": 64, "legacy_xception": 96,
    "inception_resnet_v2": 96, "convnext_tiny": 64, "swin_tiny_patch4_window7_224": 64, "vit_small_patch14_dinov2": 56,
    "tf_efficientnet_lite0": 64,
}  # fmt: skip
"""Images of these sizes, in px; another network gets 64."""
TOLERANCE = 1e-3
MEMBER = Member("0.001", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(SIZES))
    parser.add_argument("--dvc", action="store_true", help="run all stages by dvc repro")
    parser.add_argument("--paths", action="store_true", help="tell which path each of timm's families takes")
    options = parser.parse_args()
    if options.paths:
        paths_of_families()
        return
    table = Table("network", "px", "cut before", "of a map", "most that two probabilities differ", "s")
    apart: dict[str, float] = {}
    for name in options.networks:
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            values, place = study_of(name, Path(folder))
            run = by_dvc if options.dvc else by_functions
            stored, computed = (run(with_features(values, on), Path(folder), f"kept-{on}") for on in (True, False))
        apart[name] = max(abs(stored[key] - computed[key]).max() for key in stored if key.endswith("probability"))
        size = next(str(value.shape[1:]) for key, value in stored.items() if key.endswith("test_map"))
        table.add_row(
            name, str(values["images"]["size"]), place, size, f"{apart[name]:.2g}", f"{time.perf_counter() - begin:.0f}"
        )
        print(f"{name}: {apart[name]:.2g}", file=sys.stderr)
    Console(width=110).print(table)
    if far := [name for name, difference in apart.items() if not difference <= TOLERANCE]:
        sys.exit(f"cached and plain differ by more than {TOLERANCE:g}: {', '.join(far)}")


def paths_of_families() -> None:
    """Build the first network of each family without weights, and print where it is cut, or why it is not."""
    found: dict[str, list[str]] = {"cut": [], "complete, from the images": []}
    families = {re.split(r"[\d_]", name.removeprefix("tf_"))[0]: name for name in reversed(timm.list_models())}
    for name in sorted(families.values()):
        pretrained_cfg = timm.get_pretrained_cfg(name)
        size = pretrained_cfg.input_size[-1] if pretrained_cfg else 224
        try:
            with torch.device("meta"):
                network = build(Backbone(name=name, weights="hub"), size).eval()
                how = "cut" if is_traceable(network) else "complete, from the images"
                place = cut(network, "auto").unfreeze_from
        except WenError as error:
            how, place = re.sub(r"(: )[A-Z]\w+", r"\1it", str(error).partition(";")[0]), ""
        found.setdefault(how, []).append(f"{name} ({place})" if place else name)
    for how, names in found.items():
        print(f"{len(names)} {how}: {', '.join(names)}")


def study_of(name: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Save random weights of a network to a file, make a tiny study of it, and return where it is cut."""
    size = SIZES.get(name, 64)
    values = tiny_values()
    values["dataset"]["side"] = size
    values["images"] = {"crop": size, "size": size}
    values["backbone"] = {"name": name, "weights": str(folder / "weights.safetensors")}
    values["finetune"]["unfreeze_from"] = "auto"
    params = Params.model_validate(values)
    torch.manual_seed(0)
    network = build(params.backbone, size)
    weights = {key: tensor.clone() for key, tensor in network.state_dict().items()}  # CoaT has some by two names
    safetensors.torch.save_file(weights, folder / "weights.safetensors")
    return values, cut(network, "auto").unfreeze_from


def with_features(values: dict[str, Any], on: bool) -> dict[str, Any]:
    return values | {"features": values["features"] | {"pooled": on, "activations": on}}


def by_functions(values: dict[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Run fold 0 at one learning rate."""
    params, paths = Params.model_validate(values), Paths(folder / name)
    paths.root.mkdir()
    for command in (["init"], ["config", "user.name", "x"], ["config", "user.email", "x"],
                    ["commit", "--allow-empty", "-m", "x"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=paths.root, check=True, capture_output=True)
    (paths.root / "params.yaml").touch()
    with contextlib.chdir(paths.root), contextlib.redirect_stdout(io.StringIO()):
        for stage in (prepare, split, pretrained):
            stage.run(params, paths)
        features.run(params, paths, "cpu")
        finetune.run(params, paths, MEMBER, "cpu")
        predict.run(params, paths, MEMBER, "cpu")
    return read_npz(paths.predictions(MEMBER))


def by_dvc(values: dict[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Run all models of two learning rates."""
    study = new_study(folder, name, values)
    study.env |= {"HOME": os.environ["HOME"]}
    study.run("dvc", "repro")
    files = sorted((study.root / "data/predictions").glob("*/*.npz"))
    return {f"{file.parent.name}/{file.stem} {key}": array for file in files for key, array in read_npz(file).items()}


if __name__ == "__main__":
    main()
