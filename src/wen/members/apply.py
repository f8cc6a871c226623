"""A classifier's members on images that were not in the study."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from wen import sources
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.images import BadImage, central_square, decode
from wen.errors import WenError
from wen.members.fitted import Fitted
from wen.members.predict import OVERFLOW
from wen.network import backbone, device
from wen.network.cut import cut
from wen.network.frozen import Frozen, runner

AHEAD = 2
"""Batches that are read while the network is at work."""
Predictor = Callable[[np.ndarray], np.ndarray]
"""From 8-bit RGB images of shape (n, size, size, 3) to probabilities of ALL, of shape (images, members)."""


def models(members: Sequence[Member], paths: Paths) -> list[Path]:
    """The files that `predictor_of` may read: a baseline may look at the frozen network's features."""
    classical = any(member.baseline for member in members)
    return [*map(paths.model, members), *([paths.backbone] if classical else [])]


def predictor_of(members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> Predictor:
    """Load the members of a classifier: networks, or a baseline."""
    kind = Fitted if members[0].baseline else Networks
    return kind(members, params, paths, where)


def classify(files: Iterable[str], predictor: Predictor, params: Params) -> Iterator[np.ndarray | str]:
    """Give each image's probability of ALL by each member, of shape (members,); or why there is none."""
    for batch in _read_ahead(files, params):
        good = [image for image in batch if not isinstance(image, str)]
        rows = predictor(np.stack(good)) if good else ()
        found = iter([OVERFLOW if np.isnan(row).any() else row for row in rows])
        yield from (image if isinstance(image, str) else next(found) for image in batch)


def _read_ahead(files: Iterable[str], params: Params) -> Iterator[list[np.ndarray | str]]:
    """Batches of decoded images, of which a few are read by other threads in the meantime."""
    waiting: deque[list[Future[np.ndarray | str]]] = deque()
    names = iter(files)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            batch = list(islice(names, params.train.batch_size))
            if batch:
                waiting.append([pool.submit(_decoded, file, params.images.crop, params.images.size) for file in batch])
            if not waiting:
                return
            if len(waiting) > AHEAD or not batch:
                yield [future.result() for future in waiting.popleft()]


def _decoded(file: str, crop: int | None, size: int) -> np.ndarray | str:
    try:
        return central_square(decode(sources.read(file)), crop, size)
    except BadImage as error:
        return str(error)
    except OSError as error:
        return str(error.strerror)
    except Exception as error:  # whatever a decoder does with one image, the others are classified
        return f"unreadable ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


class Networks:
    """The members of a classifier, of which the frozen network is loaded and run once.

    Parameters
    ----------
    members : sequence of Member
    params, paths
    where : device

    Raises
    ------
    WenError
        If a model was trained with another preparation of images or another cut than params.yaml now says.
    """

    def __init__(self, members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> None:
        cut_from = params.finetune.unfreeze_from
        now = {
            "images": params.images.model_dump(),
            "backbone": params.backbone.model_dump(exclude={"weights"}),
            "unfreeze_from": cut_from,
        }
        for file in (paths.model(member) for member in members):
            then = {key: backbone.about(file).get(key) for key in now}
            if then != now:
                raise WenError(f"{file}: was trained with {then}, but params.yaml says {now}")
        found = [backbone.load(params, paths.model(member), where) for member in members]
        self.where, dtype = where, device.precision(where, params.compute)
        self.tails = [cut(network, cut_from, dtype).tail for network in found]
        frozen = Frozen(found[0], cut_from, ("activations",))
        self.frozen = runner(frozen, params.images.size, where, params.compute)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of ALL, of shape (images, members), from 8-bit RGB images of shape (n, size, size, 3).

        NaN is the probability of an image whose activations or logits are infinite or undefined.
        """
        batch = device.to_device(torch.from_numpy(images), self.where).float() / 255
        with torch.inference_mode():
            activations = self.frozen(batch.contiguous())[0].movedim(-1, 1)
            logits = torch.stack([tail(activations).squeeze(1) for tail in self.tails], 1)
            known = activations.isfinite().flatten(1).all(1, keepdim=True) & logits.isfinite()
            logits = logits.where(known, torch.nan)
        return torch.sigmoid(logits.cpu().double()).numpy()
