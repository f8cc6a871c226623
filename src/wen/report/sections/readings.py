"""Compare the readings, estimate the optimism of choosing on test data, and test what validation predicts."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from wen.ensemble import wen
from wen.ensemble.combined import combined, ensemble
from wen.ensemble.selection import JUDGED_BY, champion
from wen.ensemble.weights import scheme as weighting
from wen.evaluation.folds import order_p
from wen.evaluation.metrics import OF_DECISIONS, Confusion, decide
from wen.evaluation.statistics import accuracy_difference
from wen.study import Classifier, Study

HALVINGS = 100  # of the test set; each half chooses once
FEWEST = 5  # units of a test set whose halvings differ enough to give a range
FEW = 3  # models from which a correlation of ranks can be other than -1 or 1


def measure(study: Study) -> dict[str, Any]:
    """Compare the readings, estimate the optimism of choosing on test data, and correlate validation with test."""
    with warnings.catch_warnings():  # this warning was issued when the ensembles were made
        warnings.filterwarnings("ignore", "no member has a positive score")
        return {
            "compared": _compared(study),
            "optimism": _optimism(study),
            "validation_predicts_test": _validation_predicts_test(study),
        }


def _compared(study: Study) -> list[dict[str, Any]]:
    """Compare the best single model and each Intra-LR ensemble by every reading; differences are from leak_free."""
    pairs: list[tuple[Classifier, Classifier, np.ndarray | None]] = [
        (study.best_single("as_written"), study.best_single("leak_free"), None)
    ]
    for scheme in study.params.schemes:
        free = study.intra("leak_free", scheme)
        pairs.append((study.intra("as_written", scheme), free, _weighted_on_test(free, scheme)))
    return [_row(study, *pair) for pair in pairs]


def _row(study: Study, written: Classifier, free: Classifier, on_test: np.ndarray | None) -> dict[str, Any]:
    difference = accuracy_difference(study.right(written), study.right(free), study.unit)
    row = {
        "as_written": written.id,
        "leak_free": free.id,
        "kind": written.kind,
        "scheme": written.scheme,
        "as_written_accuracy": written.row["accuracy"],
        "leak_free_accuracy": free.row["accuracy"],
        **difference.as_difference(),
    }
    if on_test is None:
        return row
    decision = decide(on_test)
    return row | {
        "weights_on_test_accuracy": float((decision == study.label).mean()),
        "weights_on_test_changed": int((decision != decide(free.probability)).sum()),
    }


def _weighted_on_test(free: Classifier, scheme: str) -> np.ndarray:
    """Return P_final with M_k measured on test data, as one sentence of 3.5 suggests."""
    score = weighting(scheme)
    scores = [score(member.test_label, member.test_probability) for member in free.members]
    probabilities = np.stack([member.test_probability for member in free.members])
    return combined(wen.normalised(scores), free.temperature, probabilities)


def _optimism(study: Study) -> dict[str, Any] | None:
    """Estimate how much more accurate champions are on the half of the test set that chose them than on the other half.

    None if the test set cannot be halved. Each halving gives the mean over both directions, so that the halves'
    difficulty cancels out. The middle 95% of halvings, ``low`` and ``high``, is None for fewer units than `FEWEST`,
    which can be halved in a few ways only.
    """
    drawn = halves(study, study.seed)
    if drawn is None:
        return None
    models = [[study.single(member) for member in study.models[recipe]] for recipe in study.params.grid]
    measured = [[_measured(study, model, drawn) for model in of_rate] for of_rate in models]
    right = [[study.right(model) for model in of_rate] for of_rate in models]
    ensembles: dict[tuple[int, ...], np.ndarray] = {}
    gains = np.zeros((2, len(drawn)))
    for k, half in enumerate(drawn):
        folds = tuple(champion([row[k] for row in of_rate]) for of_rate in measured)
        rate = champion([of_rate[fold][k] for of_rate, fold in zip(measured, folds, strict=True)])
        if folds not in ensembles:
            ensembles[folds] = _combined(study, [of_rate[fold] for of_rate, fold in zip(models, folds, strict=True)])
        for row, of_chosen in zip(gains, (right[rate][folds[rate]], ensembles[folds]), strict=True):
            row[k] = of_chosen[half].mean() - of_chosen[~half].mean()
    of_halving = gains.reshape(2, -1, 2).mean(axis=2)
    enough = len(np.unique(study.unit)) >= FEWEST
    return {"halvings": of_halving.shape[1]} | {
        name: {"mean": float(values.mean()), "low": low, "high": high}
        for name, values in zip(("single", "intra"), of_halving, strict=True)
        for low, high in [np.quantile(values, [0.025, 0.975]).tolist() if enough else (None, None)]
    }


def halves(study: Study, seed: int) -> np.ndarray | None:
    """Draw halves of the test set, each followed by the other one, of shape (2 x halvings, n): True is in the half.

    Units are not divided, and those of each class are halved separately; the class of a subject is that of most of its
    images.
    """
    unit = study.unit
    size = np.bincount(unit)
    if len(size) < 2:
        return None
    rng, sick = np.random.default_rng(seed), np.bincount(unit, study.label) * 2 > size
    drawn = []
    for _ in range(HALVINGS):
        order = rng.permutation(len(size))
        place = np.empty(len(size), dtype=np.int64)
        place[np.concatenate([order[sick[order]], order[~sick[order]]])] = np.arange(len(size))
        half = (place % 2 == 0)[unit]
        drawn += [half, ~half]
    return np.array(drawn)


def _measured(study: Study, model: Classifier, halves: np.ndarray) -> list[dict[str, float]]:
    """Return the measures by which champions are chosen, on each half."""
    outcome = np.eye(4)[2 * study.label + decide(model.probability)]
    counts = Confusion(*(halves.astype(float) @ outcome).T)
    values = [OF_DECISIONS[name](counts) for name in JUDGED_BY]
    return [dict(zip(JUDGED_BY, row, strict=True)) for row in np.array(values).T.tolist()]


def _combined(study: Study, members: Sequence[Classifier]) -> np.ndarray:
    """Return 1 where the ensemble of these models, by the scheme in focus, is right."""
    models = [classifier.members[0] for classifier in members]
    weighted = ensemble(models, study.params.weighting, study.params.calibration)
    return (decide(weighted.probability) == study.label).astype(np.int64)


def _validation_predicts_test(study: Study) -> dict[str, Any]:
    """Spearman's correlation of validation and test kappa over the fold models of each rate, and over all models.

    ``p`` tests the mean ``within_rates`` by exchange of the folds. None is undefined, as within rates of two models.
    """
    kappas = {
        recipe: np.array(
            [(member.validation_row()["kappa"], study.single(member).row["kappa"]) for member in study.models[recipe]]
        )
        for recipe in study.params.grid
    }
    of_rate = {recipe: _spearman(values) for recipe, values in kappas.items()}
    known = [recipe for recipe, value in of_rate.items() if value is not None]
    pairs = np.array([kappas[recipe].T for recipe in known])
    return {
        "of_rate": of_rate,
        "within_rates": float(np.mean([of_rate[recipe] for recipe in known])) if known else None,
        "p": order_p(pairs[:, 0], pairs[:, 1], study.seed) if known else None,
        "overall": _spearman(np.concatenate(list(kappas.values()))),
        "models": sum(len(values) for values in kappas.values()),
    }


def _spearman(values: np.ndarray) -> float | None:
    """None for too few models, or where all are equal on one of the two."""
    undefined = len(values) < FEW or (values == values[0]).all(axis=0).any()
    return None if undefined else float(spearmanr(values).statistic)
