"""Stage ``predict-fold``: one model's probabilities of ALL on its validation fold and on the test set."""

import numpy as np
import torch
from torch import nn

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.evaluation.metrics import evaluate
from wen.files import write_json, write_npz
from wen.members.finetune import check_in_study
from wen.network import backbone, device
from wen.network.cut import Cut, cut
from wen.network.finite import kind_of, overflow, refusal
from wen.network.fit import logits
from wen.network.inputs import inputs_for

OVERFLOW = (
    "the network's numbers overflow; in float16, set compute.precision: float32, "
    "else train the model again with a lower learning rate"
)


def run(params: Params, paths: Paths, lr: float, fold: int, device_name: str = "auto") -> None:
    """Write data/predictions/LR/FOLD.npz and the model's row of the result table, on test data.

    The file holds ``validation_`` and ``test_`` ``id``, ``label`` and ``probability``, and ``test_map``, the
    class-activation map of each test image (see `Located`), float16; ``diverged`` says that training stopped early
    on an infinite or undefined loss.

    Raises
    ------
    WenError
        If the LR or the fold is not of this study, an earlier stage's output is missing, or the network gives an
        image no number.
    """
    check_in_study(params, lr, fold)
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    network = backbone.load(params.backbone.name, paths.model(lr, fold), where)
    tail = Located(cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute)))
    inputs = inputs_for("activations", params, paths, network, where)
    arrays: dict[str, np.ndarray] = {}
    validates = (cells.part == DEVELOPMENT) & (cells.fold == fold)
    for name, own in (("validation", validates), ("test", cells.part == TEST)):
        rows = np.flatnonzero(own)
        outputs = logits(tail, inputs, rows, params.train.batch_size)
        ids = arrays[f"{name}_id"] = cells.id.to_numpy()[rows].astype(str)
        finite = outputs.isfinite().all(1)
        if not finite.all():
            reason = overflow(device.precision(where, params.compute), "train it again with a lower learning rate")
            source = f"{paths.model(lr, fold)}: logit"
            raise refusal(source, ids[~finite.numpy()], None, kind_of(outputs[~finite]), reason)
        arrays[f"{name}_label"] = cells.label.to_numpy()[rows]
        arrays[f"{name}_probability"] = torch.sigmoid(outputs[:, 0]).numpy()
    maps = outputs[:, 1:].unflatten(1, tail.shape)
    limit = np.finfo(np.float16).max
    arrays["test_map"] = maps.numpy().clip(-limit, limit).astype(np.float16)
    arrays["diverged"] = np.array(backbone.about(paths.model(lr, fold))["diverged"])
    write_npz(paths.predictions(lr, fold), **arrays)
    row = evaluate(arrays["test_label"], arrays["test_probability"])
    write_json(paths.single_metrics(lr, fold), row)
    paths.checkpoint(lr, fold).unlink(missing_ok=True)


class Located(nn.Module):
    """The tail, and where in the image its logit comes from.

    The head is linear and the pooling before it a mean, so the logit is the mean of a map: the head applied at
    each position alone. That is the class-activation map of Zhou et al. (2016), and what Grad-CAM gives for such a
    network; above 0 speaks for ALL, below for HEM. Both are float32, whatever the feature maps are computed in.
    """

    def __init__(self, parts: Cut) -> None:
        super().__init__()
        self.features, self.pool, self.head = parts.top, parts.pool, parts.head
        self.shape = torch.Size()
        """Of a map, known once an image has passed."""

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """From activations at the cut to the logit, and behind it the map: shape (n, 1 + height x width)."""
        features = self.features(activations)
        self.shape = features.shape[2:]
        maps = self.head(features.movedim(1, -1)).flatten(1)
        return torch.cat([self.head(self.pool(features)), maps], dim=1)
