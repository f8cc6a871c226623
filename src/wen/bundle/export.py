"""``wen export``: write a classifier to a folder that can be used without the study."""

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wen.bundle import card, content, manifest, onnx_file, weights
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import describe, leaks
from wen.data.images import network_input
from wen.data.table import TEST, read_cells
from wen.errors import WenError
from wen.files import atomic, digest, write_text
from wen.identity import study_id
from wen.integrity import one_run
from wen.loading import choose
from wen.members.apply import models
from wen.names import shown
from wen.network import device, graph
from wen.network.assembly import Assembly
from wen.report.language import Text
from wen.report.provenance import provenance
from wen.results import gather
from wen.study import Classifier

STATISTICS = ("width", "height", "cell_area_share", "cell_intensity")
"""Keys of metrics/dataset.json: smallest and largest size in px, and means of each class."""
COMPARED = 24
"""Number of test images, and of noise images, on which ONNX Runtime is compared with torch."""


def run(params: Params, paths: Paths, target: Path, name: str | None = None) -> None:
    """Write a bundle: classifier.json, weights, the network for OpenVINO and ONNX, and a model card.

    Parameters
    ----------
    params, paths
    target : Path
        The folder; an earlier bundle is replaced.
    name : str, optional
        Name of the classifier, as in metrics/evidence.json; by default the one in focus.

    Raises
    ------
    WenError
        If the folder has other content, or a model card that was edited; if the study has not run, or its files come
        from different runs; if the classifier is unknown or not a network; or if ONNX Runtime gives other
        probabilities. Nothing is written then.
    """
    _check_target(target)
    onnx_file.check_installed()
    one_run.check(params, paths, focus=name is None)
    classifier = choose(gather(params, paths), name)
    members = [predictions.member for predictions in classifier.members]
    if not weights.are_networks(members, params):
        raise WenError(
            f"--classifier {classifier.id}: a baseline, {members[0].baseline}; only networks can be exported (single "
            "LR-FOLD, inter LR SCHEME, intra READING SCHEME, and single baseline/features-FOLD with predict.tta: "
            "none). `wen classify` applies baselines in the study"
        )
    one_run.check_models(models(members, paths), paths)
    found = graph.read(paths.graph)
    if not found:
        raise WenError(
            f"{params.backbone.name}: torch.fx cannot trace it, so it cannot be exported; use `wen classify` in the "
            "study"
        )
    names, size = [member.name for member in members], params.images.size
    device.settle(params.compute)
    with atomic(target) as partial:
        partial.mkdir()
        arrays = weights.read(members, paths, found)
        xml = weights.write(weights.of_members(arrays, names), *graph.joined(found, arrays), partial / manifest.WEIGHTS)
        (partial / manifest.OPENVINO).write_bytes(xml)
        networks = weights.load(partial / manifest.WEIGHTS, names, params.backbone, size, torch.device("cpu"))
        assembly = Assembly(networks, params.finetune.unfreeze_from, turns=params.predict.turns).eval()
        answering = onnx_file.Answering(assembly, classifier.weight, classifier.temperature).eval()
        described = _content(params, paths, classifier, assembly)
        about = {key: str(described[key]) for key in ("classifier", "study", "classes", "threshold", "images")}
        onnx_file.write(answering, size, about, partial / manifest.ONNX)
        difference = onnx_file.difference(answering, _images(params, paths), partial / manifest.ONNX)
        described["onnx"] = {"opset": onnx_file.OPSET, "difference_from_torch": float(f"{difference:.0e}")}
        write_text(partial / manifest.CARD, card.written(described, params))
        manifest.write(described | {"card": digest(partial / manifest.CARD)}, partial)
    print(f"{shown(target)}: {classifier.id} of study {described['study']}, {len(members)} network(s); classify with: ")
    print(f"wen classify --bundle {shlex.quote(shown(target))} cells/")


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise WenError(f"{shown(target)}: a file; choose a folder for the bundle")
    if target.is_dir() and not manifest.is_bundle(target):
        raise WenError(f"{shown(target)}: contains files that are not part of a bundle; choose another folder")
    if manifest.has_edited_card(target):
        raise WenError(
            f"{shown(target / manifest.CARD)}: edited after the export, which would replace it; move it, or choose "
            "another folder"
        )


def _content(params: Params, paths: Paths, classifier: Classifier, assembly: Assembly) -> dict[str, Any]:
    """Return the content of classifier.json without the hashes of files."""
    dataset, split = describe.of_study(paths), leaks.of_study(paths)
    applied = content.applied(classifier, study_id(params, paths), params, paths)
    return {
        **applied,
        "members": [
            about | member.origin for about, member in zip(applied["members"], classifier.members, strict=True)
        ],
        "images": applied["images"] | {
            "channels": "RGB",
            "mean": [round(value, 6) for value in assembly.trunk.mean.tolist()],
            "std": [round(value, 6) for value in assembly.trunk.std.tolist()],
        },
        "data": applied["data"] | {
            "name": params.dataset.name,
            "split": params.split.unit,
            "shared": split["test_and_development"]["shared_subjects"],
            "all": {key: value for key, value in dataset.items() if isinstance(value, int | float)},
            "development": split["development"],
            "test": split["test"],
            "statistics": {key: dataset.get(key) for key in STATISTICS},
        },
        "test": {key: None if value is None else float(value) for key, value in classifier.row.items()},
        "provenance": _provenance(params, paths),
    }  # fmt: skip


def _provenance(params: Params, paths: Paths) -> dict[str, str]:
    """Return the provenance, with the stages whose code changed: the models are of other code than the commit."""
    found = provenance(paths, Text("en")) | {"onnx": version("onnx")}
    if changed := one_run.changed_code(params, paths):
        found["commit"] += f"; the code or libraries of {', '.join(changed)} changed since their last run"
    return found


def _images(params: Params, paths: Paths) -> np.ndarray:
    """Return images of noise and, if their files exist, of the test set, of shape (n, size, size, 3)."""
    size = params.images.size
    rng = np.random.default_rng(seed_for(params.seed, what="export"))
    noise = rng.integers(0, 256, (COMPARED, size, size, 3), dtype=np.uint8)
    cells = read_cells(paths)
    rows = cells[cells.part == TEST].head(COMPARED)
    files = [(paths.image(path), digest) for path, digest in zip(rows.path, rows.sha256, strict=True)]
    found = [network_input(file, digest, params.images.crop, size) for file, digest in files if file.is_file()]
    return np.concatenate([noise, np.stack(found)]) if found else noise
