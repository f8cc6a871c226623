"""Stage ``ensemble-inter``: combine the fold models of one learning rate by every weighting scheme (3.4)."""

import numpy as np

from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble.combined import ensemble
from wen.errors import WenError
from wen.evaluation.metrics import row_of
from wen.files import atomic, write_json, write_npz
from wen.members.predictions import load, write_averages


def run(params: Params, paths: Paths, recipe: str) -> None:
    """Write the ensembles of one learning rate, data/predictions/inter/LR.npz, and their metrics.

    The file holds ``test_id``, ``test_label``, ``calibration``, ``members`` and, for each scheme, ``SCHEME_score``
    (M_k), ``SCHEME_weight`` (w_k), ``SCHEME_temperature`` of each member and ``SCHEME_probability``. The metrics on the
    test set are metrics/inter/LR/SCHEME.json, and the mean and the standard deviation (n - 1) over the single models
    are metrics/single/LR/mean.json and std.json.

    Raises
    ------
    WenError
        If the learning rate is not part of the study, or predictions of a member are missing or damaged.
    """
    if recipe not in params.rates:
        raise WenError(f"--lr {recipe}: not in this study; choose one of {', '.join(params.rates)}")
    members = load(paths, params.members(recipe))
    label = members[0].test_label
    arrays = {
        "test_id": members[0].test_id,
        "test_label": label,
        "calibration": np.array(params.calibration),
        "members": np.array([member.name for member in members]),
    }
    with atomic(paths.inter_metrics(recipe)) as partial:
        for scheme in params.schemes:
            combined = ensemble(members, scheme, params.calibration)
            arrays |= {f"{scheme}_{name}": value for name, value in vars(combined).items()}
            write_json(partial / f"{scheme}.json", row_of(label, combined.probability))
    write_npz(paths.inter_predictions(recipe), **arrays)
    write_averages(members, paths.single_metrics(recipe, "mean").parent)
