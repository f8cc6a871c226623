"""A cache of the study's classifiers in the format of bundles, so that `wen classify` builds each of them once.

The network for OpenVINO is built from the classifier's models and models/graph.json, which do not change between two
calls. It is cached in the study's .dvc/tmp, which may be deleted. A cached classifier needs no torch and timm, whose
import takes most of the time before the first image.
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from wen.bundle import manifest
from wen.code import listed
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import atomic, sha256

if TYPE_CHECKING:
    from wen.study import Classifier

MOST = 2
"""Number of classifiers in the cache; each needs the disk space of its members' weights."""
FILES = (manifest.WEIGHTS, manifest.OPENVINO)
GPU_DRIVERS = ("/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")
"""Paths that exist if torch may find a GPU: NVIDIA, AMD, and either of them in Windows Subsystem for Linux."""


def applies(params: Params, device: str) -> bool:
    """Return whether OpenVINO runs the networks, as far as this is known without importing torch."""
    on_cpu = device == "cpu" or (device == "auto" and not any(Path(name).exists() for name in GPU_DRIVERS))
    compute = params.compute
    return on_cpu and compute.cpu_engine == "openvino" and compute.precision in ("auto", "float32")


def place_of(params: Params, paths: Paths, study: str, classifier: str | None) -> Path:
    """Return the folder of a classifier, which depends on study, code, libraries, and name or focus.

    Parameters
    ----------
    params, paths
    study : str
        The `wen.identity.study_id`, which changes with the parameters and the predictions.
    classifier : str, optional
        Its name; by default the one in focus.
    """
    focus = None if classifier else [params.lr, params.ensemble, params.weighting, params.reading]
    made_by = [listed.fingerprint(), version("openvino")]
    key = json.dumps([study, classifier, focus, *made_by], sort_keys=True)
    return paths.classifiers / sha256(key.encode())[:16]


def members_of(place: Path, paths: Paths) -> list[Member] | None:
    """Return the members of a cached classifier; None if it is incomplete or a model is missing."""
    try:
        content = manifest.read(place)
    except WenError:
        return None
    names = [member["name"].rpartition("-") for member in content["members"]]
    members = [Member(recipe, int(fold)) for recipe, _, fold in names]
    return members if all(paths.model(member).is_file() for member in members) else None


def keep(place: Path, classifier: "Classifier", study: str, params: Params, paths: Paths) -> bool:
    """Cache a classifier. False if it is not made of networks, if these cannot be traced, or if writing fails.

    Raises
    ------
    WenError
        If a model or models/graph.json is missing or damaged.
    """
    from wen.bundle import content, weights
    from wen.network import graph

    members = [predictions.member for predictions in classifier.members]
    if not weights.are_networks(members, params) or not (found := graph.read(paths.graph)):
        return False
    networks = weights.read(members, paths, found)
    xml, constants = graph.joined(found, networks)
    stored = weights.of_members(networks, [member.name for member in members])
    try:
        with atomic(place) as partial:
            partial.mkdir()
            xml = weights.write(stored, xml, constants, partial / manifest.WEIGHTS)
            (partial / manifest.OPENVINO).write_bytes(xml)
            manifest.write(content.applied(classifier, study, params, paths), partial, FILES)
        _drop_oldest(place)
    except OSError:  # a full disk or a read-only folder
        return False
    return True


def _drop_oldest(newest: Path) -> None:
    others = [path for path in newest.parent.iterdir() if path != newest and not path.name.startswith(".")]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[MOST - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
