"""Members that learned nothing: defined results, and no warning but WEN's own."""

import math
import warnings

import numpy as np
import pytest
from scipy.special import expit, logit

from wen.config.member import Member
from wen.ensemble.combined import ensemble
from wen.ensemble.temperature import fit
from wen.ensemble.weights import SCHEMES, scheme
from wen.errors import WenError
from wen.evaluation.metrics import MEASURES, evaluate
from wen.members.predictions import Predictions

LABEL = np.array([0, 1, 1, 0, 1, 1])
GOOD = np.array([0.2, 0.9, 0.6, 0.4, 0.7, 0.3])
PROBABILITIES = {
    "always ALL": np.full(6, 1.0),
    "always HEM": np.full(6, 0.0),
    "constant": np.full(6, 0.5),
    "the wrong way round": 1 - GOOD,
    "a hair above nothing": np.full(6, 5e-324),
}


def member(probability: np.ndarray, label: np.ndarray = LABEL) -> Predictions:
    ids = np.arange(6).astype(str)
    return Predictions(
        Member("0.001", 0), validation_id=ids, validation_label=label, validation_probability=probability, test_id=ids,
        test_label=LABEL, test_probability=probability, test_map=np.zeros((6, 1, 1)), diverged=np.array(False),
        stage=np.array("head"), epoch=np.array(1), computed=np.array(["CPU, float32"] * 2),
    )  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "label", [LABEL, np.ones(6, int), np.zeros(6, int)], ids=["both classes", "ALL alone", "HEM alone"]
)
@pytest.mark.parametrize("name", PROBABILITIES)
def test_every_measure_is_defined_but_the_auc_of_one_class(name: str, label: np.ndarray) -> None:
    row = evaluate(label, PROBABILITIES[name])
    assert all(math.isfinite(row[measure]) for measure in MEASURES if measure != "auc")
    assert math.isnan(row["auc"]) == (len(set(label)) == 1)
    if name != "the wrong way round":
        assert row["kappa"] == 0
    elif len(set(label)) == 2:
        assert row["kappa"] < 0


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PROBABILITIES)
def test_a_useless_member_weighs_no_more_than_a_good_one(name: str, scheme: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = ensemble([member(GOOD), member(PROBABILITIES[name])], scheme, "none")
    assert made.weight.sum() == pytest.approx(1)
    assert (made.weight >= 0).all()
    if scheme == "kappa":
        assert made.weight.tolist() == [1, 0]
    if scheme in ("accuracy", "auc"):
        assert made.weight[1] <= made.weight[0]
    assert ((made.probability >= 0) & (made.probability <= 1)).all()


@pytest.mark.parametrize("name", PROBABILITIES)
def test_members_that_are_all_useless_get_equal_weights_with_a_warning(name: str) -> None:
    with pytest.warns(UserWarning, match="no member has a positive score, so all get equal weights"):
        made = ensemble([member(PROBABILITIES[name])] * 3, "kappa", "none")
    assert made.weight == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_validation_fold_of_one_class_gives_a_defined_ensemble(scheme: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error")
        warnings.filterwarnings("ignore", "no member has a positive score")
        made = ensemble([member(GOOD, np.ones(6, int)), member(GOOD, np.ones(6, int))], scheme, "none")
    assert np.isfinite(made.weight).all()
    assert np.isfinite(made.probability).all()


def test_members_are_scaled_by_their_temperatures_and_scored_without() -> None:
    members = [member(GOOD), member(np.array([0.1, 0.99, 0.4, 0.6, 0.98, 0.97]))]
    made = ensemble(members, "accuracy", "temperature")
    assert made.score == pytest.approx([5 / 6, 4 / 6])
    assert made.weight == pytest.approx([5 / 9, 4 / 9])
    assert made.temperature == pytest.approx([fit(LABEL, model.validation_probability) for model in members])
    assert min(abs(made.temperature - 1)) > 0.02
    scaled = [expit(logit(model.test_probability) / by) for model, by in zip(members, made.temperature, strict=True)]
    assert made.probability == pytest.approx(5 / 9 * scaled[0] + 4 / 9 * scaled[1])
    assert ensemble(members, "accuracy", "none").temperature.tolist() == [1, 1]


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(WenError, match="unknown scheme 'brier'; choose from accuracy, f1, kappa, auc, uniform"):
        scheme("brier")
