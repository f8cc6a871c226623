"""Stage ``ensemble-intra``: WEN of the champions of the learning rates, by every scheme (3.4)."""

from collections.abc import Callable, Sequence

import numpy as np

from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble.combined import ensemble
from wen.ensemble.selection import champion
from wen.evaluation.metrics import evaluate
from wen.files import atomic, write_json, write_npz
from wen.members.predictions import Predictions, load

JUDGED_ON: dict[str, Callable[[Predictions], dict[str, float]]] = {
    "as_written": Predictions.test_row,  # 3.3: on test data, which leaks
    "leak_free": Predictions.validation_row,
}


def run(params: Params, paths: Paths) -> None:
    """Write data/predictions/intra.npz and metrics/intra/READING-SCHEME.json, for both readings.

    A reading defines on which data each LR's champion is chosen; both measure weights on validation data. The file
    holds ``test_id``, ``test_label``, ``calibration`` and, for each reading, its ``members`` and, for each scheme,
    ``READING_SCHEME_score`` (M_k), ``_weight`` (w_k), ``_temperature`` of each member and ``_probability``.
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
                write_json(partial / f"{reading}-{scheme}.json", evaluate(label, combined.probability))
    write_npz(paths.intra_predictions, **arrays)


def champions(models: Sequence[Sequence[Predictions]], reading: str) -> list[Predictions]:
    """Choose the champion among the fold models of each LR, by a reading of the protocol."""
    judge = JUDGED_ON[reading]
    return [of_one_rate[champion([judge(member) for member in of_one_rate])] for of_one_rate in models]
