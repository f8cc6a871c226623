"""Stage ``predict-fold``: one model's probabilities of ALL on its validation fold and on the test set."""

import numpy as np
import torch

from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.evaluation.metrics import evaluate
from wen.files import write_json, write_npz
from wen.network import backbone, device
from wen.network.cut import cut
from wen.network.fit import logits
from wen.network.inputs import inputs_for
from wen.network.train import check_in_study
from wen.params import Params
from wen.paths import Paths


def run(params: Params, paths: Paths, lr: float, fold: int, device_name: str = "auto") -> None:
    """Write data/predictions/LR/FOLD.npz and the model's row of the result table, on test data.

    The file holds ``validation_`` and ``test_`` ``id``, ``label`` and ``probability``.

    Raises
    ------
    WenError
        If the LR or the fold is not of this study, or an earlier stage's output is missing.
    """
    check_in_study(params, lr, fold)
    device.settle(params.compute)
    where = device.choose(device_name)
    cells = read_cells(paths)
    network = backbone.load(params.backbone.name, paths.model(lr, fold), where)
    tail = cut(network, params.finetune.unfreeze_from).tail
    inputs = inputs_for("activations", params, paths, network, where)
    arrays: dict[str, np.ndarray] = {}
    validates = (cells.part == DEVELOPMENT) & (cells.fold == fold)
    for name, own in (("validation", validates), ("test", cells.part == TEST)):
        rows = np.flatnonzero(own)
        dtype = device.precision(where, params.compute)
        logit = logits(tail, inputs, rows, params.train.batch_size, dtype)
        arrays[f"{name}_id"] = cells.id.to_numpy()[rows].astype(str)
        arrays[f"{name}_label"] = cells.label.to_numpy()[rows]
        arrays[f"{name}_probability"] = torch.sigmoid(logit).numpy()
    write_npz(paths.predictions(lr, fold), **arrays)
    row = evaluate(arrays["test_label"], arrays["test_probability"])
    write_json(paths.single_metrics(lr, fold), row)
