"""The data of ``dvc plots``."""

import numpy as np
import pandas as pd

from wen.report.plots import CURVES, mean_curves


def curve(fold: int, head: list[float], finetune: list[float]) -> pd.DataFrame:
    """The curves of one fold, which all have these values."""
    values = [*head, *finetune]
    stage = [1] * len(head) + [2] * len(finetune)
    return pd.DataFrame({"fold": fold, "step": range(len(values)), "stage": stage} | dict.fromkeys(CURVES, values))


def test_mean_curves_are_of_all_folds_and_of_one_stage_where_folds_end_stages_at_different_epochs() -> None:
    found = mean_curves(pd.concat([curve(0, [0.5, 0.3], [0.2, 0.1]), curve(1, [0.7, 0.5, 0.4, 0.4], [0.4])]))
    assert found.step.tolist() == [0, 1, 2]
    for name in CURVES:
        np.testing.assert_allclose(found[name], [0.6, 0.4, 0.3])


def test_mean_curves_end_before_the_epoch_in_which_a_fold_diverged() -> None:
    found = mean_curves(pd.concat([curve(0, [0.5, np.nan], []), curve(1, [0.7, 0.5], [0.4])]))
    np.testing.assert_allclose(found.train_loss, [0.6])
