"""The classifier that is served, of a bundle or of a study."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from wen import classify
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.members.apply import Applied


def of_bundle(folder: Path, classifier: str | None, device: str) -> Callable[[], Applied]:
    """Check the request; what is given checks the bundle and loads it."""
    from wen.bundle.read import opened

    if classifier:
        raise WenError("--classifier: only for a study; a bundle has one classifier")
    return partial(opened, folder, device)


def of_study(params: Params, paths: Paths, classifier: str | None, device: str) -> Callable[[], Applied]:
    """What is given checks that the study is of one run, and loads its classifier."""
    return partial(classify.of_study, params, paths, classify.Request([], classifier, device=device))
