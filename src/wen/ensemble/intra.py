"""Stage ``ensemble-intra``: combine the champions of the learning rates by every weighting scheme (3.4)."""

from collections.abc import Callable, Sequence

import numpy as np

from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble.combined import ensemble
from wen.ensemble.selection import champion
from wen.evaluation.metrics import row_of
from wen.files import atomic, write_json, write_npz
from wen.members.predictions import Predictions, load

JUDGED_ON: dict[str, Callable[[Predictions], dict[str, float]]] = {
    "as_written": Predictions.test_row,  # 3.3; selection on test data is a leak
    "leak_free": Predictions.validation_row,
}
"""The readings of the protocol, and the metrics by which each one chooses a champion."""


def run(params: Params, paths: Paths) -> None:
    """Write data/predictions/intra.npz and metrics/intra/READING-SCHEME.json, for both readings of the protocol.

    A reading defines the data on which the champion of each learning rate is chosen. Weights are computed on
    validation data in both. The file holds ``test_id``, ``test_label``, ``calibration`` and, for each reading,
    ``READING_members`` and, for each scheme, ``READING_SCHEME_score`` (M_k), ``READING_SCHEME_weight`` (w_k),
    ``READING_SCHEME_temperature`` of each member and ``READING_SCHEME_probability``.

    Raises
    ------
    WenError
        If predictions of a member are missing or damaged.
    """
    models = [load(paths, params.members(recipe)) for recipe in params.grid]
    label = models[0][0].test_label
    arrays = {"test_id": models[0][0].test_id, "test_label": label, "calibration": np.array(params.calibration)}
    with atomic(paths.intra_metrics) as partial:
        for reading in JUDGED_ON:
            members = champions(models, reading)
            arrays[f"{reading}_members"] = np.array([member.name for member in members])
            for scheme in params.schemes:
                combined = ensemble(members, scheme, params.calibration)
                arrays |= {f"{reading}_{scheme}_{name}": value for name, value in vars(combined).items()}
                write_json(partial / f"{reading}-{scheme}.json", row_of(label, combined.probability))
    write_npz(paths.intra_predictions, **arrays)


def champions(models: Sequence[Sequence[Predictions]], reading: str) -> list[Predictions]:
    """Choose the champion among the fold models of each learning rate, by a reading of the protocol."""
    metrics_of = JUDGED_ON[reading]
    return [fold_models[champion([metrics_of(member) for member in fold_models])] for fold_models in models]
