"""Stage ``predict-fold``: predict with one model on its validation fold and on the test set."""

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
from wen.network.finite import kind_of, nonfinite_error, overflow
from wen.network.inputs import inputs_for, views_of
from wen.network.steps import logits

OVERFLOW = (
    "the network's numbers overflow; in float16, set compute.precision: float32; otherwise train the model again "
    "with a lower learning rate"
)


def run(params: Params, paths: Paths, member: Member, device_name: str = "auto") -> None:
    """Write data/predictions/LR/FOLD.npz and the model's metrics on the test set, metrics/single/LR/FOLD.json.

    A probability is the mean over the views of ``predict.tta``. The class-activation map is that of the unchanged
    image.

    Raises
    ------
    WenError
        If the learning rate or the fold is not part of the study, an output of an earlier stage is missing, or a logit
        is infinite or NaN.
    """
    params.check_trained(member)
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    path = paths.model(member)
    metadata = backbone.about(path)
    network = backbone.load(params, path, where)
    tail = TailWithMap(cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute)))
    inputs = inputs_for("activations", params, paths, network, where)

    def outputs(rows: np.ndarray, view: View) -> torch.Tensor:
        """Return the logits and maps of some rows, of shape (rows, 1 + height * width); raise if any is not finite."""
        values = logits(tail, inputs, rows, params.train.batch_size, view).reshape(len(rows), -1)
        finite = values.isfinite().all(1)
        if not finite.all():
            reason = overflow(device.precision(where, params.compute), "train it again with a lower learning rate")
            images = ids[rows[~finite.numpy()]]
            raise nonfinite_error(f"{path}: logit", images, view, kind_of(values[~finite]), reason)
        return values

    ids, fold_rows = cells.id.to_numpy().astype(str), rows_of_fold(cells, member.fold)
    unchanged, *turned = views_of(params.predict)
    validation_outputs, test_outputs = (outputs(rows, unchanged) for rows in fold_rows.predicted)

    def probability(rows: np.ndarray, of_unchanged: torch.Tensor) -> np.ndarray:
        views = [of_unchanged[:, 0].sigmoid(), *(outputs(rows, view)[:, 0].sigmoid() for view in turned)]
        mean: np.ndarray = torch.stack(views).mean(0).numpy()
        return mean

    limit = np.finfo(np.float16).max
    test_map = test_outputs[:, 1:].reshape(len(test_outputs), *tail.shape).numpy()
    probabilities = (
        probability(fold_rows.validation, validation_outputs),
        probability(fold_rows.test, test_outputs),
    )
    predictions = replace(
        without_maps(member, cells, fold_rows.predicted, probabilities),
        test_map=test_map.clip(-limit, limit).astype(np.float16),
        diverged=np.array(metadata["diverged"]),
        stage=np.array(metadata["stage"]),
        epoch=np.array(metadata["epoch"]),
        computed=np.array([metadata["computed"], device.described(where, params.compute)]),
    )
    write(predictions, paths.predictions(member))
    write_row(predictions, paths.single_metrics(member.recipe, member.fold))
    paths.checkpoint(member).unlink(missing_ok=True)


class TailWithMap(nn.Module):
    """The tail of a network, with a class-activation map of its logit.

    The value of the map at a position is the logit that the head gives to the last feature map at that position
    alone: above 0 in favour of ALL, below 0 in favour of HEM. With mean pooling and a linear head, the logit is the
    mean of the map. The map is then the class-activation map of Zhou et al. (2016), which Grad-CAM also gives for
    such a network. Transformers whose last features are tokens have no map; its height and width are 0.
    """

    def __init__(self, parts: Cut) -> None:
        super().__init__()
        self.features, self.pool, self.head, self.channels = parts.top, parts.pool, parts.head, parts.channels
        self.shape = torch.Size([0, 0])
        """Height and width of the map, known after the first forward pass."""

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """Map activations at the cut to the logit followed by the map, of shape (n, 1 + height * width), float32."""
        features = self.features(activations)
        logit = self.head(self.pool(features))
        if features.ndim != 4:
            return logit
        positions = features.movedim(self.channels, -1)
        self.shape = positions.shape[1:3]
        single = positions.reshape(-1, 1, 1, positions.shape[-1]).movedim(-1, self.channels)
        return torch.cat([logit, self.head(self.pool(single)).reshape(len(features), -1)], dim=1)
