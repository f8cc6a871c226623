"""Apply a classifier to new images. This module does not import torch, which a bundle runs without."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import cpu_count
from scipy.special import expit

from wen import sources
from wen.config.member import Member
from wen.config.params import Params, Predict
from wen.config.paths import Paths
from wen.data.images import BadImage, central_square, decode
from wen.files import read_json

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import nn

    from wen.data.outliers import Ranges
    from wen.members.located import Maps

AHEAD = 2
"""Batches that are decoded in advance while the network runs."""
Predictor = Callable[[np.ndarray], np.ndarray]
"""Maps 8-bit RGB images of shape (n, size, size, 3) to probabilities of the positive class, of shape (n, members).

NaN for an image of which a feature, an activation or a logit is infinite or NaN.
"""


@dataclass(frozen=True)
class Preparation:
    """How images are prepared for the network."""

    crop: int | None
    """Side of the central square to crop, in px; None for the entire image."""
    size: int
    """Side of the image after resizing, in px."""
    batch: int
    """Images per call of the predictor."""
    usual: "Ranges | None" = None
    """Usual ranges of the study's images (`wen.data.outliers.ranges`), if known."""


@dataclass(frozen=True)
class Answer:
    """Prediction for one image."""

    probability: np.ndarray
    """Probability of the positive class by each member, of shape (members,)."""
    warning: str
    """How the image differs from those of the study; empty if it does not."""


@dataclass(frozen=True, eq=False)
class Applied:
    """A classifier of a study or of a bundle, loaded and ready to predict."""

    about: dict[str, str]
    """Names of the ``classifier`` and of the ``study``."""
    members: list[str]
    weight: np.ndarray
    temperature: np.ndarray
    classes: tuple[str, str]
    """Names of the negative and the positive class."""
    threshold: float
    """Decision threshold: an image is positive if its probability is at least this."""
    seed: int
    answers: Callable[[Any], Iterator[Answer | str]]
    """Yields a prediction or an error message for each of a list of files, given by name or content. On a cluster,
    files are given by name."""
    how: Preparation
    synthetic: bool
    """Whether it was trained on synthetic cells."""
    maps: "Maps | None"
    """Class-activation maps; None for a classifier without networks."""


def preparation(params: Params, paths: Paths) -> Preparation:
    """Return how the study's images were prepared."""
    usual = read_json(paths.dataset_metrics).get("usual")
    batch = batch_of(params.train.batch_size, params.predict)
    return Preparation(params.images.crop, params.images.size, batch, usual)


def batch_of(size: int, options: Predict) -> int:
    """Return the number of images per batch, so that the batch with all turned views has at most ``size`` images.

    The memory that the network needs thus does not depend on ``tta``.
    """
    return max(1, size // len(options.turns))


def models(members: Sequence[Member], paths: Paths) -> list[Path]:
    """Return the files that a classifier needs. Baselines also need the backbone, whose features they may use."""
    classical = any(member.baseline for member in members)
    return [*map(paths.model, members), paths.graph, *([paths.backbone] if classical else [])]


def predictor_of(members: Sequence[Member], params: Params, paths: Paths, where: "torch.device") -> Predictor:
    """Load the members of a classifier: networks, whose frozen part runs once for all of them, or fitted baselines.

    Raises
    ------
    WenError
        If a model is missing, damaged, not safe to load, or not one of params.yaml's.
    """
    if members[0].baseline:
        from wen.members.fitted import Fitted

        return Fitted(members, params, paths, where)
    from wen.members.networks import load_networks, logits_of

    networks, cut_from = load_networks(members, params, paths, where), params.finetune.unfreeze_from
    logits = logits_of(networks, cut_from, params.images.size, where, params.compute, params.predict.turns)
    return lambda images: probabilities(logits(images))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Convert float32 logits to float64 probabilities of the positive class."""
    probability: np.ndarray = expit(logits.astype(np.float64))
    return probability


def networks_of(members: Sequence[Member], params: Params, paths: Paths) -> list["nn.Module"]:
    """Load the members' networks on the CPU in inference mode; see `wen.members.networks.load_networks`."""
    import torch

    from wen.members.networks import load_networks

    return load_networks(members, params, paths, torch.device("cpu"))


def classify(files: Iterable[str | bytes], predictor: Predictor, how: Preparation) -> Iterator[Answer | str]:
    """Yield a prediction or an error message for each image, given by file name or content."""
    for batch in _read_ahead(files, how):
        good = [image for image, _ in batch if not isinstance(image, str)]
        rows = iter(predictor(np.stack(good)) if good else ())
        for image, warning in batch:
            yield image if isinstance(image, str) else _answer(next(rows), warning)


def _answer(row: np.ndarray, warning: str) -> Answer | str:
    if np.isnan(row).any():
        from wen.members.predict import OVERFLOW

        return OVERFLOW
    return Answer(row, warning)


Read = tuple[np.ndarray | str, str]
"""A decoded image or an error message, and a warning."""


def _read_ahead(files: Iterable[str | bytes], how: Preparation) -> Iterator[list[Read]]:
    """Yield batches of decoded images; threads decode up to `AHEAD` batches in advance."""
    waiting: deque[list[Future[Read]]] = deque()
    names = iter(files)
    with ThreadPoolExecutor(cpu_count()) as pool:
        while True:
            batch = list(islice(names, how.batch))
            if batch:
                waiting.append([pool.submit(_decoded, file, how) for file in batch])
            if not waiting:
                return
            if len(waiting) > AHEAD or not batch:
                yield [future.result() for future in waiting.popleft()]


def _decoded(file: str | bytes, how: Preparation) -> Read:
    try:
        image = decode(file if isinstance(file, bytes) else sources.read(file))
        return central_square(image, how.crop, how.size), _unlike(image, how.usual)
    except BadImage as error:
        return str(error), ""
    except OSError as error:
        return str(error.strerror), ""
    except Exception as error:  # an error of the decoder must not stop the other images
        return f"unreadable ({type(error).__name__}: {' '.join(str(error).split())[:200]})", ""


def _unlike(image: "Image", usual: "Ranges | None") -> str:
    if not usual:
        return ""
    from wen.data.outliers import look, reasons

    return "; ".join(reasons(look(image), usual))
