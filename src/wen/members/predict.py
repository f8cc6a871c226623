"""Stage ``predict-fold``: one model's probabilities on its validation fold and on the test set."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import read_cells, rows_of_fold
from wen.members.predictions import without_maps, write, write_row
from wen.network import backbone, device
from wen.network.arrays import View
from wen.network.cut import Cut, cut
from wen.network.finite import kind_of, overflow, refusal
from wen.network.inputs import inputs_for, views_of
from wen.network.steps import logits

OVERFLOW = (
    "the network's numbers overflow; in float16, set compute.precision: float32; otherwise train the model again "
    "with a lower learning rate"
)


def run(params: Params, paths: Paths, member: Member, device_name: str = "auto") -> None:
    """Write data/predictions/LR/FOLD.npz and the model's row of the result table, on test data.

    A probability is the mean over the views of ``predict.tta``; a map is of the image as it is.

    Raises
    ------
    WenError
        If the LR or the fold is not of this study, an earlier stage's output is missing, or the network gives an
        image no number.
    """
    params.check_trained(member)
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    path = paths.model(member)
    about = backbone.about(path)
    network = backbone.load(params, path, where)
    tail = Located(cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute)))
    inputs = inputs_for("activations", params, paths, network, where)

    def outputs(rows: np.ndarray, view: View) -> torch.Tensor:
        """Logits and maps of some rows, all of them finite numbers."""
        found = logits(tail, inputs, rows, params.train.batch_size, view).reshape(len(rows), -1)
        finite = found.isfinite().all(1)
        if not finite.all():
            reason = overflow(device.precision(where, params.compute), "train it again with a lower learning rate")
            images = ids[rows[~finite.numpy()]]
            raise refusal(f"{path}: logit", images, view, kind_of(found[~finite]), reason)
        return found

    ids, of_fold = cells.id.to_numpy().astype(str), rows_of_fold(cells, member.fold)
    as_it_is, *turned = views_of(params.predict)
    of_validation, of_test = (outputs(rows, as_it_is) for rows in of_fold.predicted)

    def probability(rows: np.ndarray, first: torch.Tensor) -> np.ndarray:
        found = [first[:, 0].sigmoid(), *(outputs(rows, view)[:, 0].sigmoid() for view in turned)]
        mean: np.ndarray = torch.stack(found).mean(0).numpy()
        return mean

    limit = np.finfo(np.float16).max
    found = probability(of_fold.validation, of_validation), probability(of_fold.test, of_test)
    predictions = replace(
        without_maps(member, cells, of_fold.predicted, found),
        test_map=of_test[:, 1:].reshape(len(of_test), *tail.shape).numpy().clip(-limit, limit).astype(np.float16),
        diverged=np.array(about["diverged"]),
        stage=np.array(about["stage"]),
        epoch=np.array(about["epoch"]),
    )
    write(predictions, paths.predictions(member))
    write_row(predictions, paths.single_metrics(member.recipe, member.fold))
    paths.checkpoint(member).unlink(missing_ok=True)


class Located(nn.Module):
    """The tail, and where in the image its logit comes from.

    A map's value at a position is the logit of an image whose last feature map is everywhere as it is there; above 0
    speaks for ALL, below for HEM. Where the head is linear and the pooling before it a mean, the logit is the mean of
    the map: that is the class-activation map of Zhou et al. (2016), and what Grad-CAM gives for such a network.
    Transformers whose last features are tokens have no map: its height and width are 0.
    """

    def __init__(self, parts: Cut) -> None:
        super().__init__()
        self.features, self.pool, self.head, self.channels = parts.top, parts.pool, parts.head, parts.channels
        self.shape = torch.Size([0, 0])
        """Of a map, known once an image has passed."""

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """From activations at the cut to the logit, and behind it the map: shape (n, 1 + height x width), float32."""
        features = self.features(activations)
        logit = self.head(self.pool(features))
        if features.ndim != 4:
            return logit
        positions = features.movedim(self.channels, -1)
        self.shape = positions.shape[1:3]
        alone = positions.reshape(-1, 1, 1, positions.shape[-1]).movedim(-1, self.channels)
        return torch.cat([logit, self.head(self.pool(alone)).reshape(len(features), -1)], dim=1)
