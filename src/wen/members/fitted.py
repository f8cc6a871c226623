"""A fitted classical classifier: as a file, and on images that were not in the study."""

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
"""How the names begin of the classes that are loaded though skops does not know them: some parts of scikit-learn's."""
NAME = re.compile(r'(?<="__id__": )\d+|(?<="file": ")[^".]+')
"""What skops calls an object, or the file of an array."""


class Fitted:
    """The fitted baselines that are a classifier's members, on images that were not in the study.

    Parameters
    ----------
    members : sequence of Member
    params, paths
    where : device
        Of the frozen network, which runs if a member learns from its features.

    Raises
    ------
    WenError
        If a file is missing, damaged, or holds what is not safe to load.
    """

    def __init__(self, members: Sequence[Member], params: Params, paths: Paths, where: "torch.device") -> None:
        from wen.network import backbone, device  # here, not above: to read a file needs no torch
        from wen.network.frozen import Frozen, runner

        network, self.where = backbone.load(params, paths.backbone, where), where
        frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
        self.frozen = runner(frozen, params.images.size, where, device.for_storage(params.compute))
        self.members = [(baseline(str(member.baseline)), load(paths.model(member))) for member in members]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the positive class, (images, members), from 8-bit RGB images, (images, size, size, 3).

        NaN is the probability of an image of which a number is infinite or undefined.
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
    """Read a fitted classifier that `content` wrote; a `WenError` if it is missing, damaged or not safe to load."""
    import skops.io  # here, not above: with scikit-learn it takes a second to import, and networks need neither
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
    except Exception as error:  # of any kind, where the file is spoiled
        found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WenError(f"{path}: damaged ({found}); delete it and run `dvc repro`") from None


def probability(model: Any, numbers: np.ndarray) -> np.ndarray:
    """Probability of the positive class, of each image."""
    found: np.ndarray = model.predict_proba(numbers.astype(np.float64))[:, 1]
    return found


def content(model: Any) -> bytes:
    """Write a classifier as skops does, but equal ones as equal bytes: objects numbered in order, files without a date.

    skops calls them by their addresses in memory.
    """
    import skops.io

    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as dumped, zipfile.ZipFile(written, "w") as archive:
        schema = dumped.read("schema.json").decode()
        names = dict.fromkeys(re.findall(NAME, schema))
        numbers = {name: str(number) for number, name in enumerate(names)}
        for file in dumped.namelist():
            stem, _, ending = file.partition(".")
            if stem in numbers:
                archive.writestr(zipfile.ZipInfo(f"{numbers[stem]}.{ending}"), dumped.read(file))
        archive.writestr(zipfile.ZipInfo("schema.json"), re.sub(NAME, lambda name: numbers[name[0]], schema))
    return written.getvalue()
