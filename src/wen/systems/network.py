"""Stage ``network``: a pretrained network that published systems read, run once for all of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.data.table import read_index
from wen.errors import WenError
from wen.files import atomic, digest, read_json
from wen.network import backbone, device, pretrained
from wen.network.arrays import array_path, writers
from wen.network.features import BATCH
from wen.network.frozen import Frozen, runner
from wen.network.inputs import StoredInputs, batches


def run(params: Params, paths: Paths, name: str, device_name: str = "auto") -> None:
    """Write data/networks/NAME and models/networks/NAME: outputs of every image as it is, and the weights.

    ``pooled-clean.npy`` is (images, channels), ``maps-clean.npy`` the last feature map, (images, height, width,
    channels), both float32 and of the images of data/features; only what some system reads is written. about.json says
    the SHA-256 of each, or why there are no weights: then the stage ends well, and the systems that need them are
    skipped.

    Raises
    ------
    WenError
        If the network is not in params.yaml's ``pretrained``, or gives an image a number that is none.
    """
    wanted = _wanted(params, paths, name)
    options = Backbone.model_validate(wanted["network"])
    own = params.model_copy(update={"backbone": options, "compute": device.for_storage(params.compute)})
    weights = paths.network_weights(name)
    device.settle(params.compute)
    with atomic(paths.network(name)) as outputs, atomic(weights.parent) as partial:
        outputs.mkdir()
        partial.mkdir()
        about: dict[str, Any] = {"network": options.name, "missing": _fetch(own, paths, wanted, partial / weights.name)}
        if not about["missing"]:
            about |= {"weights": digest(partial / weights.name)}
            about |= _outputs(own, paths, wanted["kinds"], (partial / weights.name, outputs), device_name)
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
    """Write the weights, or say why there are none."""
    if wanted["missing"]:
        return str(wanted["missing"])
    try:
        pretrained.fetch(params, paths, path)
    except WenError as error:
        return str(error).removeprefix("backbone.weights: ")
    return ""


def _outputs(
    params: Params, paths: Paths, kinds: list[str], where: tuple[Path, Path], device_name: str
) -> dict[str, Any]:
    """Write the arrays that are asked for, and give their hashes."""
    weights, folder = where
    kept = [kind for kind in ("pooled", "maps") if kind in kinds]
    if not kept:
        return {}
    on = device.choose(device_name, params.compute)
    network = backbone.load(params, weights, on)
    frozen = Frozen(network, backbone.head_name(network), ("activations", "pooled"))
    run = runner(frozen, params.images.size, on, params.compute)
    ids = read_index(paths).id
    rows = batches(np.arange(len(ids)), BATCH)
    images = StoredInputs(paths.features, "images", on)
    with writers([array_path(folder, kind) for kind in kept], len(ids)) as files:
        for batch, pixels in zip(rows, images.batches(rows, None), strict=True):
            maps, pooled = (values.cpu().numpy() for values in run((pixels / 255).movedim(1, -1).contiguous()))
            found = {"pooled": pooled, "maps": maps}
            bad = ~np.isfinite(pooled).all(1)
            if bad.any():
                raise WenError(
                    f"network {params.backbone.name}: image {ids.to_numpy()[batch[bad][0]]} has features that are "
                    "infinite or undefined; take other weights"
                )
            for kind, file in zip(kept, files, strict=True):
                file.append(found[kind])
    return {kind: digest(array_path(folder, kind)) for kind in kept}
