"""A classifier's members on images that were not in the study; without torch, which a bundle does not need."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
"""Batches that are read while the network is at work."""
Predictor = Callable[[np.ndarray], np.ndarray]
"""From 8-bit RGB images of shape (n, size, size, 3) to probabilities, of shape (images, members)."""


@dataclass(frozen=True)
class Preparation:
    """How images are read."""

    crop: int | None
    """Width of the central square, px; None is all of the image."""
    size: int
    """What it is resized to, px."""
    batch: int
    """Images whose probabilities are asked for at once."""
    usual: "Ranges | None" = None
    """What the study's images look like (`wen.data.outliers.ranges`), if it is known."""


@dataclass(frozen=True)
class Answer:
    """What a classifier says of an image."""

    probability: np.ndarray
    """Of the positive class by each member, of shape (members,)."""
    warning: str
    """In what the image is unlike the study's; empty if it is not."""


@dataclass(frozen=True, eq=False)
class Applied:
    """A classifier ready to answer, of a study or of a bundle."""

    about: dict[str, str]
    """``classifier`` and ``study``, by their names."""
    members: list[str]
    weight: np.ndarray
    temperature: np.ndarray
    classes: tuple[str, str]
    """Names of the negative and the positive class."""
    threshold: float
    """From which probability on an image is called positive."""
    seed: int
    answers: Callable[[Any], Iterator[Answer | str]]
    """For a list of files, their names or their contents, an answer or why there is none; a cluster takes names."""
    how: Preparation
    synthetic: bool
    """Whether it was trained on made-up cells."""
    maps: "Maps | None"
    """Where in an image the answer comes from; None of a classifier that is no network."""


def preparation(params: Params, paths: Paths) -> Preparation:
    """Prepare images as the study's were."""
    usual = read_json(paths.dataset_metrics).get("usual")
    batch = batch_of(params.train.batch_size, params.predict)
    return Preparation(params.images.crop, params.images.size, batch, usual)


def batch_of(size: int, options: Predict) -> int:
    """Of how many images a network sees ``size`` turned ones, at most: its memory is the same whatever ``tta`` is."""
    return max(1, size // len(options.turns))


def models(members: Sequence[Member], paths: Paths) -> list[Path]:
    """The files that a classifier is made of: a baseline may look at the frozen network's features."""
    classical = any(member.baseline for member in members)
    return [*map(paths.model, members), paths.graph, *([paths.backbone] if classical else [])]


def predictor_of(members: Sequence[Member], params: Params, paths: Paths, where: "torch.device") -> Predictor:
    """Load the members of a classifier: networks, or a baseline."""
    if members[0].baseline:
        from wen.members.fitted import Fitted

        return Fitted(members, params, paths, where)
    from wen.members.networks import Networks

    return Networks(members, params, paths, where)


def networks_of(members: Sequence[Member], params: Params, paths: Paths) -> list["nn.Module"]:
    """Load the members' networks on the CPU, for inference; raises as `wen.members.networks.loaded` does."""
    import torch

    from wen.members.networks import loaded

    return loaded(members, params, paths, torch.device("cpu"))


def classify(files: Iterable[str | bytes], predictor: Predictor, how: Preparation) -> Iterator[Answer | str]:
    """Answer for each image, a file's name or its content, or say why there is no answer."""
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
"""A decoded image, or why there is none, and a warning."""


def _read_ahead(files: Iterable[str | bytes], how: Preparation) -> Iterator[list[Read]]:
    """Batches of decoded images, of which a few are read by other threads in the meantime."""
    waiting: deque[list[Future[Read]]] = deque()
    names = iter(files)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
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
    except Exception as error:  # whatever a decoder does with one image, the others are classified
        return f"unreadable ({type(error).__name__}: {' '.join(str(error).split())[:200]})", ""


def _unlike(image: "Image", usual: "Ranges | None") -> str:
    if not usual:
        return ""
    from wen.data.outliers import look, reasons

    return "; ".join(reasons(look(image), usual))
