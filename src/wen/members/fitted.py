"""Save, load and apply fitted baselines (scikit-learn classifiers)."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import readable
from wen.members.baseline import Batch
from wen.members.baselines import baseline

if TYPE_CHECKING:
    import torch

TRUSTED = "sklearn."
"""Prefix of class names to trust in addition to those that skops trusts, which lack some of scikit-learn's classes."""
NAME = re.compile(r'(?<="__id__": )\d+|(?<="file": ")[^".]+')
"""Matches skops' name of an object, or of the file of an array."""


class Fitted:
    """The fitted baselines of a classifier, to apply to new images.

    Parameters
    ----------
    members : sequence of Member
    params, paths
    where : device
        Device of the frozen network, which runs if a baseline uses its features.

    Raises
    ------
    WenError
        If a file is missing, damaged or not safe to load.
    """

    def __init__(self, members: Sequence[Member], params: Params, paths: Paths, where: "torch.device") -> None:
        from wen.network import backbone, device  # imported here because reading a file needs no torch
        from wen.network.frozen import Frozen, runner

        network, self.where = backbone.load(params, paths.backbone, where), where
        frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
        self.frozen = runner(frozen, params.images.size, where, device.for_storage(params.compute))
        self.members = [(baseline(str(member.baseline)), load(paths.model(member))) for member in members]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Predict the probabilities of the positive class.

        Parameters
        ----------
        images : ndarray of shape (images, size, size, 3)
            8-bit RGB images.

        Returns
        -------
        ndarray of shape (images, members)
            NaN for an image with infinite or NaN features.
        """
        batch = Batch(lambda: images, lambda: self._pooled(images))
        columns = np.full((len(images), len(self.members)), np.nan)
        for column, (classical, model) in zip(columns.T, self.members, strict=True):
            numbers = classical.numbers(batch)
            finite = np.isfinite(numbers).all(axis=1)
            if finite.any():
                column[finite] = probability(model, numbers[finite])
        return columns

    def _pooled(self, images: np.ndarray) -> np.ndarray:
        import torch

        from wen.network import device

        pixels = device.to_device(torch.from_numpy(images), self.where).float() / 255
        with torch.inference_mode():
            pooled: np.ndarray = self.frozen(pixels.contiguous())[0].cpu().numpy()
        return pooled


def load(path: Path) -> Any:
    """Read a fitted classifier that `content` serialised.

    Raises
    ------
    WenError
        If the file is missing, damaged or not safe to load.
    """
    import skops.io  # imported here because skops and scikit-learn take a second to import
    from skops.io.exceptions import UntrustedTypesFoundException

    with readable(path):
        data = path.read_bytes()
    try:
        trusted = [name for name in skops.io.get_untrusted_types(data=data) if name.startswith(TRUSTED)]
        return skops.io.loads(data, trusted=trusted)
    except UntrustedTypesFoundException as error:
        found = str(error).splitlines()[0]
        raise WenError(
            f"{path}: may run code when loaded, so it was not loaded ({found}); delete it and run `dvc repro`"
        ) from None
    except Exception as error:  # skops raises many types for damaged files
        found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WenError(f"{path}: damaged ({found}); delete it and run `dvc repro`") from None


def probability(model: Any, numbers: np.ndarray) -> np.ndarray:
    """Return the probability of the positive class for each row of ``numbers``, of shape (images, k)."""
    positive: np.ndarray = model.predict_proba(numbers.astype(np.float64))[:, 1]
    return positive


def content(model: Any) -> bytes:
    """Serialise a classifier in the format of skops, with equal bytes for equal classifiers.

    skops names objects by their addresses in memory. They are renamed to consecutive numbers, and the dates of the
    archive are removed.
    """
    import skops.io

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as dumped, zipfile.ZipFile(buffer, "w") as archive:
        schema = dumped.read("schema.json").decode()
        names = dict.fromkeys(re.findall(NAME, schema))
        numbers = {name: str(number) for number, name in enumerate(names)}
        for file in dumped.namelist():
            stem, _, suffix = file.partition(".")
            if stem in numbers:
                archive.writestr(zipfile.ZipInfo(f"{numbers[stem]}.{suffix}"), dumped.read(file))
        archive.writestr(zipfile.ZipInfo("schema.json"), re.sub(NAME, lambda name: numbers[name[0]], schema))
    return buffer.getvalue()
