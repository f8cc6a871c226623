"""bench/ablation.py, what helps with new people: no test image chooses, and intervals know that splits share images."""

import ablation
import numpy as np
import pytest

from wen.config.params import Params


def split(params: Params, label: np.ndarray) -> object:
    """The last fifth of the images is the test set, the others are dealt into the study's folds."""
    n = len(label)
    fold = np.where(np.arange(n) < 4 * n // 5, np.arange(n) // 2 % len(params.folds), -1)
    return ablation.Split(params, fold, label, np.flatnonzero(fold < 0))


def test_validation_chooses_the_configuration_and_not_the_test_set(
    tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = np.arange(100) % 2
    right, wrong = (np.stack([side * 0.9 + (1 - side) * 0.1] * 8) for side in (label, 1 - label))
    predicted = {"promising": (right[:, :80], wrong[:, 80:]), "better": (wrong[:, :80], right[:, 80:])}
    monkeypatch.setattr(ablation, "predictions", lambda split, name: predicted[name])
    tried = {name: [(name, [0, 4])] for name in predicted}
    rows = ablation.scores(split(tiny, label), {name: name for name in predicted}, tried)
    assert rows == [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_heads_learn_from_images_as_they_are_and_predict_from_each_turn(tiny: Params) -> None:
    """One feature shows every class, the other none; heads learn from the first and predict from both."""
    rng = np.random.default_rng(1)
    label = np.arange(200) % 2
    informative = np.column_stack([label - 0.5, np.ones(200)]).astype(np.float32)
    noise = np.column_stack([rng.normal(size=200), np.ones(200)]).astype(np.float32)
    params = tiny.model_copy(update={"lr_grid": [0.1, 0.01]})
    study = split(params, label)
    validation, test = ablation.predictions(study, [informative, noise])
    assert (validation.shape, test.shape) == ((2, 160), (2, 40))
    assert ((test[0] >= 0.5) == label[160:]).all()
    assert ((validation[0] >= 0.5) == label[:160]).all()
    assert abs(((test[1] >= 0.5) == label[160:]).mean() - 0.5) < 0.3  # the same heads, of what says nothing


def test_the_interval_is_wider_than_that_of_independent_splits_as_nadeau_and_bengio_say() -> None:
    """Two differences, 0.01 and 0.03, test sets a quarter as large as development: t(0.975, 1) = 12.7062."""
    mean, low, high = ablation.corrected(np.array([0.01, 0.03]), 0.25)
    assert mean == pytest.approx(0.02)
    half = 12.706205 * np.sqrt((0.5 + 0.25) * 0.0002)
    assert (low, high) == (pytest.approx(0.02 - half), pytest.approx(0.02 + half))
