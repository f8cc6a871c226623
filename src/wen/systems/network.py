"""Stage ``network``: run a pretrained network once for all published systems that read it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.data.table import read_index
from wen.errors import WenError
from wen.files import atomic, digest, read_json
from wen.network import backbone, device, pretrained
from wen.network.arrays import array_path, writers
from wen.network.cut import cut
from wen.network.features import BATCH
from wen.network.frozen import Frozen, runner
from wen.network.inputs import StoredInputs, batches
from wen.systems.blocks import ChannelsFirst, begin_of_head


def run(params: Params, paths: Paths, name: str, device_name: str = "auto") -> None:
    """Write the network's outputs for every unchanged image, data/networks/NAME, and its weights, models/networks/NAME.

    ``pooled-clean.npy`` has shape (images, channels); ``maps-clean.npy``, the last feature map, has shape (images,
    height, width, channels). Both are float32, for the images of data/features, and written only if a system reads
    them. about.json holds the SHA-256 of each file, or the reason why the weights are not available; in that case the
    stage succeeds, and the systems that need the network are skipped.

    Raises
    ------
    WenError
        If the network is not in params.yaml's ``pretrained``, or an output is infinite or NaN.
    """
    wanted = _wanted(params, paths, name)
    options = Backbone.model_validate(wanted["network"])
    params = params.model_copy(update={"backbone": options, "compute": device.for_storage(params.compute)})
    weights = paths.network_weights(name)
    device.settle(params.compute)
    with atomic(paths.network(name)) as outputs, atomic(weights.parent) as partial:
        outputs.mkdir()
        partial.mkdir()
        about: dict[str, Any] = {
            "network": options.name,
            "missing": _fetch(params, paths, wanted, partial / weights.name),
        }
        if not about["missing"]:
            about |= {"weights": digest(partial / weights.name)}
            about |= _outputs(params, paths, wanted["kinds"], (partial / weights.name, outputs), device_name)
        (outputs / paths.network_about(name).name).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    if about["missing"]:
        print(f"{name}: {about['missing']}; systems that use it are skipped")


def _wanted(params: Params, paths: Paths, name: str) -> dict[str, Any]:
    if name not in params.pretrained:
        raise WenError(
            f"network {name}: params.yaml has no weights for it; add `{name}: hub` or a file under `pretrained`"
        )
    found: dict[str, Any] = read_json(paths.wanted / f"networks/{name}.json")
    return found


def _fetch(params: Params, paths: Paths, wanted: dict[str, Any], path: Path) -> str:
    """Write the weights, or return the reason why they are not available, with paths as params.yaml has them."""
    if wanted["missing"]:
        return str(wanted["missing"])
    try:
        pretrained.fetch(params, paths, path)
    except WenError as error:
        as_given = str(error).replace(str(paths.given(params.backbone.weights)), params.backbone.weights)
        return as_given.removeprefix("backbone.weights: ")
    return ""


def _outputs(
    params: Params, paths: Paths, kinds: list[str], where: tuple[Path, Path], device_name: str
) -> dict[str, Any]:
    """Write the arrays of the given kinds, and return their hashes by kind."""
    weights, folder = where
    stored = [kind for kind in ("pooled", "maps") if kind in kinds]
    if not stored:
        return {}
    target = device.choose(device_name, params.compute)
    network = backbone.load(params, weights, target)
    head = begin_of_head(network)
    frozen, channels_first = Frozen(network, head, ("pooled",)), ChannelsFirst(cut(network, head).channels)
    pool, frozen.pool = frozen.pool, nn.Identity()  # so that the last feature map is returned
    run = runner(frozen, params.images.size, target, params.compute)
    ids = read_index(paths).id
    rows = batches(np.arange(len(ids)), BATCH)
    images = StoredInputs(paths.features, "images", target)
    with writers([array_path(folder, kind) for kind in stored], len(ids)) as files:
        for batch, pixels in zip(rows, images.batches(rows, None), strict=True):
            (maps,) = run((pixels / 255).movedim(1, -1).contiguous())
            with torch.no_grad():
                pooled = pool(maps).cpu().numpy()
            outputs = {"pooled": pooled}
            if "maps" in stored:
                outputs["maps"] = channels_first(maps).movedim(1, -1).cpu().numpy()
            bad = ~np.isfinite(pooled).all(1)
            if bad.any():
                raise WenError(
                    f"network {params.backbone.name}: image {ids.to_numpy()[batch[bad][0]]} has features that are "
                    "infinite or undefined; take other weights"
                )
            for kind, file in zip(stored, files, strict=True):
                file.append(outputs[kind])
    return {kind: digest(array_path(folder, kind)) for kind in stored}
